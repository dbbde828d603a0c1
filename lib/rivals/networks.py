"""The networks that rivals look into: how they are trained, seen on the way, and counted.

The first k of n networks are the same for every n >= k. Their seeds are 32-bit words of a SeedSequence, far from the
small seeds of the base models and the votes.
"""

import copy
import io
import logging
from contextlib import contextmanager, redirect_stderr
from itertools import count

import numpy as np
import torch
from torch import nn

from lib import nets
from lib.data import Dataset, resident
from lib.retrain import Recipe, Retraining, fit
from lib.rivals.rival import Inputs, Rival


def trainings(dataset: Dataset, recipe: Recipe, n_models: int, halves: bool = False) -> list[Retraining]:
    """n_models trainings on the unmodified training set; halves: each on its own random half of the images."""
    result, n = [], len(dataset.train_labels)
    for stream in np.random.SeedSequence(0).spawn(n_models):
        removed = np.random.default_rng(stream).permutation(n)[: n // 2 if halves else 0]
        result.append(Retraining(recipe, int(stream.generate_state(1)[0]), removed=tuple(removed.tolist())))
    return result


def trained(dataset: Dataset, training: Retraining, device: str) -> nn.Module:
    """The network of a training, in evaluation mode.

    Its weights are contiguous, not channels last: so the gradients of single images are taken fastest.
    """
    return fit(dataset, training, device).to(memory_format=torch.contiguous_format)


def n_steps(dataset: Dataset, training: Retraining) -> int:
    """How many steps a training has."""
    n_images = len(dataset.train_labels) - len(training.removed)
    return training.recipe.epochs * (n_images // training.recipe.batch_size)


def trajectory(dataset: Dataset, training: Retraining, checkpoints: int, device: str) -> list[tuple[float, nn.Module]]:
    """One training, seen in the middle of each of so many equal parts: its learning rate and network there.

    The network is copied before the step at which it is due.
    """
    steps = n_steps(dataset, training)
    due, step, seen = {int((part + 0.5) * steps / checkpoints) for part in range(checkpoints)}, count(), []

    def watch(rate: float, net: nn.Module) -> None:
        if next(step) in due:
            seen.append((rate, copy.deepcopy(net).eval().to(memory_format=torch.contiguous_format)))

    fit(dataset, training, device, watch)
    return seen


def scored(rival: Rival, dataset: Dataset, training: Retraining, inputs: Inputs, device: str, **settings):
    """What a rival makes of the network of a training, for its `combine`; the sum over its checkpoints if it has some.

    settings: of its function, that are not to be its defaults.
    """
    if rival.checkpoints:
        seen = trajectory(dataset, training, rival.checkpoints, device)
        return sum(rate * rival.score(net, inputs, **settings) for rate, net in seen)
    return rival.score(trained(dataset, training, device), inputs, **settings)


def inputs(dataset: Dataset, targets: np.ndarray, device: str) -> Inputs:
    """All training images and the targets (test ids), as networks take them."""
    images, ids = resident(dataset, device), torch.as_tensor(targets, device=device)
    labels, test_labels = (torch.tensor(x, device=device) for x in (dataset.train_labels, dataset.test_labels))
    return Inputs((images.normalised(images.train), labels), (images.normalised(images.test[ids]), test_labels[ids]))


def n_parameters(dataset: Dataset, recipe: Recipe) -> int:
    """How many numbers a network of the recipe learns."""
    return nets.size(nets.build(recipe, dataset.train_images.shape[1], len(dataset.class_names), seed=0))


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
