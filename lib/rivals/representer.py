"""The head's answer as a sum over the training images: representer points (Yeh et al., NeurIPS 2018), of a logistic
regression in its place; DualDA (Yolcu et al., arXiv 2402.12118), of a support vector machine.
"""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from lib.rivals.rival import of_embeddings

L2 = 0.003  # of representer points, as the authors'
C = 0.1  # weight of DualDA's losses: that of our exemplar SVM, not tuned


def representer(train: np.ndarray, targets: np.ndarray, labels: np.ndarray, target_labels: np.ndarray) -> np.ndarray:
    """Each training image's term (n_targets, n_train) in the target's correct logit, under a refitted head.

    The head minimises mean cross-entropy + L2 * |weights|², so that its weights are a sum over the training images and
    a target's logit the sum of its scores: each enters the weights by C * (onehot(label) - p) ⊗ embedding, where C is
    scikit-learn's. Embeddings: (n, d) of both. Cost: one logistic regression per network.
    """
    c = 1 / (2 * L2 * len(train))
    head = LogisticRegression(C=c, fit_intercept=False, tol=1e-6, max_iter=10_000).fit(train, labels)
    residuals = (labels[:, None] == head.classes_) - head.predict_proba(train)  # (n_train, n_classes)
    return c * residuals[:, np.searchsorted(head.classes_, target_labels)].T * (targets @ train.T)


def dual(train: np.ndarray, targets: np.ndarray, labels: np.ndarray, target_labels: np.ndarray) -> np.ndarray:
    """Each training image's term (n_targets, n_train) in the target's decision value for its correct class.

    The weights of an SVM are a sum of embeddings, each by its label, 1 or -1, and its dual variable: 2 C times its
    loss, 0 for all but support vectors. Embeddings: (n, d) of both. Cost: an SVM per class and network.
    DEPARTURE: the authors' SVM is Crammer and Singer's; this is one class against the rest, with the squared hinge.
    """
    head = LinearSVC(C=C, tol=1e-6, max_iter=100_000).fit(train, labels)
    of_class = np.where(labels[:, None] == head.classes_, 1, -1)  # (n_train, n_classes)
    values = head.decision_function(train).reshape(len(train), -1)
    values = np.hstack([-values, values]) if values.shape[1] == 1 else values  # of two classes it gives one column
    variables = 2 * C * np.maximum(0, 1 - of_class * values) * of_class
    return variables[:, np.searchsorted(head.classes_, target_labels)].T * (targets @ train.T + 1)


RIVALS = {"representer": of_embeddings(representer), "dual": of_embeddings(dual)}
