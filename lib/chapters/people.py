"""What people said about the images of CIFAR-10: labels of the training images, suspected test labels, twins.

Each is a file of the manifest that counts images in the order of the original batches: see `original_ids`.
"""

import codecs
import json
from collections.abc import Mapping
from functools import cached_property
from importlib.util import find_spec

import numpy as np
import pandas as pd
import torch

from lib.data import fetch
from lib.profiles import Profile
from lib.report import Page, committed

CIFAR10 = ("cifar10", "cifar10_jpeg")  # datasets whose images these are
FILES = ("cifar10n", "cifar10_suspected", "cifar10_test_labels", "cifar10_twins")
# CIFAR-10N's names: what most of three people said; what one of them said wrongly, if any did; CIFAR-10's own
AGGREGATE, WORST, CLEAN = "aggre_label", "worse_label", "clean_label"
MAJORITY = 3  # of the five people who judged a test label


class JudgedPage(Page):
    """A page that shows what came with the repository also where what people said, or a package, is not here."""

    def __init__(self, name: str, parameters: Mapping, packages: tuple[str, ...] = ()):
        super().__init__(name, parameters)
        self.packages = packages

    @cached_property
    def missing(self) -> bool:
        if self.tally is not None or not committed.exist(self.values, self.name):
            return False
        lacking = not all(map(find_spec, self.packages)) or (of_cifar10(self.values) and not are_here())
        return lacking or super().missing


def of_cifar10(profile: Profile) -> bool:
    return profile.dataset in CIFAR10


def are_here() -> bool:
    """Whether all the files can be had."""
    try:
        return all(map(fetch, FILES))
    except FileNotFoundError:
        return False


def training_labels() -> dict[str, np.ndarray]:
    """Labels (50 000,) int64 of the training images by the name of their set, in the original order.

    A pickle, of which arrays of numbers alone are read. Source: CIFAR-10N, Wei et al. 2022, arXiv 2110.12088.
    """
    rebuild = np.empty(0).__reduce__()[0], "numpy.core.multiarray._reconstruct"  # wherever this NumPy keeps it
    with torch.serialization.safe_globals([rebuild, np.ndarray, np.dtype, type(np.dtype(np.int64)), codecs.encode]):
        return torch.load(fetch("cifar10n"), weights_only=True)


def test_labels() -> np.ndarray:
    """Labels (10 000,) int64 of the test images, in the original order."""
    return np.load(fetch("cifar10_test_labels"), allow_pickle=False).astype(np.int64)


def suspected() -> pd.DataFrame:
    """Test labels that five people judged: id (original), wrong (fewer than MAJORITY of the five agreed with it).

    They were chosen by confident learning. Source: Northcutt, Athalye, Mueller 2021, arXiv 2103.14749.
    """
    entries = json.loads(fetch("cifar10_suspected").read_text(encoding="utf-8"))
    rows = [(entry["id"], entry["mturk"]["given"] < MAJORITY) for entry in entries]
    return pd.DataFrame(rows, columns=["id", "wrong"])


def twins() -> pd.DataFrame:
    """Test images with a twin among the training images: test, train (original ids), judgement (1 near-duplicate, 2
    very similar). Source: ciFAIR, Barz & Denzler 2020, arXiv 1902.00423.
    """
    table = pd.read_csv(fetch("cifar10_twins"))
    return table.rename(columns={"TestID": "test", "TrainID": "train", "Judgment": "judgement"})


def original_ids(labels: np.ndarray, original: np.ndarray) -> np.ndarray:
    """Of each image of a dataset, its place (n,) in the original batches.

    labels: (n,), the dataset's: of the first images of each class, in the original order or, as folders have it, by
    class and in that order within one. original: (N,), of the batches. Raises ValueError where it is neither.
    """
    counts = np.bincount(labels)
    by_class = np.concatenate([np.flatnonzero(original == c)[:n] for c, n in enumerate(counts)])
    for ids in (by_class, np.sort(by_class)):
        if len(ids) == len(labels) and (original[ids] == labels).all():
            return ids
    raise ValueError(
        f"the {len(labels)} labels are not those of CIFAR-10's first images of each class; use all classes"
    )
