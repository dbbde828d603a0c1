/* The attribution explorer. lib/report/explorer.py writes what it shows: explorer-data/methods.js, how methods are called
   and drawn; for each data set a data.js, and sprites of its images. State -> address and page: `show` draws all of it. */
"use strict";

const DATA_SETS = { fashion: "Fashion-MNIST", cifar10: "CIFAR-10", imagenet: "Tiny ImageNet" };
const KINDS = { removal: "removed", mislabel: "mislabelled" };
const TESTS = { separate: "each alone", united: "united" };
const NOTES = {
  separate: "Tests: every target has trainings of its own, as in the paper.",
  united: "United tests: one training answers about a target of every class. They ask for more images than separate ones where a ranking is poor.",
};
const WORDS = { // of Tiny ImageNet's classes
  n01784675: "centipede", n01983481: "lobster", n02085620: "Chihuahua", n02094433: "Yorkshire terrier", n02132136: "brown bear",
  n02190166: "fly", n02423022: "gazelle", n02481823: "chimpanzee", n02788148: "banister", n02793495: "barn",
};
const FIRST = 10;
const FEW = 7; // rows at first
const TICKS = [0, 1, 3, 10, 30, 100, 300, 1000];

const state = { data: "fashion", target: null, kind: "removal", tests: null, methods: [], filter: "all", class: "", k: 0 };
const views = { all: false, opposing: false, playing: 0, written: null };

const $ = (id) => document.getElementById(id);
const D = () => window.EXPLORER.data[state.data];
const look = (name) => window.EXPLORER.methods[name] || { label: name, colour: "#777777" };
const signed = (x, decimals = 2) => (x < 0 ? "−" : "+") + Math.abs(x).toFixed(decimals);
const className = (label) => WORDS[D().classes[label]] || D().classes[label];
const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
const brief = (x) => String(Number(x.toPrecision(Math.abs(x) < 0.1 ? 2 : 3))).replace("-", "−");
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

function fill(parent, ...children) {
  parent.replaceChildren(...children);
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
  const at = place(id, test), columns = window.EXPLORER.columns;
  const element = make("span", { class: at ? "tile" : "tile blank", role: words ? "img" : "presentation", "aria-label": words, title: words });
  if (!test) element.dataset.id = id;
  if (at) {
    const x = at.i % columns, y = Math.floor(at.i / columns);
    element.style.backgroundImage = `url(explorer-data/${state.data}/${at.name}.webp)`;
    element.style.backgroundSize = `${100 * columns}% ${100 * at.rows}%`;
    element.style.backgroundPosition = `${(100 * x) / (columns - 1)}% ${at.rows > 1 ? (100 * y) / (at.rows - 1) : 0}%`;
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

const flips = (name, i) => Boolean(search(name, i) && search(name, i).size !== null);
const nRight = (probe) => probe.slice(1).filter((margin) => margin > 0).length;
const isRight = (probe) => 2 * nRight(probe) > D().n_votes;

function verdict(found) {
  if (!found) return "not tested";
  if (found.size !== null) return `flips at ${found.size}`;
  return found.probes.length === 1 ? "wrong before any change" : `holds at ${D().k_max}`;
}

const FILTERS = {
  all: { words: () => "all targets", keeps: () => true },
  first: { words: (a, b) => `that ${a} flips, ${b} does not`, keeps: (i, a, b) => flips(a, i) && search(b, i) && !flips(b, i) },
  second: { words: (a, b) => `that ${b} flips, ${a} does not`, keeps: (i, a, b) => flips(b, i) && search(a, i) && !flips(a, i) },
  smaller: {
    words: (a, b) => `that ${a} flips with fewer images than ${b}`,
    keeps: (i, a, b) => flips(a, i) && flips(b, i) && search(a, i).size < search(b, i).size,
  },
  both: { words: (a, b) => `that ${a} and ${b} both flip`, keeps: (i, a, b) => flips(a, i) && flips(b, i) },
  nobody: { words: () => "that nobody flips", keeps: (i) => !names().some((name) => flips(name, i)) },
  everybody: { words: () => "that everybody flips", keeps: (i) => names().every((name) => flips(name, i)) },
};

function kept() {
  const [a, b] = state.methods;
  return D().targets.filter((one, i) => (state.class === "" || one.label === Number(state.class)) && FILTERS[state.filter].keeps(i, a, b));
}

/* The address. methods: the first two stand side by side; with more, these alone are the rows. */
function read() {
  const asked = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  if (asked.data in DATA_SETS) state.data = asked.data;
  state.target = asked.target === undefined ? state.target : Number(asked.target);
  if (asked.kind in KINDS) state.kind = asked.kind;
  if (asked.tests in TESTS) state.tests = asked.tests;
  if (asked.filter in FILTERS) state.filter = asked.filter;
  state.class = asked.class ?? state.class;
  if (asked.methods) {
    state.methods = asked.methods.split(",");
    if (!asked.tests) state.tests = null; // those that have the methods
  }
}

function write() {
  const { data, target, kind, tests, filter } = state;
  const kept = { data, target, methods: state.methods.join(","), kind, tests };
  if (filter !== "all") kept.filter = filter;
  if (state.class !== "") kept.class = state.class;
  const hash = "#" + Object.entries(kept).map(([key, value]) => `${key}=${encodeURIComponent(value).replaceAll("%2C", ",").replaceAll("%3A", ":")}`).join("&");
  views.written = hash;
  if (location.hash !== hash) location.replace(hash);
}

/* Make the state fit the data set. */
function settle() {
  const data = D(), known = state.methods.filter((name) => name in data.methods);
  const have = (tests) => known.filter((name) => Object.values(data.supports[tests]).some((methods) => methods[name])).length;
  const tests = Object.keys(data.supports);
  if (!tests.includes(state.tests)) state.tests = tests.reduce((best, one) => (have(one) > have(best) ? one : best));
  if (!kindsOf(state.tests).includes(state.kind)) state.kind = kindsOf(state.tests)[0];
  state.methods = [...new Set([...known.filter((name) => names().includes(name)), ...(known.length > 1 ? [] : names())])];
  if (state.methods.length < 2) state.methods = [...new Set([...state.methods, ...names()])].slice(0, 2);
  else if (known.length < 2) state.methods = state.methods.slice(0, 2);
  if (!(Number(state.class) in data.classes)) state.class = "";
  if (index() < 0) state.target = (kept()[0] || data.targets[0]).id;
}

function rows() {
  if (state.methods.length > 2 && !views.all) return names().filter((name) => state.methods.includes(name));
  return names().filter((name, i) => views.all || i < FEW || state.methods.includes(name));
}

/* Scale of k, from 0 to 1. */
const along = (k) => Math.log1p(k) / Math.log1p(D().k_max);
const atShare = (share) => Math.round(Math.expm1(share * Math.log1p(D().k_max)));
const ticks = () => [...TICKS.filter((k) => k < 0.7 * D().k_max), D().k_max];

/* The parts of the page. */
function choices(id, options, key) {
  const inputs = Object.entries(options).map(([value, words]) => {
    const input = make("input", { type: "radio", name: id, value, "data-focus": id + value, checked: state[key] === value, onchange: () => change({ [key]: value }) });
    return make("label", {}, input, make("span", {}, words));
  });
  const field = $(id);
  fill(field, field.querySelector("legend"), ...inputs);
  field.hidden = inputs.length < 2;
}

function pick(object, keys) {
  return Object.fromEntries(Object.entries(object).filter(([key]) => keys.includes(key)));
}

function drawControls() {
  const [a, b] = state.methods.map((name) => look(name).label), data = D();
  choices("data", DATA_SETS, "data");
  choices("kind", pick(KINDS, kindsOf(state.tests)), "kind");
  choices("tests", pick(TESTS, Object.keys(data.supports)), "tests");
  const option = (value, words, chosen) => make("option", { value, selected: value === chosen }, words);
  const classes = data.classes.map((_, i) => option(String(i), className(i), state.class));
  fill($("class"), option("", "all", state.class), ...classes);
  fill($("filter"), ...Object.entries(FILTERS).map(([key, { words }]) => option(key, words(a, b), state.filter)));
  fill($("note"), `${DATA_SETS[state.data]}: ${plural(data.targets.length, "target")}, up to ${data.k_max} of the ${data.class_size} training images of a class, ${plural(data.n_votes, "vote")} a probe at most. ${NOTES[state.tests]} ` +
    (data.sprites[0].length < data.class_size ? "Of these photographs, only the targets and the images that a method ranks first (or that oppose most) come with the page; others are plain tiles." : ""));
}

function drawTarget() {
  const { id, label, wrong } = target(), data = D(), list = kept();
  const found = names().map((name) => [name, search(name)]).filter(([, one]) => one);
  const flipped = found.filter(([, one]) => one.size !== null).sort((x, y) => x[1].size - y[1].size);
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
  fill($("facts"), ...Object.entries(facts).flatMap(([term, value]) => [make("dt", {}, term), make("dd", {}, String(value))]));
  const position = list.findIndex((one) => one.id === id);
  fill($("position"), list.length ? `${position < 0 ? "–" : position + 1} of ${list.length}` : "no target is so");
  $("previous").disabled = $("next").disabled = list.length < 2 && position === 0 || !list.length;
  fill($("picker"), ...list.map(pickable));
}

function pickable(one) {
  const i = D().targets.indexOf(one), pair = state.methods.slice(0, 2);
  const said = pair.map((name) => `${look(name).label} ${verdict(search(name, i))}`).join(", ");
  const words = `Test image ${one.id}, ${className(one.label)}: ${said}`;
  const dots = pair.map((name) => {
    const dot = make("i", { class: flips(name, i) ? "dot hollow" : "dot" });
    dot.style.setProperty("--c", look(name).colour);
    return dot;
  });
  const button = make("button", { type: "button", "data-focus": `target${one.id}`, "aria-label": words, title: words, "aria-current": one.id === state.target && "true", onclick: () => change({ target: one.id }) });
  button.append(tile(one.id, "", true), make("span", { class: "dots" }, ...dots));
  return button;
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
    const mark = make("span", {}, String(k));
    mark.style.left = `${100 * along(k)}%`;
    return mark;
  });
  return make("li", { class: "axis", "aria-hidden": "true" }, make("span", {}, "method"), make("span", { class: "scale" }, ...marks), make("span", { class: "size" }, "support"), make("span", {}, "most supportive images, first to tenth"));
}

function row(name, i, first) {
  const found = search(name), seat = state.methods.indexOf(name), ids = ranking(name).slice(0, FIRST);
  const button = make("button", { type: "button", class: "name", "data-focus": name, "aria-pressed": String(seat === 0 || seat === 1), "aria-keyshortcuts": i < 9 ? String(i + 1) : null },
    make("kbd", { "aria-hidden": "true" }, i < 9 ? String(i + 1) : ""), make("i", { class: "swatch" }), make("span", {}, look(name).label));
  const common = ids.filter((id) => first.includes(id)).length;
  const tiles = ids.map((id, rank) => tile(id, describe(name, id, rank)));
  const size = make("span", { class: found && found.size !== null ? "size" : "size holds" }, found && found.size !== null ? String(found.size) : found ? `> ${D().k_max}` : "–");
  size.title = verdict(found);
  const shared = seat === 0 ? "" : `${common} shared with ${look(state.methods[0]).label}`;
  const item = make("li", { class: seat === 0 ? "first" : seat === 1 ? "second" : "", onclick: () => choose(name) },
    button, found ? scaleOf(found, name) : make("span", { class: "scale" }), size, make("span", { class: "ten" }, ...tiles), make("small", { title: shared, "aria-label": shared }, seat === 0 ? "" : `${common}/${FIRST}`));
  item.style.setProperty("--c", look(name).colour);
  return item;
}

/* A search on the scale of k: the bar ends at the support, a dot is a probe. */
function scaleOf(found, name) {
  const bar = make("b", { class: found.size === null ? "open" : "" });
  bar.style.width = `${100 * along(found.size ?? D().k_max)}%`;
  const dots = found.probes.map((probe) => {
    const dot = make("i", { class: isRight(probe) ? "dot" : "dot hollow", title: said(probe) });
    dot.style.left = `${100 * along(probe[0])}%`;
    return dot;
  });
  return make("span", { class: "scale", role: "img", "aria-label": `${look(name).label}: ${verdict(found)}, ${plural(found.probes.length, "probe")}` }, bar, ...dots);
}

function said(probe) {
  const right = nRight(probe), wrong = probe.length - 1 - right;
  return `k ${probe[0]}: ${right} right, ${wrong} wrong, mean margin ${signed(mean(probe.slice(1)))}`;
}

function describe(name, id, rank) {
  const score = rank < FIRST && D().methods[name].scores[index()][rank];
  return `Number ${rank + 1}: training image ${id}, ${classOf(id)}${typeof score === "number" ? `, score ${brief(score)}` : ""}`;
}

function drawPair() {
  const pair = state.methods.slice(0, 2), tops = pair.map((name) => ranking(name).slice(0, FIRST));
  const margins = pair.flatMap((name) => (search(name) ? search(name).probes.flatMap((probe) => probe.slice(1)) : []));
  const range = [Math.min(0, ...margins), Math.max(0, ...margins)];
  fill($("pair"), ...pair.map((name, i) => panel(name, i, tops[1 - i], range)));
  fill($("going-label"), state.kind === "removal" ? "Images removed" : `Images given the label ${className(target().wrong)}`);
  fill($("agreement"), ...agreement(pair));
  drawK();
}

function panel(name, seat, others, range) {
  const found = search(name), ids = ranking(name), ranked = D().methods[name];
  const other = state.methods[1 - seat];
  const ten = ids.slice(0, FIRST).map((id, rank) => {
    const score = ranked.scores[index()][rank];
    const both = others.includes(id);
    return make("figure", { class: both ? "both" : "", title: both ? `among the first ten of ${look(other).label} too` : null }, tile(id, describe(name, id, rank)), make("figcaption", {}, typeof score === "number" ? brief(score) : ""));
  });
  const size = found && found.size !== null ? found.size : ids.length;
  const strip = make("div", { class: "strip", role: "img", "aria-label": `The first ${size} images of the ranking` }, ...ids.slice(0, size).map((id) => tile(id, "")));
  [...strip.children].forEach((one, rank) => (one.title = describe(name, ids[rank], rank)));
  const low = found ? Math.max(...found.probes.filter((probe) => isRight(probe) && probe[0] < size).map((probe) => probe[0])) : 0;
  const does = state.kind === "removal" ? "removing" : "mislabelling";
  const sentence = !found ? "Not tested on this target." : found.size === null ? (found.probes.length === 1 ? "Wrong before any change: no support." : `${does} ${D().k_max} images does not flip it.`) : `${does} the first ${found.size} flips it; ${low === 0 ? "with none" : `at ${low}`} it is still right.`;
  const element = make("article", { "aria-label": look(name).label },
    make("h3", {}, make("i", { class: "swatch" }), look(name).label),
    make("p", { class: "sentence" }, sentence[0].toUpperCase() + sentence.slice(1)),
    make("h4", {}, "Most supportive, with score"), make("div", { class: "ten scored" }, ...ten),
    make("h4", {}, found && found.size !== null ? "The support: the images that go" : "The images that go, without a flip", make("output", { class: "status" })), strip,
    ...(found ? [make("h4", {}, "Margin against k"), plot(found, name, range), make("h4", {}, "Votes, in the order of the search"), votesOf(found)] : []),
    opposing(name));
  element.style.setProperty("--c", look(name).colour);
  return element;
}

function votesOf(found) {
  return make("ol", { class: "votes" }, ...found.probes.map((probe) => {
    const dots = probe.slice(1).map((margin) => make("i", { class: margin > 0 ? "dot" : "dot hollow", title: signed(margin) }));
    return make("li", { title: said(probe) }, make("span", { class: "unseen" }, said(probe)), make("span", { "aria-hidden": "true" }, String(probe[0]), ...dots));
  }));
}

function opposing(name) {
  const opposed = D().methods[name].opposing;
  if (!opposed) return make("p", { class: "quiet" }, "Its scores are similarities: no image opposes.");
  const details = make("details", { open: views.opposing });
  const draw = () => {
    if (!details.open || details.querySelector(".ten")) return;
    const tiles = opposed.ids[index()].map((id, i) => {
      const score = opposed.scores[index()][i];
      return make("figure", {}, tile(id, `Opposing, number ${i + 1}: training image ${id}, ${classOf(id)}, score ${brief(score)}`), make("figcaption", {}, brief(score)));
    });
    details.append(make("div", { class: "ten scored" }, ...tiles));
  };
  details.append(make("summary", {}, "Most opposing, of all classes"));
  details.addEventListener("toggle", () => { views.opposing = details.open; draw(); });
  draw();
  return details;
}

/* Margin of every vote against k; the line joins the means. */
function plot(found, name, [lowest, highest]) {
  const w = 480, h = 190, left = 40, right = 14, top = 10, bottom = 34;
  const pad = 0.08 * (highest - lowest || 1);
  const x = (k) => left + along(k) * (w - left - right);
  const y = (margin) => top + ((highest + pad - margin) / (highest - lowest + 2 * pad)) * (h - top - bottom);
  const text = (words, attributes) => make("text", attributes, words);
  const ordered = [...found.probes].sort((a, b) => a[0] - b[0]);
  const path = ordered.map((probe, i) => `${i ? "L" : "M"}${x(probe[0]).toFixed(1)} ${y(mean(probe.slice(1))).toFixed(1)}`).join("");
  const svg = make("svg", { viewBox: `0 0 ${w} ${h}`, class: "plot", role: "img", "aria-label": `Margin against k: ${ordered.map(said).join("; ")}` });
  if (found.size !== null) svg.append(make("line", { x1: x(found.size), x2: x(found.size), y1: top, y2: h - bottom, class: "support" }), text(String(found.size), { x: x(found.size), y: top + 4, class: "support", "text-anchor": along(found.size) > 0.85 ? "end" : "start", dx: along(found.size) > 0.85 ? -4 : 4 }));
  svg.append(make("line", { x1: left, x2: w - right, y1: y(0), y2: y(0), class: "zero" }), text("0", { x: left - 6, y: y(0) + 4, "text-anchor": "end" }));
  for (const end of [lowest, highest]) if (Math.abs(y(end) - y(0)) > 14) svg.append(text(signed(end, 1), { x: left - 6, y: y(end) + 4, "text-anchor": "end" }));
  for (const k of ticks()) svg.append(make("line", { x1: x(k), x2: x(k), y1: h - bottom, y2: h - bottom + 4, class: "tick" }), text(String(k), { x: x(k), y: h - bottom + 16, "text-anchor": "middle" }));
  svg.append(text(`k, images ${KINDS[state.kind]}`, { x: w - right, y: h - 3, "text-anchor": "end" }), make("path", { d: path, class: "means" }));
  for (const probe of ordered) for (const margin of probe.slice(1)) svg.append(make("circle", { cx: x(probe[0]), cy: y(margin), r: 4, class: margin > 0 ? "vote" : "vote hollow" }, make("title", {}, `k ${probe[0]}, margin ${signed(margin)}`)));
  svg.append(make("line", { x1: x(0), x2: x(0), y1: top, y2: h - bottom, class: "cursor", "data-left": left, "data-width": w - left - right }));
  return svg;
}

/* Where two rankings agree. */
function agreement([a, b]) {
  const [one, other] = [ranking(a), ranking(b)], n = D().class_size;
  const seats = new Map(other.map((id, i) => [id, i]));
  const common = one.map((id, i) => [i, seats.get(id)]).filter(([, i]) => i !== undefined);
  const common_at = (k) => common.filter(([i, j]) => i < k && j < k).length;
  const rho = spearman(common), ks = [FIRST, 50].filter((k) => k <= one.length);
  const facts = [...ks, one.length].map((k) => `${common_at(k)} of the first ${k}`);
  const text = make("div", {}, make("h3", {}, "Where the two agree"),
    make("p", {}, `In common: ${facts.join(", ")}. Rank correlation of the ${plural(common.length, "image")} that both rank among their first ${one.length}: ${rho === null ? "–" : signed(rho)}.`),
    make("p", { class: "quiet" }, `By chance, two rankings of the ${n} images of a class would share ${Math.round((100 * one.length) / n)} % of their first ${one.length}. A bar under an image marks those among the other's first ten.`));
  const w = 420, h = 150, left = 34, bottom = 30, top = 8, right = 10;
  const x = (k) => left + along(k) * (w - left - right), y = (share) => top + (1 - share) * (h - top - bottom);
  const steps = Array.from({ length: one.length }, (_, i) => i + 1);
  const path = (f) => steps.map((k, i) => `${i ? "L" : "M"}${x(k).toFixed(1)} ${y(f(k)).toFixed(1)}`).join("");
  const svg = make("svg", { viewBox: `0 0 ${w} ${h}`, class: "plot overlap", role: "img", "aria-label": `Share of the first k in common: ${facts.join(", ")}` },
    make("path", { d: path((k) => k / n), class: "chance" }), make("path", { d: path((k) => common_at(k) / k), class: "means" }),
    ...[0, 0.5, 1].map((share) => make("text", { x: left - 6, y: y(share) + 4, "text-anchor": "end" }, `${100 * share}`)),
    ...ticks().filter(Boolean).map((k) => make("text", { x: x(k), y: h - bottom + 16, "text-anchor": "middle" }, String(k))),
    make("text", { x: w - right, y: h - 2, "text-anchor": "end" }, "% of the first k in common; dotted: chance"));
  return [text, svg];
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

/* The first k images go. */
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
    fill(status, last ? (isRight(last) ? `k = ${last[0]}: still right` : `k = ${last[0]}: flipped`) : "");
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
  fill($("play"), "▶ Let them go");
}

function setK(k) {
  state.k = k;
  drawK();
}

/* What the reader does. */
function choose(name) {
  const [a, b, ...others] = state.methods;
  if (name === a) return;
  const rest = others.filter((one) => one !== name);
  const seated = name === b ? [b, a] : [a, name];
  change({ methods: others.length ? [...seated, ...rest, ...(name === b ? [] : [b])] : seated });
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
  settle();
  write();
  drawControls();
  drawTarget();
  drawRows();
  drawPair();
  if (focused) (document.querySelector(`[data-focus="${CSS.escape(focused)}"]`) || document.body).focus();
  performance.mark("drawn");
  document.title = `${className(target().label)} ${state.target}, ${DATA_SETS[state.data]} – Attribution explorer`;
}

function open() {
  if (D()) return show();
  const wanted = state.data;
  const script = make("script", { src: `explorer-data/${wanted}/data.js` });
  script.onload = () => {
    document.querySelector("main").hidden = false;
    if (state.data === wanted) show();
  };
  script.onerror = () => {
    $("problem").hidden = false;
    fill($("problem"), `There is nothing to show: explorer-data/${wanted}/data.js is missing. Make it with: python -m lib.report.explorer`);
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
  $("more").onclick = () => { views.all = !views.all; drawRows(); };
  $("theme").onclick = () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, summary");
    if (event.ctrlKey || event.metaKey || event.altKey || typing || views.written === null) return;
    if (event.key === "ArrowLeft" || event.key === "ArrowRight") turn(event.key === "ArrowLeft" ? -1 : 1);
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
    state.k = 0;
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
