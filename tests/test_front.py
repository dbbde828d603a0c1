"""Answer and table of figures in README and book come from the committed results and are up to date."""

from collections.abc import Iterator
from functools import cache

import pandas as pd
import pytest
from PIL import Image

from lib.chapters import front, versus
from lib.data import RESULTS, ROOT
from lib.report import claims
from lib.report.paper import FIGURES

FILES = front.README, front.INTRO
ANSWER = f"{front.ANSWER}stale\n{front.ANSWERED}"


@pytest.fixture(scope="module", autouse=True)
def made_once() -> Iterator[None]:
    """Each sentence and each table: the results that they come from stay as they are."""
    with pytest.MonkeyPatch.context() as patch:
        for module, names in (
            (front, ("table", "brief", "glance", "counted", "left", "by_lds", "_why")),
            (versus, ("defaults", "comparisons", "pairs")),
        ):
            for name in names:
                patch.setattr(module, name, cache(getattr(module, name)))
        yield


@pytest.mark.parametrize("file", FILES)
def test_table_is_up_to_date(file):
    text = (ROOT / file).read_text(encoding="utf-8")
    assert front.update(text, file) == text, "run `python -m lib.chapters.front`"


def test_only_what_stands_between_the_markers_changes():
    text = f"above\n{ANSWER}between\n{front.BEGIN}stale\n{front.END}below\n"
    updated = front.update(text, front.README)
    assert updated.startswith("above\n") and updated.endswith("below\n") and "stale" not in updated
    assert f"{front.brief(front.README)}{front.ANSWERED}between\n" in updated


def test_refreshing_touches_only_a_file_that_is_out_of_date(tmp_path, monkeypatch):
    monkeypatch.setattr(front, "ROOT", tmp_path)
    paths = [tmp_path / file for file in FILES]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{ANSWER}{front.BEGIN}stale\n{front.END}", encoding="utf-8")
    front.refresh()
    for path, file in zip(paths, FILES, strict=True):
        answered = f"{front.ANSWER}{front.brief(file)}{front.ANSWERED}"
        whole = answered + front.BEGIN + front.table(file) + front.END
        assert path.read_text(encoding="utf-8") == whole
    before = [path.stat().st_mtime_ns for path in paths]
    front.refresh()
    assert [path.stat().st_mtime_ns for path in paths] == before


def test_every_row_of_the_book_has_a_small_picture():
    sources = [line.split('src="')[1].split('"')[0] for line in front.table(front.INTRO).splitlines() if "<img" in line]
    assert len(sources) == len(set(sources)) == len(front.table(front.README).splitlines()) - 3
    for source in sources:
        with Image.open(ROOT / "book" / source) as picture:
            assert picture.size[0] <= front.SIZE[0] and picture.size[1] <= front.SIZE[1]


def test_counts_of_verdicts():
    verdicts = ["agrees", "undecided", "agrees", "exceeds", "disagrees", "not tested"]
    assert claims.counted(pd.Series(verdicts)) == "2 agree, 1 exceeds, 1 undecided, 1 disagrees"
    assert claims.counted(pd.Series([], dtype=str)) == "–"


def test_every_figure_has_its_row_and_the_whole_the_last():
    names = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb") if path.stem.startswith(("fig", "table"))}
    *rows, last = front.table(front.README).splitlines()[2:]
    assert names == set(FIGURES) == {row.partition("(notebooks/")[2].partition(".")[0] for row in rows}
    verdicts = pd.read_csv(RESULTS / "claims.csv")["verdict"]
    assert f"| all pages | {claims.counted(verdicts)} | " in last


@pytest.mark.parametrize("file", FILES)
def test_no_cell_is_long(file):
    cells = [cell.split() for line in front.table(file).splitlines() for cell in line.split("|")]
    assert len(cells) > 40 and max(map(len, cells)) <= 20


def test_the_answer_has_the_numbers_of_the_tables():
    tested = pd.read_csv(RESULTS / "claims.csv").query("main")
    here = f"{(tested['profile'] == 'imagenet').sum()} on Tiny ImageNet), tested together: "
    assert f"Of {len(tested)} that we took for its main ones when results were known (none on all of" in front.answer()
    assert f"{here}{claims.counted(tested['verdict'])}. " in front.answer()


def test_at_a_glance_each_claim_has_the_verdict_and_the_number_of_each_data_set():
    table = pd.read_csv(RESULTS / "claims.csv").set_index(["claim", "profile"])
    head, _, *lines = [line.strip("| ").split(" | ") for line in front.glance().splitlines() if line.startswith("|")]
    assert [name.lower() for name in head[1:]] == [data.lower() for data in versus.DATA.values()]
    for (claim, words), (shown, *cells) in zip(front.GLANCE.items(), lines, strict=False):
        stated = table.loc[claim, "paper"].iloc[0]
        assert shown == (f"{words} (paper: {stated})" if "%" in stated else words) and len(cells) == len(versus.DATA)
        for profile, cell in zip(versus.DATA, cells, strict=True):
            row = table.loc[(claim, profile)] if (claim, profile) in table.index else None
            if row is None or pd.isna(row["ours"]):
                assert cell == "–"
            else:
                assert cell.startswith(f"**{row['verdict']}**<br>{row['ours']:z.2f}\N{NO-BREAK SPACE}[")
                assert cell.endswith(f"{row['n']:.0f}")
    for cell, data in zip(lines[-1][1:], versus.DATA.values(), strict=True):
        control = versus.pair("pixels_l2", data)
        assert cell.startswith(f"**{control['verdict']}**<br>{control['difference']:z.2f}\N{NO-BREAK SPACE}[")


@pytest.mark.parametrize("file", FILES)
def test_in_short_all_but_the_causes_is_said(file):
    brief, folder = front.brief(file), (ROOT / file).parent
    assert front.glance() in brief and front.by_lds() in front.answer() and front.by_lds() in brief
    picture, *items = brief.partition(front.glance())[2].strip().splitlines()
    assert [item for item in items if item] == items[1:] and all(item.startswith("- **") for item in items[1:])
    assert f"- {front.counted()}" in items and any(item.startswith(f"- {front.left()} ") for item in items)
    assert (folder / picture.partition("](")[2].removesuffix(")")).exists()


def test_the_papers_lds_stands_beside_both():
    full = pd.read_csv(RESULTS / "cifar10_full" / "table1" / "summary.csv").set_index("method")["lds"]
    damped, free = full["trak:10"], full[front.UNDAMPED]
    nearer = min(("with", damped), ("without", free), key=lambda of: abs(of[1] - 0.12))[0]
    assert front.by_lds().startswith(f"The LDS of TRAK (10), 0.12 in the paper, is nearer to that {nearer} a ridge: ")
    assert front.by_lds().endswith(f" it is {damped:.2f} with a ridge and {free:.2f} without.")
