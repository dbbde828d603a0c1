"""Datamodels and empirical influence on models whose answer is known: margins that are linear in what was seen."""

from dataclasses import replace

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
    masks, margins, true = linear
    for expected, of_target in zip(true, margins.T, strict=True):
        weights = datamodels.lasso(masks, of_target)
        np.testing.assert_allclose(weights, expected, atol=0.25)
        np.testing.assert_array_equal(np.argsort(weights)[[0, -1]], np.argsort(expected)[[0, -1]])


def test_empirical_influence_is_the_difference_of_means(linear):
    masks, margins, weights = linear
    influence = datamodels.empirical_influence(masks, margins)
    assert influence[1, 7] == pytest.approx(margins[masks[:, 7], 1].mean() - margins[~masks[:, 7], 1].mean())
    np.testing.assert_array_equal(influence.argmax(axis=1), weights.argmax(axis=1))


def test_images_that_all_or_no_models_saw_have_no_undefined_influence():
    masks = np.array([[True, False, True], [True, False, False]])
    assert np.isfinite(datamodels.empirical_influence(masks, np.array([[1.0], [2.0]]))).all()


def test_scores_order_what_the_lasso_leaves_at_zero_by_influence(linear):
    masks, margins, _ = linear
    zero = np.stack([datamodels.lasso(masks, of_target) for of_target in margins.T]) == 0
    assert (zero.sum(axis=1) > 10).all()
    scores, influence = datamodels.datamodels(masks, margins), datamodels.empirical_influence(masks, margins)
    for row, at, of_target in zip(scores, zero, influence, strict=True):
        np.testing.assert_array_equal(np.argsort(row[at]), np.argsort(of_target[at]))
        assert np.abs(row[at]).max() < np.abs(row[~at]).min()


def test_the_first_models_are_read_for_each_size(tiny, linear):
    masks, margins, _ = linear
    dataset = replace(tiny, train_images=tiny.train_images[:60], train_labels=np.arange(60) % 3)
    observed = masks, np.hstack([margins, margins])

    def observe(n):
        asked.append(n)
        return observed

    asked = []
    scored = rivals.from_subsets("empirical_influence", dataset, [4, 0], (50, 300), observe)
    assert asked == [300] and list(scored) == [50, 300] and scored[300].seconds > 0
    for size in (50, 300):
        expected = datamodels.empirical_influence(masks[:size], margins[:size, [1, 0]])
        np.testing.assert_array_equal(scored[size].scores, expected.astype(np.float32))
    with pytest.raises(ValueError, match=r"sizes=\(20, 401\) exceed the 400 models on random subsets; lower them"):
        rivals.from_subsets("datamodels", dataset, [0], (20, 401), observe)


def test_too_few_models_are_refused_before_any_is_trained(tiny):
    with pytest.raises(ValueError, match=r"sizes=\(9,\): datamodels needs whole numbers of models, at least 10"):
        rivals.from_subsets("datamodels", tiny, [0], (9,), lambda n: pytest.fail("it trained"))


def test_what_looks_into_networks_is_not_read_from_subsets(tiny, quick):
    with pytest.raises(ValueError, match="trak is trained on halves; use from_networks"):
        rivals.from_subsets("trak", tiny, [0], (10,), lambda n: pytest.fail("it trained"))
    with pytest.raises(ValueError, match="datamodels is trained on subsets; use from_subsets"):
        rivals.from_networks("datamodels", tiny, quick, [0], (10,))


@pytest.fixture
def published(tiny, tmp_path):
    """Masks and margins of 12 models of others on `tiny`; Datamodels of all its test images, and their file."""
    rng = np.random.default_rng(0)
    masks, weights = rng.random((12, 120)) < 0.5, rng.normal(size=(120, 30)) * (rng.random((120, 30)) < 0.1)
    torch.save({"weight": torch.tensor(weights), "bias": torch.zeros(30), "lam": torch.zeros(30)}, tmp_path / "w.pt")
    return masks, masks @ weights, weights, tmp_path / "w.pt"


def test_published_weights_are_the_scores_and_their_zeros_are_ordered(tiny, published):
    masks, margins, expected, path = published
    weights = datamodels.published_weights(path, tiny)[:, [3, 12]].T
    scored = rivals.from_subsets("datamodels", tiny, [3, 12], (12,), lambda n: (masks, margins), weights=weights)
    for row, of_target in zip(scored[12].scores, expected[:, [3, 12]].T, strict=True):
        large = of_target != 0
        np.testing.assert_allclose(row[large], of_target[large], rtol=0.01)
        assert np.unique(row[~large]).size > 20 and np.abs(row[~large]).max() < np.abs(of_target[large]).min()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"weight": torch.zeros(3, 4)}, r"w.pt has weights \(3, 4\); tiny has \(120, 30\)"),
        ([1], "w.pt holds no Datamodels"),
    ],
)
def test_published_weights_that_do_not_fit(tiny, published, content, message):
    path = published[-1]
    torch.save(content, path)
    with pytest.raises(ValueError, match=message):
        datamodels.published_weights(path, tiny)


def test_many_masks_are_taken_in_parts(linear, monkeypatch):
    masks, margins, _ = linear
    whole = datamodels.empirical_influence(masks, margins)
    monkeypatch.setattr(datamodels, "CHUNK", 70)
    np.testing.assert_allclose(datamodels.empirical_influence(masks, margins), whole)
