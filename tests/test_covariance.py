"""Distances in closed form against SciPy, scikit-learn and their formulas, one target at a time."""

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import Ridge
from sklearn.utils.class_weight import compute_sample_weight

from lib.rivals import covariance

SHAPES = pytest.mark.parametrize(("n", "d"), [(4, 9), (40, 100), (300, 20)])


def features(n: int, d: int, seed: int = 0) -> np.ndarray:
    """Correlated, far from the origin, and of other size in each direction."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3)) @ np.random.default_rng(9).normal(size=(3, d)) + rng.normal(size=(n, d))
    return (x + 2) * np.linspace(0.1, 3, d)


@SHAPES
def test_mahalanobis_is_scipys(n, d):
    targets, train = features(3, d, seed=1), features(n, d)
    inverse = np.linalg.inv(LedoitWolf().fit(train).covariance_)
    expected = [[-mahalanobis(target, image, inverse) for image in train] for target in targets]
    np.testing.assert_allclose(covariance.mahalanobis(targets, train), expected, rtol=1e-8)


@SHAPES
def test_lda_is_its_formula(n, d):
    targets, train = features(3, d, seed=1), features(n, d)
    spread = LedoitWolf().fit(train).covariance_
    for target, values in zip(targets, covariance.lda(targets, train), strict=True):
        w = np.linalg.solve(spread, target - train.mean(axis=0))
        np.testing.assert_allclose(values, train @ w, rtol=1e-8, atol=1e-8)


@SHAPES
def test_ridge_is_scikit_learns_of_each_target(n, d):
    """The exemplar SVM's objective, C Σ loss² + |v|² / 2, as Ridge writes it: Σ loss² + |v|² / (2 C)."""
    targets, train = features(3, d, seed=1), features(n, d)
    y = np.append(1, -np.ones(n))
    for target, values in zip(targets, covariance.ridge(targets, train), strict=True):
        z = np.hstack([np.vstack([target, train]), np.ones((n + 1, 1))])
        model = Ridge(alpha=1 / (2 * 0.1), fit_intercept=False).fit(z, y, compute_sample_weight("balanced", y))
        np.testing.assert_allclose(values, model.predict(z[1:]), atol=1e-8)


@pytest.mark.parametrize("distance", [covariance.mahalanobis, covariance.lda])
def test_a_direction_in_which_the_training_images_spread_counts_less(distance):
    """Two images equally far from the target: one where they spread, one where they do not."""
    cloud = np.random.default_rng(0).normal(size=(500, 2)) * [10, 1]
    train = np.vstack([cloud, [[5, 4], [1, 8]]])
    along, across = distance(np.array([[5.0, 8.0]]), train)[0, -2:]
    assert np.isclose(*np.linalg.norm(train[-2:] - [5, 8], axis=1))
    assert across > along


def test_directions_in_which_no_training_image_differs_do_not_count():
    """Two images vary along one line, and shrinkage adds no other: only the target's place along it is compared."""
    train, targets = np.array([[0.0, 0.0], [2.0, 0.0]]), np.array([[0.5, 0.0], [0.5, 99.0]])
    for distance in (covariance.mahalanobis, covariance.lda):
        on, off = distance(targets, train)
        np.testing.assert_allclose(on, off)
        assert on[0] > on[1]


@pytest.mark.parametrize("distance", [covariance.mahalanobis, covariance.lda])
def test_one_image_has_no_covariance(distance):
    with pytest.raises(ValueError, match="1 training image has no covariance; compare with two or more"):
        distance(features(2, 4), features(1, 4))
