"""What the paper's authors published of their own runs: targets, rankings, and predictions for mislabelling.

Their files lie in folders `test_indices`, `topk_train_samples` and `predictions` (entry `paper_rankings` of the
manifest): arrays without names, hashes or a word on their order. So each is checked against the dataset: its shape, its
ids, and, by the classes, that it counts images in the same order.
Source: the layouts are those that the code at github.com/vasusingla/simple-data-attribution writes and reads.
"""

from pathlib import Path

import numpy as np
import torch

from lib.data import Dataset

LEAST_SHARE = 0.5  # of ranked images in the target's class, or of right predictions; in a wrong order, 1 / n_classes


def targets(path: Path, dataset: Dataset) -> np.ndarray:
    """Test ids (n_targets,) int64, in the file's order."""
    found = _integers(path, 1)
    _check_ids(path, found, len(dataset.test_labels), "test")
    if len(np.unique(found)) < len(found):
        raise ValueError(
            f"{path} names {len(found) - len(np.unique(found))} test ids twice; give a file of distinct ones"
        )
    return found


def rankings(path: Path, targets: np.ndarray, dataset: Dataset) -> np.ndarray:
    """The most supportive train ids (n_targets, k) of each target, as `Attribution.ranking` gives them.

    A file has a row for each target, in their order, or one for each test image, zero where it was not computed.
    Raises ValueError where it is neither, a target's row is empty, ids do not fit or repeat, or the order of the images
    is another than the dataset's: then fewer than half of the ranked images are of their target's class.
    """
    found, n_test = _integers(path, 2), len(dataset.test_labels)
    if len(found) not in (len(targets), n_test):
        raise ValueError(
            f"{path} has {len(found)} rows; expected {len(targets)}, one a target, or {n_test}, one a test image"
        )
    rows = found if len(found) == len(targets) else found[targets]
    if (empty := ~rows.any(axis=1)).any():
        raise ValueError(
            f"{path} has no ranking of test image {targets[empty][0]}; give the targets that it was made for"
        )
    _check_ids(path, rows, len(dataset.train_labels), "train")
    if (repeated := (np.diff(np.sort(rows, axis=1), axis=1) == 0).any(axis=1)).any():
        raise ValueError(f"{path} ranks a training image twice for test image {targets[repeated][0]}; it is damaged")
    share = (dataset.train_labels[rows] == dataset.test_labels[targets][:, None]).mean()
    _check_order(path, share, "ranked images are of their target's class", dataset)
    return rows


def wrong_labels(path: Path, targets: np.ndarray, dataset: Dataset) -> np.ndarray:
    """For each target the likeliest wrong class, (n_targets,) int64. Source: Paper App. A.4.

    The file has a number for every test image and class: outputs (higher is likelier) or ranks (lower is), told apart
    by which of the two is right. Raises ValueError where neither is, so that the images are in another order.
    """
    found, n_classes = _read(path), len(dataset.class_names)
    expected = len(dataset.test_labels), n_classes
    if found.shape != expected or not np.isfinite(found).all():
        raise ValueError(f"{path} has shape {found.shape} or gaps; expected finite {expected}, test images by classes")
    right = [(sign * found).argmax(axis=1) == dataset.test_labels for sign in (1, -1)]
    _check_order(path, max(map(np.mean, right)), "predictions are right", dataset)
    likely = np.where(np.mean(right[0]) > np.mean(right[1]), 1, -1) * found[targets].astype(float)
    likely[np.arange(len(targets)), dataset.test_labels[targets]] = -np.inf
    return likely.argmax(axis=1)


def _read(path: Path) -> np.ndarray:
    """An array from a .npy file, or a tensor from a .pt file. Code in either is never run."""
    try:
        if Path(path).suffix == ".npy":
            return np.load(path, allow_pickle=False)
        return torch.load(path, map_location="cpu", weights_only=True).numpy()
    except Exception as problem:  # damage shows as whatever the reader runs into
        raise ValueError(
            f"{path} is no array or tensor of numbers: it is damaged, or holds code, which is never run; fetch it again"
        ) from problem


def _integers(path: Path, n_dimensions: int) -> np.ndarray:
    found = _read(path)
    if found.ndim != n_dimensions or not np.issubdtype(found.dtype, np.integer):
        raise ValueError(
            f"{path} has shape {found.shape}, {found.dtype}; expected integers of {n_dimensions} dimension(s)"
        )
    return found.astype(np.int64)


def _check_ids(path: Path, ids: np.ndarray, n: int, split: str) -> None:
    outside = ids[(ids < 0) | (ids >= n)]
    if len(outside):
        raise ValueError(f"{path} names {split} image {outside[0]}; the dataset has 0 to {n - 1}: give the file's own")


def _check_order(path: Path, share: float, what: str, dataset: Dataset) -> None:
    if share < LEAST_SHARE:
        raise ValueError(
            f"{path}: {share:.0%} of its {what}, in {dataset.name}'s order of the images; at least {LEAST_SHARE:.0%} "
            f"are expected. It counts images in another order: load the dataset in the order of its original batches"
        )
