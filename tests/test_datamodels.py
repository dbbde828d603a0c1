"""Datamodels and empirical influence on models whose answer is known: margins that are linear in what was seen."""

import numpy as np
import pytest

from lib import baselines
from lib.baselines import datamodels


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
    scores = baselines.scores("datamodels", *arguments, n_models=12, folder=tmp_path)
    influence = baselines.scores("empirical_influence", *arguments, n_models=12, folder=tmp_path)
    assert scores.shape == influence.shape == (2, 120) and scores.dtype == np.float32
    small = np.abs(scores) <= 2e-3 * np.abs(scores).max()
    for row, at, of_target in zip(scores, small, influence, strict=True):
        if at.sum() > 2:
            assert np.corrcoef(np.argsort(np.argsort(row[at])), np.argsort(np.argsort(of_target[at])))[0, 1] > 0.9


def test_too_few_models_are_refused_before_any_is_trained(tiny, quick, tmp_path):
    with pytest.raises(ValueError, match="n_models=9 must be at least 10: one in 10 chooses the penalty"):
        baselines.scores("datamodels", tiny, quick, [0], n_models=9, folder=tmp_path)
    assert not list(tmp_path.iterdir())
