"""Competing attribution methods, all behind one contract.

A method is one function: (dataset, recipe, targets, its own settings) -> an iterator over scores (n_targets, n_train),
higher = supports the target's correct prediction more, for every training image (label conditioning is the caller's).
It yields the scores of an ensemble of one network, of two, …: every size up to `n_models` comes from one set of
trainings. A method that trains no ensemble yields once. Settings annotated `int` are counts (seeds apart), `float`
numbers not below 0, `device` is "cpu" or "cuda".

    scores("trak", dataset, recipe, targets, n_models=20)                      float32 (n_targets, n_train)
    ensembles("trak", dataset, recipe, targets, sizes=(1, 5, 10, 20))          {size: the same, with its seconds}

Every module of this folder that has a dict METHODS adds to the methods, so that a new method is a new file; a dict KEPT
there says what a network of it has to keep, if not its weights alone.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
import torch

from lib import nets
from lib.data import Dataset, clock, one_thread, pick_device
from lib.distances import Distance
from lib.retrain import Recipe, Retraining
from lib.retrain import check as check_retraining
from lib.rivals import networks

METHODS: dict[str, Callable[..., Iterator[np.ndarray]]] = {}
DISTANCES: dict[str, Distance] = {}  # that the paper does not have
KEPT: dict[str, Callable[[Dataset, Recipe], int]] = {}  # bytes a network, where that is more than its weights
for _name in [module.name for module in pkgutil.iter_modules(__path__)]:
    _module = importlib.import_module(f"{__name__}.{_name}")
    METHODS |= getattr(_module, "METHODS", {})
    DISTANCES |= getattr(_module, "DISTANCES", {})
    KEPT |= getattr(_module, "KEPT", {})


@dataclass(frozen=True)
class Scored:
    """scores: (n_targets, n_train) float32. seconds: from the start until they were there (see `lib.retrain.clock`)."""

    scores: np.ndarray
    seconds: float


def scores(method: str, dataset: Dataset, recipe: Recipe, targets: Sequence[int], **settings) -> np.ndarray:
    """Scores (n_targets, n_train) float32 of every training image for every target (test ids).

    settings: the method's own, see there. The same arguments give the same bits on the same machine.
    Raises ValueError before anything is trained where an argument does not fit, and after it where the scores are not
    finite or do not distinguish the training images.
    """
    return scored(method, dataset, recipe, targets, **settings).scores


def scored(method: str, dataset: Dataset, recipe: Recipe, targets: Sequence[int], **settings) -> Scored:
    """As `scores`, with what they cost."""
    now = clock(settings.get("device", "cpu"))
    start = now()
    for result in _run(method, dataset, recipe, targets, settings):
        last = result
    return Scored(_sound(method, last), now() - start)


def ensembles(
    method: str, dataset: Dataset, recipe: Recipe, targets: Sequence[int], sizes: Sequence[int], **settings
) -> dict[int, Scored]:
    """By size, the scores of the ensembles of the first networks, at the cost of the largest. Otherwise as `scores`.

    Raises ValueError also where the method trains no ensemble or a size is below 1.
    """
    if not len(sizes) or min(sizes) < 1:
        raise ValueError(f"sizes={tuple(sizes)} must name ensembles of at least 1 network")
    now, found = clock(settings.get("device", "cpu")), {}
    start = now()
    results = _run(method, dataset, recipe, targets, settings | {"n_models": max(sizes)})
    for size, result in enumerate(results, start=1):
        if size in sizes:
            found[size] = Scored(_sound(method, result), now() - start)
    if max(sizes) not in found:
        raise ValueError(f"{method} trains no networks with these settings: it has no ensemble of {max(sizes)}")
    return found


def stored_bytes(method: str, dataset: Dataset, recipe: Recipe, n_models: int, **settings) -> int:
    """What has to be kept to attribute further targets: n_models networks, and what goes with them by its settings.

    Source: Paper App. A.1, which counts Datamodels' networks too, although its weights alone would do.
    """
    return n_models * KEPT.get(method, networks.weight_bytes)(dataset, recipe, **settings)


def _run(method: str, dataset: Dataset, recipe: Recipe, targets: Sequence[int], settings: dict) -> Iterator[np.ndarray]:
    """The method's own iterator, its arguments checked; computed with one thread, torch's global stream left alone."""
    targets = np.asarray(targets)
    _check(method, dataset, recipe, targets, settings)
    with one_thread(settings.get("device", "cpu")), torch.random.fork_rng():
        yield from METHODS[method](dataset, recipe, targets, **settings)


def _check(method: str, dataset: Dataset, recipe: Recipe, targets: np.ndarray, settings: dict) -> None:
    """Refuse what cannot be meant, before anything is trained."""
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; choose one of {', '.join(METHODS)}")
    n_test = len(dataset.test_labels)
    if targets.ndim != 1 or not len(targets) or not np.issubdtype(targets.dtype, np.integer):
        raise ValueError(f"targets of shape {targets.shape}, {targets.dtype}, are no test ids; give a list of integers")
    if targets.min() < 0 or targets.max() >= n_test:
        wrong = targets[(targets < 0) | (targets >= n_test)][0]
        raise ValueError(f"target {wrong} does not exist: {dataset.name} has test ids 0 to {n_test - 1}")
    empty = set(dataset.test_labels[targets]) - set(dataset.train_labels)
    if empty:
        raise ValueError(f"class {min(empty)} has no training image; choose targets of another class")
    nets.check(recipe)
    check_retraining(dataset, Retraining(recipe, seed=0))
    known = list(inspect.signature(METHODS[method]).parameters.values())[3:]
    for name in settings.keys() - {parameter.name for parameter in known}:
        names = ", ".join(parameter.name for parameter in known)
        raise ValueError(f"{method} has no setting {name!r}; it has {names}")
    for parameter in known:
        _check_setting(parameter, settings.get(parameter.name, parameter.default))


def _check_setting(parameter: inspect.Parameter, value) -> None:
    least = 0 if parameter.name == "seed" else 1
    if parameter.annotation is int and not (isinstance(value, Integral) and value >= least):
        raise ValueError(f"{parameter.name}={value!r} must be a whole number of at least {least}")
    if parameter.annotation is float and not (isinstance(value, Real) and 0 <= value < np.inf):
        raise ValueError(f"{parameter.name}={value!r} must be a finite number, not below 0")
    if parameter.name == "device" and value != pick_device(value):
        raise ValueError(f"device {value!r} is to be resolved first: give lib.retrain.pick_device({value!r})")


def _sound(method: str, result: np.ndarray) -> np.ndarray:
    """The scores as float32, if they are finite and tell the training images of every target apart."""
    bad = ~np.isfinite(result).all(axis=1) | (result == result[:, :1]).all(axis=1)
    if bad.any():
        raise ValueError(
            f"{method}: the scores of {bad.sum()} of {len(result)} targets are not finite or all equal; "
            f"a network diverged, or a setting is out of scale: lower the learning rate, or raise the regularisation"
        )
    return np.ascontiguousarray(result, dtype=np.float32)
