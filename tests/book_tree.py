"""Makes the book that `tests/test_book.py` reads: `python tests/book_tree.py FOLDER STATUS`.

A copy of the tree in which every notebook is run on `smoke` and the book is built, warnings being errors. It is a
program of its own so that it runs beside the other tests: see the fixture `book` in conftest.py. At the end the file
STATUS says how that went.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOT_COPIED = (".git", ".venv", "_build", "_failed", "*.egg-info", "__pycache__", ".pytest_cache", ".ruff_cache")
# Two notebooks at a time, each training in its own process: to start others takes longer than what they have to do.
PAGES = """from lib.base import forks
forks.prepare()  # beside the imports that follow
from lib.report.execution import run_all
raise SystemExit(bool(run_all('smoke', n_at_once=2)))"""

# Numbers, by file, that take most of the time and that no test of the book looks at.
SMALLER = [
    ("profiles.py", "train_per_class=40,", "train_per_class=26,"),  # of smoke
    ("profiles.py", "budget=2,", "budget=1,"),
    ("chapters/network.py", 'PROFILES["paper"].recipe.epochs', "2 * recipe.epochs"),
    ("chapters/shortcuts.py", "SEEDS, NETWORKS, MOCO_EPOCHS = 2, 3, 8", "SEEDS, NETWORKS, MOCO_EPOCHS = 1, 1, 8"),
    ("chapters/curation.py", 'NETWORKS = {"trak": 3, "tracin": 1}', 'NETWORKS = {"trak": 1, "tracin": 1}'),
]


def main(copy: Path) -> None:
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*NOT_COPIED))
    for file, here, there in SMALLER:
        path = copy / "lib" / file
        before, after = path.read_text(encoding="utf-8").split(here)  # once
        path.write_text(before + there + after, encoding="utf-8")
    pages = copy / "book" / "notebooks"
    shutil.rmtree(pages, ignore_errors=True)
    call(copy, sys.executable, "-c", PAGES)
    shutil.copy(pages / "fig03.ipynb", pages / ".fig03-1.ipynb")  # as a run that was killed leaves it
    call(copy, "make", "html", f"BIN={Path(sys.executable).parent}")


def call(copy: Path, *arguments) -> None:
    environment = os.environ | {"PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1", "LOKY_MAX_CPU_COUNT": "1"}
    subprocess.run(arguments, cwd=copy, env=environment, check=True)


if __name__ == "__main__":
    outcome = "the book was not built"
    try:
        main(Path(sys.argv[1]))
        outcome = "built"
    finally:
        Path(sys.argv[2]).write_text(outcome)
