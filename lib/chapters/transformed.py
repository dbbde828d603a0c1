"""Test images transformed: what does each way of training lose by it, and does one lose more than another?

Expected, and written before a network was trained: augmentation gives invariance, so that networks trained without it
lose more, by accuracy and margin, when test images are mirrored, shifted by 2 and by 4 pixels, or have a grey square as
cutout makes it. Of ResNet-9 against MobileNetV2 nothing is expected of the same transformations.

Expected after looking at the pictures and before any transformed image was seen: the first direction of plain networks
is of sandals and sneakers, which straps and other small things inside tell apart, that of augmented ones of trousers,
which are an outline; so that plain networks lose more when images are blurred.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from scipy.ndimage import uniform_filter

from lib.chapters import spaces
from lib.data import augment
from lib.report import stats
from lib.retrain import Recipe, Retraining, margins, retrain
from lib.study import Study

SQUARE, BLUR = 8, 3  # pixels a side: of the grey square; of the window whose mean a blurred pixel is


def with_square(images: np.ndarray) -> np.ndarray:
    """Each with a square of the mean colour at random, as cutout makes it. images: (n, c, h, w) uint8."""
    mean = images.mean(axis=(0, 2, 3), keepdims=True)
    cut = augment.cutout(torch.tensor(images - mean), SQUARE, torch.Generator().manual_seed(0))
    return (cut.numpy() + mean).round().astype(np.uint8)


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mirrored": spaces.PLANTED["flipped"],
    "shifted by 2": spaces.shifted,
    "shifted by 4": lambda images: spaces.shifted(spaces.shifted(images)),
    "grey square": with_square,
    "blurred": lambda images: uniform_filter(images, (1, 1, BLUR, BLUR), mode="nearest"),
}


def measured(study: Study, recipes: dict[str, Recipe], seeds: dict[str, int]) -> dict[str, np.ndarray]:
    """Of each recipe, by name, "NAME accuracy" and "NAME margin" (n_seeds, 1 + n_transformations), the mean over all
    test images as they are, then by each of CHANGES; kept. seeds: how many trainings of each, with seeds from 0.
    """
    dataset = study.dataset

    def make() -> dict[str, np.ndarray]:
        images = [dataset.test_images, *(change(dataset.test_images) for change in CHANGES.values())]
        labels = np.tile(dataset.test_labels, len(images))
        changed, arrays = replace(dataset, test_images=np.concatenate(images), test_labels=labels), {}
        for name, recipe in recipes.items():
            outcomes = [retrain(changed, Retraining(recipe, seed), study.driver.device) for seed in range(seeds[name])]
            of = np.stack([margins(outcome.logits, labels).reshape(len(images), -1) for outcome in outcomes])
            arrays |= {f"{name} accuracy": (of > 0).mean(axis=2), f"{name} margin": of.mean(axis=2)}
        return arrays

    shapes = {f"{name} {value}": (n, 1 + len(CHANGES)) for name, n in seeds.items() for value in ("accuracy", "margin")}
    identity = {"recipes": {name: recipe.identity for name, recipe in recipes.items()}, "changes": list(CHANGES)}
    identity |= {"square": SQUARE, "blur": BLUR, "seeds": seeds}
    return study.attribution.kept("modeldiff_effects", identity, sum(seeds.values()), make, shapes)


def effects(of: dict[str, np.ndarray], names: list[str]) -> pd.DataFrame:
    """A row for the first algorithm against each other and each transformation.

    Columns: one, other, images, n (trainings of each), accuracy of one and of other on the images as they are, its
    change by the transformation; accuracy and margin, the change of other less that of one, paired by seed, with
    intervals over seeds.
    """
    rows = []
    for other in names[1:]:
        for i, change in enumerate(CHANGES, start=1):
            row = {"one": names[0], "other": other, "images": change}
            for value in ("accuracy", "margin"):
                n = len(of[f"{other} {value}"])
                first, second = (x[:n, i] - x[:n, 0] for x in (of[f"{names[0]} {value}"], of[f"{other} {value}"]))
                if value == "accuracy":
                    row["n"] = n
                    for key, name, lost in (("one", names[0], first), ("other", other, second)):
                        row[f"{key} as it is"] = of[f"{name} accuracy"][:n, 0].mean()
                        row[f"change of {key}"] = lost.mean()
                row |= stats.mean(value, second - first, stats.over_seeds)
            rows.append(row)
    return pd.DataFrame(rows)


def verdict(rows: pd.DataFrame) -> str:
    """A sentence for each other algorithm: which transformations cost it less accuracy, more, or cannot be told."""
    parts = []
    for (one, other), of in rows.groupby(["one", "other"], sort=False):
        is_less, is_more = of["accuracy_low"] > 0, of["accuracy_high"] < 0
        kinds = {"loses less than": is_less, "loses more than": is_more, "cannot be told from": ~is_less & ~is_more}
        said = [f"{words} {one} when {', '.join(of['images'][which])}" for words, which in kinds.items() if which.any()]
        parts.append(f"{other} {'; '.join(said)} (n = {of['n'].iloc[0]} trainings).")
    return f"By {len(rows)} intervals, not corrected for their number: {' '.join(parts)}"


def undisturbed(rows: pd.DataFrame) -> str:
    """What accuracy each algorithm has on the images as they are, and why that matters, for a page."""
    accuracies = {}
    for _, row in rows.iterrows():
        for key in ("one", "other"):
            accuracies.setdefault(row[key], f"{row[key]} {row[f'{key} as it is']:.3f}")
    return (
        f"On the images as they are: {', '.join(accuracies.values())}. Who has less has less to lose; and how far "
        "networks are trained differs with augmentation: neither this table nor the cosines tell the two apart."
    )


def guess(rows: pd.DataFrame) -> str:
    """Whether the last of CHANGES, guessed from the pictures, costs the first other algorithm less, in words."""
    row = rows[rows["other"] == rows["other"].iloc[0]].iloc[-1]
    words = "holds" if row["accuracy_low"] > 0 else "is contradicted" if row["accuracy_high"] < 0 else "is undecided"
    return f"{words} ({stats.said_of(row, 'accuracy', 3)})"
