"""The choice of the MoCo recipe by kNN accuracy, before any attribution: `python -m benchmarks.moco_choice fashion`.

Each row of `results/<profile>/moco_choice.csv` is one training on the profile's training images, with one seed, and kNN
accuracy on 1 000 of them (100 a class) held out of it: one standard error is about 1.3 points on fashion and 1.6 on
cifar10, so that smaller differences decide nothing. The chosen recipe is the best candidate, or on fashion the first of
those that no other beats by more than chance, with more width and epochs. Its own kNN accuracy on the test images,
which chose nothing, is on the page of Figure 2. About 10 minutes on one core; `cifar10` needs its archive.
"""

import time
from argparse import ArgumentParser
from dataclasses import replace

import numpy as np
import pandas as pd
from tqdm import tqdm

from lib.data import RESULTS, Dataset, load, replacing, subset
from lib.features import FeatureRecipe, extract, knn_accuracy
from lib.profiles import PROFILES

HELD_OUT = 100  # images a class
QUICK = FeatureRecipe(width=16, epochs=10)  # the chosen recipe at a twentieth of its cost
COLOUR = replace(QUICK, crop=0.3, cutout=0)
CANDIDATES = {
    "fashion": (
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
    ),
    "cifar10": (
        FeatureRecipe("pixels"),
        COLOUR,
        replace(COLOUR, crop=0.15),
        replace(COLOUR, crop=0.5),
        replace(COLOUR, crop=0.7),
        replace(COLOUR, jitter=0.8),
        replace(COLOUR, cutout=8),
        replace(COLOUR, temperature=0.2),
        replace(COLOUR, peak_lr=0.1),
        replace(COLOUR, batch_size=64),
    ),
}
VARIED = ("width", "epochs", "crop", "flip", "jitter", "cutout", "temperature", "peak_lr", "batch_size", "memory_bank")


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


def main(name: str) -> None:
    profile = PROFILES[name]
    dataset = held_out(subset(load(profile.dataset), profile.train_per_class, 1), HELD_OUT)
    rows = [measure(dataset, recipe) for recipe in tqdm(CANDIDATES[name], unit="recipe", mininterval=5)]
    with replacing(RESULTS / name / "moco_choice.csv") as path:
        pd.DataFrame(rows).to_csv(path, index=False)


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("profile", choices=CANDIDATES)
    main(parser.parse_args().profile)
