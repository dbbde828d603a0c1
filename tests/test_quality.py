"""The chapter on what features must have: its measures against plain ones, and its tables on sets of known quality."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lib import profiles
from lib.chapters import featuresets, quality
from lib.features import Features
from lib.study import REMOVAL, Study


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    smoke = profiles.load("smoke", k_max=8, budget=1, moco_epochs=3)
    return Study(smoke, "cpu", n_jobs=1, results=tmp_path_factory.mktemp("results"))


def test_reduction_keeps_the_largest_variances():
    rng = np.random.default_rng(0)
    train, test = (rng.normal(size=(n, 5)).astype(np.float32) * [9, 1, 5, 1, 3] for n in (400, 7))
    few = featuresets.reduced(Features(train, test), 3)
    assert few.train.shape == (400, 3) and few.test.shape == (7, 3)
    left = np.linalg.svd(train - train.mean(axis=0), compute_uv=False)
    assert np.allclose(np.linalg.norm(few.train, axis=0), left[:3], rtol=1e-4)
    assert np.allclose(featuresets.reduced(Features(train, test), 9).train.std(axis=0).sum(), few_all(train), rtol=1e-4)


def few_all(train: np.ndarray) -> float:
    return np.sqrt(np.linalg.eigvalsh(np.cov(train.T, ddof=0))).sum()


def test_effective_dimensions():
    rng = np.random.default_rng(1)
    assert featuresets.effective_dimensions(rng.normal(size=(20_000, 6))) == pytest.approx(6, rel=0.01)
    line = rng.normal(size=(500, 1)) * np.ones(6)
    assert featuresets.effective_dimensions(line) == pytest.approx(1)


def test_copies_named():
    images, labels = np.eye(4), np.array([0, 0, 1, 1])
    assert featuresets.copies_named(images, images, labels) == 1
    assert featuresets.copies_named(images, images[[1, 0, 2, 3]], labels) == 0.5
    assert featuresets.copies_named(images, images[[2, 1, 0, 3]], np.array([0, 1, 2, 3])) == 1  # alone in their class


def test_a_copy_is_moved_and_paler(tiny):
    both = featuresets.copied(tiny)
    n, one = len(tiny.test_labels), tiny.test_images[3, 0].astype(float)
    assert len(both.test_images) == 2 * n and (both.test_images[:n] == tiny.test_images).all()
    copy = both.test_images[n + 3, 0].astype(float)
    assert copy[5, 7] == pytest.approx(one.mean() + 0.7 * (one[3, 9] - one.mean()), abs=0.51)


def test_sets_rankings_and_tables(study, monkeypatch):
    few = replace(featuresets.GREY, epochs=(2,), stored=("moco",))
    monkeypatch.setattr(featuresets, "GREY", few)
    sets = featuresets.all_sets(study, pretrained=False)
    names = ["MoCo, 2 epochs", "MoCo, 2 epochs, 16 dimensions", "MoCo"]
    assert set(names) < set(sets) and "MoCo, 16 dimensions" not in sets
    assert np.isnan(sets["MoCo"]["copies"]) and sets["raw pixels"]["copies"] > 2 / 20
    ours = study.attribution.ranking("moco_esvm")
    rankings = featuresets.rankings(study, sets)
    assert np.array_equal(rankings["MoCo"], ours)
    few = {name: rankings[name] for name in names}
    supports = replace(study, given=few).supports([(REMOVAL, name) for name in few], united=True)
    rows = quality.table(study, {name: sets[name] for name in few}, supports)
    assert rows["features"].tolist() == list(few) and rows["auc_removal"].between(0, 1).all()
    assert rows["trak"].between(-1, 1).all() and (rows["n"] <= 5).all()


def test_agreement(study):
    scores = study.attribution.scores("pixels_l2")
    assert featuresets.agreement(study, scores, scores) == pytest.approx(1)
    assert featuresets.agreement(study, scores, -scores) == pytest.approx(-1)


def test_order_and_figure():
    rng, n = np.random.default_rng(0), 20
    rows = pd.DataFrame({"features": [*(f"set {i}" for i in range(n - 1)), "set 0, 16 dimensions"], "n": 9})
    rows["auc_removal"] = rng.random(n)
    for i, key in enumerate(quality.CANDIDATES):
        rows[key] = (-1) ** i * (rows["auc_removal"] + rng.normal(0, 0.2, n))
    rows.loc[n - 1, "copies"] = np.nan
    rows["auc_removal_low"], rows["auc_removal_high"] = rows["auc_removal"] - 0.1, rows["auc_removal"] + 0.1
    correlations = quality.order(rows)
    of_all = correlations[correlations["sets"] == quality.ALL]
    assert np.sign(of_all["ours"]).tolist() == [1, -1, 1, -1, 1]
    assert of_all["n"].tolist() == [n, n - 1, n, n, n] and (of_all["low"] < of_all["high"]).all()
    drawn = quality.figure(rows, correlations, REMOVAL, "title")
    assert drawn.get_supylabel() == "AUC, removal" and len(drawn.axes) == 6


def test_mocos_of_other_trainings_are_set_against_the_books():
    """Of MoCo's sets those that are not reduced; the one of more epochs is .1 ahead."""
    sizes = {"MoCo": 30, "MoCo, 2 epochs": 40, "MoCo, 2 epochs, 16 dimensions": 1, "MoCo of all": 20, "supervised": 1}
    of = {"kind": REMOVAL, "reason": "", "target": range(9)}
    supports = pd.concat(pd.DataFrame(of | {"method": name, "size": size}) for name, size in sizes.items())
    rows = quality.against_moco(supports.astype({"size": "Int64"}), 100)
    assert rows["worse"].tolist() == ["MoCo, 2 epochs", "MoCo of all"]
    assert np.allclose(rows["difference"], [0.1, -0.1])


def test_ones_own_features_among_the_sets(study, monkeypatch, tmp_path):
    """The same pixels, as a reader gives them, have the numbers of the book's."""
    pixels = study.attribution.features("pixels")
    mine = replace(study, given={"mine": study.attribution.ranking("pixels_esvm")})
    supports = mine.supports([(REMOVAL, "mine")], united=True)
    sets = {"raw pixels": featuresets.measured(study, study.profile.features("pixels"))["whole"]}
    rows = quality.table(study, sets, supports.replace("mine", "raw pixels"))
    monkeypatch.setattr(quality.committed, "RESULTS", tmp_path)
    stored = quality.committed.folder(study.profile, "quality")
    stored.mkdir(parents=True)
    for name, table in (("rows", rows), ("correlations", quality.order(rows))):
        table.to_csv(stored / f"{name}.csv", index=False)
    own, figure = quality.placed(study, "mine", pixels, supports)
    kept = rows.columns.drop(["features", "copies"])
    pd.testing.assert_frame_equal(own[kept], rows[kept], rtol=1e-6)
    assert own["features"].tolist() == ["mine"] and "mine (star)" in figure.get_suptitle()
    (stored / "rows.csv").unlink()
    with pytest.raises(FileNotFoundError):
        quality.placed(study, "mine", pixels, supports)


def test_features_of_all_images_are_those_of_the_same_images(study, monkeypatch):
    """A profile of fewer images takes their rows from the features of the larger one."""
    monkeypatch.setattr(featuresets, "PROFILES", {featuresets.ALL_IMAGES: study.profile})
    few = replace(study, profile=replace(study.profile, train_per_class=30, test_per_class=3))
    vectors, larger = featuresets.of_all_images(few), study.attribution.features("moco")
    for split in ("train", "test"):
        images, every = getattr(few.dataset, f"{split}_images"), getattr(study.dataset, f"{split}_images")
        same = (images[:, None] == every).all(axis=(2, 3, 4)).argmax(axis=1)
        assert np.array_equal(getattr(vectors, split), getattr(larger, split)[same]) and len(images) == len(same)
