"""What a rival is: the contract of this folder's files, and what their functions are handed."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from lib import nets
from lib.data import EVAL_BATCH

BATCH = 250  # images whose gradients are held at once, at most
GRADIENT_FLOATS = 2**28  # numbers in those gradients, at most: 1 GiB
ALL, HALVES, SUBSETS = "all images", "halves", "subsets"  # what a rival's models are trained on


@dataclass(frozen=True)
class Inputs:
    """Normalised images (n, c, h, w) and labels (n,) of the training set and of the targets, on the device.

    network: the number in the ensemble of the network that looks at them.
    """

    train: tuple[Tensor, Tensor]
    targets: tuple[Tensor, Tensor]
    network: int = 0

    @property
    def labels(self) -> tuple[np.ndarray, np.ndarray]:
        """Those of the training images (n_train,) and of the targets (n_targets,)."""
        return self.train[1].cpu().numpy(), self.targets[1].cpu().numpy()

    def rng(self) -> np.random.Generator:
        """A stream of random numbers of this network's own."""
        return np.random.default_rng(np.random.SeedSequence(0, spawn_key=(self.network,)))

    def embeddings(self, net: nn.Module) -> tuple[np.ndarray, np.ndarray]:
        """The layer before the last of the training images and of the targets, (n, d) float32 each."""
        if not hasattr(net, "embed"):
            raise ValueError("which layer of your network is the last but one is not known; choose a method without it")
        with torch.no_grad():
            return tuple(
                torch.cat([net.embed(batch) for batch in images.split(EVAL_BATCH)]).float().cpu().numpy()
                for images, _ in (self.train, self.targets)
            )


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


@dataclass(frozen=True)
class Rival:
    """A competing method: its function, and in what it differs from the others.

    score: (network, Inputs, settings by name) -> (n_targets, n_train). Of a rival on SUBSETS, instead of the first two:
    masks (n_models, n_train) bool, margins (n_models, n_targets) float64.
    """

    score: Callable
    trained_on: str = ALL  # or HALVES, a random one per network; or SUBSETS, whose models several rivals share
    checkpoints: int = 0  # of a training, whose scores are added, times their learning rates; 0: the trained network
    least: int = 1  # models
    combine: Callable[[Iterable], Iterator[np.ndarray]] = running_mean  # of each network's result: of one, of two, …
    check: Callable[..., None] = lambda dataset, recipe, **settings: None  # ValueError where its settings do not fit
    kept: Callable[..., int] = lambda dataset, **settings: 0  # bytes per network beside its weights
    version: int = 0  # raised when it scores otherwise than before: scores that were kept are then computed anew


def of_embeddings(compare: Callable) -> Rival:
    """A rival that looks at the layer before the last alone.

    compare: embeddings of the training images (n_train, d) and of the targets (n_targets, d), and their labels, (n,)
    each -> (n_targets, n_train).
    """
    return Rival(lambda net, inputs: compare(*inputs.embeddings(net), *inputs.labels))
