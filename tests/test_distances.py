"""Each distance against an answer known by hand."""

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from lib import distances


def line(n=6):
    """Training features on a line, at angles too, target at the start: similarity falls with the id."""
    t = np.arange(n, dtype=np.float32)
    train = np.stack([1 - t / 10, t / 10], axis=1)
    return np.array([[1.0, 0.0]], np.float32), train, np.array([0]), np.zeros(n, int)


@pytest.mark.parametrize("distance", distances.DISTANCES.values(), ids=distances.DISTANCES)
def test_more_similar_scores_higher(distance):
    scores = distances.scores(distance, *line())
    assert scores.shape == (1, 6) and scores.dtype == np.float32
    np.testing.assert_array_equal(np.argsort(-scores[0]), np.arange(6))


def correlated(n, d, seed=0):
    """Positive and correlated, as the features of a network are."""
    rng = np.random.default_rng(seed)
    return np.maximum(0, rng.normal(size=(n, 4)) @ rng.normal(size=(4, d)) + rng.normal(size=(n, d)))


@pytest.mark.parametrize("distance", distances.DISTANCES.values(), ids=distances.DISTANCES)
class TestEveryDistance:
    def test_a_copy_of_the_target_is_the_most_similar(self, distance):
        train = correlated(120, 200).astype(np.float32)
        np.testing.assert_array_equal(distance(train[:10], train).argmax(axis=1), np.arange(10))

    def test_targets_do_not_see_each_other(self, distance):
        targets, train = correlated(4, 12, seed=1), correlated(60, 12)
        alone = np.concatenate([distance(target[None], train) for target in targets])
        np.testing.assert_allclose(distance(targets, train), alone, rtol=1e-6, atol=1e-9)

    def test_order_of_the_training_images_is_irrelevant(self, distance):
        targets, train = correlated(3, 12, seed=1), correlated(60, 12)
        order = np.random.default_rng(2).permutation(60)
        np.testing.assert_allclose(distance(targets, train[order]), distance(targets, train)[:, order], atol=1e-8)

    def test_arguments_are_left_as_they_were(self, distance):
        targets, train = correlated(3, 12, seed=1), correlated(60, 12)
        distance(targets, train)
        np.testing.assert_array_equal(targets, correlated(3, 12, seed=1))
        np.testing.assert_array_equal(train, correlated(60, 12))

    def test_images_that_are_all_the_same_are_all_as_similar(self, distance):
        values = distance(correlated(2, 8), np.full((30, 8), 0.5))
        assert values.shape == (2, 30) and np.isfinite(values).all()
        np.testing.assert_allclose(values, values[:, :1].repeat(30, axis=1), atol=1e-9)


@pytest.mark.parametrize(
    ("distance", "C"), [("esvm_c0.001", 0.001), ("esvm_c0.01", 0.01), ("esvm", 0.1), ("esvm_c1", 1), ("esvm_c10", 10)]
)
def test_exemplar_svms_rank_as_linear_svc(distance, C):
    targets, train = correlated(3, 6, seed=1), correlated(60, 6)
    svm = LinearSVC(C=C, tol=1e-8, max_iter=1_000_000, class_weight="balanced", random_state=0)
    for target, values in zip(targets, distances.DISTANCES[distance](targets, train), strict=True):
        expected = svm.fit(np.vstack([target, train]), np.arange(61) == 0).decision_function(train)
        np.testing.assert_array_equal(np.argsort(-values), np.argsort(-expected))


def test_length_is_nothing_to_cosine_and_the_exemplar_svm_on_unit_length():
    targets, train = correlated(3, 12, seed=1), correlated(60, 12)
    longer = train * np.linspace(0.1, 10, 60)[:, None]
    for distance in (distances.cosine, distances.esvm_unit):
        np.testing.assert_allclose(distance(7 * targets, longer), distance(targets, train), atol=1e-9)


def test_l2_and_cosine_by_hand():
    targets, train = np.array([[3.0, 4.0]]), np.array([[3.0, 4.0], [0.0, 0.0], [-3.0, -4.0], [4.0, -3.0]])
    np.testing.assert_allclose(distances.l2(targets, train), [[0, -5, -10, -np.sqrt(50)]])
    np.testing.assert_allclose(distances.cosine(targets, train), [[1, 0, -1, 0]], atol=1e-12)


def test_other_classes_are_not_eligible_unless_asked():
    target, train, _, _ = line()
    labels = np.array([0, 1, 0, 1, 0, 1])
    conditioned = distances.scores(distances.l2, target, train, np.array([1]), labels)
    assert np.isneginf(conditioned[0, labels == 0]).all() and np.isfinite(conditioned[0, labels == 1]).all()
    assert np.isfinite(distances.scores(distances.l2, target, train, np.array([1]), labels, same_class=False)).all()


def test_ranking_breaks_ties_by_id_and_is_bounded():
    scores = np.array([[1.0, 3.0, 3.0, -np.inf, 2.0]])
    np.testing.assert_array_equal(distances.ranking(scores, 4), [[1, 2, 4, 0]])
    with pytest.raises(ValueError, match="k_max=5 exceeds the 4 eligible"):
        distances.ranking(scores, 5)


def test_order_of_targets_is_irrelevant():
    rng = np.random.default_rng(1)
    features, labels = rng.normal(size=(60, 4)).astype(np.float32), np.arange(60) % 3
    targets, target_labels = features[:5] + 0.1, labels[:5]
    scores = distances.scores(distances.DISTANCES["esvm"], targets, features, target_labels, labels)
    turned = distances.scores(distances.DISTANCES["esvm"], targets[::-1], features, target_labels[::-1], labels)
    np.testing.assert_allclose(scores, turned[::-1], rtol=1e-6)
