"""Datamodels and empirical influence: both read from what models trained on random subsets of the training set say.

They need many models and nothing else, and share them (see `lib.engine.subsets`): masks, (n_models, n_train) bool, are
which images a model saw, margins (n_models, n_targets) what it said.
"""

from pathlib import Path

import numpy as np
import torch
from celer import celer_path

from lib.data import Dataset
from lib.rivals.rival import SUBSETS, Rival

PENALTIES = np.geomspace(1, 0.03, 15)[1:]  # in units of the least penalty at which every weight is 0
CHUNK = 10_000  # models whose masks are held as numbers at once
HELD_OUT = 10  # one model in so many, the last ones, chooses the penalty


def datamodels(masks: np.ndarray, margins: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Weights of a Lasso that predicts a target's margin from which training images a model saw.

    Most weights are 0: those are ordered by empirical influence, within less than the least other weight. Cost: seconds
    per target. weights: others' (n_targets, n_train), instead of a Lasso.
    Source: Ilyas et al. 2022, with the penalty chosen for each target on held-out models.
    """
    fitted = np.stack([lasso(masks, of_target) for of_target in margins.T]) if weights is None else weights.copy()
    for row, order in zip(fitted, empirical_influence(masks, margins), strict=True):
        least = np.abs(row[row != 0]).min(initial=np.inf)
        row += order / np.abs(order).max() * (1e-3 * least if np.isfinite(least) else 1)
    return fitted


def empirical_influence(masks: np.ndarray, margins: np.ndarray) -> np.ndarray:
    """A target's mean margin over the models that saw an image, less that over the others: (n_targets, n_train).

    Source: Feldman and Zhang 2020, with the margin for the accuracy.
    """
    seen, total = masks.sum(axis=0), margins.sum(axis=0)[:, None]
    parts = [slice(i, i + CHUNK) for i in range(0, len(masks), CHUNK)]
    with_image = sum(margins[part].T @ masks[part] for part in parts)
    return with_image / np.maximum(seen, 1) - (total - with_image) / np.maximum(len(masks) - seen, 1)


def published_weights(path: Path, dataset: Dataset) -> np.ndarray:
    """The matrix (n_train, n_test) of a file of Datamodels as their authors publish them, memory-mapped.

    Raises ValueError where the file holds no such matrix or does not fit the dataset. Code in it is never run.
    """
    expected = len(dataset.train_labels), len(dataset.test_labels)
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True, mmap=True)["weight"]
        shape = tuple(weights.shape)
    except Exception as problem:  # damage shows as whatever the unpickler runs into
        raise ValueError(
            f"{path} holds no Datamodels: expected is a dict with a tensor 'weight'; code is never run. Fetch it again"
        ) from problem
    if shape != expected:
        raise ValueError(f"{path} has weights {shape}; {dataset.name} has {expected} training and test images")
    return weights.numpy()


def lasso(masks: np.ndarray, margins: np.ndarray) -> np.ndarray:
    """Weights (n_train,) float64 at the penalty of least error on the held-out models, fitted again on all models.

    masks: (n_models, n_train) bool. margins: (n_models,).
    """
    n = len(masks) - max(1, len(masks) // HELD_OUT)
    x, y = _centred(masks[:n], margins[:n])
    penalties = PENALTIES * np.abs(x.T @ y).max() / n
    _, path, _ = celer_path(x, y, "lasso", alphas=penalties)
    predicted = (masks[n:] - masks[:n].mean(axis=0)) @ path + margins[:n].mean()
    best = ((predicted - margins[n:, None]) ** 2).mean(axis=0).argmin()
    _, path, _ = celer_path(*_centred(masks, margins), "lasso", alphas=penalties[best : best + 1])
    return path[:, 0]


def _centred(masks: np.ndarray, margins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The intercept taken out: an F-ordered (n_models, n_train) and (n_models,)."""
    x = np.asfortranarray(masks, dtype=np.float64)
    return x - x.mean(axis=0), margins - margins.mean()


RIVALS = {
    "datamodels": Rival(datamodels, trained_on=SUBSETS, least=HELD_OUT),
    "empirical_influence": Rival(empirical_influence, trained_on=SUBSETS),
}
