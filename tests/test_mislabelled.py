"""The chapter on wrong labels: which networks learn them, and tables of known supports."""

from dataclasses import replace

import pandas as pd
import pytest

from lib import profiles
from lib.chapters import mislabelled
from lib.methods import OURS, RANDOM
from lib.study import MISLABEL, Study

RECIPE = profiles.load("fashion").recipe


def test_networks_train_up_to_the_papers_epochs_or_are_wider():
    recipes = mislabelled.recipes(RECIPE)
    assert [(one.width, one.epochs) for one in recipes] == [(8, 3), (8, 6), (16, 3), (8, 12), (8, 24)]
    longer = mislabelled.recipes(replace(RECIPE, epochs=7))
    assert {(one.width, one.epochs) for one in longer} == {(8, 7), (8, 14), (16, 7)}


def test_few_are_as_in_the_paper_by_share_and_by_number():
    assert mislabelled.few(5000) == {"by_share": 29, "by_number": 29}
    assert mislabelled.few(500) == {"by_share": 2, "by_number": 29}


def test_targets_and_rankings_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(mislabelled, "TIMES", (1, 2))
    study = Study(profiles.load("smoke", k_max=8, budget=1, moco_epochs=1), "cpu", n_jobs=1, results=tmp_path)
    supports = mislabelled.tested(study)
    own = study.profile.recipe
    assert set(zip(supports["width"], supports["epochs"], strict=True)) == {(8, 3), (8, 6), (16, 3)}
    assert set(supports["target"]) == set(study.targets) and set(supports["kind"]) == {MISLABEL}
    plain = study.supports([(MISLABEL, OURS)], united=True)
    same = supports[(supports["epochs"] == own.epochs) & (supports["width"] == own.width)]
    same = same[same["ranking"] == OURS]
    assert plain["votes"].tolist() == same["votes"].tolist() and plain["keys"].tolist() == same["keys"].tolist()
    assert plain["wrong_label"].tolist() == same["wrong_label"].tolist()
    clean = {one["key"]: one["test_accuracy"] for one in study.driver.ledger.records if not one["relabelled"]}
    assert same["accuracy"].unique().tolist() == [next(clean[key] for key in plain["keys"].iloc[0] if key in clean)]


@pytest.fixture
def supports() -> pd.DataFrame:
    """The longer the network trains, the fewer wrong labels ours needs; random ones flip nothing."""
    rows = []
    for width, epochs in ((8, 3), (8, 6), (16, 3)):
        for i in range(20):
            for ranking, size in ((OURS, (i + 1) * 12 // epochs * 8 // width), (RANDOM, None)):
                row = {"kind": MISLABEL, "ranking": ranking, "target": i, "size": size, "reason": "", "trainings": 1}
                rows.append(row | {"width": width, "epochs": epochs, "accuracy": 0.8})
    return pd.DataFrame(rows).astype({"size": "Int64"})


def test_tables_of_known_supports(supports):
    rows = mislabelled.table(supports, 100, 500)
    by = rows.set_index(["width", "epochs", "method"])
    assert (rows["n"] == 20).all() and (rows.loc[rows["method"] == RANDOM, ["auc", "by_number"]] == 0).all(axis=None)
    assert by.loc[(8, 3, OURS), "by_number"] == 7 / 20 and by.loc[(8, 6, OURS), "by_number"] == 14 / 20
    assert by.loc[(8, 6, OURS), "by_share"] == 1 / 20 and by.loc[(8, 3, OURS), "by_share"] == 0
    assert by.loc[(8, 6, OURS), "by_number_low"] < 14 / 20 < by.loc[(8, 6, OURS), "by_number_high"]
    said = mislabelled.finding(rows, RECIPE, 500)
    assert said.startswith("**Fewer than 30 wrong labels flip, of 20 targets, a share of: 3 epochs 0.35 [")
    assert "a width of 16 instead of 8, 0.70 [" in said and "fewer than 3, flips: 3 epochs 0.00" in said
    assert said.endswith("The paper has 0.47.")


def test_the_figure_has_a_panel_for_each_change(supports):
    drawn = mislabelled.figure(supports, RECIPE, 100, 500, "title")
    legends = [[text.get_text() for text in axis.get_legend().get_texts()] for axis in drawn.axes]
    assert legends == [
        ["3 epochs", "3 epochs, random", "6 epochs", "6 epochs, random"],
        ["width 8", "width 8, random", "width 16", "width 16, random"],
    ]
