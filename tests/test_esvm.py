"""Exemplar SVMs solved together, against scikit-learn's LinearSVC with the authors' settings, one fit a target."""

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from lib import esvm
from lib.engine import svm


def reference(target: np.ndarray, negatives: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The authors' call: decision values (n,) and v = (weights, intercept)."""
    svm = LinearSVC(C=0.1, tol=1e-6, max_iter=10_000, class_weight="balanced", random_state=0)
    svm.fit(np.vstack([target, negatives]), np.arange(1 + len(negatives)) == 0)
    return svm.decision_function(negatives), np.append(svm.coef_[0], svm.intercept_[0])


def objective(v: np.ndarray, target: np.ndarray, negatives: np.ndarray) -> float:
    """What both minimise, written down once more from the definition."""
    n = len(negatives)
    loss = max(0, 1 - (target @ v[:-1] + v[-1])) ** 2 * 0.1 * (n + 1) / 2
    losses = np.maximum(0, 1 + negatives @ v[:-1] + v[-1]) ** 2 * 0.1 * (n + 1) / (2 * n)
    return v @ v / 2 + loss + losses.sum()


def solution(values: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """v from the decision values of all negatives, which determine it when they span the space."""
    return np.linalg.lstsq(np.hstack([negatives, np.ones((len(negatives), 1))]), values, rcond=None)[0]


def features(n: int, d: int, seed: int = 0) -> np.ndarray:
    """Positive and correlated, as the features of a network are."""
    rng = np.random.default_rng(seed)
    return np.maximum(0, rng.normal(size=(n, 4)) @ rng.normal(size=(4, d)) + rng.normal(size=(n, d)))


@pytest.mark.parametrize(("n", "d"), [(1, 3), (5, 200), (40, 2), (300, 20), (60, 100), (1500, 64)])
def test_no_worse_than_linear_svc_and_the_same_ranking(n, d):
    targets, negatives = features(5, d, seed=1), features(n, d)
    for target, values in zip(targets, esvm.decision_values(targets, negatives), strict=True):
        expected, v = reference(target, negatives)
        np.testing.assert_allclose(values, expected, atol=1e-4)
        np.testing.assert_array_equal(np.argsort(-values), np.argsort(-expected))
        if n > d + 1:
            ours = objective(solution(values, negatives), target, negatives)
            assert ours <= objective(v, target, negatives) * (1 + 1e-6)


def test_the_solution_is_stationary():
    """At the optimum v = 2 c (its loss) z of the target, minus the same of the negatives."""
    target, negatives = features(1, 30, seed=1), features(400, 30)
    values = esvm.decision_values(target, negatives)[0]
    v = solution(values, negatives)
    c_target, c_negative = svm.weights(len(negatives), esvm.C)
    z_target, z = np.append(target[0], 1), np.hstack([negatives, np.ones((400, 1))])
    gradient = v - 2 * c_target * max(0, 1 - v @ z_target) * z_target + 2 * c_negative * np.maximum(0, 1 + z @ v) @ z
    np.testing.assert_allclose(gradient, 0, atol=1e-8)


def test_together_or_alone_or_in_batches_is_the_same(monkeypatch):
    targets, negatives = features(7, 16, seed=2), features(200, 16)
    together = esvm.decision_values(targets, negatives)
    alone = np.concatenate([esvm.decision_values(target[None], negatives) for target in targets])
    np.testing.assert_allclose(together, alone, atol=1e-12)
    for size in ("BATCH", "ROWS"):
        monkeypatch.setattr(svm, size, 3)
        np.testing.assert_allclose(together, esvm.decision_values(targets, negatives), atol=1e-12)


@pytest.mark.parametrize("found", ["all", "none", "random"])
def test_the_search_only_saves_time(monkeypatch, found):
    targets, negatives = features(4, 16, seed=2), features(300, 16)
    expected = esvm.decision_values(targets, negatives)
    active = np.random.default_rng(0).random((4, 301)) < {"all": 1, "none": 0, "random": 0.5}[found]
    monkeypatch.setattr(svm, "_search", lambda samples, own, c: active)
    np.testing.assert_allclose(esvm.decision_values(targets, negatives), expected, atol=1e-12)


def duplicated():
    return np.repeat(features(20, 8), 10, axis=0)


def normalised():
    """More support vectors than dimensions."""
    x = features(200, 8)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.parametrize(
    "negatives",
    [
        np.ones((50, 8)),
        np.zeros((50, 8)),
        duplicated(),
        features(200, 8) * np.logspace(-6, 2, 8),
        1e-9 * features(90, 8),
        normalised(),
    ],
    ids=["constant", "zero", "duplicated", "ill-conditioned", "tiny", "normalised"],
)
def test_degenerate_features(negatives):
    targets = np.vstack([negatives[:1], features(2, 8, seed=3)])
    values = esvm.decision_values(targets, negatives)
    assert np.isfinite(values).all()
    for target, row in zip(targets, values, strict=True):
        np.testing.assert_allclose(row, reference(target, negatives)[0], atol=1e-3)
    same = (negatives[:, None] == negatives).all(axis=2)
    assert np.ptp(np.where(same[0], values[0], values[0, 0])) < 1e-9


def test_the_duplicate_of_a_target_among_the_negatives_scores_highest():
    negatives = features(100, 200)
    values = esvm.decision_values(negatives[:10], negatives)
    np.testing.assert_array_equal(values.argmax(axis=1), np.arange(10))


def test_a_target_may_have_no_loss():
    """Opposite the negatives and far away, it is on its side whatever its own weight."""
    negatives = features(3, 5)
    values = esvm.decision_values(-10 * negatives, negatives)
    for target, row in zip(-10 * negatives, values, strict=True):
        np.testing.assert_allclose(row, reference(target, negatives)[0], atol=1e-5)
    v = np.linalg.lstsq(np.hstack([negatives, np.ones((3, 1))]), values.T, rcond=None)[0]
    assert (np.einsum("td,dt->t", np.hstack([-10 * negatives, np.ones((3, 1))]), v) > 1).any()


def test_features_too_large_for_double_precision():
    with pytest.raises(ValueError, match="features of norm .* exceed 4.43e.05, the limit of 50 negatives at C=0.1"):
        esvm.decision_values(features(1, 8), 1e6 * features(50, 8))


def test_no_targets():
    assert esvm.decision_values(np.empty((0, 4)), features(6, 4)).shape == (0, 6)
