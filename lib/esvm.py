"""The exemplar SVM: how similar is a training image to the target, seen against all others of its class?

One linear SVM a target: the target's feature is the only positive, the training features of its class are the
negatives, and a training image's score is its decision value. `by_definition` is that in scikit-learn's words, as the
paper's authors call it; `decision_values` computes the same for all targets together, a hundred times as fast. Used by
`lib.distances`.
"""

import numpy as np
from sklearn.svm import LinearSVC

from lib.engine import svm

C = 0.1  # weight of the losses, as in the authors' code; the two classes are balanced


def by_definition(targets: np.ndarray, negatives: np.ndarray, C: float = C) -> np.ndarray:
    """As `decision_values`, one fit a target: slow, and what the tests compare with."""
    labels = np.append(1, np.zeros(len(negatives)))
    values = np.empty((len(targets), len(negatives)))
    for row, target in zip(values, targets, strict=True):
        model = LinearSVC(C=C, class_weight="balanced", tol=1e-6, max_iter=1_000_000)
        model.fit(np.vstack([target, negatives]), labels)
        row[:] = model.decision_function(negatives)
    return values


def decision_values(targets: np.ndarray, negatives: np.ndarray, C: float = C) -> np.ndarray:
    """Decision value of every negative under every target's exemplar SVM.

    targets: (t, d). negatives: (n, d). C: weight of the losses. Returns (t, n) float64; higher is more similar
    to the target.
    Squared hinge, L2 penalty, regularised intercept, balanced classes. Source: Paper §3.1; Malisiewicz et al. 2011.
    Raises ValueError for features too large for double precision.
    """
    return svm.decision_values(targets, negatives, C)
