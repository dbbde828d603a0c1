"""Two ways of training compared: what one has beyond the other is found, and the same twice is told to be the same."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from lib.chapters import modeldiff, transformed
from lib.lds import rank_correlation
from lib.retrain import Outcome


@pytest.fixture
def study(tiny, quick) -> SimpleNamespace:
    """Of a tiny dataset, with another network; nothing is kept."""
    attribution = SimpleNamespace(kept=lambda name, identity, n, make, made_up: make())
    recipe = replace(quick, width=4, epochs=4, peak_lr=0.1)
    profile = SimpleNamespace(recipe=recipe, ensembles=(1,), trak={"projection_dim": 16})
    profile.transfer = (replace(recipe, width=3),)
    return SimpleNamespace(dataset=tiny, profile=profile, driver=SimpleNamespace(device="cpu"), attribution=attribution)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_the_direction_that_one_algorithm_has_beyond_the_other_is_found():
    rng = np.random.default_rng(0)
    shared, direction, along = rng.normal(size=(60, 200)), rng.normal(size=200), np.abs(rng.normal(size=60))
    along[7] = 9
    one, other = unit(shared + along[:, None] * direction), unit(shared)
    of = modeldiff.distinguishing(one, other)
    assert of["cosine"] == pytest.approx((one * other).sum(axis=1), abs=1e-6)
    assert rank_correlation(of["components"][0], direction) > 0.95  # positive where the image farthest along it lies
    assert of["projections"][:, 0].argmax() == np.abs(of["projections"][:, 0]).argmax()
    assert of["residual"][0] > 10 * of["residual"][1]
    assert np.linalg.norm(of["components"], axis=1) == pytest.approx(1, abs=1e-5)


def test_noise_is_allowed_for_in_the_cosine():
    """The same vectors with new noise are alike, and others are as far apart as they are without noise."""
    rng = np.random.default_rng(0)
    truth, other = rng.normal(size=(2, 300, 400))
    other = 0.6 * truth + 0.8 * other

    def seen(vectors: np.ndarray) -> np.ndarray:
        return unit(vectors + rng.normal(size=vectors.shape))

    def cosine(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return (seen(one) * seen(other)).sum(axis=1)

    own = cosine(truth, truth), cosine(other, other)
    assert own[0].mean() == pytest.approx(0.5, abs=0.02)
    assert modeldiff.corrected(cosine(truth, truth), *own) == pytest.approx(1, abs=0.02)
    assert modeldiff.corrected(cosine(truth, other), *own) == pytest.approx(0.6, abs=0.02)


def test_either_group_has_networks_of_its_own(study):
    one, again, second = (modeldiff.attributions(study, modeldiff.PLAIN, group) for group in (0, 0, 1))
    assert one.shape == (30, 120) and one.dtype == np.float32 and (one == again).all() and (one != second).any()
    assert np.linalg.norm(one, axis=1) == pytest.approx(1, abs=1e-5)


def test_an_algorithm_is_augmented_or_not_and_nothing_else(study):
    recipes = modeldiff.algorithms(study)
    plain, augmented = recipes[modeldiff.PLAIN], recipes[modeldiff.AUGMENTED]
    assert (plain.flip, plain.translate, plain.cutout) == (False, 0, 0)
    assert replace(augmented, flip=False, translate=0, cutout=0) == plain and augmented.cutout == 8
    assert recipes[modeldiff.OTHER].width == 3 and len(modeldiff.pairs(list(recipes))) == 7
    study.profile.transfer = ()
    assert list(modeldiff.algorithms(study)) == [modeldiff.PLAIN, modeldiff.AUGMENTED]


def test_the_page_of_a_tiny_study(study, monkeypatch):
    monkeypatch.setattr(modeldiff.stats, "RESAMPLES", 50)
    answers = np.random.default_rng(0).normal(size=(30 * (1 + len(transformed.CHANGES)), 3)).astype(np.float32)
    monkeypatch.setattr(transformed, "retrain", lambda dataset, training, device: Outcome(answers, 0.5, 0.0))
    monkeypatch.setattr(modeldiff, "attributions", lambda study, name, group: random_rows(name, group))
    tables, sprites = modeldiff.measured(study)
    assert len(tables["cosines"]) == 5 and len(tables["components"]) == 14 and len(tables["classes"]) == 4
    assert tables["components"]["gap"].isna().sum() == 6 and (tables["effects"]["accuracy"] == 0).all()
    assert [sprite.shape for sprite in sprites] == [(6 * 24, 10 * 24, 1)] * 2
    assert modeldiff.figure(tables, sprites, "title").get_suptitle() == "title"
    said = modeldiff.finding(tables)
    assert "is augmented " in said and "(n = 30 test images; intervals are over these" in said
    assert "without: " in modeldiff.repeated(tables["components"])


def random_rows(name: str, group: int) -> np.ndarray:
    return unit(np.random.default_rng([len(name), group]).normal(size=(30, 120)) + 1)


def test_what_is_lost_is_paired_by_seed():
    of = {
        "a accuracy": np.array([[0.9, 0.5], [0.8, 0.4], [0.1, 0.1]]),
        "b accuracy": np.array([[0.7, 0.6], [0.6, 0.5]]),
    }
    of |= {key.replace("accuracy", "margin"): 2 * value for key, value in of.items()}
    rows = transformed.effects(
        {key: np.repeat(x, [1, len(transformed.CHANGES)], axis=1) for key, x in of.items()}, ["a", "b"]
    )
    assert rows["images"].tolist() == list(transformed.CHANGES) and (rows["n"] == 2).all()
    assert np.allclose(rows["one as it is"], 0.85) and np.allclose(rows["other as it is"], 0.65)
    assert "a 0.850, b 0.650." in transformed.undisturbed(rows)
    assert np.allclose(rows["change of one"], -0.4) and np.allclose(rows["change of other"], -0.1)
    assert np.allclose(rows["accuracy"], 0.3) and np.allclose(rows["margin"], 0.6)
    rows["accuracy_low"], rows["accuracy_high"] = [0.1, 0.1, -0.1, -0.1, -0.2], [0.2, 0.2, 0.1, 0.1, -0.1]
    assert transformed.guess(rows.assign(accuracy=-0.15)) == "is contradicted (-0.150 [-0.200, -0.100])"
    assert transformed.verdict(rows) == (
        "By 5 intervals, not corrected for their number: b loses less than a when mirrored, shifted by 2; loses more "
        "than a when blurred; "
        "cannot be told from a when shifted by 4, grey square (n = 2 trainings)."
    )


def test_images_are_changed_as_they_say(tiny):
    images, side = tiny.test_images[:4], transformed.SQUARE
    assert (transformed.CHANGES["shifted by 4"](images)[:, :, 4:, 4:] == images[:, :, :-4, :-4]).all()
    blurred = transformed.CHANGES["blurred"](images)
    assert abs(int(blurred[0, 0, 5, 5]) - images[0, 0, 4:7, 4:7].mean()) <= 1
    assert (transformed.CHANGES["mirrored"](images) == images[:, :, :, ::-1]).all()
    square = transformed.CHANGES["grey square"](images)
    grey = square == images.mean().round()
    assert ((square != images) <= grey).all() and square.dtype == np.uint8
    assert all(side**2 - 10 < n <= side**2 for n in (square != images).sum(axis=(1, 2, 3)))
