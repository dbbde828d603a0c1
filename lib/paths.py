"""Where things are: absolute paths, so that a notebook runs the same from any working directory."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
BOOK = ROOT / "book"
RESULTS = ROOT / "results"
