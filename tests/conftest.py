"""What several tests share: a dataset that is small, separable and made here; and the book, built beside the tests."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: the book is built beside the tests, on the same cores

import contextlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, sync_playwright
from xdist.scheduler import LoadScopeScheduling

from lib.data import Dataset
from lib.engine import ledger
from lib.retrain import Recipe

BOOK, BUILDING = pytest.StashKey[str](), pytest.StashKey[subprocess.Popen]()
OF_ONE_CAMPAIGN = ("test_beton.py", "test_driver.py", "test_soak.py", "test_workers.py")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="session")
def tiny() -> Dataset:
    """Three classes of 40 training and 10 test images, 24 x 24: a bright band high, in the middle, or low, in noise."""
    rng = np.random.default_rng(0)

    def split(per_class: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.repeat(np.arange(3), per_class)
        images = rng.integers(0, 90, (len(labels), 1, 24, 24))
        for image, label in zip(images, labels, strict=True):
            image[:, 8 * label : 8 * label + 8] += 120
        return images.astype(np.uint8), labels

    return Dataset("tiny", *split(40), *split(10), ("high", "middle", "low"))


@pytest.fixture(scope="session")
def quick() -> Recipe:
    """A training of a few hundredths of a second."""
    return Recipe(width=2, stem="conv5s2", epochs=2, warmup_epochs=0.5, batch_size=20, translate=1, cutout=4)


@pytest.fixture
def pictures(tmp_path) -> Path:
    """24 + 6 images of each of two classes, 24 x 24 pixels in colour: bright above and dark below, or the reverse."""
    folder, rng = tmp_path / "pictures", np.random.default_rng(0)
    for split, n in (("train", 24), ("val", 6)):
        for top, c in enumerate(("dark", "light")):
            (folder / split / c).mkdir(parents=True)
            for i in range(n):
                pixels = rng.integers(0, 100, (24, 24, 3), dtype=np.uint8)
                pixels[12 * (1 - top) : 12 * (2 - top)] += 120
                Image.fromarray(pixels).save(folder / split / c / f"{i:02d}.png")
    return folder


def seal(folder: Path) -> None:
    """Vouch for a ledger's records that have no checksum, as older ones have none: a sum each, beside their file."""
    for path in sorted(folder.glob(ledger.Ledger.pattern)):
        lines = path.read_bytes().splitlines()
        if not all(ledger.CHECKED.search(line) for line in lines):
            sums = [ledger.checksum(ledger.parted(line)[0]) for line in lines]
            path.with_suffix(".crc32").write_text("".join(f"{one}\n" for one in sums))


def pytest_configure(config: pytest.Config) -> None:
    """Names the folder of the book, for all processes that share an execution of the tests."""
    if not hasattr(config, "workerinput"):
        os.environ["TESTS_BOOK"] = config.stash.setdefault(BOOK, tempfile.mkdtemp(prefix="book-"))


def pytest_unconfigure(config: pytest.Config) -> None:
    """An execution that ends earlier ends the building too."""
    if folder := config.stash.get(BOOK, None):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            os.killpg(int(Path(folder, "pid").read_text()), signal.SIGTERM)
        shutil.rmtree(folder, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests that read the book come last: it is built while the others run."""
    items.sort(key=lambda item: "book" in item.fixturenames)


class Scheduling(LoadScopeScheduling):
    """What shares what it trains stays in one process: a file, and of the book's tests those that look at one page.

    So do the files of one campaign, which the first runs serially, and whose processes the others find started.
    """

    def _split_scope(self, nodeid: str) -> str:
        path, _, test = nodeid.partition("::")
        if path.endswith("test_book.py"):
            return test.partition("[")[2] or test
        return "campaign" if path.endswith(OF_ONE_CAMPAIGN) else path


def pytest_xdist_make_scheduler(config: pytest.Config, log) -> Scheduling:
    """In the order of collection: else the book's tests, of which each page has few, would not come last."""
    config.option.loadscopereorder = False
    return Scheduling(config, log)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, without a window."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no Chromium in CI: .ci/run installs it")
        pytest.skip("no Chromium: install it, or name it in the environment variable CHROMIUM")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="session", autouse=True)
def started_book(request) -> Callable[[], Path] | None:
    """Starts building the book before the first test, if any test reads it; a function that waits for its folder.

    The first process of an execution starts it.
    """
    if not any("book" in item.fixturenames for item in request.session.items):
        return None
    folder, program = Path(os.environ["TESTS_BOOK"]), Path(__file__).with_name("book_tree.py")
    with contextlib.suppress(FileExistsError):
        (folder / "begun").mkdir()
        with (folder / "log").open("w") as log:
            arguments = [sys.executable, program, folder / "tree", folder / "status"]
            building = subprocess.Popen(arguments, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        request.config.stash[BUILDING] = building  # it goes on when this is over, and warns where nobody holds it
        (folder / "pid").write_text(str(building.pid))

    def wait() -> Path:
        deadline = time.monotonic() + 1800
        while not (folder / "status").exists():
            assert time.monotonic() < deadline, "the book is not built after half an hour"
            time.sleep(0.2)
        status = (folder / "status").read_text()
        assert status == "built", f"{status}:\n{(folder / 'log').read_text(errors='replace')[-8000:]}"
        return folder / "tree"

    return wait


@pytest.fixture(scope="session")
def book(started_book) -> Path:
    """A copy of the tree in which every notebook was run on `smoke` and the book was built; see `book_tree.py`."""
    return started_book()
