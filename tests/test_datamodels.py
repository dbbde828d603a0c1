"""Datamodels and empirical influence on models whose answer is known: margins that are linear in what was seen."""

import numpy as np
import pytest
import torch

from lib import rivals
from lib.rivals import datamodels


@pytest.fixture
def linear():
    """masks of 400 models on 60 images, the margins of 3 targets, and the weights (3, 60) that made them."""
    rng = np.random.default_rng(0)
    masks, weights = rng.random((400, 60)) < 0.5, np.zeros((3, 60))
    for row in weights:
        row[rng.permutation(60)[:6]] = [3, 2, 1, -1, -2, -3]
    return masks, masks @ weights.T + 5 + rng.normal(scale=0.5, size=(400, 3)), weights


def test_the_lasso_finds_the_weights(linear):
    masks, margins, weights = linear
    for expected, of_target in zip(weights, margins.T, strict=True):
        found = datamodels.lasso(masks, of_target)
        np.testing.assert_allclose(found, expected, atol=0.25)
        np.testing.assert_array_equal(np.argsort(found)[[0, -1]], np.argsort(expected)[[0, -1]])


def test_empirical_influence_is_the_difference_of_means(linear):
    masks, margins, weights = linear
    influence = datamodels.empirical_influence(masks, margins)
    assert influence[1, 7] == pytest.approx(margins[masks[:, 7], 1].mean() - margins[~masks[:, 7], 1].mean())
    np.testing.assert_array_equal(influence.argmax(axis=1), weights.argmax(axis=1))


def test_images_that_all_or_no_models_saw_have_no_undefined_influence():
    masks = np.array([[True, False, True], [True, False, False]])
    assert np.isfinite(datamodels.empirical_influence(masks, np.array([[1.0], [2.0]]))).all()


def test_scores_order_what_the_lasso_leaves_at_zero_by_influence(tiny, quick, tmp_path):
    arguments = tiny, quick, np.array([0, 12])
    scores = rivals.scores("datamodels", *arguments, n_models=12, folder=tmp_path)
    influence = rivals.scores("empirical_influence", *arguments, n_models=12, folder=tmp_path)
    assert scores.shape == influence.shape == (2, 120) and scores.dtype == np.float32
    small = np.abs(scores) <= 2e-3 * np.abs(scores).max()
    for row, at, of_target in zip(scores, small, influence, strict=True):
        at = at if at.sum() >= 108 else np.ones_like(at)  # 12 models leave 108 weights of 120 at zero, or all
        assert np.corrcoef(np.argsort(np.argsort(row[at])), np.argsort(np.argsort(of_target[at])))[0, 1] > 0.9


def test_too_few_models_are_refused_before_any_is_trained(tiny, quick, tmp_path):
    with pytest.raises(ValueError, match="n_models=9 must be at least 10: one in 10 chooses the penalty"):
        rivals.scores("datamodels", tiny, quick, [0], n_models=9, folder=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def published(tiny, tmp_path):
    """Masks and margins of 12 models of others on `tiny`; Datamodels of all its test images, and their weights."""
    rng = np.random.default_rng(0)
    masks, weights = rng.random((12, 120)) < 0.5, rng.normal(size=(120, 30)) * (rng.random((120, 30)) < 0.1)
    np.save(tmp_path / "masks.npy", masks)
    np.save(tmp_path / "margins.npy", (masks @ weights).astype(np.float16))
    torch.save({"weight": torch.tensor(weights), "bias": torch.zeros(30), "lam": torch.zeros(30)}, tmp_path / "w.pt")
    return {"published": (tmp_path / "masks.npy", tmp_path / "margins.npy")}, tmp_path / "w.pt", weights


def test_published_models_are_read_instead_of_trained(tiny, quick, published, monkeypatch):
    monkeypatch.setattr(datamodels.subsets, "train", None)
    settings, _, _ = published
    masks, margins = (np.load(path) for path in settings["published"])
    found = rivals.scores("empirical_influence", tiny, quick, [3, 12], n_models=10, **settings)
    expected = datamodels.empirical_influence(masks[:10], margins[:10, [3, 12]].astype(float))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert rivals.scores("datamodels", tiny, quick, [3], n_models=12, **settings).shape == (1, 120)
    with pytest.raises(ValueError, match=r"n_models=13 exceeds the 12 of .*masks.npy; lower it"):
        rivals.scores("datamodels", tiny, quick, [3], n_models=13, **settings)


def test_published_weights_are_the_scores_and_their_zeros_are_ordered(tiny, quick, published):
    settings, path, weights = published
    found = rivals.scores("datamodels", tiny, quick, [3, 12], n_models=12, weights=path, **settings)
    for row, expected in zip(found, weights[:, [3, 12]].T, strict=True):
        large = expected != 0
        np.testing.assert_allclose(row[large], expected[large], rtol=0.01)
        assert np.unique(row[~large]).size > 20 and np.abs(row[~large]).max() < np.abs(expected[large]).min()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"weight": torch.zeros(3, 4)}, r"w.pt has weights \(3, 4\); tiny has \(120, 30\)"),
        ([1], "w.pt holds no Datamodels"),
    ],
)
def test_published_weights_that_do_not_fit(tiny, quick, published, content, message):
    settings, path, _ = published
    torch.save(content, path)
    with pytest.raises(ValueError, match=message):
        rivals.scores("datamodels", tiny, quick, [3], n_models=12, weights=path, **settings)


def test_many_masks_are_taken_in_parts(linear, monkeypatch):
    masks, margins, _ = linear
    whole = datamodels.empirical_influence(masks, margins)
    monkeypatch.setattr(datamodels, "CHUNK", 70)
    np.testing.assert_allclose(datamodels.empirical_influence(masks, margins), whole)
