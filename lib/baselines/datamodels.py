"""Datamodels and empirical influence: both read from what models trained on random subsets of the training set say.

They need many models and nothing else, and share them: `lib.subsets` trains each once. The last tenth of the models
chooses the Lasso's penalty.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from celer import celer_path

from lib import subsets
from lib.data import Dataset
from lib.retrain import Recipe
from lib.subsets import Subsets

PENALTIES = np.geomspace(1, 0.03, 15)[1:]  # in units of the least penalty at which every weight is 0
HELD_OUT = 10  # one model in so many chooses the penalty


def datamodels(
    dataset: Dataset,
    recipe: Recipe,
    targets: np.ndarray,
    n_models: int = 2000,
    folder: Path | None = None,
    device: str = "cpu",
) -> Iterator[np.ndarray]:
    """Weights of a Lasso that predicts a target's margin from which training images a model saw.

    Most weights are 0: those are ordered by empirical influence, within less than the least other weight. Cost:
    n_models trainings on random halves, kept in the folder where one is given, and seconds a target.
    Source: Ilyas et al. 2022, with the penalty chosen for each target on held-out models.
    """
    masks, margins = _observed(dataset, recipe, targets, n_models, folder, device)
    weights = np.stack([lasso(masks, of_target) for of_target in margins.T])
    influence = empirical_influence(masks, margins)
    for row, order in zip(weights, influence, strict=True):
        least = np.abs(row[row != 0]).min(initial=np.inf)
        row += order / np.abs(order).max() * (1e-3 * least if np.isfinite(least) else 1)
    yield weights


def influence(
    dataset: Dataset,
    recipe: Recipe,
    targets: np.ndarray,
    n_models: int = 2000,
    folder: Path | None = None,
    device: str = "cpu",
) -> Iterator[np.ndarray]:
    """Empirical influence: a target's mean margin over the models that saw an image, less that over the others.

    Cost: the same trainings as Datamodels'. Source: Feldman and Zhang 2020, with the margin for the accuracy.
    """
    yield empirical_influence(*_observed(dataset, recipe, targets, n_models, folder, device))


def empirical_influence(masks: np.ndarray, margins: np.ndarray) -> np.ndarray:
    """masks: (n_models, n_train) bool. margins: (n_models, n_targets). Returns (n_targets, n_train)."""
    seen = masks.sum(axis=0)
    with_image, total = margins.T @ masks, margins.sum(axis=0)[:, None]
    return with_image / np.maximum(seen, 1) - (total - with_image) / np.maximum(len(masks) - seen, 1)


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


def _observed(dataset, recipe, targets, n_models, folder, device) -> tuple[np.ndarray, np.ndarray]:
    """masks (n_models, n_train) bool and margins (n_models, n_targets) float64 of the first n_models subset models."""
    if n_models < HELD_OUT:
        raise ValueError(f"n_models={n_models} must be at least {HELD_OUT}: one in {HELD_OUT} chooses the penalty")
    family, models = Subsets(dataset, recipe), range(n_models)
    with TemporaryDirectory() as temporary:
        margins = subsets.train(family, models, folder or Path(temporary), device)
    return subsets.masks(family, models), margins[:, targets].astype(np.float64)


METHODS = {"datamodels": datamodels, "empirical_influence": influence}
