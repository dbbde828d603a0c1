"""The chapter on the network's width and epochs: what changes and what stays, and tables of known supports."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lib import profiles
from lib.bisection import WRONG_AT_ZERO
from lib.chapters import network
from lib.methods import OURS, RANDOM
from lib.study import REMOVAL, Study


def test_one_thing_changes_at_a_time():
    recipe = profiles.load("fashion").recipe
    recipes = network.recipes(recipe)
    assert {(one.width, one.epochs) for one in recipes} == {(4, 3), (8, 3), (16, 3), (8, 6), (8, 24)}
    assert len({(one.peak_lr, one.batch_size, one.arch, one.warmup_epochs) for one in recipes}) == 1


def test_what_changes_nothing_is_tested_once():
    """Half of a width of one is one, and none trains for longer than the paper's does."""
    recipes = network.recipes(replace(profiles.load("fashion").recipe, width=1, epochs=24))
    assert [(one.width, one.epochs) for one in recipes] == [(1, 24), (2, 24)]


def test_targets_and_features_stay_and_trak_follows_the_network(tmp_path, monkeypatch):
    monkeypatch.setattr(network, "WIDTHS", (0.5,))
    monkeypatch.setattr(network, "EPOCHS", (1,))
    monkeypatch.setattr(network, "PROFILES", {"paper": profiles.load("smoke")})
    smoke = profiles.load("smoke", k_max=8, budget=1, moco_epochs=1, n_classes=3, n_targets=3, moco_batch_size=60)
    study = Study(smoke, "cpu", n_jobs=1, results=tmp_path)
    supports = network.tested(study)
    assert supports["width"].unique().tolist() == [4, 8] and set(supports["target"]) == set(study.targets)
    rows = supports.set_index(["width", "ranking"]).sort_index()
    keys = [set().union(*rows.loc[(width, OURS), "keys"]) for width in (4, 8)]
    recipes = {one["key"]: one["recipe"] for one in study.driver.ledger.records}
    assert [{recipes[key] for key in of} for of in keys] == [
        {one.hash} for one in network.recipes(study.profile.recipe)
    ]
    plain = study.supports([(REMOVAL, OURS)], united=True)
    assert rows.loc[(8, OURS), "size"].isna().tolist() == plain["size"].isna().tolist()
    assert set().union(*plain["keys"]) == keys[1]
    assert len(list((study.folder / "scores").glob("trak-*.npz"))) == 2
    assert set(supports["ranking"]) == {OURS, "trak:1", "trak:2", "pixels_l2", RANDOM}
    assert rows["accuracy"].between(0.2, 1).all() and len(rows["accuracy"].unique()) == 2
    assert network.table(supports, 8)["difference"].isna().sum() == 2


@pytest.fixture
def supports() -> pd.DataFrame:
    """TRAK's are half as large as ours, whose are larger the wider the network."""
    rows, rng = [], np.random.default_rng(0)
    for width, epochs in ((4, 3), (8, 3), (16, 3), (8, 6), (8, 12)):
        for i in range(30):
            ours = int(rng.integers(10, 60)) + width
            more = [("trak:20", ours // 3)] if (width, epochs) == (8, 3) else []
            for ranking, size in [(OURS, ours), ("trak:10", ours // 2), (RANDOM, None), *more]:
                row = {"kind": REMOVAL, "ranking": ranking, "target": i, "size": size, "reason": "", "trainings": 1}
                own = f"{ranking}, width {width}, {epochs} epochs"
                rows.append(row | {"method": own, "width": width, "epochs": epochs, "accuracy": 0.8})
    return pd.DataFrame(rows).astype({"size": "Int64"})


def test_tables_of_known_supports(supports):
    rows, recipe = network.table(supports, 100), profiles.load("fashion").recipe
    assert len(rows) == 16 and (rows["n"] == 30).all()
    trak = rows[rows["method"] == "trak:10"]
    assert (trak["verdict"] == "larger supports").all() and (rows.loc[rows["method"] == RANDOM, "auc"] == 0).all()
    assert network.along(rows, recipe, "width")["width"].unique().tolist() == [4, 8, 16]
    assert network.along(rows, recipe, "epochs")["epochs"].unique().tolist() == [3, 6, 12]
    assert "trak:20" not in set(network.along(rows, recipe, "width")["method"])
    assert network.along(trak_rows(rows), recipe, "networks")["networks"].tolist() == [10, 20]
    moved = network.moved(supports, recipe, 100)
    said = network.finding(rows, moved, recipe)
    row = trak[(trak["width"] == 16)].iloc[0]
    assert f"16: {row['difference']:.2f} [" in said and "finds smaller supports always (6 settings, n up to 30)" in said
    supports.loc[supports["ranking"] == "trak:10", "size"] *= 4
    assert "smaller supports not always (6" in network.finding(network.table(supports, 100), moved, recipe)
    drawn = network.figure(rows, recipe, "title")
    assert [axis.get_xlabel() for axis in drawn.axes] == list(network.AXES.values())
    assert len(drawn.axes[0].lines) >= 3


def trak_rows(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["method"].str.startswith("trak")]


def test_what_moves_is_told_from_noise_on_the_same_targets(supports):
    """TRAK (20) needs a third of what ours does, TRAK (10) a half, whatever the network."""
    recipe = profiles.load("fashion").recipe
    rows = network.moved(supports, recipe, 100).set_index("setting")
    assert set(rows.index) == {
        "width 4, 3 epochs, TRAK (10)",
        "width 16, 3 epochs, TRAK (10)",
        "width 8, 6 epochs, TRAK (10)",
        "width 8, 12 epochs, TRAK (10)",
        "width 8, 3 epochs, TRAK (20)",
    }
    own = supports[(supports["width"] == 8) & (supports["epochs"] == 3)]
    sizes = own.pivot(index="target", columns="ranking", values="size").astype(float)
    expected = ((sizes["trak:20"] - sizes["trak:10"]) / 100).mean()
    row = rows.loc["width 8, 3 epochs, TRAK (20)"]
    assert row["difference"] == pytest.approx(expected) and row["corrected"] < 0.01 and (rows["n"] == 30).all()
    assert rows["corrected"].ge(rows["p"]).all()
    supports.loc[(supports["width"] == 16) & (supports["target"] == 0), "reason"] = WRONG_AT_ZERO
    assert (network.moved(supports, recipe, 100)["n"] == 29).all()
