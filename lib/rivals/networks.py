"""The networks that the methods look into, and the images they look at: shared by all methods that train.

The first k of n networks are the same for every n >= k. Their seeds are 32-bit words of a SeedSequence, far from the
small seeds of the base models and the votes.
"""

import copy
import io
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from lib import nets
from lib.data import EVAL_BATCH, Dataset, resident
from lib.features import Features
from lib.retrain import Recipe, Retraining, check, fit

BATCH = 250  # images whose gradients are held at once, at most
GRADIENT_FLOATS = 2**28  # numbers in those gradients, at most: 1 GiB


def trainings(recipe: Recipe, n_models: int, seed: int) -> list[Retraining]:
    """n_models trainings on the unmodified training set."""
    streams = np.random.SeedSequence(seed).spawn(n_models)
    return [Retraining(recipe, int(stream.generate_state(1)[0])) for stream in streams]


def half_trainings(dataset: Dataset, recipe: Recipe, n_models: int, seed: int) -> list[Retraining]:
    """n_models trainings, each on its own random half of the training images.

    Raises ValueError where a half is fewer than one batch.
    """
    result, n = [], len(dataset.train_labels)
    for stream in np.random.SeedSequence(seed).spawn(n_models):
        removed = np.random.default_rng(stream).permutation(n)[: n // 2]
        result.append(Retraining(recipe, int(stream.generate_state(1)[0]), removed=tuple(removed.tolist())))
    check(dataset, result[0])
    return result


def n_parameters(dataset: Dataset, recipe: Recipe) -> int:
    """How many numbers a network of the recipe learns."""
    return nets.size(nets.build(recipe, dataset.train_images.shape[1], len(dataset.class_names), seed=0))


def weight_bytes(dataset: Dataset, recipe: Recipe) -> int:
    """Bytes of a network's weights, in single precision."""
    return 4 * n_parameters(dataset, recipe)


def progress(what: list[Retraining]) -> tqdm:
    """The trainings, one by one, with a progress bar where they take longer than a few seconds."""
    return tqdm(what, desc="networks", unit="network", delay=5, mininterval=5, leave=False)


def trained(dataset: Dataset, what: list[Retraining], device: str) -> Iterator[nn.Module]:
    """The networks of the trainings, each trained when it is asked for, in evaluation mode.

    Their weights are contiguous, not channels last: so the gradients of single images are taken fastest.
    """
    for training in progress(what):
        yield fit(dataset, training, device).to(memory_format=torch.contiguous_format)


def trajectory(dataset: Dataset, what: Retraining, n_checkpoints: int, device: str) -> list[tuple[float, nn.Module]]:
    """One training, seen in the middle of each of n_checkpoints equal parts: its learning rate and network there.

    The network is copied before the step at which it is due. Raises ValueError where the training has fewer steps.
    """
    n_steps = what.recipe.epochs * ((len(dataset.train_labels) - len(what.removed)) // what.recipe.batch_size)
    if n_checkpoints > n_steps:
        raise ValueError(f"n_checkpoints={n_checkpoints} exceeds the {n_steps} steps of a training; lower it")
    due, step, seen = {int((part + 0.5) * n_steps / n_checkpoints) for part in range(n_checkpoints)}, count(), []

    def watch(rate: float, net: nn.Module) -> None:
        if next(step) in due:
            seen.append((rate, copy.deepcopy(net).eval().to(memory_format=torch.contiguous_format)))

    fit(dataset, what, device, watch)
    return seen


@dataclass(frozen=True)
class Inputs:
    """Normalised images (n, c, h, w) and labels (n,) of the training set and of the targets, on the device."""

    train: tuple[Tensor, Tensor]
    targets: tuple[Tensor, Tensor]

    def embeddings(self, net: nn.Module) -> tuple[np.ndarray, np.ndarray]:
        """The layer before the last of the training images and of the targets, (n, d) float32 each."""
        with torch.no_grad():
            train, targets = (
                torch.cat([net.embed(batch) for batch in images.split(EVAL_BATCH)]).float().cpu().numpy()
                for images, _ in (self.train, self.targets)
            )
        return train, targets


def inputs(dataset: Dataset, targets: np.ndarray, device: str) -> Inputs:
    images = resident(dataset, device)
    labels, target_labels = (
        torch.tensor(labels, device=device) for labels in (dataset.train_labels, dataset.test_labels[targets])
    )
    target_images = images.test[torch.as_tensor(targets, device=device)]
    return Inputs((images.normalised(images.train), labels), (images.normalised(target_images), target_labels))


def embeddings(
    dataset: Dataset,
    recipe: Recipe,
    targets: np.ndarray,
    n_models: int,
    features: Features | None,
    seed: int,
    device: str,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(training images, targets), (n, d) float32 each: in the given features or, one by one, in n_models networks."""
    if features is not None:
        sizes = len(features.train), len(features.test)
        expected = len(dataset.train_labels), len(dataset.test_labels)
        if sizes != expected:
            raise ValueError(
                f"features of {sizes} train and test images, but {dataset.name} has {expected}; give its own"
            )
        return iter([(features.train, features.test[targets])])
    images = inputs(dataset, targets, device)
    return (images.embeddings(net) for net in trained(dataset, trainings(recipe, n_models, seed), device))


def batches(net: nn.Module, images: tuple[Tensor, Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """Images and their labels, in their order, so many at a time that their gradients fit into memory."""
    batch_size = max(1, min(BATCH, GRADIENT_FLOATS // nets.size(net)))
    return zip(*(part.split(batch_size) for part in images), strict=True)


def running_mean(results: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The mean of the first result, of the first two, …"""
    total = 0
    for n, result in enumerate(results, start=1):
        total = total + result
        yield total / n


@contextmanager
def quiet():
    """Without the libraries' progress bars, and without the handler that traker gives the root logger for good."""
    root, handler = logging.getLogger(), logging.NullHandler()
    root.addHandler(handler)
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        root.removeHandler(handler)
