"""Nearest neighbours on features of one's own, here 40 principal components, in plain numpy.

python -m lib.run export -p to FOLDER
python examples/nearest_neighbours.py FOLDER mine.npy
python -m lib.run score -p scores mine.npy -p name "Nearest neighbours, PCA"
"""

import sys
from pathlib import Path

import numpy as np


def scores(folder: Path) -> np.ndarray:
    """(n_targets, n_train): how near each training image is to each target; higher = nearer."""
    names = ("train_images", "test_images", "targets")
    train, test, targets = (np.load(folder / f"{name}.npy", allow_pickle=False) for name in names)
    train, test = (images.reshape(len(images), -1) / 255 for images in (train, test[targets]))
    mean = train.mean(axis=0)
    components = np.linalg.svd(train - mean, full_matrices=False)[2][:40].T
    train, test = (train - mean) @ components, (test - mean) @ components
    squares = (test**2).sum(1)[:, None] - 2 * test @ train.T + (train**2).sum(1)
    return -np.sqrt(np.maximum(squares, 0)).astype(np.float32)


if __name__ == "__main__":
    np.save(sys.argv[2], scores(Path(sys.argv[1])))
