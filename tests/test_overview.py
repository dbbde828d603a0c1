"""The table of figures in the README comes from the committed claims and is up to date."""

import pandas as pd

from lib.data import RESULTS, ROOT
from lib.report import overview
from lib.report.paper import FIGURES


def test_readme_is_up_to_date():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert overview.update(text) == text, "run `python -m lib.report.overview`"


def test_only_what_stands_between_the_markers_changes():
    text = f"above\n{overview.BEGIN}old\n{overview.END}below\n"
    updated = overview.update(text)
    assert updated.startswith("above\n") and updated.endswith("below\n") and "old" not in updated


def test_refreshing_touches_only_a_readme_that_is_out_of_date(tmp_path, monkeypatch):
    monkeypatch.setattr(overview, "ROOT", tmp_path)
    readme = tmp_path / "README.md"
    readme.write_text(f"{overview.BEGIN}old\n{overview.END}", encoding="utf-8")
    overview.refresh()
    assert readme.read_text(encoding="utf-8") == overview.BEGIN + overview.table() + overview.END
    readme.chmod(0o400)
    before = readme.stat().st_mtime_ns
    overview.refresh()
    assert readme.stat().st_mtime_ns == before


def test_counts_of_verdicts():
    verdicts = ["agrees", "undecided", "agrees", "exceeds", "disagrees", "not tested"]
    assert overview.counted(pd.Series(verdicts)) == "2 agree, 1 exceed, 1 undecided, 1 disagree"
    assert overview.counted(pd.Series([], dtype=str)) == "–"


def test_every_figure_has_its_row_and_the_whole_the_last():
    names = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb") if path.stem.startswith(("fig", "table"))}
    *rows, last = overview.table().splitlines()[2:]
    assert names == set(FIGURES) == {row.split("`")[1].split()[1] for row in rows}
    verdicts = pd.read_csv(RESULTS / "claims.csv")["verdict"]
    assert overview.counted(verdicts) in last and "make verdicts" in last


def test_no_cell_is_long():
    cells = [cell.split() for line in overview.table().splitlines() for cell in line.split("|")]
    assert len(cells) > 40 and max(map(len, cells)) <= 20
