"""The choice of the MoCo recipe by kNN accuracy, before any attribution: `python benchmarks/moco_choice.py`.

Each row of `results/fashion/moco_choice.csv` is one training on the embedded Fashion-MNIST images, with one seed,
and kNN accuracy on 1 000 training images (100 a class) held out of it: one standard error is about 1.3
points, so that smaller differences decide nothing. The chosen recipe is the first candidate with more width and epochs.
Its own kNN accuracy on the test images, which chose nothing, is on the page of Figure 2. About 10 minutes on one core.
"""

import time
from dataclasses import replace

import numpy as np
import pandas as pd
from tqdm import tqdm

from lib.data import Dataset, load
from lib.features import FeatureRecipe, extract, knn_accuracy
from lib.paths import RESULTS
from lib.record import replacing

HELD_OUT = 100  # images a class
QUICK = FeatureRecipe(width=16, epochs=10)  # the chosen recipe at a twentieth of its cost
CANDIDATES = (
    FeatureRecipe("pixels"),
    QUICK,
    replace(QUICK, width=8),
    replace(QUICK, width=32, epochs=6),
    replace(QUICK, epochs=30),
    replace(QUICK, crop=0.4),
    replace(QUICK, crop=1.0),
    replace(QUICK, jitter=0.0),
    replace(QUICK, cutout=0),
    replace(QUICK, cutout=14),
    replace(QUICK, temperature=0.2),
    replace(QUICK, peak_lr=0.2),
)
VARIED = ("width", "epochs", "crop", "flip", "jitter", "cutout", "temperature", "peak_lr", "memory_bank")


def held_out(dataset: Dataset, per_class: int, seed: int = 0) -> Dataset:
    """The training images alone, with `per_class` random ones of each class in the place of the test images."""
    rng = np.random.default_rng(seed)
    images, labels = dataset.train_images, dataset.train_labels
    chosen = [rng.permutation(np.flatnonzero(labels == c))[:per_class] for c in range(len(dataset.class_names))]
    out = np.isin(np.arange(len(labels)), chosen)
    return replace(
        dataset, train_images=images[~out], train_labels=labels[~out], test_images=images[out], test_labels=labels[out]
    )


def measure(dataset: Dataset, recipe: FeatureRecipe) -> dict:
    """One row of the table. core_seconds: training and extraction together."""
    start = time.process_time()
    features = extract(dataset, recipe, progress=False)
    seconds = time.process_time() - start
    varied = {key: getattr(recipe, key) if recipe.method == "moco" else None for key in VARIED}
    return {"features": recipe.method, **varied} | {
        "n": len(features.test),
        "knn_accuracy": knn_accuracy(features, dataset),
        "core_seconds": round(seconds, 1),
    }


def main() -> None:
    dataset = held_out(load("fashion_mnist"), HELD_OUT)
    rows = [measure(dataset, recipe) for recipe in tqdm(CANDIDATES, unit="recipe", mininterval=5)]
    with replacing(RESULTS / "fashion" / "moco_choice.csv") as path:
        pd.DataFrame(rows).to_csv(path, index=False)


if __name__ == "__main__":
    main()
