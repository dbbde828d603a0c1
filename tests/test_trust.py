"""Numbers against plain implementations of their definition, on random and on adversarial input.

What other tests compare already is not repeated: exemplar SVMs with LinearSVC (test_esvm), LDS with dattri (test_lds),
TRAK with traker and dattri (test_ensembles), campaigns in any number of processes and in any order (test_driver).
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import binomtest, norm, rankdata
from sklearn.linear_model import Lasso
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC
from test_driver import make_tiny

from lib import distances, esvm, nets, retrain
from lib.data import Dataset, Images
from lib.features import Features, knn_accuracy
from lib.lds import lds
from lib.report import stats
from lib.rivals import datamodels
from lib.rivals.trak import inner_products


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def of_sizes(sizes: list[int | None]) -> pd.DataFrame:
    rows = [{"kind": "removal", "method": "m", "target": i, "size": size} for i, size in enumerate(sizes)]
    return pd.DataFrame(rows).assign(reason="found", trainings=1).astype({"size": "Int64"})


FEATURES = {
    "random": rng().normal(size=(60, 5)),
    "whole numbers, many ties": rng().integers(0, 3, (60, 5)).astype(float),
    "a constant column": np.hstack([rng().normal(size=(60, 4)), np.ones((60, 1))]),
    "one row, sixty times": np.repeat(rng().normal(size=(1, 5)), 60, axis=0),
    "two points": np.repeat([[1.0, 0, 0, 0, 0], [0, 0, 0, 0, 1.0]], 30, axis=0),
    "one row": rng().normal(size=(1, 5)),
    "more columns than rows": rng().normal(size=(4, 50)),
    "far from the origin": 1e3 + rng().normal(size=(60, 5)),
}


@pytest.mark.parametrize("name", FEATURES)
def test_exemplar_svm_is_linear_svc_at_a_tight_tolerance(name):
    negatives = FEATURES[name] / (1e3 if name == "far from the origin" else 1)
    targets = np.vstack([negatives[:1], negatives[:1] + rng(1).normal(size=negatives[:1].shape)])
    for target, values in zip(targets, esvm.decision_values(targets, negatives), strict=True):
        svm = LinearSVC(C=esvm.C, tol=1e-10, max_iter=200_000, class_weight="balanced", random_state=0)
        svm.fit(np.vstack([target, negatives]), np.arange(len(negatives) + 1) == 0)
        np.testing.assert_allclose(values, svm.decision_function(negatives), atol=1e-5)


@pytest.mark.parametrize("name", FEATURES)
@pytest.mark.parametrize("distance", ["l2", "cosine", "esvm"])
def test_scores_do_not_depend_on_the_order_or_number_of_targets(name, distance):
    train, targets = FEATURES[name].astype(np.float32), FEATURES["random"][:7].astype(np.float32)
    targets = np.resize(targets, (7, train.shape[1]))
    labels = np.zeros(7, int), np.zeros(len(train), int)
    together = distances.scores(distances.DISTANCES[distance], targets, train, *labels)
    for order in ([3], [6, 5, 4, 3, 2, 1, 0], [2, 2, 0]):
        part = distances.scores(distances.DISTANCES[distance], targets[order], train, labels[0][order], labels[1])
        np.testing.assert_allclose(part, together[order], rtol=1e-4, atol=1e-5)
        ranked = distances.ranking(together, min(5, len(train)))[order]
        np.testing.assert_array_equal(
            np.take_along_axis(together[order], ranked, 1), -np.sort(-together[order], 1)[:, : ranked.shape[1]]
        )


@pytest.mark.parametrize("name", ["random", "whole numbers, many ties", "two points"])
@pytest.mark.parametrize("k", [1, 5, 20])
def test_knn_is_scikit_learns(name, k):
    train, labels = FEATURES[name].astype(np.float32), np.arange(60) % 3
    if name != "random":  # which of several equally near ones votes is anybody's choice, unless all have one class
        labels = rankdata(train @ np.arange(1.0, 6), "dense").astype(int) % 3
        train = train + 1e-3 * rng(2).normal(size=train.shape).astype(np.float32)
    test = train[::4] + 0.1 * rng(1).normal(size=train[::4].shape).astype(np.float32)
    images = np.zeros((60, 1, 2, 2), np.uint8)
    dataset = Dataset("points", images, labels, images[: len(test)], labels[::4], ("a", "b", "c"))
    weights = lambda distance: np.exp((1 - distance) / 0.1)  # noqa: E731
    theirs = KNeighborsClassifier(k, weights=weights, metric="cosine").fit(train, labels).score(test, labels[::4])
    assert knn_accuracy(Features(train, test), dataset, k) == pytest.approx(theirs)


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """From its definition: Pearson's correlation of mean ranks."""
    ranks = [np.array([(np.sum(x < v) + np.sum(x <= v) + 1) / 2 for v in x]) for x in (first, second)]
    first, second = (r - r.mean() for r in ranks)
    norms = np.sqrt((first @ first) * (second @ second))
    return float(first @ second / norms) if norms else np.nan


MASKS = {
    "random": rng().random((40, 20)) < 0.5,
    "each twice": np.repeat(rng().random((20, 20)) < 0.5, 2, axis=0),
    "three models": rng().random((3, 20)) < 0.5,
    "all alike": np.ones((40, 20), bool),
    "one image": rng().random((40, 20)) < 0.05,
}


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("margins", ["random", "ties", "constant", "two values"])
def test_lds_from_its_definition(name, margins):
    masks, scores = (
        MASKS[name],
        np.vstack([rng(1).normal(size=(2, 20)), np.ones((1, 20)), np.zeros((1, 20))]).astype(np.float32),
    )
    n = len(masks)
    observed = {"random": rng(2).normal(size=n), "ties": rng(2).integers(0, 4, n).astype(float)}
    observed |= {"constant": np.ones(n), "two values": (np.arange(n) == 0).astype(float)}
    expected = [spearman(masks @ of_target.astype(np.float64), observed[margins]) for of_target in scores]
    np.testing.assert_allclose(lds(scores, masks, np.tile(observed[margins][:, None], 4)), expected, atol=1e-9)


@pytest.mark.parametrize("sizes", [[1] * 7, [None] * 5, [64, None, 64, 1], rng().integers(1, 65, 50).tolist(), [64]])
def test_auc_is_the_sum_under_the_steps(sizes):
    flipped = [sum(size is not None and size <= k for size in sizes) / len(sizes) for k in range(64)]
    assert stats.area(of_sizes(sizes), 64).mean() == pytest.approx(sum(flipped) / 64)


@pytest.mark.parametrize(
    "values", [rng().normal(size=49), rng().exponential(size=30), rng().integers(0, 2, 25), [0, 0, 0, 5]]
)
def test_bca_is_efrons_formula(values):
    """Written from Efron 1987; two sets of resamples agree to a tenth of the interval's width."""
    values, draws = np.asarray(values, float), rng(3)
    means = values[draws.integers(0, len(values), (20_000, len(values)))].mean(axis=1)
    below = (np.sum(means < values.mean()) + np.sum(means <= values.mean())) / 2 / len(means)
    leaving_one_out = (values.sum() - values) / (len(values) - 1)
    off = leaving_one_out.mean() - leaving_one_out
    bias, skewness = norm.ppf(below), np.sum(off**3) / (6 * np.sum(off**2) ** 1.5)
    shares = [norm.cdf(bias + (bias + z) / (1 - skewness * (bias + z))) for z in norm.ppf([0.025, 0.975])]
    expected = np.quantile(means, shares)
    np.testing.assert_allclose(stats.mean_interval(values, "BCa"), expected, atol=np.ptp(expected) / 10)


@pytest.mark.parametrize(("count", "n"), [(0, 5), (5, 5), (1, 1), (0, 1), (17, 49), (1, 100)])
def test_intervals_of_shares_are_scipys_exact_ones(count, n):
    expected = binomtest(count, n).proportion_ci(0.95, "exact")
    np.testing.assert_allclose(stats.share_interval(np.arange(n) < count), [expected.low, expected.high], atol=1e-9)


@pytest.mark.parametrize("damping", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("name", ["random", "whole numbers, many ties", "far from the origin"])
def test_trak_is_its_formula(name, damping):
    """x' (Φ'Φ + λ I)⁻¹ φ in double precision, up to a factor: traker divides the inverse by its mean absolute entry."""
    phi, x = FEATURES[name] / np.abs(FEATURES[name]).max(), rng(1).normal(size=(3, 5))
    inverse = np.linalg.inv(phi.T @ phi + damping * np.sum(phi**2) / phi.shape[1] * np.eye(5))
    expected = x @ inverse @ phi.T / np.abs(inverse).mean()
    ours = inner_products(torch.tensor(phi, dtype=torch.float32), torch.tensor(x, dtype=torch.float32), damping)
    hard = name == "far from the origin" and damping == 0  # conditions of 1e6 in single precision
    assert np.abs(ours - expected).max() < (0.5 if hard else 1e-4) * np.abs(expected).max()


@pytest.mark.parametrize("name", ["random", "each twice", "one image"])
def test_datamodels_are_a_lasso_of_scikit_learn_at_the_penalty_that_held_out_models_choose(name):
    masks = np.concatenate([MASKS[name]] * 3)
    margins = masks @ np.where(np.arange(20) < 4, 2.0, 0) + rng(1).normal(size=len(masks))
    n = len(masks) - len(masks) // 10
    x, y = masks[:n] - masks[:n].mean(axis=0), margins[:n] - margins[:n].mean()
    penalties, errors = datamodels.PENALTIES * np.abs(x.T @ y).max() / n, []
    for penalty in penalties:
        fitted = Lasso(penalty, tol=1e-8, max_iter=100_000).fit(masks[:n].astype(float), margins[:n])
        errors.append(np.mean((fitted.predict(masks[n:].astype(float)) - margins[n:]) ** 2))
    best = Lasso(penalties[np.argmin(errors)], tol=1e-8, max_iter=100_000).fit(masks.astype(float), margins)
    np.testing.assert_allclose(datamodels.lasso(masks, margins), best.coef_, atol=2e-2)


def test_votes_in_double_precision_are_those_in_single_within_the_noise_of_seeds(monkeypatch):
    tiny, recipe = make_tiny()
    recipe = replace(recipe, epochs=2)
    retrainings = [retrain.Retraining(recipe, seed, tuple(range(k))) for seed in (0, 1) for k in (0, 32)]
    single = np.array([retrain.margins(retrain.retrain(tiny, one).logits, tiny.test_labels) for one in retrainings])
    build, normalised = nets.build, Images.normalised
    monkeypatch.setattr(retrain.nets, "build", lambda *args: build(*args).double())
    monkeypatch.setattr(Images, "normalised", lambda images, batch: normalised(images, batch).double())
    double = np.array([retrain.margins(retrain.retrain(tiny, one).logits, tiny.test_labels) for one in retrainings])
    between_seeds = np.abs(single[:2] - single[2:])
    assert 0 < np.abs(single - double).mean() < between_seeds.mean()
    assert ((single > 0) != (double > 0)).mean() <= ((single[:2] > 0) != (single[2:] > 0)).mean()
