"""The table of figures in README and book comes from the committed claims and is up to date."""

import pandas as pd
import pytest
from PIL import Image

from lib.data import RESULTS, ROOT
from lib.report import overview
from lib.report.paper import FIGURES

FILES = overview.README, overview.INTRO


@pytest.mark.parametrize("file", FILES)
def test_table_is_up_to_date(file):
    text = (ROOT / file).read_text(encoding="utf-8")
    assert overview.update(text, file) == text, "run `python -m lib.report.overview`"


def test_only_what_stands_between_the_markers_changes():
    text = f"above\n{overview.BEGIN}old\n{overview.END}below\n"
    updated = overview.update(text, overview.README)
    assert updated.startswith("above\n") and updated.endswith("below\n") and "old" not in updated


def test_refreshing_touches_only_a_file_that_is_out_of_date(tmp_path, monkeypatch):
    monkeypatch.setattr(overview, "ROOT", tmp_path)
    paths = [tmp_path / file for file in FILES]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{overview.BEGIN}old\n{overview.END}", encoding="utf-8")
    overview.refresh()
    for path, file in zip(paths, FILES, strict=True):
        assert path.read_text(encoding="utf-8") == overview.BEGIN + overview.table(file) + overview.END
    before = [path.stat().st_mtime_ns for path in paths]
    overview.refresh()
    assert [path.stat().st_mtime_ns for path in paths] == before


def test_every_row_of_the_book_has_a_small_picture():
    sources = [
        line.split('src="')[1].split('"')[0] for line in overview.table(overview.INTRO).splitlines() if "<img" in line
    ]
    assert len(sources) == len(set(sources)) == len(overview.table(overview.README).splitlines()) - 3
    for source in sources:
        with Image.open(ROOT / "book" / source) as picture:
            assert picture.size[0] <= overview.SIZE[0] and picture.size[1] <= overview.SIZE[1]


def test_counts_of_verdicts():
    verdicts = ["agrees", "undecided", "agrees", "exceeds", "disagrees", "not tested"]
    assert overview.counted(pd.Series(verdicts)) == "2 agree, 1 exceed, 1 undecided, 1 disagree"
    assert overview.counted(pd.Series([], dtype=str)) == "–"


def test_every_figure_has_its_row_and_the_whole_the_last():
    names = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb") if path.stem.startswith(("fig", "table"))}
    *rows, last = overview.table(overview.README).splitlines()[2:]
    assert names == set(FIGURES) == {row.split("`")[1].split()[1] for row in rows}
    verdicts = pd.read_csv(RESULTS / "claims.csv")["verdict"]
    assert overview.counted(verdicts) in last and "make verdicts" in last


@pytest.mark.parametrize("file", FILES)
def test_no_cell_is_long(file):
    cells = [cell.split() for line in overview.table(file).splitlines() for cell in line.split("|")]
    assert len(cells) > 40 and max(map(len, cells)) <= 20
