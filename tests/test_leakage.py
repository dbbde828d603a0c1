"""Near-duplicates: found where they were planted, counted as people judged them, priced by accuracy."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import pairwise_distances

from lib.chapters import leakage, spaces


def test_nearest_compares_every_pair(monkeypatch):
    monkeypatch.setattr(spaces, "CHUNK", 4)
    rng = np.random.default_rng(0)
    test, train = (rng.normal(size=(n, 6)).astype(np.float32) for n in (10, 30))
    train[7] = test[3]
    ids, distances = spaces.nearest(test, train)
    apart = pairwise_distances(test, train)
    assert ids.tolist() == apart.argmin(axis=1).tolist() and ids[3] == 7
    assert distances == pytest.approx(apart.min(axis=1), abs=2e-3)


@pytest.mark.parametrize("name", spaces.NAMES)
def test_every_space_finds_an_exact_copy(name, tiny, quick):
    space = spaces.space(name, tiny, quick)
    train = space(tiny.train_images[:30])
    assert train.dtype == np.float32 and np.isfinite(train).all()
    copies, distances = spaces.nearest(space(tiny.train_images[5:9].copy()), train)
    exact = np.isclose(distances, 0, atol=5e-3)
    assert exact.all() and (copies == np.arange(5, 9)).mean() >= (0.5 if name == "hash" else 1)


def test_copies_are_changed_as_they_say(tiny):
    images = tiny.train_images[:3]
    shifted = spaces.PLANTED["shifted"](images)
    assert (shifted[:, :, 2:, 2:] == images[:, :, :-2, :-2]).all() and shifted.shape == images.shape
    assert (spaces.PLANTED["flipped"](spaces.PLANTED["flipped"](images)) == images).all()
    colour = np.repeat(images, 3, axis=1)
    for original in (images, colour):
        again = spaces.PLANTED["recompressed"](original)
        assert again.shape == original.shape and 0 < np.abs(again.astype(float) - original).mean() < 30
    assert (spaces.pixels(images) == spaces.pixels(spaces.PLANTED["exact"](images))).all()


TWINS = pd.DataFrame({"test_id": [0, 2, 3], "train_id": [9, 8, 7], "judgement": [1, 2, 1]})


def test_recall_by_judgement(monkeypatch):
    monkeypatch.setattr(leakage, "FIRST", (2, 4))
    of = {"distance": np.array([0.2, 0.9, 0.1, 0.3]), "train": np.array([9, 1, 8, 6])}
    place = leakage.ranks(of, TWINS)
    assert place.tolist() == [2, 1, np.inf]  # of the third another image is nearer
    rows = leakage.pairs({"x": place}, TWINS)
    assert rows[["precision", "near-duplicate", "very similar", "either"]].to_numpy().tolist() == [
        [1, 0.5, 1, pytest.approx(2 / 3)],
        [0.5, 0.5, 1, pytest.approx(2 / 3)],
    ]
    curve = leakage.curves({"x": place})
    assert curve["found"].iloc[-1] == pytest.approx(2 / 3) and curve["found_high"].iloc[-1] > 0.9
    assert len(leakage.curves({})) == 0 and "found_low" in leakage.curves({})


def test_worth_is_paired_by_test_image():
    answers = {name: np.ones((2, 10), dtype=bool) for name in ("with", "without", "control")}
    answers["without"][:, 0] = answers["control"][0, 2] = False
    rows = leakage.worth(answers, TWINS).set_index("test images")
    assert rows.loc["with a twin", "n"] == 3 and rows.loc["all", "n"] == 10
    assert rows.loc["with a twin", "with - without"] == pytest.approx(1 / 3)
    assert rows.loc["all", "control - without"] == pytest.approx(0.05)


def test_accuracy_falls_or_rises_as_its_sign_says():
    row = {"with - without": 0.034, "with - without_low": 0.01, "with - without_high": 0.057}
    assert leakage.changed(row) == "falls by 0.034 [0.010, 0.057]"
    assert leakage.changed({key: -value for key, value in row.items()}) == "rises by 0.034 [0.057, 0.010]"


def test_planted_copies_are_found_and_what_it_cost_is_kept(tiny, quick, monkeypatch):
    monkeypatch.setattr(leakage, "N_PLANTED", 10)
    attribution = SimpleNamespace(kept=lambda name, identity, n, make, stand_in: make())
    profile, driver = SimpleNamespace(recipe=quick), SimpleNamespace(device="cpu")
    study = SimpleNamespace(dataset=tiny, profile=profile, driver=driver, attribution=attribution)
    near = {"pixels": leakage.compared(study, tiny, "pixels")}
    rows = leakage.planted(near).set_index("copy")
    assert rows.loc["exact", "nearest"] == rows.loc["exact", "flagged"] == 1
    assert (rows["flagged"] <= rows["nearest"]).all()
    assert rows.loc["exact", "as_near"] == 0 and (rows["n_test"] == len(tiny.test_labels)).all()
    said = leakage.finding({"pairs": rows[:0], "planted": rows.reset_index()}, "Tiny")
    assert said.startswith("**Of 40 copies planted on Tiny") and "finds: pixels 0." in said
    assert near["pixels"]["cost"][2] == 150 * 24 * 24 * 4
