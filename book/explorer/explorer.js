/* The attribution explorer. lib/report/explorer.py writes what it shows: explorer-data/methods.js, how methods are
   called and drawn; for each data set a data.js, and sprites of its images. The state makes the address and the page:
   `show` draws all of it. */
"use strict";

const DATA_SETS = { fashion: "Fashion-MNIST", cifar10_full: "CIFAR-10", imagenet: "Tiny ImageNet" };
const KINDS = { removal: "removed", mislabel: "mislabelled" };
const GOING = { removal: "go", mislabel: "are relabelled" };
const PLAY = { removal: "▶ Let them go", mislabel: "▶ Relabel them" };
const TESTS = { separate: "each alone", united: "united" };
const NOTES = {
  separate: "Tests: every target has trainings of its own, as in the paper.",
  united:
    "United tests: one training answers about a target of every class. They ask for more images than separate ones " +
    "where a ranking is poor.",
};
const PLAIN =
  "Of these photographs, only the targets and the images that a method ranks first (or that oppose most) come with " +
  "the page; the others are plain tiles.";
const WORDS = { // of Tiny ImageNet's classes
  n01784675: "centipede", n01983481: "lobster", n02085620: "Chihuahua", n02094433: "Yorkshire terrier",
  n02132136: "brown bear", n02190166: "fly", n02423022: "gazelle", n02481823: "chimpanzee", n02788148: "banister",
  n02793495: "barn",
};
const FIRST = 10, FEW = 7; // images of a ranking with scores; rows at first
const TICKS = [0, 1, 3, 10, 30, 100, 300, 1000];

const DEFAULTS = { data: "fashion", target: null, kind: "removal", tests: null, methods: [], filter: "all", class: "" };
const state = { ...DEFAULTS, k: 0 };
const views = { all: false, opposing: false, playing: 0, written: null, asked: {} };

const $ = (id) => document.getElementById(id);
const D = () => window.EXPLORER.data[state.data];
const look = (name) => window.EXPLORER.methods[name] || { label: name, colour: "#777777" };
const signed = (x, decimals = 2) => (x < 0 ? "−" : "+") + Math.abs(x).toFixed(decimals);
const className = (label) => WORDS[D().classes[label]] || D().classes[label];
const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
const brief = (x) => {
  const size = Math.abs(x), rounded = Number(x.toPrecision(size < 0.1 ? 2 : 3));
  return String(size && size < 0.001 ? x.toExponential(0) : rounded).replaceAll("-", "−");
};
const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;

/* Elements: text is always set as text. */
function make(name, attributes = {}, ...children) {
  const svg = ["svg", "g", "line", "path", "circle", "rect", "text", "title"].includes(name);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== false && value != null) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

const fill = (parent, ...children) => parent.replaceChildren(...children);
const span = (name, ...children) => make("span", { class: name }, ...children);
const dotOf = (right, title) => make("i", { class: right ? "dot" : "dot hollow", title });
const swatch = () => make("i", { class: "swatch" });
const percent = (share) => `${100 * share}%`;

function coloured(element, name) {
  element.style.setProperty("--c", look(name).colour);
  return element;
}

/* Images: a tile is a window on a sprite, whatever its size on the screen. */
const places = {};

function place(id, test) {
  const data = D();
  if (!places[state.data]) {
    places[state.data] = { train: new Map(), test: new Map() };
    for (const [name, ids] of Object.entries(data.sprites)) {
      const known = name === "test" ? places[state.data].test : places[state.data].train;
      ids.forEach((one, i) => known.set(one, { name, i, rows: Math.ceil(ids.length / window.EXPLORER.columns) }));
    }
  }
  return places[state.data][test ? "test" : "train"].get(id);
}

function tile(id, words, test = false) {
  const at = place(id, test), columns = window.EXPLORER.columns, role = words ? "img" : "presentation";
  const element = make("span", { class: at ? "tile" : "tile blank", role, "aria-label": words, title: words });
  if (!test) element.dataset.id = id;
  if (at) {
    const x = at.i % columns, y = Math.floor(at.i / columns);
    element.style.backgroundImage = `url(explorer-data/${state.data}/${at.name}.webp)`;
    element.style.backgroundSize = `${percent(columns)} ${percent(at.rows)}`;
    element.style.backgroundPosition = `${percent(x / (columns - 1))} ${percent(at.rows > 1 ? y / (at.rows - 1) : 0)}`;
  }
  return element;
}

function classOf(id) {
  const at = place(id, false);
  return className(at ? at.name : target().label);
}

/* What the data say. */
const kindsOf = (tests) => Object.keys(D().supports[tests]);
const index = () => D().targets.findIndex((one) => one.id === state.target);
const target = () => D().targets[index()];
const names = () => Object.keys(D().methods).filter((name) => (D().supports[state.tests][state.kind] || {})[name]);

function search(name, i = index()) {
  return ((D().supports[state.tests][state.kind] || {})[name] || [])[i] || null;
}

function ranking(name) {
  const ranked = D().methods[name];
  const packed = ((state.kind === "mislabel" && ranked.mislabel) || ranked.ranking)[index()];
  const bytes = Uint8Array.from(atob(packed), (c) => c.charCodeAt(0));
  return Array.from(bytes.filter((_, i) => i % 2 === 0), (low, i) => low + 256 * bytes[2 * i + 1]);
}

const isFlip = (found) => Boolean(found) && found.size !== null;
const flips = (name, i) => isFlip(search(name, i));
const holds = (name, i) => Boolean(search(name, i)) && !flips(name, i);
const nRight = (probe) => probe.slice(1).filter((margin) => margin > 0).length;
const isRight = (probe) => 2 * nRight(probe) > D().n_votes;

function verdict(found) {
  if (!found) return "not tested";
  if (isFlip(found)) return `flips at ${found.size}`;
  return found.probes.length === 1 ? "wrong before any change" : `holds at ${D().k_max}`;
}

const FILTERS = {
  all: { words: () => "all targets", keeps: () => true },
  first: { words: (a, b) => `that ${a} flips, ${b} does not`, keeps: (i, a, b) => flips(a, i) && holds(b, i) },
  second: { words: (a, b) => `that ${b} flips, ${a} does not`, keeps: (i, a, b) => flips(b, i) && holds(a, i) },
  smaller: {
    words: (a, b) => `that ${a} flips with fewer images than ${b}`,
    keeps: (i, a, b) => flips(a, i) && (holds(b, i) || (flips(b, i) && search(a, i).size < search(b, i).size)),
  },
  both: { words: (a, b) => `that ${a} and ${b} both flip`, keeps: (i, a, b) => flips(a, i) && flips(b, i) },
  nobody: { words: () => "that nobody flips", keeps: (i) => !names().some((name) => flips(name, i)) },
};

function kept() {
  const [a, b] = state.methods, ofClass = (one) => state.class === "" || one.label === Number(state.class);
  return D().targets.filter((one, i) => ofClass(one) && FILTERS[state.filter].keeps(i, a, b));
}

/* The address. methods: the first two stand side by side; with more, these alone are the rows. */
function read() {
  const asked = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  Object.assign(state, DEFAULTS, { k: 0 });
  views.asked = asked;
  if (asked.data in DATA_SETS) state.data = asked.data;
  if (asked.target !== undefined) state.target = Number(asked.target);
  if (asked.kind in KINDS) state.kind = asked.kind;
  if (asked.tests in TESTS) state.tests = asked.tests;
  if (asked.filter in FILTERS) state.filter = asked.filter;
  if (asked.class !== undefined) state.class = asked.class;
  if (asked.methods) state.methods = asked.methods.split(",");
}

function write() {
  const { data, target, kind, tests, filter } = state;
  const shown = { data, target, methods: state.methods.join(","), kind, tests };
  if (filter !== DEFAULTS.filter) shown.filter = filter;
  if (state.class !== DEFAULTS.class) shown.class = state.class;
  const plain = (value) => encodeURIComponent(value).replaceAll("%2C", ",").replaceAll("%3A", ":");
  views.written = "#" + Object.entries(shown).map(([key, value]) => `${key}=${plain(value)}`).join("&");
  if (location.hash !== views.written) location.replace(views.written);
}

/* Make the state fit the data set. */
function settle() {
  const data = D(), known = state.methods.filter((name) => name in data.methods);
  const has = (tests, name) => Object.values(data.supports[tests]).some((methods) => methods[name]);
  const have = (tests) => known.filter((name) => has(tests, name)).length;
  const tests = Object.keys(data.supports);
  if (!tests.includes(state.tests)) state.tests = tests.reduce((best, one) => (have(one) > have(best) ? one : best));
  if (!kindsOf(state.tests).includes(state.kind)) state.kind = kindsOf(state.tests)[0];
  const usable = known.filter((name) => names().includes(name));
  state.methods = usable.length > 1 ? [...new Set(usable)] : [...new Set([...usable, ...names()])].slice(0, 2);
  if (!(Number(state.class) in data.classes)) state.class = "";
  if (index() < 0) state.target = (kept()[0] || data.targets[0]).id;
}

/* What the address asked for and is not here, and what is shown instead; said once. */
function corrections() {
  const { asked } = views, other = Object.keys(asked).filter((key) => asked[key] && asked[key] !== String(state[key]));
  const shown = {
    data: DATA_SETS[state.data], target: state.target, kind: KINDS[state.kind], tests: TESTS[state.tests],
    methods: state.methods.slice(0, 2).map((name) => look(name).label).join(" and "),
    filter: "all targets", class: "all",
  };
  const lacking = other.filter((key) => key in shown && (key !== "methods" || unknown(asked).length));
  const value = (key) => (key === "methods" ? unknown(asked).join(", ") : asked[key]).slice(0, 40);
  views.asked = {};
  return lacking.map((key) => `No ${key} ${value(key)} here; showing ${shown[key]}.`).join(" ");
}

const unknown = (asked) => asked.methods.split(",").filter((name) => !state.methods.includes(name));

function rows() {
  if (state.methods.length > 2 && !views.all) return names().filter((name) => state.methods.includes(name));
  return names().filter((name, i) => views.all || i < FEW || state.methods.includes(name));
}

/* Scale of k, from 0 to 1. */
const along = (k, most = D().k_max) => Math.log1p(k) / Math.log1p(most);
const atShare = (share) => Math.round(Math.expm1(share * Math.log1p(D().k_max)));
const ticks = (most = D().k_max) => [...TICKS.filter((k) => k < 0.7 * most), most];

/* The parts of the page. */
function choices(id, values, words) {
  const inputs = values.map((value) => {
    const byMouse = (event) => event.detail && event.target.blur(); // so that arrows turn to other targets
    const events = { onclick: byMouse, onchange: () => change({ [id]: value }) };
    const known = { type: "radio", name: id, value, checked: state[id] === value, "data-focus": id + value };
    return make("label", {}, make("input", { ...known, ...events }), span("", words[value]));
  });
  const field = $(id);
  fill(field, field.querySelector("legend"), ...inputs);
  field.hidden = inputs.length < 2;
}

function drawControls() {
  const [a, b] = state.methods.map((name) => look(name).label), data = D();
  choices("data", Object.keys(DATA_SETS), DATA_SETS);
  choices("kind", kindsOf(state.tests), KINDS);
  choices("tests", Object.keys(data.supports), TESTS);
  const option = (value, words, chosen) => make("option", { value, selected: value === chosen }, words);
  const classes = data.classes.map((_, i) => option(String(i), className(i), state.class));
  fill($("class"), option("", "all", state.class), ...classes);
  fill($("filter"), ...Object.entries(FILTERS).map(([key, { words }]) => option(key, words(a, b), state.filter)));
  const size = `up to ${data.k_max} of the ${data.class_size} training images of a class`;
  const facts = `${plural(data.targets.length, "target")}, ${size}, ${plural(data.n_votes, "vote")} a probe at most.`;
  const plain = data.sprites[0].length < data.class_size ? PLAIN : "";
  fill($("note"), `${DATA_SETS[state.data]}: ${facts} ${NOTES[state.tests]} ${plain}`);
}

function drawTarget() {
  const { id, label, wrong } = target(), data = D(), list = kept();
  const found = names().map((name) => [name, search(name)]).filter(([, one]) => one);
  const flipped = found.filter(([, one]) => isFlip(one)).sort((x, y) => x[1].size - y[1].size);
  const votes = found.length ? found[0][1].probes[0].slice(1) : [];
  fill($("image"), tile(id, `Test image ${id}, ${className(label)}`, true));
  fill($("class-name"), className(label));
  const facts = {
    "Test image": id,
    "Runner-up": className(wrong),
    "Margin before": votes.length ? signed(mean(votes)) : "–",
    "Flipped by": `${flipped.length} of ${plural(found.length, "method")}`,
    "Fewest": flipped.length ? `${flipped[0][1].size}, ${look(flipped[0][0]).label}` : "–",
  };
  const pairs = Object.entries(facts).map(([term, value]) => [make("dt", {}, term), make("dd", {}, String(value))]);
  fill($("facts"), ...pairs.flat());
  const position = list.findIndex((one) => one.id === id);
  fill($("position"), list.length ? `${position < 0 ? "–" : position + 1} of ${list.length}` : "no target is so");
  $("everything").hidden = list.length > 0;
  document.querySelector("main").classList.toggle("nothing", !list.length);
  $("previous").disabled = $("next").disabled = list.length < 2 && position === 0 || !list.length;
  fill($("picker"), ...list.map(pickable));
}

function pickable(one) {
  const i = D().targets.indexOf(one), pair = state.methods.slice(0, 2);
  const said = pair.map((name) => `${look(name).label} ${verdict(search(name, i))}`).join(", ");
  const words = `Test image ${one.id}, ${className(one.label)}: ${said}`;
  const dots = pair.map((name) => coloured(dotOf(!flips(name, i)), name));
  const known = { type: "button", "data-focus": `target${one.id}`, "aria-label": words, title: words };
  const current = { "aria-current": one.id === state.target && "true", onclick: () => change({ target: one.id }) };
  return make("button", { ...known, ...current }, tile(one.id, "", true), span("dots", ...dots));
}

function drawRows() {
  const shown = rows(), first = ranking(state.methods[0]).slice(0, FIRST);
  fill($("rows"), axisRow(), ...shown.map((name, i) => row(name, i, first)));
  const rest = names().length - shown.length;
  $("more").hidden = !rest && !views.all;
  fill($("more"), views.all ? "Fewer methods" : `${rest} more methods`);
}

function axisRow() {
  const marks = ticks().map((k) => {
    const mark = span("", String(k));
    mark.style.left = percent(along(k));
    return mark;
  });
  const ten = span("", "most supportive images, first to tenth");
  const heads = [span("", "method"), span("scale", ...marks), span("size", "support"), ten];
  return make("li", { class: "axis", "aria-hidden": "true" }, ...heads);
}

function row(name, i, first) {
  const found = search(name), seat = state.methods.indexOf(name), ids = ranking(name).slice(0, FIRST);
  const digit = i < 9 ? String(i + 1) : "", pressed = { "aria-pressed": String(seat === 0 || seat === 1) };
  const button = make("button", { type: "button", class: "name", "data-focus": name, ...pressed });
  button.append(make("kbd", { "aria-hidden": "true" }, digit), swatch(), span("", look(name).label));
  const size = span(isFlip(found) ? "size" : "size holds");
  size.title = verdict(found);
  size.textContent = isFlip(found) ? found.size : found ? `> ${D().k_max}` : "–";
  const common = ids.filter((id) => first.includes(id)).length;
  const words = seat === 0 ? null : `${common} of the first ten shared with ${look(state.methods[0]).label}`;
  const shared = make("small", { title: words }, words ? `${common}/${FIRST}` : "");
  const ten = span("ten", ...ids.map((id, rank) => tile(id, describe(name, id, rank))));
  const item = make("li", { class: ["first", "second"][seat] || "", onclick: () => choose(name) });
  item.append(button, found ? scaleOf(found, name) : span("scale"), size, ten, shared);
  return coloured(item, name);
}

/* A search on the scale of k: the bar ends at the support, a dot is a probe. */
function scaleOf(found, name) {
  const words = `${look(name).label}: ${verdict(found)}, ${plural(found.probes.length, "probe")}`;
  const bar = make("b", { class: isFlip(found) ? "" : "open" });
  bar.style.width = percent(along(found.size ?? D().k_max));
  const dots = found.probes.map((probe) => {
    const dot = dotOf(isRight(probe), said(probe));
    dot.style.left = percent(along(probe[0]));
    return dot;
  });
  return make("span", { class: "scale", role: "img", "aria-label": words }, bar, ...dots);
}

function said(probe) {
  const right = nRight(probe), wrong = probe.length - 1 - right;
  return `k ${probe[0]}: ${right} right, ${wrong} wrong, mean margin ${signed(mean(probe.slice(1)))}`;
}

function describe(name, id, rank) {
  const score = rank < FIRST ? `, score ${brief(D().methods[name].scores[index()][rank])}` : "";
  return `Number ${rank + 1}: training image ${id}, ${classOf(id)}${score}`;
}

function drawPair() {
  const pair = state.methods.slice(0, 2), tops = pair.map((name) => ranking(name).slice(0, FIRST));
  const margins = pair.flatMap((name) => (search(name) ? search(name).probes.flatMap((probe) => probe.slice(1)) : []));
  const range = [Math.min(0, ...margins), Math.max(0, ...margins)];
  fill($("pair"), ...pair.map((name, i) => panel(name, i, tops[1 - i], range)));
  const label = `Images given the label ${className(target().wrong)}`;
  fill($("going-label"), state.kind === "removal" ? "Images removed" : label);
  fill($("agreement"), ...agreement(pair));
  fill($("play"), PLAY[state.kind]);
  drawK();
}

function panel(name, seat, others, range) {
  const found = search(name), ids = ranking(name), scores = D().methods[name].scores[index()];
  const also = `among the first ten of ${look(state.methods[1 - seat]).label} too`;
  const ten = ids.slice(0, FIRST).map((id, rank) => {
    const both = others.includes(id);
    const known = { class: both ? "both" : "", title: both ? also : null };
    return make("figure", known, tile(id, describe(name, id, rank)), make("figcaption", {}, brief(scores[rank])));
  });
  const size = isFlip(found) ? found.size : D().k_max, going = ids.slice(0, size);
  const cut = size > going.length ? `, the first ${going.length}` : "";
  const strip = make("div", { class: "strip", role: "img", "aria-label": `The first ${going.length} of the ranking` });
  strip.append(...going.map((id) => tile(id, "")));
  [...strip.children].forEach((one, rank) => (one.title = describe(name, ids[rank], rank)));
  const status = make("output", { class: "status" });
  const head = (words, ...more) => make("h4", {}, words, ...more);
  const element = make("article", { "aria-label": look(name).label });
  element.append(
    make("h3", {}, swatch(), look(name).label), make("p", { class: "sentence" }, sentence(found)),
    head("Most supportive, with score"), make("div", { class: "ten scored" }, ...ten),
    head(`${isFlip(found) ? "The support" : "No flip"}: the images that ${GOING[state.kind]}${cut}`, status), strip,
  );
  if (found) element.append(head("Margin against k"), plot(found, range));
  if (found) element.append(head("Votes, in the order of the search"), votesOf(found));
  element.append(opposing(name));
  return coloured(element, name);
}

function sentence(found) {
  const does = state.kind === "removal" ? "Removing" : "Mislabelling";
  if (!found) return "Not tested on this target.";
  if (!isRight(found.probes[0])) return "Wrong before any change: no support.";
  if (!isFlip(found)) return `${does} ${D().k_max} images does not flip it.`;
  const low = Math.max(...found.probes.filter((probe) => isRight(probe) && probe[0] < found.size).map(([k]) => k));
  return `${does} the first ${found.size} flips it; ${low ? `at ${low}` : "with none"} it is still right.`;
}

function votesOf(found) {
  const items = found.probes.map((probe) => {
    const seen = make("span", { "aria-hidden": "true" }, String(probe[0]));
    seen.append(...probe.slice(1).map((margin) => dotOf(margin > 0, signed(margin))));
    return make("li", { title: said(probe) }, span("unseen", said(probe)), seen);
  });
  return make("ol", { class: "votes" }, ...items);
}

function opposing(name) {
  const opposed = D().methods[name].opposing;
  const why = name.startsWith("random") ? "Its order is random" : "Its scores are similarities";
  if (!opposed) return make("p", { class: "quiet" }, `${why}: no image opposes.`);
  const details = make("details", { open: views.opposing }, make("summary", {}, "Most opposing, of all classes"));
  const draw = () => {
    if (!details.open || details.querySelector(".ten")) return;
    const tiles = opposed.ids[index()].map((id, i) => {
      const score = brief(opposed.scores[index()][i]);
      const words = `Opposing, number ${i + 1}: training image ${id}, ${classOf(id)}, score ${score}`;
      return make("figure", {}, tile(id, words), make("figcaption", {}, score));
    });
    details.append(make("div", { class: "ten scored" }, ...tiles));
  };
  details.addEventListener("toggle", () => {
    views.opposing = details.open;
    draw();
  });
  draw();
  return details;
}

/* Curves against k. */
function canvas(w, h, name, words) {
  return make("svg", { viewBox: `0 0 ${w} ${h}`, class: name, role: "img", "aria-label": words });
}

const text = (x, y, anchor, words, rest = {}) => make("text", { x, y, "text-anchor": anchor, ...rest }, String(words));
const upright = (x, y1, y2, rest) => make("line", { x1: x, x2: x, y1, y2, ...rest });

const pathOf = (points) => "M" + points.map((xy) => xy.map((at) => at.toFixed(1)).join(" ")).join("L");

/* Margin of every vote; the line joins the means. */
function plot(found, [lowest, highest]) {
  const w = 480, h = 190, left = 40, right = 466, top = 10, bottom = 156, pad = 0.08 * (highest - lowest || 1);
  const x = (k) => left + along(k) * (right - left);
  const y = (margin) => top + ((highest + pad - margin) / (highest - lowest + 2 * pad)) * (bottom - top);
  const probes = [...found.probes].sort((a, b) => a[0] - b[0]);
  const svg = canvas(w, h, "plot", `Margin against k: ${probes.map(said).join("; ")}`);
  if (isFlip(found)) {
    const at = x(found.size), late = along(found.size) > 0.85;
    svg.append(upright(at, top, bottom, { class: "support" }));
    svg.append(text(late ? at - 4 : at + 4, top + 4, late ? "end" : "start", found.size, { class: "support" }));
  }
  svg.append(make("line", { x1: left, x2: right, y1: y(0), y2: y(0), class: "zero" }));
  svg.append(text(left - 6, y(0) + 4, "end", 0));
  for (const end of [lowest, highest].filter((margin) => Math.abs(y(margin) - y(0)) > 14)) {
    svg.append(text(left - 6, y(end) + 4, "end", signed(end, 1)));
  }
  for (const k of ticks()) svg.append(upright(x(k), bottom, bottom + 4, {}), text(x(k), bottom + 16, "middle", k));
  svg.append(text(right, h - 3, "end", `k, images ${KINDS[state.kind]}`));
  svg.append(make("path", { d: pathOf(probes.map((p) => [x(p[0]), y(mean(p.slice(1)))])), class: "means" }));
  for (const [k, margin] of probes.flatMap((probe) => probe.slice(1).map((one) => [probe[0], one]))) {
    const known = { cx: x(k), cy: y(margin), r: 4, class: margin > 0 ? "vote" : "vote hollow" };
    svg.append(make("circle", known, make("title", {}, `k ${k}, margin ${signed(margin)}`)));
  }
  svg.append(upright(left, top, bottom, { class: "cursor", "data-left": left, "data-width": right - left }));
  return svg;
}

/* Where two rankings agree. */
function agreement([a, b]) {
  const one = ranking(a), other = ranking(b), n = D().class_size, last = one.length;
  const seats = new Map(other.map((id, i) => [id, i]));
  const common = one.map((id, i) => [i, seats.get(id)]).filter(([, i]) => i !== undefined);
  const shared = (k) => common.filter(([i, j]) => i < k && j < k).length;
  const rho = spearman(common), chance = Math.round((100 * last) / n);
  const facts = [FIRST, 50, last].map((k) => `${shared(k)} of the first ${k}`).join(", ");
  const both = `the ${plural(common.length, "image")} that both rank among their first ${last}`;
  const words = make("div", {}, make("h3", {}, "Where the two agree"));
  words.append(
    make("p", {}, `In common: ${facts}. Rank correlation of ${both}: ${rho === null ? "–" : signed(rho)}.`),
    make("p", { class: "quiet" }, `By chance, two rankings of the ${n} images of a class would share ${chance} % of ` +
      `their first ${last}. A bar under an image marks those among the other's first ten.`),
  );
  const w = 420, h = 150, left = 34, right = 410, top = 8, bottom = 120;
  const x = (k) => left + along(k, last) * (right - left), y = (share) => top + (1 - share) * (bottom - top);
  const steps = Array.from({ length: last }, (_, i) => i + 1);
  const curve = (f, name) => make("path", { d: pathOf(steps.map((k) => [x(k), y(f(k))])), class: name });
  const svg = canvas(w, h, "plot", `Share of the first k in common: ${facts}`);
  svg.append(curve((k) => k / n, "chance"), curve((k) => shared(k) / k, "means"));
  svg.append(...[0, 0.5, 1].map((share) => text(left - 6, y(share) + 4, "end", 100 * share)));
  svg.append(...ticks(last).filter(Boolean).map((k) => text(x(k), bottom + 16, "middle", k)));
  svg.append(text(right, h - 2, "end", "% of the first k in common; dotted: chance"));
  return [words, svg];
}

function spearman(pairs) {
  if (pairs.length < 3) return null;
  const ranks = [0, 1].map((side) => {
    const order = pairs.map((pair, i) => [pair[side], i]).sort((p, q) => p[0] - q[0]);
    const rank = [];
    order.forEach(([, i], place) => (rank[i] = place));
    return rank;
  });
  const n = pairs.length, squares = ranks[0].reduce((sum, rank, i) => sum + (rank - ranks[1][i]) ** 2, 0);
  return 1 - (6 * squares) / (n * (n * n - 1));
}

/* The first k images go, or are relabelled. */
function drawK() {
  const { k } = state;
  $("k").value = Math.round(1000 * along(k));
  $("k").setAttribute("aria-valuetext", plural(k, "image"));
  fill($("k-shown"), `k = ${k}`);
  [...$("pair").children].forEach((element, seat) => {
    const found = search(state.methods[seat]);
    [...element.querySelector(".strip").children].forEach((one, rank) => one.classList.toggle("gone", rank < k));
    const cursor = element.querySelector(".cursor");
    if (cursor) {
      const x = Number(cursor.dataset.left) + along(k) * Number(cursor.dataset.width);
      cursor.setAttribute("x1", x);
      cursor.setAttribute("x2", x);
    }
    const status = element.querySelector(".status");
    const last = found && found.probes.filter((probe) => probe[0] <= k).sort((p, q) => q[0] - p[0])[0];
    fill(status, last ? `probe at ${last[0]}: ${isRight(last) ? "still right" : "flipped"}` : "");
    status.classList.toggle("flipped", Boolean(last) && !isRight(last));
  });
}

function play() {
  if (views.playing) return stop();
  const ends = state.methods.slice(0, 2).map((name) => (search(name) && search(name).size) || D().k_max);
  const end = Math.max(...ends), from = state.k >= end ? 0 : along(state.k);
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return setK(end);
  const started = performance.now(), seconds = 4;
  fill($("play"), "❚❚ Stop");
  const step = (now) => {
    const share = Math.min(1, from + (now - started) / (1000 * seconds));
    setK(Math.min(end, atShare(share)));
    if (state.k < end) views.playing = requestAnimationFrame(step);
    else stop();
  };
  views.playing = requestAnimationFrame(step);
}

function stop() {
  cancelAnimationFrame(views.playing);
  views.playing = 0;
  fill($("play"), PLAY[state.kind]);
}

function setK(k) {
  state.k = k;
  drawK();
}

/* What the reader does. */
function choose(name) {
  const [a, b, ...others] = state.methods, rest = others.filter((one) => one !== name);
  if (name === b) change({ methods: [b, a, ...others] });
  else if (name !== a) change({ methods: [a, name, ...(others.length ? [...rest, b] : [])] });
}

function turn(by) {
  const list = kept(), at = list.findIndex((one) => one.id === state.target);
  if (list.length) change({ target: list[(Math.max(at, by > 0 ? -1 : 0) + by + list.length) % list.length].id });
}

function change(values) {
  stop();
  const filtered = "filter" in values || "class" in values;
  Object.assign(state, values, { k: 0 });
  if ("data" in values) Object.assign(state, { target: null, class: "", tests: null });
  if (filtered && !kept().includes(target())) state.target = (kept()[0] || target()).id;
  open();
}

function show() {
  const focused = document.activeElement && document.activeElement.dataset.focus; // what is drawn anew loses it
  $("problem").hidden = true;
  document.querySelector("main").hidden = false;
  settle();
  fill($("corrected"), corrections());
  write();
  drawControls();
  drawTarget();
  drawRows();
  drawPair();
  if (focused) (document.querySelector(`[data-focus="${CSS.escape(focused)}"]`) || document.body).focus();
  document.title = `${className(target().label)} ${state.target}, ${DATA_SETS[state.data]} – Attribution explorer`;
}

function open() {
  if (D()) return show();
  const src = `explorer-data/${state.data}/data.js`, script = make("script", { src });
  script.onload = () => D() && show();
  script.onerror = () => {
    $("problem").hidden = false;
    document.querySelector("main").hidden = true;
    fill($("problem"), `There is nothing to show: ${src} is missing. Make it with: python -m lib.report.explorer`);
  };
  document.head.append(script);
}

function listen() {
  $("previous").onclick = () => turn(-1);
  $("next").onclick = () => turn(1);
  $("play").onclick = play;
  $("k").oninput = (event) => { stop(); setK(atShare(event.target.value / 1000)); };
  $("class").onchange = (event) => change({ class: event.target.value });
  $("filter").onchange = (event) => change({ filter: event.target.value });
  $("everything").onclick = () => change({ filter: "all", class: "" });
  $("more").onclick = () => { views.all = !views.all; drawRows(); };
  $("theme").onclick = () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  document.addEventListener("keydown", (event) => {
    const turns = event.key === "ArrowLeft" || event.key === "ArrowRight";
    const typing = event.target.closest("input, summary") || (event.target.closest("select") && !turns);
    if (event.ctrlKey || event.metaKey || event.altKey || typing || !D()) return;
    if (turns) turn(event.key === "ArrowLeft" ? -1 : 1);
    else if (/^[1-9]$/.test(event.key) && rows()[event.key - 1]) choose(rows()[event.key - 1]);
    else if (event.key === " " && !event.target.closest("button, a")) play();
    else return;
    event.preventDefault();
  });
  document.addEventListener("mouseover", (event) => {
    const id = event.target.dataset && event.target.dataset.id;
    document.querySelectorAll(".same").forEach((one) => one.classList.remove("same"));
    if (id) document.querySelectorAll(`[data-id="${CSS.escape(id)}"]`).forEach((one) => one.classList.add("same"));
  });
  window.addEventListener("hashchange", () => {
    if (location.hash === views.written) return;
    read();
    open();
  });
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  $("theme").textContent = theme === "dark" ? "Light" : "Dark";
  try {
    localStorage.setItem("theme", theme);
    localStorage.setItem("mode", theme);
  } catch { /* a browser that keeps nothing */ }
}

$("theme").textContent = document.documentElement.dataset.theme === "dark" ? "Light" : "Dark";
listen();
read();
open();
