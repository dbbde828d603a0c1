"""The attribution explorer: what is stored for it agrees with the tables, and its page works from disk."""

import base64
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from playwright.sync_api import Page

from lib import profiles
from lib.data import BOOK, RESULTS
from lib.features import FeatureRecipe
from lib.methods import label
from lib.profiles import PROFILES
from lib.report import committed, explorer
from lib.study import MISLABEL, REMOVAL, Study

STORED = RESULTS / "explorer"
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1300, "height": 900}
FIRST_VIEW = 3e6  # bytes
CLIPPED = """() => [...document.querySelectorAll("body *")].filter(e => {
  const box = e.getBoundingClientRect();
  const cut = e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX !== "visible";
  return box.width > 1 && !e.matches(".skip, legend") && (box.left < -1 || box.right > innerWidth + 1 || cut);
}).map(e => e.outerHTML.slice(0, 80))"""


def stored(name: str) -> dict:
    text = (STORED / name / "data.js").read_text(encoding="utf-8")
    return json.loads(text.removeprefix(f"window.EXPLORER.data.{name}=").removesuffix(";\n"))


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture).astype(int)


@pytest.fixture(scope="module", params=explorer.SHOWN)
def shown(request) -> tuple[str, dict, pd.DataFrame]:
    """A profile's name, what is stored of it, and the committed supports."""
    return request.param, stored(request.param), explorer.supports(PROFILES[request.param])


def agrees(shown: dict, table: pd.DataFrame) -> None:
    """Every support is there, with its size, and its margins count the votes."""
    order = [target["id"] for target in shown["targets"]]
    for row in table.itertuples():
        search = shown["supports"][row.tests][row.kind][row.method][order.index(row.target)]
        assert search["size"] == (None if pd.isna(row.size) else row.size)
        right = [sum(margin > 0 for margin in margins) for _, *margins in search["probes"]]
        votes = [f"{k}:{n}-{len(margins) - n}" for (k, *margins), n in zip(search["probes"], right, strict=True)]
        assert " ".join(votes) == row.votes


def test_what_is_stored_agrees_with_the_supports(shown):
    name, content, table = shown
    assert explorer.stamp(table) == content["stamp"], f"run `python -m lib.report.explorer {name}`"
    agrees(content, table)
    searches = [one for kinds in content["supports"].values() for methods in kinds.values() for one in methods.values()]
    assert sum(search is not None for one in searches for search in one) == len(table)


def test_rankings_have_their_images(shown):
    _, content, table = shown
    assert list(content["methods"]) == list(table["method"].drop_duplicates())
    of_class = {i: int(c) for c, ids in content["sprites"].items() if c != "test" for i in ids}
    for method, ranked in content["methods"].items():
        for i, (packed, scores) in enumerate(zip(ranked["ranking"], ranked["scores"], strict=True)):
            ids = np.frombuffer(base64.b64decode(packed), "<u2").tolist()
            assert len(set(ids)) == min(content["k_max"], explorer.LAST) and scores == sorted(scores, reverse=True)
            own = {of_class[j] for j in ids[: len(scores)]} == {content["targets"][i]["label"]}
            assert own or method.endswith(":all")
        for ids, scores in zip(*ranked.get("opposing", {"ids": [], "scores": []}).values(), strict=True):
            assert set(ids) <= set(of_class) and scores == sorted(scores)


def test_sprites_have_room_for_their_images(shown):
    name, content, _ = shown
    sizes = {sprite: pixels(STORED / name / f"{sprite}.webp").shape[1::-1] for sprite in content["sprites"]}
    (side,) = {width // explorer.COLUMNS for width, _ in sizes.values()}
    for sprite, ids in content["sprites"].items():
        assert sizes[sprite][1] == -(-len(ids) // explorer.COLUMNS) * side


def test_all_that_is_stored_is_small():
    sizes = {path: path.stat().st_size for path in STORED.rglob("*") if path.is_file()}
    assert sum(sizes.values()) < 6e6
    first = sizes[STORED / "fashion" / "data.js"] + sum(map(sizes.get, (STORED / "fashion").glob("*.webp")))
    assert first < FIRST_VIEW


def test_what_a_study_shows(tmp_path):
    smoke = profiles.load("smoke", k_max=16, budget=1)
    study = Study(replace(smoke, selfsupervised=FeatureRecipe("pixels")), "cpu", n_jobs=1, results=tmp_path)
    curves = [(REMOVAL, "pixels_l2"), (MISLABEL, "pixels_l2")]
    table = study.supports(curves, united=True).assign(tests="united")
    content = json.loads(json.dumps(explorer.content(study, table)))
    agrees(content, table)
    content["sprites"] = explorer.images(content, study.dataset, every=False)
    assert content["sprites"]["test"] == study.targets.tolist()
    first = {int(i) for ids in study.attribution.ranking("pixels_l2")[:, :10] for i in ids}
    assert {i for name, ids in content["sprites"].items() if name != "test" for i in ids} == first
    pictures = study.dataset.train_images[:30]
    explorer.sprite(pictures, tmp_path / "some.webp", quality=100)
    drawn = pixels(tmp_path / "some.webp")[28:56, 28:56, 0]  # the second of the second row
    assert np.abs(drawn - pictures[explorer.COLUMNS + 1, 0]).mean() < 4


def test_only_what_is_stale_and_present_is_made(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(explorer, "make", lambda profile, folder: made.append(profile.name))
    monkeypatch.setattr(explorer.committed, "missing", lambda profile: profile.name == "imagenet")
    copy, page = shutil.copytree(STORED, tmp_path / "stored"), tmp_path / "page"
    explorer.main([], copy, page)
    assert made == [] and (page / "explorer-data" / "imagenet" / "data.js").exists()
    for path in copy.glob("[ci]*/data.js"):
        path.write_text("window.EXPLORER")
    explorer.main(["fashion"], copy, page)
    assert made == ["fashion", "cifar10_full"]
    looks = json.loads((page / "explorer-data" / "methods.js").read_text()[len("window.EXPLORER=") : -2])
    assert looks["columns"] == explorer.COLUMNS and looks["methods"]["trak:20"]["label"] == label("trak:20")


def test_a_page_links_to_its_methods():
    table = pd.DataFrame({"kind": [MISLABEL, MISLABEL], "method": ["moco_esvm", "trak:20"]})
    shown = committed.link(PROFILES["fashion"], [table])
    assert 'href="../explorer.html#data=fashion&amp;kind=mislabel&amp;methods=moco_esvm,trak:20"' in shown
    for other in (PROFILES["smoke"], profiles.load("fashion", k_max=9)):
        assert committed.link(other, [table]) == ""


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    """The page as it stands in the book: on disk, beside its data."""
    book = tmp_path_factory.mktemp("book")
    shutil.copytree(BOOK / "_static", book / "_static")
    shutil.copytree(BOOK / "explorer", book, dirs_exist_ok=True)
    explorer.main([], page=book)
    return (book / "explorer.html").as_uri()


@pytest.fixture
def visit(browser, address):
    """A function that opens the page at a hash; in the end there was no error, and no request but for files."""
    contexts, troubles = [], []

    def opened(at: str = "", viewport: dict = DESKTOP, **options) -> Page:
        contexts.append(browser.new_context(viewport=viewport, reduced_motion="reduce", **options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else troubles.append(r.url))
        page.goto(address + at)
        page.wait_for_selector("#pair article")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert troubles == []


def pair(page: Page) -> list[str]:
    return page.locator("#pair h3").all_inner_texts()


def test_a_deep_link_opens_what_it_names(visit):
    ids = [target["id"] for target in stored("fashion")["targets"]]
    page = visit(f"#data=fashion&target={ids[3]}&methods=random,trak:20&kind=mislabel")
    assert pair(page) == [label("random"), label("trak:20")]
    facts = page.locator("#facts dd").all_inner_texts()
    assert facts[0] == str(ids[3]) and page.locator("#position").inner_text() == f"4 of {len(ids)}"
    size = stored("fashion")["supports"]["separate"]["mislabel"]["trak:20"][3]["size"]
    assert f"the first {size} flips it" in page.locator("#pair .sentence").nth(1).inner_text()
    assert page.locator("#pair .strip").nth(1).locator(".tile").count() == size
    page.evaluate("location.hash = '#data=imagenet&methods=moco_esvm,trak:4'")
    page.wait_for_function("document.title.includes('Tiny ImageNet')")
    assert pair(page) == [label("moco_esvm"), label("trak:4")]


def test_what_an_address_gets_wrong_is_left_out(visit):
    page = visit("#data=%3Cimg%3E&target=none&methods=trak:20,nobody&kind=x&tests=y&filter=z&class=<b>")
    assert pair(page)[0] == label("trak:20") and page.locator("#position").inner_text() == "1 of 50"


def test_by_keyboard(visit):
    page = visit("#data=fashion&methods=moco_esvm,trak:20")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.locator("#position").inner_text() == "3 of 50"
    page.keyboard.press("ArrowLeft")
    assert page.locator("#position").inner_text() == "2 of 50"
    page.keyboard.press("3")
    assert pair(page) == [label("moco_esvm"), label("datamodels:2000")]
    page.keyboard.press("3")
    assert pair(page) == [label("datamodels:2000"), label("moco_esvm")]
    assert "methods=datamodels:2000,moco_esvm" in page.url
    page.locator("#rows button").nth(4).focus()
    page.keyboard.press("Enter")
    assert pair(page)[1] == label("supervised_l2")
    assert page.evaluate("document.activeElement.dataset.focus") == "supervised_l2", "the focus stays"


def test_a_filter_keeps_the_targets_that_it_says(visit):
    page = visit("#data=fashion&methods=moco_esvm,trak:20")
    page.locator("#filter").select_option("second")
    searches = stored("fashion")["supports"]["separate"]["removal"]
    sizes = [[one["size"] for one in searches[method]] for method in ("moco_esvm", "trak:20")]
    expected = sum(ours is None and trak is not None for ours, trak in zip(*sizes, strict=True))
    assert page.locator("#picker button").count() == expected > 0
    assert page.locator("#pair .sentence").first.inner_text().endswith("does not flip it.")
    page.locator("#class").select_option("7")
    assert page.locator("#picker button").count() < expected
    assert "filter=second&class=7" in page.url


def test_who_holds_at_the_largest_k_needs_more_images_than_who_flips(visit):
    searches = stored("fashion")["supports"]["separate"]["removal"]
    sizes = zip(*[[one["size"] for one in searches[method]] for method in ("moco_esvm", "trak:20")], strict=True)
    ids = [target["id"] for target in stored("fashion")["targets"]]
    fewer = [i for i, (a, b) in zip(ids, sizes, strict=True) if a is not None and (b is None or a < b)]
    page = visit("#data=fashion&methods=moco_esvm,trak:20&filter=smaller")
    assert 763 in fewer and page.locator("#facts dd").first.inner_text() in map(str, fewer)
    assert page.locator("#position").inner_text() == f"1 of {len(fewer)}"


def test_where_no_target_is_left_none_is_shown_and_all_are_offered(visit):
    page = visit("#data=imagenet&methods=moco_esvm,trak:4")
    for i in range(page.locator("#class option").count()):
        page.locator("#filter").select_option("second")
        page.locator("#class").select_option(index=i)
        if page.locator("#position").inner_text() == "no target is so":
            break
    else:
        pytest.fail("every class has a target that is so")
    assert not page.locator("#pair").is_visible() and not page.locator("#image").is_visible()
    page.locator("#everything").click()
    assert page.locator("#pair").is_visible() and not page.locator("#everything").is_visible()
    assert page.locator("#position").inner_text().endswith(f" of {len(stored('imagenet')['targets'])}")


def test_what_an_address_gets_wrong_is_said(visit):
    ours, trak, first = label("moco_esvm"), label("trak:20"), stored("fashion")["targets"][0]["id"]
    page = visit()
    for at, said in {
        "target=99999": f"No target 99999 here; showing {first}.",
        "data=nonsense": "No data nonsense here; showing Fashion-MNIST.",
        "methods=foo,bar": f"No methods foo, bar here; showing {ours} and {trak}.",
        "methods=trak:20,bar": f"No methods bar here; showing {trak} and {ours}.",
        "methods=trak:20&kind=mislabel": "",
    }.items():
        page.evaluate("at => (location.hash = at)", at)
        page.wait_for_function("said => document.getElementById('corrected').innerText === said", arg=said)
    page.evaluate("location.hash = 'target=99999'")
    page.wait_for_function("document.getElementById('corrected').innerText")
    page.locator("#next").click()
    assert page.locator("#corrected").inner_text() == ""


def test_a_print_has_no_controls(visit):
    page = visit("#data=fashion", color_scheme="dark")
    page.emulate_media(media="print")
    assert page.locator("button:not(.name), select, input, details:not([open])").locator("visible=true").count() == 0
    assert page.locator("#pair article").first.is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(251, 251, 249)"


def test_the_images_go_and_the_target_flips(visit):
    page = visit("#data=fashion&methods=moco_esvm,trak:20&filter=both")
    assert page.locator(".gone").count() == 0
    page.keyboard.press("Space")
    sizes = [page.locator(".strip").nth(i).locator(".tile").count() for i in (0, 1)]
    assert page.locator("#k-shown").inner_text() == f"k = {max(sizes)}"
    assert page.locator(".gone").count() == sum(sizes)
    assert all("flipped" in status for status in page.locator(".status").all_inner_texts())


def test_opposing_images_are_of_other_classes_too(visit):
    page = visit("#data=cifar10_full&methods=moco_esvm,trak:10")
    page.locator("summary").click()
    page.locator("details .tile").nth(9).wait_for()
    named = page.locator("details .tile").evaluate_all("tiles => tiles.map(tile => tile.ariaLabel)")
    assert len(named) == 10 and len({words.split(", ")[2] for words in named}) > 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, DESKTOP, {"width": 1920, "height": 1080}], ids=lambda v: str(v["width"]))
def test_nothing_is_clipped(visit, viewport, scheme):
    page = visit("#data=imagenet", viewport, color_scheme=scheme)
    assert page.locator("html").get_attribute("data-theme") == scheme
    for data in ("imagenet", "fashion"):
        page.locator(f"#data input[value={data}]").check()
        page.wait_for_function(f"location.hash.includes('data={data}')")
        assert page.evaluate("document.scrollingElement.scrollWidth") <= viewport["width"]
        assert page.evaluate(CLIPPED) == []


def test_by_touch(visit):
    page = visit("", PHONE, has_touch=True, is_mobile=True)
    page.locator("#rows li:not(.axis)").nth(5).tap()
    assert pair(page)[1] == label("pixels_l2")
    page.locator("#next").tap()
    assert page.locator("#position").inner_text() == "2 of 50"


def test_whatever_is_shown_has_a_name(visit):
    page = visit()
    nameless = """() => [...document.querySelectorAll("button, select, input, [role=img], svg")].filter(e =>
        !(e.ariaLabel || e.textContent.trim() || e.labels?.length)).map(e => e.outerHTML.slice(0, 80))"""
    assert page.evaluate(nameless) == []
    assert page.locator("*").count() < 2500  # so that it is drawn in a fraction of a second
