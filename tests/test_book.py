"""The built book, as a reader meets it: it builds without a warning, and its pages are whole in a browser.

The pages come from the `smoke` profile, run and built in a copy of the tree (`tests/book_tree.py`), so that the tests
touch no page of yours.
"""

import contextlib
import functools
import http.server
import os
import re
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlparse

import nbformat
import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from lib.chapters.departures import departures
from lib.data import BOOK, ROOT

DESKTOP, WIDTHS, THEMES = {"width": 1300, "height": 900}, (390, 1300, 1920), ("light", "dark")
AXE_OPTIONS = {"resultTypes": ["violations"], "preload": False}  # else it asks for stylesheets once more
CONTRAST = "color-contrast"  # axe-core's rule that takes longest, by far: each look of a text is measured once
# Hides the texts that look as one before: of its colour, size and weight, on its backgrounds.
ALIKE = """() => {
  const seen = new Set();
  for (const element of document.querySelectorAll(".bd-article *")) {
    const {color, fontSize, fontWeight, textShadow, position, display} = getComputedStyle(element);
    const look = [color, fontSize, fontWeight, textShadow, position, display];
    for (let at = element; at; at = at.parentElement) {
      const {backgroundColor, backgroundImage, opacity} = getComputedStyle(at);
      look.push(backgroundColor, backgroundImage, opacity);
    }
    if (!element.childElementCount && seen.has(look.join())) element.style.visibility = "hidden";
    seen.add(look.join());
  }
}"""
# Every element of an article that neither lies in it nor in a frame that scrolls.
CLIPPED = """() => {
  const edge = Math.min(document.querySelector(".bd-article").getBoundingClientRect().right, innerWidth) + 1;
  const scrolls = (element) => {
    for (; element !== document.body; element = element.parentElement)
      if (["auto", "scroll"].includes(getComputedStyle(element).overflowX)) return true;
    return false;
  };
  const out = [...document.querySelectorAll(".bd-article *")].filter((element) => {
    const box = element.getBoundingClientRect();
    return box.width > 1 && box.height > 1 && (box.right > edge || box.left < -1) && !scrolls(element.parentElement);
  });
  return out.map((element) => `${element.tagName}.${element.className}: ${element.textContent.slice(0, 40)}`);
}"""


def pages_of_toc() -> list[str]:
    toc = yaml.safe_load((BOOK / "_toc.yml").read_text(encoding="utf-8"))
    return [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]


PAGES = pages_of_toc()


@pytest.fixture(scope="module")
def html(book) -> Path:
    return book / "_build" / "html"


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Say nothing: the browser's own view of each request is what is tested."""


@pytest.fixture(scope="module")
def site(html) -> str:
    """Address of the book, served over loopback (browsers block the icon fonts of files)."""
    handler = functools.partial(QuietHandler, directory=str(html))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@dataclass
class Visit:
    """One page, seen in the browser, with what went wrong on the way."""

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@contextlib.contextmanager
def visit(browser: Browser, address: str, viewport: dict):
    context = browser.new_context(viewport=viewport)
    seen = Visit(context.new_page())
    seen.page.on("console", lambda said: seen.errors.append(said.text) if said.type in ("error", "warning") else None)
    seen.page.on("pageerror", lambda error: seen.errors.append(str(error)))
    seen.page.on("request", lambda request: seen.requests.append(request.url))
    seen.page.on("response", lambda r: seen.errors.append(f"{r.status} {r.url}") if r.status >= 400 else None)
    seen.page.goto(address, wait_until="networkidle")
    yield seen
    context.close()


def violations(page: Page) -> list[dict]:
    """What axe-core finds in the article."""
    but_contrast, alone = {"rules": {CONTRAST: {"enabled": False}}}, {"runOnly": [CONTRAST]}
    of_all = Axe().run(page, ".bd-article", AXE_OPTIONS | but_contrast).response["violations"]
    page.evaluate(ALIKE)
    again = "options => axe.run('.bd-article', options).then(results => results.violations)"
    return of_all + page.evaluate(again, AXE_OPTIONS | alone)


def serious(violations: list[dict]) -> list[str]:
    """Those of axe-core's that are, with where each is first."""
    kept = [found for found in violations if found["impact"] in ("serious", "critical")]
    return [f"{found['id']}: {len(found['nodes'])} x {found['nodes'][0]['html'][:120]}" for found in kept]


@dataclass(frozen=True)
class Findings:
    """What one visit of a page shows, at all widths, light and dark."""

    errors: list[str]  # and warnings
    foreign: list[str]  # requests to other hosts
    broken_images: list[str]
    undescribed_images: int
    titles: int
    clipped: dict[tuple[str, int], list[str]]  # by theme and width
    inaccessible: list[str]  # what axe-core finds serious or critical, light


@pytest.fixture(scope="module")
def look(site, browser):
    """Findings of a page by its name, from one visit however often it is asked for; all in one tab."""
    with visit(browser, f"{site}/genindex.html", DESKTOP) as seen:

        @functools.cache
        def visited(name: str) -> Findings:
            seen.errors.clear(), seen.requests.clear()
            seen.page.set_viewport_size(DESKTOP)
            seen.page.goto(f"{site}/{name}.html", wait_until="load")
            seen.page.evaluate("document.fonts.ready.then(() => true)")
            seen.page.add_style_tag(content="* { transition: none !important }")  # else it is measured halfway
            broken = "images => images.filter(i => !(i.complete && i.naturalWidth > 0)).map(i => i.src)"
            broken_images = seen.page.eval_on_selector_all("img", broken)
            titles, clipped = seen.page.locator("h1:visible").count(), {}
            undescribed = seen.page.locator(".bd-article img:not([alt]), .bd-article img[alt='']").count()
            for theme in THEMES:
                seen.page.evaluate("theme => document.documentElement.dataset.theme = theme", theme)
                for width in WIDTHS:
                    seen.page.set_viewport_size({"width": width, "height": 900})
                    clipped[theme, width] = seen.page.evaluate(CLIPPED) if name in PAGES else []
            foreign = [url for url in seen.requests if not url.startswith((site, "data:", "blob:"))]
            errors, inaccessible = list(seen.errors), []
            if name in PAGES:
                seen.page.set_viewport_size(DESKTOP)
                seen.page.evaluate("document.documentElement.dataset.theme = 'light'")
                inaccessible = serious(violations(seen.page))
            return Findings(errors, foreign, broken_images, undescribed, titles, clipped, inaccessible)

        yield visited


@pytest.mark.parametrize("name", [*PAGES, "genindex", "search"])
def test_page_loads_without_an_error_and_asks_nothing_of_the_network(name, look):
    page = look(name)
    assert (page.errors, page.foreign, page.broken_images, page.titles) == ([], [], [], 1)


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_clipped_on_a_phone_or_a_desktop_and_images_are_described(name, look):
    page = look(name)
    assert {where: out for where, out in page.clipped.items() if out} == {} and page.undescribed_images == 0


@pytest.mark.parametrize("name", PAGES)
def test_page_has_no_serious_finding_of_accessibility(name, look):
    assert look(name).inaccessible == []


def test_a_table_is_sorted_by_a_click_and_filtered_where_it_is_long(site, browser):
    with visit(browser, f"{site}/notebooks/verdicts.html", DESKTOP) as seen:
        table = seen.page.locator(".frame:has(table)").filter(has=seen.page.locator("tbody tr:nth-child(21)")).first
        n, heads = table.locator("tbody tr").count(), table.locator("thead button")
        column = heads.all_inner_texts().index("verdict")
        heads.nth(column).focus()
        seen.page.keyboard.press("Enter")
        verdicts = table.locator(f"tbody tr td:nth-child({column + 1})").all_inner_texts()
        assert verdicts == sorted(verdicts) and len(verdicts) == n > 20
        seen.page.locator("input.filter").first.fill("trak disagrees")
        assert 0 < table.locator("tbody tr:visible").count() < n


@pytest.mark.parametrize("name", PAGES)
def test_no_page_shows_a_thing_of_python_in_place_of_its_value(name, html):
    things = r"&lt;(?:bound method|function|class) [^&]*| object at 0x\w+|&lt;[\w.]+ object&gt;"
    assert re.findall(things, (html / f"{name}.html").read_text()) == []


def test_a_page_that_is_not_there_leads_back(html):
    links = anchors(html / "404.html").links
    assert "index.html" in links and all((html / link).is_file() for link in links)


def test_math_is_typeset(site, browser):
    with visit(browser, f"{site}/glossary.html", DESKTOP) as seen:
        seen.page.wait_for_selector("mjx-container")
        written = seen.page.locator("span.math").count()
        assert written > 5
        assert seen.page.locator("span.math mjx-container").count() == written
        assert seen.page.locator("mjx-merror").count() == 0


def test_every_departure_is_an_item_of_its_page(site, browser):
    with visit(browser, f"{site}/notebooks/departures.html", DESKTOP) as seen:
        shown = seen.page.locator(".cell_output li strong code").all_inner_texts()
        assert shown == [where for where, _ in departures()]


@pytest.mark.parametrize(("words", "page"), [("ledger", "glossary.html"), ("TRAK", "notebooks/fig03.html")])
def test_search_finds_words_and_methods(words, page, site, browser):
    with visit(browser, f"{site}/intro.html", DESKTOP) as seen:
        seen.page.locator("button.search-button__button:visible").first.click()
        seen.page.locator("input[type=search]:visible").fill(words)
        seen.page.keyboard.press("Enter")
        seen.page.wait_for_url(f"**/search.html?q={words}*")
        seen.page.wait_for_selector(f"#search-results li a[href*='{page}']")


class Anchors(HTMLParser):
    """Collects what a page offers to link to, and what it links to."""

    def __init__(self, text: str):
        super().__init__()
        self.ids, self.links = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids |= {found[key] for key in ("id", "name") if found.get(key)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])


@functools.cache
def anchors(path: Path) -> Anchors:
    return Anchors(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", [*PAGES, "genindex"])
def test_internal_links_resolve(name, html):
    here = html / f"{name}.html"
    dead = []
    for link in anchors(here).links:
        if urlparse(link).scheme:
            continue
        address, anchor = urldefrag(unquote(link))
        target = here if not address else (here.parent / address.split("?")[0]).resolve()
        if not target.is_file() or ("=" not in anchor and anchor and anchor not in anchors(target).ids):
            dead.append(link)
    assert dead == []


def test_executed_pages_hold_no_error_no_warning_and_no_path_of_the_machine(book):
    for path in sorted((book / "book" / "notebooks").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
        assert "error" not in {output.output_type for output in outputs}, path.name
        printed = "".join(output.text for output in outputs if output.output_type == "stream")
        assert re.findall(r"\w+Warning: .*", printed) == [], path.name
        text = path.read_text(encoding="utf-8")
        folders = (str(book), str(ROOT), str(Path.home()) + "/", sys.prefix)
        assert [folder for folder in folders if folder in text] == [], path.name


def test_every_notebook_is_in_the_table_of_contents(book):
    made = {f"notebooks/{path.stem}" for path in (book / "book" / "notebooks").glob("[!.]*.ipynb")}
    assert made == {page for page in PAGES if page.startswith("notebooks/")}


def test_landing_page_is_where_make_book_says(html):
    assert re.search(r"url=intro\.html", (html / "index.html").read_text(encoding="utf-8"))


def test_the_method_in_forty_lines_finds_the_support_that_a_study_finds(book):
    cells = nbformat.read(book / "book" / "notebooks" / "method.ipynb", as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert max(len(cell.source.splitlines()) for cell in code) <= 15
    plain, by_study = ["".join(str(output) for output in cell.outputs) for cell in (code[-2], code[-1])]
    support = re.search(r": (\d+) of the 100 training images", plain)
    assert support and f"support: {support[1]} (found)" in by_study


def test_plain_papermill_runs_a_figure_from_any_folder(book, tmp_path):
    program, source = Path(sys.executable).with_name("papermill"), book / "notebooks" / "fig03.ipynb"
    arguments = [program, source, "out.ipynb", "-p", "profile", "smoke", "--no-progress-bar"]
    environment = os.environ | {"PYTHONPATH": str(book)}
    done = subprocess.run(arguments, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    assert not nbformat.read(tmp_path / "out.ipynb", as_version=4).metadata.papermill.exception
    assert [path.name for path in tmp_path.iterdir()] == ["out.ipynb"]
