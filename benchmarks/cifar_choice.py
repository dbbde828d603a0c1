"""The choice of the CIFAR-10 recipe by accuracy and cost, before any attribution: `python -m benchmarks.cifar_choice`.

Each row of `results/cifar10/recipe_choice.csv` is one recipe, trained with several seeds on the training images of
profile `cifar10` without 100 a class that are held out: accuracy on those, and processor seconds of one training on one
thread, test included. The limit was set first: at least 60 % within 20 core-seconds; cheaper is better: a study is
thousands. Needs `cifar10_jpeg` (see the page on data); about 20 minutes on one core.
"""

from dataclasses import replace

import pandas as pd
from tqdm import tqdm

from benchmarks.moco_choice import HELD_OUT, held_out
from benchmarks.recipe_choice import SEEDS, measure
from lib.data import load, subset
from lib.paths import RESULTS
from lib.profiles import CIFAR10, COLOUR
from lib.record import replacing
from lib.retrain import Retraining, retrain

RECIPES = {
    f"width {width}, {epochs} epochs, learning rate {peak_lr}": replace(
        COLOUR, width=width, epochs=epochs, warmup_epochs=epochs / 5, peak_lr=peak_lr
    )
    for width in (8, 12, 16)
    for epochs in (4, 6, 8)
    for peak_lr in (0.2, 0.5)
} | {
    "width 8, 8 epochs of 64, learning rate 0.2": replace(COLOUR, width=8, batch_size=64, peak_lr=0.2),
    "width 16, 8 epochs, learning rate 0.5, no translation": replace(COLOUR, translate=0),
    "width 16, 8 epochs, learning rate 0.5, cutout": replace(COLOUR, cutout=8),
}


def main() -> None:
    dataset = held_out(subset(load(CIFAR10.dataset), CIFAR10.train_per_class, 1), HELD_OUT)
    retrain(dataset, Retraining(COLOUR, SEEDS[0]))  # the first training of a process pays for what is loaded late
    rows = [measure(name, recipe, dataset) for name, recipe in tqdm(RECIPES.items(), unit="recipe", mininterval=5)]
    with replacing(RESULTS / "cifar10" / "recipe_choice.csv") as path:
        pd.DataFrame(rows).to_csv(path, index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
