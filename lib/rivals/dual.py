"""DualDA (Yolcu et al., arXiv 2402.12118): an SVM in place of the head, its answer as a sum over support vectors."""

import numpy as np
from sklearn.svm import LinearSVC

from lib.rivals.rival import of_embeddings

C = 0.1  # weight of the losses: that of our exemplar SVM, not tuned


def dual(
    train: np.ndarray, targets: np.ndarray, labels: np.ndarray, target_labels: np.ndarray, c: float = C
) -> np.ndarray:
    """Each training image's term (n_targets, n_train) in the target's decision value for its correct class.

    The weights of an SVM are a sum of embeddings, each by its label, 1 or -1, and its dual variable: 2 C times its
    loss, 0 for all but support vectors. Embeddings: (n, d) of both. Cost: an SVM per class and network.
    DEPARTURE: the authors' SVM is Crammer and Singer's; this is one class against the rest, with the squared hinge.
    """
    head = LinearSVC(C=c, tol=1e-6, max_iter=100_000).fit(train, labels)
    of_class = np.where(labels[:, None] == head.classes_, 1, -1)  # (n_train, n_classes)
    values = head.decision_function(train).reshape(len(train), -1)
    values = np.hstack([-values, values]) if values.shape[1] == 1 else values  # of two classes it gives one column
    variables = 2 * c * np.maximum(0, 1 - of_class * values) * of_class
    return variables[:, np.searchsorted(head.classes_, target_labels)].T * (targets @ train.T + 1)


RIVALS = {"dual": of_embeddings(dual)}
