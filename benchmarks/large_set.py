"""A set of 100 000 small images through FFCV: memory and time, in a few minutes of one core.

    python -m benchmarks.large_set /tmp/large

Writes a folder of 32 x 32 PNG files, Fashion-MNIST's training images in random places, unless it is there; then reads
it and writes the file for FFCV, as the process that drives a campaign does, and trains from that file, as a worker
does: each in a process of its own, one after the other. A row goes to results/large_set.csv, which the page
"Reproduce" shows.
"""

import gzip
import resource
import subprocess
import sys
import time
from argparse import SUPPRESS, ArgumentParser
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import torch
from PIL import Image
from tqdm import tqdm

from lib import profiles
from lib.data import RESULTS, as_entry, beton, load, replacing
from lib.engine import processor
from lib.retrain import Retraining, retrain

SOURCE = Path("/usr/share/datasets/fashion-mnist")  # Debian's package dataset-fashion-mnist
TABLE = RESULTS / "large_set.csv"
N_TRAIN, N_TEST, SIDE = 100_000, 1000, 32


def idx(name: str, header: int) -> np.ndarray:
    """The bytes of one of the four original files, without its header."""
    return np.frombuffer(gzip.decompress((SOURCE / name).read_bytes()), np.uint8, offset=header)


def make(folder: Path) -> None:
    """The PNG files, train/<class>/* and test/<class>/*."""
    rng = np.random.default_rng(0)
    for split, stem, n in (("train", "train", N_TRAIN), ("test", "t10k", N_TEST)):
        images, labels = (
            idx(f"{stem}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28),
            idx(f"{stem}-labels-idx1-ubyte.gz", 8),
        )
        for c in range(10):
            (folder / split / str(c)).mkdir(parents=True)
        for i in tqdm(range(n), f"drawing {split}", mininterval=10):
            y, x = rng.integers(0, SIDE - 28, 2, endpoint=True)
            pixels = np.zeros((SIDE, SIDE), np.uint8)
            pixels[y : y + 28, x : x + 28] = images[i % len(images)]
            Image.fromarray(pixels).save(folder / split / str(labels[i % len(images)]) / f"{i:06d}.png")


def peak_mb() -> float:
    """The largest resident set of this process until now."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def driver(folder: Path) -> dict:
    """Read the folder, write the file, and what the workers are given."""
    started = time.perf_counter()
    dataset = load(as_entry("large", {"kind": "folder", "path": str(folder)}))
    read = time.perf_counter()
    beton.write(dataset, folder / "large.beton")
    written = time.perf_counter()
    joblib.dump(dataset.without_training_images(), folder / "dataset")
    n, megabytes = len(dataset.train_labels), (folder / "large.beton").stat().st_size / 1e6
    seconds = {"read_seconds": read - started, "write_seconds": written - read}
    return {"n_train": n, "side": SIDE, "file_mb": megabytes} | seconds | {"driver_mb": peak_mb()}


def worker(folder: Path) -> dict:
    """An epoch read alone, the first batch compiled before; and one trained by profile fashion's recipe, tested."""
    dataset = joblib.load(folder / "dataset", mmap_mode="r")
    started, recipe = time.perf_counter(), replace(profiles.load("fashion").recipe, epochs=1, warmup_epochs=0.2)
    images = beton.opened(dataset, folder / "large.beton")
    ids = torch.arange(len(dataset.train_labels))
    next(iter(images.batches(ids, recipe.batch_size)))
    opened = time.perf_counter()
    n = sum(len(batch) for batch, *_ in images.batches(ids, recipe.batch_size))
    read = time.perf_counter()
    retrain(dataset, Retraining(recipe, 0), "cpu", images)
    seconds = {"open_seconds": opened - started, "epoch_read_seconds": read - opened}
    assert n == len(ids)
    return seconds | {"epoch_train_seconds": time.perf_counter() - read, "worker_mb": peak_mb()}


def main() -> None:
    parser = ArgumentParser("python -m benchmarks.large_set", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--part", choices=("driver", "worker"), help=SUPPRESS)
    args = parser.parse_args()
    if args.part:
        joblib.dump({"driver": driver, "worker": worker}[args.part](args.folder), args.folder / args.part)
        return
    if not args.folder.exists():
        make(args.folder)
    row = {"machine": processor("cpu")}
    for part in ("driver", "worker"):
        subprocess.run([sys.executable, "-m", "benchmarks.large_set", args.folder, "--part", part], check=True)
        row |= joblib.load(args.folder / part)
    with replacing(TABLE) as path:
        pd.DataFrame([row]).to_csv(path, index=False, float_format="%.4g")
    print(row)


if __name__ == "__main__":
    main()
