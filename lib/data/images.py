"""The images of a dataset as tensors on a device: what trainings and features read batches from."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from lib.data.datasets import Dataset
from lib.data.device import one_thread

SAMPLE = 2**30  # pixel values that mean and standard deviation are taken from: 4 GiB meanwhile
EVAL_BATCH = 1000  # images a forward pass without gradients


@dataclass(frozen=True)
class Images:
    """The images of a dataset on a device, (n, c, h, w) uint8, and how they are normalised; mean, std: (1, c, 1, 1)."""

    train: Tensor
    test: Tensor
    mean: Tensor
    std: Tensor

    def batches(self, ids: Tensor, size: int, labels: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Training images (b, c, h, w) uint8, labels (b,) and ids (b,) of the given ids in the given order.

        labels: (n,), by id. b = size, but for the last batch, which may be short.
        """
        for batch in (ids[i : i + size] for i in range(0, len(ids), size)):
            yield self.train[batch], labels[batch], batch

    def normalised(self, images: Tensor) -> Tensor:
        """float32 (b, c, h, w), in which each channel of the training images has mean 0 and standard deviation 1."""
        return (images.float() - self.mean) / self.std


@lru_cache(maxsize=2)
def resident(dataset: Dataset, device: str = "cpu") -> Images:
    """The images on the device, once a process."""
    train = tensor(dataset.train_images, device)
    return Images(train, tensor(dataset.test_images, device), *mean_and_std(train))


def tensor(array: np.ndarray, device: str = "cpu") -> Tensor:
    """An array on the device. On a CPU they share memory, mapped from a file or not, unless it must not be written."""
    return torch.from_numpy(array if array.flags.writeable else array.copy()).to(device)


def mean_and_std(images: Tensor) -> tuple[Tensor, Tensor]:
    """Of each channel, (1, c, 1, 1) float32. images: (n, c, h, w) uint8; of many, evenly spread ones are looked at.

    A deviation is at least 1: a channel that is the same everywhere becomes 0. Raises ValueError where all are.
    """
    sample = images[:: -(-images.numel() // SAMPLE)]
    with one_thread(images.device.type):
        std, mean = torch.std_mean(sample.float(), dim=(0, 2, 3), keepdim=True)
    if not std.any():
        raise ValueError("all training images are of one colour: there is nothing to learn; look at the images")
    return mean, std.clamp(min=1)
