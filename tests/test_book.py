"""The built book, as a reader meets it: it builds without a warning, and its pages are whole in a browser.

The pages come from the `smoke` profile, run and built in a copy of the tree, so that the tests touch no page of yours.
"""

import contextlib
import functools
import http.server
import os
import re
import shutil
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
from playwright.sync_api import Browser, Page, sync_playwright

from lib.data import BOOK, ROOT
from lib.report.departures import departures

NOT_COPIED = (".git", ".venv", "_build", "_failed", "*.egg-info", "__pycache__", ".pytest_cache", ".ruff_cache")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]
PHONE, DESKTOP = {"width": 400, "height": 800}, {"width": 1300, "height": 900}
# The theme says so on a first visit, before it has chosen between light and dark; harmless.
ALLOWED_ERROR = "Got invalid theme mode"


def pages_of_toc() -> list[str]:
    toc = yaml.safe_load((BOOK / "_toc.yml").read_text(encoding="utf-8"))
    return [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]


PAGES = pages_of_toc()


def call(arguments: list, cwd: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(cwd), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(arguments, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{arguments} failed:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """A copy of the tree in which every notebook was run on `smoke` and the book was built, warnings being errors."""
    copy = tmp_path_factory.mktemp("book") / "tree"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*NOT_COPIED))
    shutil.rmtree(copy / "book" / "notebooks", ignore_errors=True)
    call([sys.executable, "-m", "lib.run", "--all", "--profile", "smoke"], copy)
    shutil.copy(
        copy / "book" / "notebooks" / "fig03.ipynb", copy / "book" / "notebooks" / ".fig03-1.ipynb"
    )  # left by a kill
    call([Path(sys.executable).with_name("jupyter-book"), "build", "book/", "--all", "-n", "-W", "--keep-going"], copy)
    return copy


@pytest.fixture(scope="module")
def html(tree) -> Path:
    return tree / "_build" / "html"


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


@pytest.fixture(scope="module")
def browser() -> Browser:
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no Chromium in CI: .ci/run installs it")
        pytest.skip("no Chromium: install it, or name it in the environment variable CHROMIUM")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield started
        started.close()


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
    seen.page.on("console", lambda message: seen.errors.append(message.text) if message.type == "error" else None)
    seen.page.on("pageerror", lambda error: seen.errors.append(str(error)))
    seen.page.on("request", lambda request: seen.requests.append(request.url))
    seen.page.on("response", lambda r: seen.errors.append(f"{r.status} {r.url}") if r.status >= 400 else None)
    seen.page.goto(address, wait_until="networkidle")
    yield seen
    context.close()


@pytest.mark.parametrize("name", [*PAGES, "genindex", "search"])
def test_page_loads_without_an_error_and_asks_nothing_of_the_network(name, site, browser):
    with visit(browser, f"{site}/{name}.html", DESKTOP) as seen:
        assert [error for error in seen.errors if ALLOWED_ERROR not in error] == []
        foreign = [url for url in seen.requests if not url.startswith((site, "data:", "blob:"))]
        assert foreign == []
        broken = "images => images.filter(i => !(i.complete && i.naturalWidth > 0)).map(i => i.src)"
        assert seen.page.eval_on_selector_all("img", broken) == []
        assert seen.page.locator("h1:visible").count() == 1


@pytest.mark.parametrize("name", PAGES)
def test_page_fits_a_phone(name, site, browser):
    with visit(browser, f"{site}/{name}.html", PHONE) as seen:
        width = seen.page.evaluate("document.scrollingElement.scrollWidth")
        assert width <= PHONE["width"]


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
        assert shown == [departure.where for departure in departures()]


def test_search_finds_a_word_of_the_glossary(site, browser):
    with visit(browser, f"{site}/intro.html", DESKTOP) as seen:
        seen.page.locator("button.search-button__button:visible").first.click()
        seen.page.locator("input[type=search]:visible").fill("ledger")
        seen.page.keyboard.press("Enter")
        seen.page.wait_for_url("**/search.html?q=ledger*")
        seen.page.wait_for_selector("#search-results li a")
        found = seen.page.eval_on_selector_all("#search-results li a", "links => links.map(a => a.pathname)")
        assert "/glossary.html" in found


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
        if not target.is_file() or (anchor and anchor not in anchors(target).ids):
            dead.append(link)
    assert dead == []


def test_executed_pages_hold_no_error_no_warning_and_no_path_of_the_machine(tree):
    for path in sorted((tree / "book" / "notebooks").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
        assert "error" not in {output.output_type for output in outputs}, path.name
        printed = "".join(output.text for output in outputs if output.output_type == "stream")
        assert re.findall(r"\w+Warning: .*", printed) == [], path.name
        text = path.read_text(encoding="utf-8")
        folders = (str(tree), str(ROOT), str(Path.home()) + "/", sys.prefix)
        assert [folder for folder in folders if folder in text] == [], path.name


def test_every_notebook_is_in_the_table_of_contents(tree):
    made = {f"notebooks/{path.stem}" for path in (tree / "book" / "notebooks").glob("[!.]*.ipynb")}
    assert made == {page for page in PAGES if page.startswith("notebooks/")}


def test_landing_page_is_where_make_book_says(html):
    assert re.search(r"url=intro\.html", (html / "index.html").read_text(encoding="utf-8"))


def test_plain_papermill_runs_a_figure_from_any_folder(tree, tmp_path):
    program, source = Path(sys.executable).with_name("papermill"), tree / "notebooks" / "fig03.ipynb"
    arguments = [program, source, "out.ipynb", "-p", "profile", "smoke", "--no-progress-bar"]
    environment = os.environ | {"PYTHONPATH": str(tree)}
    done = subprocess.run(arguments, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    assert not nbformat.read(tmp_path / "out.ipynb", as_version=4).metadata.papermill.exception
    assert [path.name for path in tmp_path.iterdir()] == ["out.ipynb"]
