"""The chapter on what features must have: its measures against plain ones, and its tables on sets of known quality."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from lib import profiles
from lib.chapters import quality
from lib.features import Features
from lib.study import REMOVAL, Study


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    smoke = profiles.load("smoke", k_max=8, budget=1, moco_epochs=3)
    return Study(smoke, "cpu", n_jobs=1, results=tmp_path_factory.mktemp("results"))


def test_reduction_keeps_the_largest_variances():
    rng = np.random.default_rng(0)
    train, test = (rng.normal(size=(n, 5)).astype(np.float32) * [9, 1, 5, 1, 3] for n in (400, 7))
    few = quality.reduced(Features(train, test), 3)
    assert few.train.shape == (400, 3) and few.test.shape == (7, 3)
    left = np.linalg.svd(train - train.mean(axis=0), compute_uv=False)
    assert np.allclose(np.linalg.norm(few.train, axis=0), left[:3], rtol=1e-4)
    assert np.allclose(quality.reduced(Features(train, test), 9).train.std(axis=0).sum(), few_all(train), rtol=1e-4)


def few_all(train: np.ndarray) -> float:
    return np.sqrt(np.linalg.eigvalsh(np.cov(train.T, ddof=0))).sum()


def test_effective_dimensions():
    rng = np.random.default_rng(1)
    assert quality.effective_dimensions(rng.normal(size=(20_000, 6))) == pytest.approx(6, rel=0.01)
    line = rng.normal(size=(500, 1)) * np.ones(6)
    assert quality.effective_dimensions(line) == pytest.approx(1)


def test_copies_named():
    images, labels = np.eye(4), np.array([0, 0, 1, 1])
    assert quality.copies_named(images, images, labels) == 1
    assert quality.copies_named(images, images[[1, 0, 2, 3]], labels) == 0.5
    assert quality.copies_named(images, images[[2, 1, 0, 3]], np.array([0, 1, 2, 3])) == 1  # alone in their class


def test_a_copy_is_moved_and_paler(tiny):
    both = quality.copied(tiny)
    n, one = len(tiny.test_labels), tiny.test_images[3, 0].astype(float)
    assert len(both.test_images) == 2 * n and (both.test_images[:n] == tiny.test_images).all()
    copy = both.test_images[n + 3, 0].astype(float)
    assert copy[5, 7] == pytest.approx(one.mean() + 0.7 * (one[3, 9] - one.mean()), abs=0.51)


def test_sets_rankings_and_tables(study, monkeypatch):
    monkeypatch.setattr(quality, "STORED", ("moco",))
    monkeypatch.setattr(quality, "EPOCHS", (2,))
    sets = quality.all_sets(study)
    names = ["MoCo, 2 epochs", "MoCo, 2 epochs, 16 dimensions", "MoCo, seed 1", "MoCo", "MoCo, mean of 3 seeds"]
    assert set(names) < set(sets) and "MoCo, 16 dimensions" not in sets
    assert np.isnan(sets["MoCo"]["copies"]) and sets["raw pixels"]["copies"] > 2 / 20
    mean = np.mean([sets[name]["scores"] for name in ("MoCo", "MoCo, seed 1", "MoCo, seed 2")], axis=0)
    assert np.allclose(sets["MoCo, mean of 3 seeds"]["scores"], mean)
    ours = study.attribution.ranking("moco_esvm")
    rankings = quality.rankings(study, sets)
    assert np.array_equal(rankings["MoCo"], ours)
    few = {name: rankings[name] for name in (*names, "MoCo, seed 2")}
    supports = replace(study, given=few).supports([(REMOVAL, name) for name in few], united=True)
    rows = quality.table(study, {name: sets[name] for name in few}, supports)
    assert rows["features"].tolist() == list(few) and rows["auc_removal"].between(0, 1).all()
    assert rows["trak"].between(-1, 1).all() and (rows["n"] <= 5).all()


def test_agreement(study):
    scores = study.attribution.scores("pixels_l2")
    assert quality.agreement(study, scores, scores) == pytest.approx(1)
    assert quality.agreement(study, scores, -scores) == pytest.approx(-1)


def test_seeds_share_the_variance():
    rng, names = np.random.default_rng(0), ["MoCo", "MoCo, seed 1", "MoCo, seed 2"]
    profile = replace(profiles.PROFILES["smoke"], k_max=1000)
    targets, shift = rng.normal(500, 30, size=(200, 1)), np.array([0, 60, -60])
    sizes = (targets + shift + rng.normal(0, 10, size=(200, 3))).round()
    rows = [
        (REMOVAL, name, t, size, "found") for t, row in enumerate(sizes) for name, size in zip(names, row, strict=True)
    ]
    supports = pd.DataFrame(rows, columns=["kind", "method", "target", "size", "reason"])
    (row,) = quality.seeds(SimpleNamespace(profile=profile), supports).to_dict("records")
    whole = 30**2 + 3600 + 100
    assert row["seed"] == pytest.approx(3600 / whole, abs=0.02)
    assert row["target"] == pytest.approx(900 / whole, abs=0.03)
    assert row["n_seeds"] == 3 and row["auc_most"] - row["auc_least"] == pytest.approx(0.12, abs=0.01)


def test_order_and_figure():
    rows = pd.DataFrame({"features": [f"set {i}" for i in range(5)] + ["set 0, 16 dimensions"], "n": 9})
    for i, key in enumerate(quality.CANDIDATES):
        rows[key] = np.linspace(0, 1, 6) * (-1) ** i
    rows.loc[5, "copies"] = np.nan
    rows["auc_removal"] = [0.1, 0.3, 0.2, 0.4, 0.6, 0.5]
    rows["auc_removal_low"], rows["auc_removal_high"] = rows["auc_removal"] - 0.1, rows["auc_removal"] + 0.1
    correlations = quality.order(rows)
    assert np.sign(correlations["ours"]).tolist() == [1, -1, 1, -1, 1] and correlations["n"].tolist() == [6, 5, 6, 6, 6]
    assert correlations["ours"][0] == pytest.approx(1 - 6 * 4 / 210)
    assert correlations["low"][0] < correlations["ours"][0] < correlations["high"][0]
    drawn = quality.figure(rows, correlations, REMOVAL, "title")
    assert drawn.axes[0].get_ylabel() == "AUC, removal" and len(drawn.axes) == 5
