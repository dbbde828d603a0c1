"""Datamodels and empirical influence: both read from what models trained on random subsets of the training set say.

They need many models and nothing else, and share them: `lib.engine.subsets` trains each once. The last tenth of the
models chooses the Lasso's penalty.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from celer import celer_path

from lib.data import Dataset
from lib.engine import Subsets, subsets
from lib.retrain import Recipe

PENALTIES = np.geomspace(1, 0.03, 15)[1:]  # in units of the least penalty at which every weight is 0
CHUNK = 10_000  # models whose masks are held as numbers at once
HELD_OUT = 10  # one model in so many chooses the penalty


def datamodels(
    dataset: Dataset,
    recipe: Recipe,
    targets: np.ndarray,
    n_models: int = 2000,
    folder: Path | None = None,
    device: str = "cpu",
    published: tuple[Path, Path] | None = None,
    weights: Path | None = None,
) -> Iterator[np.ndarray]:
    """Weights of a Lasso that predicts a target's margin from which training images a model saw.

    Most weights are 0: those are ordered by empirical influence, within less than the least other weight. Cost:
    n_models trainings on random halves, kept in the folder where one is given, and seconds a target.
    published: masks and margins of others' models, instead of trainings. weights: others' weights, instead of a Lasso.
    Source: Ilyas et al. 2022, with the penalty chosen for each target on held-out models.
    """
    masks, margins = _observed(dataset, recipe, targets, n_models, folder, device, published)
    if weights:
        fitted = published_weights(weights, dataset)[:, targets].T.copy()
    else:
        fitted = np.stack([lasso(masks, of_target) for of_target in margins.T])
    influence = empirical_influence(masks, margins)
    for row, order in zip(fitted, influence, strict=True):
        least = np.abs(row[row != 0]).min(initial=np.inf)
        row += order / np.abs(order).max() * (1e-3 * least if np.isfinite(least) else 1)
    yield fitted


def influence(
    dataset: Dataset,
    recipe: Recipe,
    targets: np.ndarray,
    n_models: int = 2000,
    folder: Path | None = None,
    device: str = "cpu",
    published: tuple[Path, Path] | None = None,
) -> Iterator[np.ndarray]:
    """Empirical influence: a target's mean margin over the models that saw an image, less that over the others.

    Cost: the same trainings as Datamodels', or the same published ones. Source: Feldman and Zhang 2020, with the margin
    for the accuracy.
    """
    yield empirical_influence(*_observed(dataset, recipe, targets, n_models, folder, device, published))


def published_weights(path: Path, dataset: Dataset) -> np.ndarray:
    """The matrix (n_train, n_test) of a file of Datamodels as their authors publish them, memory-mapped.

    Raises ValueError where the file holds no such matrix or does not fit the dataset. Code in it is never run.
    """
    expected = len(dataset.train_labels), len(dataset.test_labels)
    try:
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)["weight"]
        shape = tuple(found.shape)
    except Exception as problem:  # damage shows as whatever the unpickler runs into
        raise ValueError(
            f"{path} holds no Datamodels: expected is a dict with a tensor 'weight'; code is never run. Fetch it again"
        ) from problem
    if shape != expected:
        raise ValueError(f"{path} has weights {shape}; {dataset.name} has {expected} training and test images")
    return found.numpy()


def empirical_influence(masks: np.ndarray, margins: np.ndarray) -> np.ndarray:
    """masks: (n_models, n_train) bool. margins: (n_models, n_targets). Returns (n_targets, n_train)."""
    seen, total = masks.sum(axis=0), margins.sum(axis=0)[:, None]
    parts = [slice(i, i + CHUNK) for i in range(0, len(masks), CHUNK)]
    with_image = sum(margins[part].T @ masks[part] for part in parts)
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


def _observed(dataset, recipe, targets, n_models, folder, device, published) -> tuple[np.ndarray, np.ndarray]:
    """masks (n_models, n_train) bool and margins (n_models, n_targets) float64 of the first n_models subset models."""
    if published:
        masks, margins = subsets.published(*published, dataset)
        if n_models > len(masks):
            raise ValueError(f"n_models={n_models} exceeds the {len(masks)} of {published[0]}; lower it")
        return masks[:n_models], margins[:n_models, targets].astype(np.float64)
    if n_models < HELD_OUT:
        raise ValueError(f"n_models={n_models} must be at least {HELD_OUT}: one in {HELD_OUT} chooses the penalty")
    family, models = Subsets(dataset, recipe), range(n_models)
    with TemporaryDirectory() as temporary:
        margins = subsets.train(family, models, folder or Path(temporary), device)
    return subsets.masks(family, models), margins[:, targets].astype(np.float64)


METHODS = {"datamodels": datamodels, "empirical_influence": influence}
