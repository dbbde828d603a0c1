"""The table of what was changed: its numbers are those of the pages that it names, its movements paired by target."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

from lib.bisection import WRONG_AT_ZERO
from lib.chapters import causes, network
from lib.data import ROOT
from lib.methods import OURS
from lib.profiles import PROFILES
from lib.report import committed, stats
from lib.rivals import trak
from lib.study import REMOVAL


@pytest.fixture(scope="module", autouse=True)
def made_once() -> Iterator[None]:
    """Both tables and their rows: the results that they come from stay as they are."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("table", "known", "_ridge", "_crossed", "_apart"):
            patch.setattr(causes, name, cache(getattr(causes, name)))
        yield


def test_each_row_says_what_its_page_says():
    head, line, *rows = [text.strip("| ").split(" | ") for text in causes.table().splitlines()]
    assert tuple(head) == causes.HEAD and len(line) == len(head)
    assert all(len(row) == len(head) and all(row) for row in rows)
    for row in rows:
        assert (ROOT / "notebooks" / f"{row[-1].partition('](')[2][:-1]}.ipynb").exists()
    by_size = committed.table(PROFILES["cifar10"], "scale", "pairs").query("worse == 'trak:10'").iloc[[0, -1]]
    said = [stats.said(*pair) for pair in by_size[["difference", "low", "high"]].itertuples(index=False)]
    assert next(row[4:6] for row in rows if row[0].startswith("training images")) == said
    assert [row[1:3] for row in rows if row[0] == network.AXES["width"]] == [["4", "16"]]


def test_a_movement_is_paired_by_target():
    """TRAK loses .2 on every target, ours is where it was; a target that is wrong for one of the three is left out."""
    areas, rows = np.random.default_rng(0).uniform(0.3, 0.7, 20), []
    for method, by in ((OURS, 0), ("before", 0.1), ("after", -0.1), ("other", 0.2)):
        reasons = [WRONG_AT_ZERO if method == "after" and i == 0 else "" for i in range(20)]
        of = {"kind": REMOVAL, "method": method, "target": range(20), "reason": reasons}
        rows.append(pd.DataFrame(of | {"size": ((1 - areas - by) * 10_000).round()}))
    supports, profile = pd.concat(rows), replace(PROFILES["fashion"], k_max=10_000)
    *said, n = causes._between(supports, profile, "before", "after")
    assert n == 19 and [float(text.split()[0]) for text in said] == pytest.approx([-0.1, 0.1, 0.2])


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


def test_all_that_differs_from_the_paper_is_named_with_both_values():
    """Each value in which the profile of all of CIFAR-10 differs from the paper's has a row, or is set apart."""
    here, there = PROFILES["cifar10_full"], PROFILES["paper"]
    rows = [text.strip("| ").split(" | ") for text in causes.known().splitlines()[2:]]
    of = {name: (ours, papers) for name, ours, papers, _ in rows}
    assert len(of) == len(rows)
    for name, value in (("width of the network", "width"), ("its epochs", "epochs")):
        assert of[name] == tuple(f"{getattr(profile.recipe, value)}" for profile in (here, there))
    assert (here.recipe.stem, here.recipe.cutout, there.recipe.stem) == ("conv5s2", 0, "conv3") and there.recipe.cutout
    for name, value in (("votes per probe", "n_votes"), ("targets", "n_targets")):
        assert [text.split(",")[0] for text in of[name]] == [f"{getattr(profile, value)}" for profile in (here, there)]
    assert of["its batches; momentum"] == ("128; Nesterov", "512; plain")
    assert [(one.batch_size, one.nesterov) for one in (here.recipe, there.recipe)] == [(128, True), (512, False)]
    assert of["models that the LDS is over"] == (f"{here.lds_models}", "not stated")
    assert here.trak.get("damping", trak.DAMPING) > there.trak["damping"] == 0
    assert [text.split(", ")[1] for text in of["its ridge and its dimensions"]] == ["5120", "20480"]
    assert (here.rivals, there.rivals) == (("trak", "trak_undamped"), ("trak", "datamodels"))
    named = {"recipe", "n_votes", "n_targets", "lds_models", "trak", "selfsupervised", "ensembles", "united", "dataset"}
    named |= {"rivals", "every_method"}
    apart = {"name", "classifier", "n_base", "subset_models", "transfer", "transfer_ensembles", "figures", "peak_lrs"}
    apart |= {"alone", *(name for name in vars(here) if name.startswith("published"))}
    differ = {name for name in vars(here) if getattr(here, name) != getattr(there, name)}
    assert named <= differ <= named | apart


def test_what_is_known_is_what_the_pages_say():
    moved = committed.table(PROFILES["fashion"], "network", "moved").set_index("setting")
    row = moved.loc["width 8, 24 epochs, TRAK (10)"]
    words = f"{stats.said_of(row, 'difference')} (24 epochs, Fashion-MNIST, corrected *p* = {row['corrected']:.2g})"
    assert words in causes.known()
    of_table = [text.strip("| ").split(" | ") for text in causes.table().splitlines()[2:]]
    assert of_table[0][0] == "TRAK's ridge" and f"| none by default | {of_table[0][6]} (Fashion-MNIST" in causes.known()
