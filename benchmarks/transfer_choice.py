"""The choice of the networks of Figure 6, before any attribution: `python -m benchmarks.transfer_choice`.

Each row of `results/fashion/transfer_choice.csv` is one recipe, trained as in `benchmarks/recipe_choice.py`. The limit:
at most 6 core-seconds a training, half more than there, as these networks are slower for their operations. Of each
network, `lib.profiles` has the cheapest size whose best learning rate comes within one point of the most accurate row
inside the limit. About 3 minutes on one core.
"""

from argparse import ArgumentParser
from dataclasses import replace

import pandas as pd
from tqdm import tqdm

from benchmarks.recipe_choice import SEEDS, measure
from lib.data import RESULTS, load, replacing
from lib.profiles import LAPTOP
from lib.retrain import Retraining, retrain

MOBILENET = replace(LAPTOP, arch="mobilenetv2_shallow")
VIT = replace(LAPTOP, arch="vit", stem="patch7", width=32)
RECIPES = [
    *(replace(MOBILENET, epochs=epochs, peak_lr=lr) for epochs in (2, 3, 4) for lr in (0.1, 0.3)),
    *(replace(VIT, epochs=epochs, peak_lr=lr) for epochs in (3, 6) for lr in (0.03, 0.1)),
    replace(VIT, width=48, peak_lr=0.1),
    replace(VIT, width=64, peak_lr=0.1),
]


def main() -> None:
    dataset = load("fashion_mnist")
    retrain(dataset, Retraining(LAPTOP, SEEDS[0]))  # the first training of a process pays for what is loaded late
    rows = [measure(recipe.arch, recipe, dataset) for recipe in tqdm(RECIPES, unit="recipe", mininterval=5)]
    with replacing(RESULTS / "fashion" / "transfer_choice.csv") as path:
        pd.DataFrame(rows).to_csv(path, index=False, float_format="%.4g")


if __name__ == "__main__":
    ArgumentParser(description=__doc__).parse_args()
    main()
