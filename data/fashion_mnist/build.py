"""Rebuild images.npy.bz2 and ids.csv, the embedded subset, bit for bit from the four original Fashion-MNIST files.

    python data/fashion_mnist/build.py FOLDER_WITH_THE_IDX_GZ_FILES [OUTPUT_FOLDER]

The subset is class-balanced: of every class, the 500 training and 200 test images whose name ("train/17") has the
smallest SHA-256, in the order of the original files. bzip2 is used because its output has been the same for decades.
"""

import bz2
import gzip
import hashlib
import io
import sys
from pathlib import Path

import numpy as np

SPLITS = {"train": ("train", 500), "test": ("t10k", 200)}  # split: (prefix of the original files, images a class)


def read_idx(path: Path) -> np.ndarray:
    """Read one idx file of unsigned bytes: magic number, sizes, data."""
    raw = gzip.decompress(path.read_bytes())
    n_axes = raw[3]
    shape = np.frombuffer(raw, dtype=">u4", count=n_axes, offset=4)
    return np.frombuffer(raw, dtype=np.uint8, offset=4 + 4 * n_axes).reshape(shape)


def choose(split: str, labels: np.ndarray, per_class: int) -> np.ndarray:
    """Ids of the chosen images, ascending. labels: (n,). Returns (10 * per_class,)."""
    rank = [hashlib.sha256(f"{split}/{i}".encode()).digest() for i in range(len(labels))]
    of_class = [sorted(np.flatnonzero(labels == c), key=rank.__getitem__)[:per_class] for c in range(10)]
    return np.sort(np.concatenate(of_class))


def main(source: Path, target: Path) -> None:
    """Write both files into `target`, training images before test images."""
    images, rows = [], ["split,original_id,label"]
    for split, (prefix, per_class) in SPLITS.items():
        labels = read_idx(source / f"{prefix}-labels-idx1-ubyte.gz")
        ids = choose(split, labels, per_class)
        images.append(read_idx(source / f"{prefix}-images-idx3-ubyte.gz")[ids])
        rows += [f"{split},{i},{labels[i]}" for i in ids]
    buffer = io.BytesIO()
    np.save(buffer, np.concatenate(images), allow_pickle=False)
    (target / "images.npy.bz2").write_bytes(bz2.compress(buffer.getvalue(), 9))
    (target / "ids.csv").write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).parent)
