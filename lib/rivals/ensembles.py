"""Competing attribution methods: each a function from one network and images, or from models on subsets, to scores.

A file here is a family of them. Its dict RIVALS names each and says in what it differs from the others (see `Rival`);
a dict DISTANCES adds distances between features. A new one is a new file; a label stands in `lib.methods`, where it is
to be in a figure. What all of them share is below: the networks of an ensemble, their combination, cost, and checks.

    from_networks("trak", dataset, recipe, targets, sizes=(1, 5, 20))        {size: scores and seconds}
    from_subsets("datamodels", dataset, targets, (100, 200), observe)        {size: scores and seconds}

Scores are float32 (n_targets, n_train), higher = supports the target's correct prediction more, of every training
image: label conditioning is the caller's. The same arguments give the same bits on the same machine.
"""

import importlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from lib import nets
from lib.data import Dataset, clock, one_thread, pick_device
from lib.distances import Distance
from lib.engine import cache
from lib.retrain import Recipe, check
from lib.rivals import networks
from lib.rivals.rival import HALVES, SUBSETS, Rival

RIVALS: dict[str, Rival] = {}
DISTANCES: dict[str, Distance] = {}  # that the paper does not have
OTHERS = ("__init__", "attribution", "ensembles")  # files here that are no family of methods
for _name in sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in OTHERS):
    _module = importlib.import_module(f"lib.rivals.{_name}")
    RIVALS |= getattr(_module, "RIVALS", {})
    DISTANCES |= getattr(_module, "DISTANCES", {})


@dataclass(frozen=True)
class Scored:
    """scores: (n_targets, n_train) float32. seconds: that they took, all networks together (see `lib.data.clock`)."""

    scores: np.ndarray
    seconds: float


def from_networks(
    name: str,
    dataset: Dataset,
    recipe: Recipe,
    targets: Sequence[int],
    sizes: Sequence[int],
    device="cpu",
    checkpoint: Path | None = None,
    **settings,
) -> dict[int, Scored]:
    """By size, the scores of the ensemble of the first networks of one set of trainings: at the cost of the largest.

    targets: test ids. checkpoint: a folder that what each network gave is kept in meanwhile, to go on from. settings:
    those of the rival's function that are not to be its defaults.
    Raises ValueError before anything is trained where an argument does not fit, and after it where scores are not
    finite or do not tell the training images apart.
    """
    rival, targets = _checked(name, dataset, targets, sizes, device, settings)
    if rival.trained_on == SUBSETS:
        raise ValueError(f"{name} is trained on {SUBSETS}; use from_subsets")
    nets.check(recipe)
    trainings = networks.trainings(dataset, recipe, max(sizes), rival.trained_on == HALVES)
    check(dataset, trainings[0])
    rival.check(dataset, recipe, **settings)
    if rival.checkpoints > (steps := networks.n_steps(dataset, trainings[0])):
        raise ValueError(f"{name} looks at {rival.checkpoints} of the {steps} steps of a training; train longer")

    inputs, now, seconds = networks.inputs(dataset, targets, device), clock(device), []
    identity = {"method": name, "version": rival.version, "dataset": dataset.checksum, "recipe": recipe.identity}
    identity |= {"targets": targets.tolist(), "settings": settings}

    def scored(i: int) -> dict[str, np.ndarray]:
        start, of = now(), replace(inputs, network=i)
        result = networks.scored(rival, dataset, trainings[i], of, device, **settings)
        return {"result": result, "seconds": np.array(now() - start)}

    def looked_into() -> Iterator[np.ndarray]:
        for i in tqdm(range(max(sizes)), desc="networks", unit="network", delay=5, mininterval=5, leave=False):
            make = partial(scored, i)
            one = cache.arrays(checkpoint, str(i), identity | {"network": i}, make) if checkpoint else make()
            seconds.append(float(one["seconds"]))
            yield one["result"]

    combined = enumerate(rival.combine(looked_into()), start=1)
    return _scored(name, ((size, scores, sum(seconds)) for size, scores in combined), sizes, device)


def from_subsets(
    name: str,
    dataset: Dataset,
    targets: Sequence[int],
    sizes: Sequence[int],
    observe: Callable[[int], tuple[np.ndarray, np.ndarray]],
    device="cpu",
    **settings,
) -> dict[int, Scored]:
    """By size, the scores read from the first models on random subsets. Otherwise as `from_networks`.

    observe: number of models -> masks (n_models, n_train) bool, margins (n_models, n_test). Asked once, for the largest
    size; that is no part of the seconds.
    """
    rival, targets = _checked(name, dataset, targets, sizes, device, settings)
    if rival.trained_on != SUBSETS:
        raise ValueError(f"{name} is trained on {rival.trained_on}; use from_networks")
    masks, margins = observe(max(sizes))
    if max(sizes) > len(masks):
        raise ValueError(f"sizes={tuple(sizes)} exceed the {len(masks)} models on random subsets; lower them")
    margins = margins[: max(sizes), targets].astype(np.float64)

    now = clock(device)

    def read(size: int) -> Iterator:
        start = now()
        yield size, rival.score(masks[:size], margins[:size], **settings), now() - start

    return {size: _scored(name, read(size), [size], device)[size] for size in sizes}


def stored_bytes(name: str, dataset: Dataset, recipe: Recipe, n_models: int, **settings) -> int:
    """What has to be kept to attribute further targets: n_models networks, and what goes with them by its settings.

    Source: Paper App. A.1, which counts Datamodels' networks too, although its weights alone would do.
    """
    rival = RIVALS[name]
    weights = 4 * networks.n_parameters(dataset, recipe) * max(1, rival.checkpoints)  # in single precision
    return n_models * (weights + rival.kept(dataset, **settings))


def _checked(name: str, dataset: Dataset, targets, sizes, device: str, settings: dict) -> tuple[Rival, np.ndarray]:
    """The rival, and the targets (n_targets,); ValueError where an argument does not fit."""
    if name not in RIVALS:
        raise ValueError(f"unknown method {name!r}; choose one of {', '.join(RIVALS)}")
    rival, targets, n_test = RIVALS[name], np.asarray(targets), len(dataset.test_labels)
    if targets.ndim != 1 or not len(targets) or not np.issubdtype(targets.dtype, np.integer):
        raise ValueError(f"targets of shape {targets.shape}, {targets.dtype}, are no test ids; give a list of integers")
    outside = targets[(targets < 0) | (targets >= n_test)]
    if len(outside):
        raise ValueError(f"target {outside[0]} does not exist: {dataset.name} has test ids 0 to {n_test - 1}")
    if empty := set(dataset.test_labels[targets]) - set(dataset.train_labels):
        raise ValueError(f"class {min(empty)} has no training image; choose targets of another class")
    if not len(sizes) or not all(isinstance(size, Integral) and size >= rival.least for size in sizes):
        raise ValueError(f"sizes={tuple(sizes)}: {name} needs whole numbers of models, at least {rival.least}")
    if device != pick_device(device):
        raise ValueError(f"device {device!r} is to be resolved first: give lib.data.pick_device({device!r})")
    known = list(inspect.signature(rival.score).parameters)[2:]
    if unknown := settings.keys() - set(known):
        raise ValueError(f"{name} has no setting {min(unknown)!r}; it has {', '.join(known) or 'none'}")
    return rival, targets


def _scored(name: str, results: Iterable[tuple], sizes: Sequence[int], device: str) -> dict[int, Scored]:
    """The results (size, scores, seconds) of these sizes: size -> Scored.

    They are computed with one thread, and torch's global stream is left alone. Raises ValueError where scores are not
    finite, or the same for all training images.
    """
    scored = {}
    with one_thread(device), torch.random.fork_rng():
        for size, scores, seconds in results:
            if size not in sizes:
                continue
            bad = ~np.isfinite(scores).all(axis=1) | (scores == scores[:, :1]).all(axis=1)
            if bad.any():
                raise ValueError(
                    f"{name}: the scores of {bad.sum()} of {len(scores)} targets are not finite or all equal; a network"
                    f" diverged, or a setting is out of scale: lower the learning rate, or raise the regularisation"
                )
            scored[size] = Scored(np.ascontiguousarray(scores, dtype=np.float32), seconds)
    return scored
