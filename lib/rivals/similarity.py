"""Similarity in a feature space: the network's own last layer but one, or features that are given."""

from collections.abc import Iterator

import numpy as np

from lib import distances
from lib.data import Dataset
from lib.features import Features
from lib.retrain import Recipe
from lib.rivals import networks


def own_cosine(
    dataset: Dataset, recipe: Recipe, targets: np.ndarray, n_models: int = 5, seed: int = 0, device: str = "cpu"
) -> Iterator[np.ndarray]:
    """Cosine in the layer before the last, averaged over networks. Blind to labels."""
    pairs = networks.embeddings(dataset, recipe, targets, n_models, None, seed, device)
    return networks.running_mean(distances.cosine(target, train) for train, target in pairs)


def own_l2(
    dataset: Dataset, recipe: Recipe, targets: np.ndarray, n_models: int = 5, seed: int = 0, device: str = "cpu"
) -> Iterator[np.ndarray]:
    """Minus the Euclidean distance in the layer before the last, averaged over networks. Blind to labels."""
    pairs = networks.embeddings(dataset, recipe, targets, n_models, None, seed, device)
    return networks.running_mean(distances.l2(target, train) for train, target in pairs)


def knn_shapley(
    dataset: Dataset,
    recipe: Recipe,
    targets: np.ndarray,
    n_models: int = 5,
    k: int = 5,
    features: Features | None = None,
    seed: int = 0,
    device: str = "cpu",
) -> Iterator[np.ndarray]:
    """Shapley value of each training image for a k-nearest-neighbour vote on the target, exactly.

    features: those in which neighbours are near; without, the layer before the last of the networks, and the values are
    averaged over them. Raises ValueError where k exceeds the training set.
    Source: Theorem 1 of Jia et al. 2019, arXiv 1908.08619.
    """
    if k > len(dataset.train_labels):
        raise ValueError(f"k={k} neighbours of {len(dataset.train_labels)} training images; lower k")
    pairs = networks.embeddings(dataset, recipe, targets, n_models, features, seed, device)
    labels = dataset.train_labels, dataset.test_labels[targets]
    return networks.running_mean(shapley(distances.l2(target, train), *labels, k) for train, target in pairs)


def shapley(similarity: np.ndarray, labels: np.ndarray, target_labels: np.ndarray, k: int) -> np.ndarray:
    """Shapley values (n_targets, n_train) from similarity (n_targets, n_train) and labels (n_train,), (n_targets,).

    From the farthest image inwards: the i-th nearest differs from the next in value as they differ in being right,
    times min(k, i) / (k i); the farthest has 1 / n if right.
    """
    order = np.argsort(-similarity, axis=1, kind="stable")
    right = (labels[order] == target_labels[:, None]).astype(float)
    rank = np.arange(1, order.shape[1])
    steps = (right[:, :-1] - right[:, 1:]) * np.minimum(k, rank) / (k * rank)
    sorted_values = np.concatenate([steps, right[:, -1:] / order.shape[1]], axis=1)[:, ::-1].cumsum(axis=1)[:, ::-1]
    values = np.empty_like(sorted_values)
    np.put_along_axis(values, order, sorted_values, axis=1)
    return values


METHODS = {"own_cosine": own_cosine, "own_l2": own_l2, "knn_shapley": knn_shapley}
