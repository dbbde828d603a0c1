"""From features to attribution scores: how similar is each training image to the target?

Scores are float32 (n_targets, n_train), higher = supports the target's correct prediction more. With
label conditioning (the paper's choice, §3.1 "Subset of train images") training images of other classes score -inf.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from sklearn.preprocessing import normalize

from lib.esvm import decision_values


def l2(targets: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Minus the Euclidean distance. targets: (t, d). train: (n, d). Returns (t, n)."""
    return -np.stack([np.linalg.norm(train - target, axis=1) for target in targets])


def cosine(targets: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Cosine similarity. targets: (t, d). train: (n, d). Returns (t, n); a zero vector is similar to nothing (0)."""
    norms = np.linalg.norm(targets, axis=1)[:, None] * np.linalg.norm(train, axis=1)
    return targets @ train.T / np.maximum(norms, np.finfo(np.float32).tiny)


def esvm_unit(targets: np.ndarray, train: np.ndarray) -> np.ndarray:
    """The exemplar SVM on features of unit length. targets: (t, d). train: (n, d). Returns (t, n); zero stays zero."""
    return decision_values(normalize(targets), normalize(train))


Distance = Callable[[np.ndarray, np.ndarray], np.ndarray]  # targets (t, d), train (n, d) -> similarity (t, n)
DISTANCES: dict[str, Distance] = {  # the paper's are l2 and esvm; further ones in `lib.rivals.ensembles`
    "l2": l2,
    "cosine": cosine,
    "esvm": decision_values,
    "esvm_c0.001": partial(decision_values, C=0.001),
    "esvm_c0.01": partial(decision_values, C=0.01),
    "esvm_c1": partial(decision_values, C=1),
    "esvm_c10": partial(decision_values, C=10),
    "esvm_unit": esvm_unit,
}


def scores(
    distance: Distance,
    target_features: np.ndarray,
    train_features: np.ndarray,
    target_labels: np.ndarray,
    train_labels: np.ndarray,
    same_class: bool = True,
) -> np.ndarray:
    """Score every training image for every target.

    target_features: (n_targets, d). train_features: (n_train, d), memory-mapped or not; only the classes of the targets
    are read. Their labels: (n_targets,), (n_train,).
    same_class: compare with training images of the target's class only, as the paper does.
    Returns (n_targets, n_train) float32, -inf where not compared.
    Raises ValueError for features that are not finite or whose sizes differ, and a class without a training image.
    """
    for side, features, labels in (("target", target_features, target_labels), ("train", train_features, train_labels)):
        if features.shape != (needed := (len(labels), target_features.shape[-1])):
            raise ValueError(f"{side} features have shape {features.shape}, but {needed} is needed")
    if not same_class:
        return _compare(distance, target_features, train_features).astype(np.float32)
    result = np.full((len(target_labels), len(train_labels)), -np.inf, dtype=np.float32)
    for label in np.unique(target_labels):
        rows, columns = np.flatnonzero(target_labels == label), np.flatnonzero(train_labels == label)
        if not len(columns):
            raise ValueError(f"class {label} has no training image; choose other targets, or same_class=False")
        result[np.ix_(rows, columns)] = _compare(distance, target_features[rows], train_features[columns])
    return result


def ranking(scores: np.ndarray, k_max: int) -> np.ndarray:
    """The k_max most supportive training ids of each target, first the highest score; ties by id.

    scores: (n_targets, n_train). Returns (n_targets, k_max) int64.
    Raises ValueError where fewer than k_max training images are eligible.
    """
    eligible = int(np.isfinite(scores).sum(axis=1).min())
    if k_max > eligible:
        raise ValueError(f"k_max={k_max} exceeds the {eligible} eligible training images of a target; lower k_max")
    # Those that are not eligible have -inf and come last.
    return np.argsort(-scores, axis=1, kind="stable")[:, :k_max].copy()


def _compare(distance: Distance, targets: np.ndarray, train: np.ndarray) -> np.ndarray:
    """targets: (t, d). train: (n, d). Returns (t, n)."""
    for side, features in (("target", targets), ("train", train)):
        if bad := int((~np.isfinite(features)).any(axis=1).sum()):
            raise ValueError(f"{bad} rows of the {side} features are not finite; extract the features again")
    return distance(targets, train)
