"""Distances that know how the compared training features spread, in closed form for all targets at once.

`mahalanobis` and `lda` compare in the space where that spread is the same in every direction: by distance and by inner
product. `ridge` is the exemplar SVM of `lib.esvm` with a loss that every sample has: one matrix serves all targets.
"""

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import cdist
from sklearn.covariance import ledoit_wolf

from lib.engine import svm
from lib.esvm import C


def mahalanobis(targets: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Minus the Mahalanobis distance under the covariance of the training features.

    targets: (t, d). train: (n, d). Returns (t, n) float64. Cost: O(n d² + d³), then O(n d) a target.
    Raises ValueError for fewer than two training images.
    """
    _, root = _whitening(train)
    return -cdist(targets @ root, train @ root)


def lda(targets: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Exemplar LDA: w·x of w = covariance⁻¹ (target - mean), mean and covariance those of the training features.

    targets: (t, d). train: (n, d). Returns (t, n) float64. Cost and errors: as `mahalanobis`.
    Source: Hariharan, Malik and Ramanan 2012, whose mean and covariance are those of all natural images.
    """
    mean, root = _whitening(train)
    return (targets - mean) @ root @ (train @ root).T


def ridge(targets: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Exemplar ridge regression: the exemplar SVM with squared loss instead of squared hinge, and nothing else changed.

    targets: (t, d). train: (n, d), the negatives. Returns (t, n) float64. Cost: O(n d² + d³), then O(n d) a target.
    The negatives' system is factored once; each target changes it by rank one (Sherman and Morrison 1950).
    """
    c_target, c_negative = svm.weights(len(train), C)
    z, z_target = (np.hstack([x, np.ones((len(x), 1))], dtype=float) for x in (train, targets))
    system = cho_factor(np.eye(z.shape[1]) + 2 * c_negative * z.T @ z)
    background = cho_solve(system, -2 * c_negative * z.sum(axis=0))  # (d + 1,), the solution without a target
    direction = cho_solve(system, z_target.T).T  # (t, d + 1), in which each target moves it
    gain = 2 * c_target * (1 - z_target @ background)
    gain /= 1 + 2 * c_target * np.einsum("td,td->t", z_target, direction)
    return (background + gain[:, None] * direction) @ z.T


def _whitening(train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """mean (d,) and root (d, r) of train (n, d), with root rootᵀ = covariance⁻¹ in the r directions that vary.

    The covariance is shrunk as far as Ledoit and Wolf 2004 prescribe: n may be less than d.
    """
    if len(train) < 2:
        raise ValueError(f"{len(train)} training image has no covariance; compare with two or more, or choose l2")
    train = train.astype(float)
    variance, direction = np.linalg.eigh(ledoit_wolf(train)[0])
    varies = variance > variance.max() * len(variance) * np.finfo(float).eps
    return train.mean(axis=0), direction[:, varies] / np.sqrt(variance[varies])


DISTANCES = {"mahalanobis": mahalanobis, "ridge": ridge, "lda": lda}
