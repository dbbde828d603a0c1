"""A control: a ranking that knows nothing of the target but its class."""

import numpy as np
from torch import nn

from lib import distances
from lib.rivals.rival import Inputs, Rival


def typical(net: nn.Module, inputs: Inputs) -> np.ndarray:
    """Minus the Euclidean distance to the mean of the target's class: the same order for all targets of a class.

    In the layer before the last.
    """
    return typicality(inputs.embeddings(net)[0], *inputs.labels)


def typicality(train: np.ndarray, labels: np.ndarray, target_labels: np.ndarray) -> np.ndarray:
    """(n_targets, n_train), from features (n_train, d) and labels (n_train,), (n_targets,)."""
    return distances.l2(np.stack([train[labels == label].mean(axis=0) for label in target_labels]), train)


RIVALS = {"typical": Rival(typical)}
