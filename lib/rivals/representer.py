"""Representer points (Yeh et al., NeurIPS 2018): the head's answer as a sum over the training images."""

from collections.abc import Iterator

import numpy as np
from sklearn.linear_model import LogisticRegression

from lib.data import Dataset
from lib.retrain import Recipe
from lib.rivals import networks


def representer(
    dataset: Dataset,
    recipe: Recipe,
    targets: np.ndarray,
    n_models: int = 5,
    l2: float = 0.003,
    seed: int = 0,
    device: str = "cpu",
) -> Iterator[np.ndarray]:
    """Each training image's term in the target's correct logit, under a head refitted with l2, averaged over networks.

    The head minimises mean cross-entropy + l2 * |weights|², so that its weights are a sum over the training images and
    a target's logit the sum of its scores. l2: as the authors'. Cost: one logistic regression a network.
    Raises ValueError without l2.
    """
    if l2 == 0:
        raise ValueError("l2=0 leaves the head without a smallest loss; give l2 above 0")
    labels = dataset.train_labels, dataset.test_labels[targets]
    pairs = networks.embeddings(dataset, recipe, targets, n_models, None, seed, device)
    return networks.running_mean(terms(train, target, *labels, l2) for train, target in pairs)


def terms(train: np.ndarray, targets: np.ndarray, labels: np.ndarray, target_labels: np.ndarray, l2: float):
    """Terms (n_targets, n_train) of the targets' correct logits; embeddings (n, d) and labels (n,) of both.

    Each training image should enter the weights by C * (onehot(label) - p) ⊗ embedding, where C is scikit-learn's.
    """
    c = 1 / (2 * l2 * len(train))
    head = LogisticRegression(C=c, fit_intercept=False, tol=1e-6, max_iter=10_000).fit(train, labels)
    residuals = (labels[:, None] == head.classes_) - head.predict_proba(train)  # (n_train, n_classes)
    return c * residuals[:, np.searchsorted(head.classes_, target_labels)].T * (targets @ train.T)


METHODS = {"representer": representer}
