"""The table of what was changed alone: its numbers are those of the pages that it names."""

from lib.chapters import causes, network
from lib.data import ROOT
from lib.methods import OURS
from lib.profiles import PROFILES
from lib.report import committed, stats
from lib.study import REMOVAL


def test_each_row_says_what_its_page_says():
    head, line, *rows = [text.strip("| ").split(" | ") for text in causes.table().splitlines()]
    assert tuple(head) == causes.HEAD and len(line) == len(head)
    assert all(len(row) == len(head) and all(row) for row in rows)
    for row in rows:
        assert (ROOT / "notebooks" / f"{row[-1].partition('](')[2][:-1]}.ipynb").exists()
    by_size = committed.table(PROFILES["cifar10"], "scale", "pairs").query("worse == 'trak:10'").iloc[[0, -1]]
    said = [stats.said(*pair) for pair in by_size[["difference", "low", "high"]].itertuples(index=False)]
    assert next(row[4:6] for row in rows if row[0] == "training images") == said
    assert [row[1:3] for row in rows if row[0] == network.AXES["width"]] == [["4", "16"]]


def test_a_row_of_the_network_changes_one_thing():
    rows = committed.table(PROFILES["fashion"], "network", "rows")
    width = next(row for row in causes.table().splitlines() if row.startswith(f"| {network.AXES['width']} |"))
    narrow = rows[(rows["width"] == 4) & (rows["method"] == "trak:10")].iloc[0]
    assert stats.said(*narrow[["difference", "low", "high"]]) in width


def test_the_choice_of_images_is_that_of_figure_10():
    rivals = committed.table(PROFILES["fashion"], "fig10", "rivals")
    cells = next(row for row in causes.table().splitlines() if "(fig10)" in row).split(" | ")
    for cell, rival in zip(cells[4:6], ("trak:20", "trak:20:all"), strict=True):
        pair = stats.paired(rivals, REMOVAL, OURS, rival, PROFILES["fashion"].k_max)
        assert cell == stats.said_of(pair, "difference")
