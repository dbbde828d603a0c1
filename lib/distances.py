"""From features to attribution scores: how similar is each training image to the target?

Scores are float32 (n_targets, n_train), higher = supports the target's correct prediction more. With
label conditioning (the paper's choice, §3.1 "Subset of train images") training images of other classes score -inf.
"""

from collections.abc import Callable

import numpy as np
from joblib import Parallel, delayed
from sklearn.svm import LinearSVC

C = 0.1  # Paper's code: LinearSVC(C=0.1, tol=1e-6, max_iter=10000)
TOLERANCE = 1e-6
MAX_ITER = 10_000


def l2(target: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Minus the Euclidean distance. target: (d,). train: (n, d). Returns (n,)."""
    return -np.linalg.norm(train - target, axis=1)


def cosine(target: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Cosine similarity. target: (d,). train: (n, d). Returns (n,); a zero vector is similar to nothing (0)."""
    norms = np.linalg.norm(train, axis=1) * np.linalg.norm(target)
    return (train @ target) / np.maximum(norms, np.finfo(np.float32).tiny)


def esvm(target: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Exemplar SVM: decision value of a linear SVM with the target as its one positive, `train` as the negatives.

    target: (d,). train: (n, d). Returns (n,). Squared hinge, L2 penalty, intercept regularised, classes balanced.
    Cost: one liblinear fit, O(n d) a pass. Source: Paper §3.1 "Distance function"; Malisiewicz et al. 2011.
    """
    svm = LinearSVC(C=C, tol=TOLERANCE, max_iter=MAX_ITER, class_weight="balanced", random_state=0)
    svm.fit(np.vstack([target, train]), np.arange(1 + len(train)) == 0)
    return svm.decision_function(train)


DISTANCES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {"l2": l2, "cosine": cosine, "esvm": esvm}


def scores(
    distance: str,
    target_features: np.ndarray,
    train_features: np.ndarray,
    target_labels: np.ndarray,
    train_labels: np.ndarray,
    same_class: bool = True,
    n_jobs: int = -1,
) -> np.ndarray:
    """Score every training image for every target.

    target_features: (n_targets, d). train_features: (n_train, d). Their labels: (n_targets,), (n_train,).
    same_class: compare with training images of the target's class only, as the paper does.
    Returns (n_targets, n_train) float32, -inf where not compared.
    Raises ValueError for an unknown distance, features that are not finite or whose sizes differ, and a class that has
    no training image.
    """
    _check(distance, target_features, train_features, target_labels, train_labels)
    everything = np.ones(len(train_labels), dtype=bool)
    candidates = [train_labels == label if same_class else everything for label in target_labels]
    if not all(mask.any() for mask in candidates):
        missing = next(label for label, mask in zip(target_labels, candidates, strict=True) if not mask.any())
        raise ValueError(f"class {missing} has no training image; choose targets of another class or same_class=False")
    compare = DISTANCES[distance]
    jobs = (delayed(compare)(f, train_features[m]) for f, m in zip(target_features, candidates, strict=True))
    result = np.full((len(target_labels), len(train_labels)), -np.inf, dtype=np.float32)
    workers = Parallel(n_jobs=n_jobs, prefer="threads")  # liblinear and numpy release the interpreter
    for row, mask, values in zip(result, candidates, workers(jobs), strict=True):
        row[mask] = values
    return result


def random_scores(target_labels: np.ndarray, train_labels: np.ndarray, seed: int) -> np.ndarray:
    """The control: a random order of the target's class, drawn anew for each target. Shapes as in `scores`."""
    draws = np.random.default_rng(seed).random((len(target_labels), len(train_labels)), dtype=np.float32)
    return np.where(target_labels[:, None] == train_labels, draws, -np.inf).astype(np.float32)


def ranking(scores: np.ndarray, k_max: int) -> np.ndarray:
    """The k_max most supportive training ids of each target, first the highest score; ties by id.

    scores: (n_targets, n_train). Returns (n_targets, k_max) int64.
    Raises ValueError where fewer than k_max training images are eligible.
    """
    eligible = int(np.isfinite(scores).sum(axis=1).min())
    if k_max > eligible:
        raise ValueError(f"k_max={k_max} exceeds the {eligible} eligible training images of a target; lower k_max")
    return np.argsort(-scores, axis=1, kind="stable")[:, :k_max]


def _check(distance, target_features, train_features, target_labels, train_labels) -> None:
    if distance not in DISTANCES:
        raise ValueError(f"unknown distance {distance!r}; choose one of {', '.join(DISTANCES)}")
    for features, labels, what in ((target_features, target_labels, "target"), (train_features, train_labels, "train")):
        if features.ndim != 2 or len(features) != len(labels):
            raise ValueError(f"{what} features have shape {features.shape}, but there are {len(labels)} {what} labels")
        if not np.isfinite(features).all():
            bad = int((~np.isfinite(features)).any(axis=1).sum())
            raise ValueError(f"{bad} rows of the {what} features are not finite; extract the features again")
    if target_features.shape[1] != train_features.shape[1]:
        raise ValueError(
            f"features differ in size: {target_features.shape[1]} (target), {train_features.shape[1]} (train)"
        )
