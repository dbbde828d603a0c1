"""Representer points (Yeh et al., NeurIPS 2018): the head's answer as a sum over the training images."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from lib.rivals.rival import of_embeddings

L2 = 0.003  # as the authors'


def representer(
    train: np.ndarray, targets: np.ndarray, labels: np.ndarray, target_labels: np.ndarray, l2: float = L2
) -> np.ndarray:
    """Each training image's term (n_targets, n_train) in the target's correct logit, under a refitted head.

    The head minimises mean cross-entropy + l2 * |weights|², so that its weights are a sum over the training images and
    a target's logit the sum of its scores: each enters the weights by C * (onehot(label) - p) ⊗ embedding, where C is
    scikit-learn's. Embeddings: (n, d) of both. Cost: one logistic regression per network.
    """
    c = 1 / (2 * l2 * len(train))
    head = LogisticRegression(C=c, fit_intercept=False, tol=1e-6, max_iter=10_000).fit(train, labels)
    residuals = (labels[:, None] == head.classes_) - head.predict_proba(train)  # (n_train, n_classes)
    return c * residuals[:, np.searchsorted(head.classes_, target_labels)].T * (targets @ train.T)


RIVALS = {"representer": of_embeddings(representer)}
