"""The choice of each self-supervised method's learning rate by kNN accuracy: `python -m benchmarks.zoo_choice`.

Each row of `results/fashion/zoo_choice.csv` is one method with one peak learning rate after so many epochs of a
training of 20, with one seed, and kNN accuracy on 1 000 training images (100 a class) held out of it: a standard error
is about 1.3 points. A quarter of the chosen recipe's width; everything else is what was chosen for MoCo. The peak of
best accuracy at the end is the one in `lib.profiles`. About 10 minutes on one core.
"""

from argparse import ArgumentParser
from dataclasses import replace

import pandas as pd
from tqdm import tqdm

from benchmarks.moco_choice import HELD_OUT, held_out
from lib import ssl
from lib.data import RESULTS, Dataset, load, one_thread, replacing
from lib.features import FeatureRecipe, embedded, knn_accuracy

EPOCHS = (1, 2, 5, 10, 20)
PEAKS = (0.03, 0.1, 0.3)


def curve(dataset: Dataset, recipe: FeatureRecipe) -> list[dict]:
    """A row for each of EPOCHS."""
    rows = []

    def watch(epoch, backbone) -> None:
        if epoch in EPOCHS:
            accuracy = knn_accuracy(embedded(dataset, backbone), dataset)
            row = {"method": recipe.method, "peak_lr": recipe.peak_lr, "epoch": epoch}
            rows.append(row | {"n": len(dataset.test_labels), "knn_accuracy": accuracy})

    with one_thread("cpu"):
        ssl.train(dataset, recipe, progress=False, watch=watch)
    return rows


def main() -> None:
    dataset, base = held_out(load("fashion_mnist"), HELD_OUT), FeatureRecipe(width=8, epochs=EPOCHS[-1])
    recipes = [replace(base, method=method, peak_lr=lr) for method in ssl.METHODS for lr in PEAKS]
    rows = [row for recipe in tqdm(recipes, unit="recipe", mininterval=5) for row in curve(dataset, recipe)]
    with replacing(RESULTS / "fashion" / "zoo_choice.csv") as path:
        pd.DataFrame(rows).to_csv(path, index=False)


if __name__ == "__main__":
    ArgumentParser(description=__doc__).parse_args()
    main()
