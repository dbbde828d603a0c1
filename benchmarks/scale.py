"""How the ranking of training images scales with their number: seconds a target and memory, measured, not extrapolated.

Features are noise in a memory-mapped file that is never loaded whole: what is timed does not depend on what they mean.
Only the classes of the targets are read, and only their rows are written: the rest of the file takes no disk.
"""

import multiprocessing
import re
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from lib import distances
from lib.engine import machine_name

TARGETS = 30
CLASSES = 3  # that the targets are of
SIZES = (  # training images, classes, dimensions
    (5_000, 10, 512),
    (50_000, 10, 512),  # CIFAR-10's numbers
    (500_000, 100, 512),
    (1_281_000, 1000, 2048),  # ImageNet's numbers
)


def measure() -> pd.DataFrame:
    """One row for each size and distance, each in a process of its own.

    Columns: n_train, n_classes, d, file_GB, distance, n_targets, seconds_a_target, memory_MiB (the process's peak, less
    what it had before), machine.
    """
    context = multiprocessing.get_context("spawn")
    rows = []
    for n, n_classes, d in SIZES:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "features.npy"
            _write(path, n, n_classes, d)
            for distance in ("l2", "esvm"):
                with context.Pool(1) as pool:
                    seconds, memory = pool.apply(_rank, (path, n, n_classes, distance))
                rows.append((n, n_classes, d, 4 * n * d / 1e9, distance, TARGETS, seconds, memory, machine_name()))
    names = "n_train n_classes d file_GB distance n_targets seconds_a_target memory_MiB machine"
    return pd.DataFrame(rows, columns=names.split())


def _write(path: Path, n: int, n_classes: int, d: int) -> None:
    """Positive features of the first classes; the images are in the order of their class."""
    rng = np.random.default_rng(0)
    file = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n, d))
    rows, mixing = CLASSES * n // n_classes, rng.standard_normal((16, d), dtype=np.float32)
    for start in range(0, rows, 10_000):
        part = file[start : min(start + 10_000, rows)]
        mixed = rng.standard_normal((len(part), 16), dtype=np.float32) @ mixing
        part[:] = np.maximum(0, mixed + rng.standard_normal(part.shape, dtype=np.float32))


def _rank(path: Path, n: int, n_classes: int, distance: str) -> tuple[float, float]:
    features, labels = np.load(path, mmap_mode="r"), np.arange(n) * n_classes // n
    chosen = np.linspace(0, CLASSES * n // n_classes - 1, TARGETS).astype(int)
    noise = np.random.default_rng(1).standard_normal((TARGETS, features.shape[1]), dtype=np.float32)
    targets = features[chosen] + noise
    before = _peak()
    start = time.perf_counter()
    scores = distances.scores(distances.DISTANCES[distance], targets, features, labels[chosen], labels)
    distances.ranking(scores, n // n_classes // 4)
    return (time.perf_counter() - start) / TARGETS, (_peak() - before) / 2**10


def _peak() -> int:
    """Most memory that this process has held, in KiB. Linux; getrusage would tell that of the process it came from."""
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])
