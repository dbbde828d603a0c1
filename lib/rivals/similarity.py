"""Similarity in the network's own layer before the last; and a control, blind to the target but for its class.

Each compares embeddings train (n_train, d) and targets (n_targets, d), with their labels: see `of_embeddings`.
"""

import numpy as np

from lib import distances
from lib.rivals.rival import of_embeddings

K = 5


def own_cosine(train: np.ndarray, targets: np.ndarray, *_) -> np.ndarray:
    """Cosine. Blind to labels."""
    return distances.cosine(targets, train)


def own_l2(train: np.ndarray, targets: np.ndarray, *_) -> np.ndarray:
    """Minus the Euclidean distance. Blind to labels."""
    return distances.l2(targets, train)


def knn_shapley(train: np.ndarray, targets: np.ndarray, labels: np.ndarray, target_labels: np.ndarray) -> np.ndarray:
    """Shapley value of each training image for a K-nearest-neighbour vote on the target, exactly.

    Source: Theorem 1 of Jia et al. 2019, arXiv 1908.08619.
    """
    return shapley(own_l2(train, targets), labels, target_labels, K)


def shapley(similarity: np.ndarray, labels: np.ndarray, target_labels: np.ndarray, k: int) -> np.ndarray:
    """Shapley values (n_targets, n_train) from similarity (n_targets, n_train) and labels (n_train,), (n_targets,).

    From the farthest image inwards: the i-th nearest differs from the next in value as they differ in being right,
    times min(k, i) / (k i); the farthest has 1 / n if right. Raises ValueError where k exceeds the training set.
    """
    if k > len(labels):
        raise ValueError(f"k={k} neighbours of {len(labels)} training images; give more images")
    order = np.argsort(-similarity, axis=1, kind="stable")
    right = (labels[order] == target_labels[:, None]).astype(float)
    rank = np.arange(1, order.shape[1])
    steps = (right[:, :-1] - right[:, 1:]) * np.minimum(k, rank) / (k * rank)
    sorted_values = np.concatenate([steps, right[:, -1:] / order.shape[1]], axis=1)[:, ::-1].cumsum(axis=1)[:, ::-1]
    values = np.empty_like(sorted_values)
    np.put_along_axis(values, order, sorted_values, axis=1)
    return values


def typical(train: np.ndarray, targets: np.ndarray, labels: np.ndarray, target_labels: np.ndarray) -> np.ndarray:
    """Minus the Euclidean distance to the mean of the target's class: the same order for all targets of a class."""
    return distances.l2(np.stack([train[labels == label].mean(axis=0) for label in target_labels]), train)


RIVALS = {compare.__name__: of_embeddings(compare) for compare in (own_cosine, own_l2, knn_shapley, typical)}
