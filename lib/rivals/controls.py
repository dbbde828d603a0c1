"""A control: a ranking that knows nothing of the target but its class."""

from collections.abc import Iterator

import numpy as np

from lib import distances
from lib.data import Dataset
from lib.features import Features
from lib.retrain import Recipe
from lib.rivals import networks


def typical(
    dataset: Dataset,
    recipe: Recipe,
    targets: np.ndarray,
    n_models: int = 5,
    features: Features | None = None,
    seed: int = 0,
    device: str = "cpu",
) -> Iterator[np.ndarray]:
    """Minus the Euclidean distance to the mean of the target's class: the same order for all targets of a class.

    features: those in which the mean is taken; without, the layer before the last of the networks, averaged over them.
    """
    labels, target_labels = dataset.train_labels, dataset.test_labels[targets]
    pairs = networks.embeddings(dataset, recipe, targets, n_models, features, seed, device)
    return networks.running_mean(typicality(train, labels, target_labels) for train, _ in pairs)


def typicality(train: np.ndarray, labels: np.ndarray, target_labels: np.ndarray) -> np.ndarray:
    """(n_targets, n_train), from features (n_train, d) and labels (n_train,), (n_targets,)."""
    return distances.l2(np.stack([train[labels == label].mean(axis=0) for label in target_labels]), train)


METHODS = {"typical": typical}
