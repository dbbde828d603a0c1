"""Your own images: from a folder, a zip or a list to a study of which training images a prediction hangs on.

    path -> Entry of the manifest -> names of its images -> Profile that fits their number -> OwnStudy

The study is `lib.study`'s. Here stands what a dataset needs that nobody has looked at before: values that fit its size,
and targets by the name of their file; what is said of the answers stands in `lib.chapters.answers`. Its results are
kept under results/own; those of the example came with the repository, so that it is shown at once.
"""

import io
import json
import math
import sys
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from lib import data, nets, profiles
from lib.chapters import listing
from lib.data import RESULTS, WRITTEN, Dataset, Entry, as_entry, fetch, replacing
from lib.profiles import Profile
from lib.report import Page, page, plan
from lib.retrain import Recipe, margins, short_hash
from lib.study import Study

NAME, OF_EXAMPLE = "own", "own_example"  # of the profile, and so of the folder of results
BASE = profiles.FASHION  # its other values
LEAST_IMAGES = 20  # training images of a class: k_max is half of them, and ten are shown
SHOWN = 10
LEAST_SIDE = 21  # pixels: what the profile's network takes
STEPS = 240  # of a retraining, at least: about as many as profile `fashion` takes
RANKED, METHODS = ("moco_esvm", "pixels_l2"), ("moco_esvm", "pixels_l2", "random")  # shown as images; all
EXAMPLE = (2, 3, 4, 6)  # classes of the embedded images: Pullover, Dress, Coat, Shirt
MEASURED = RESULTS / OF_EXAMPLE  # the example's trainings: 240 steps of 24 images each; its features: 400 of 30


def entry(images: str | None = None, size: int | None = None) -> Entry:
    """images: a folder or a zip with train/<class>/* and test/<class>/* (or val/), or a list; None: `example`.

    size: pixels a side, to which images of another size are resized; None: all are of one size. Raises ValueError for a
    size that is none, FileNotFoundError where there is nothing.
    """
    path = example() if images is None else data.given(images)
    path = listing.zipped(path) if path.suffix.lower() == ".csv" else path
    keys = {"kind": "folder", "path": str(path)} | ({} if size is None else {"size": [size, size]})
    manual = "Give a folder or a zip that has train/<class>/* and test/<class>/* (or val/) at its top."
    declared = as_entry(path.stem, keys | {"manual": manual})
    fetch(declared)
    return declared


def example() -> Path:
    """A zip of images to try this on: four kinds of clothes from the embedded images, 60 + 40 each, as PNG."""
    embedded = data.subset(data.load("fashion_mnist"), 60, 40)
    splits = {
        "train": (embedded.train_images, embedded.train_labels),
        "test": (embedded.test_images, embedded.test_labels),
    }
    path = WRITTEN / NAME / "example.zip"
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for split, (images, labels) in splits.items():
            for i in np.flatnonzero(np.isin(labels, EXAMPLE)):
                file = io.BytesIO()
                Image.fromarray(images[i, 0]).save(file, "PNG")
                name = f"{split}/{embedded.class_names[labels[i]]}/{i:04d}.png"
                archive.writestr(zipfile.ZipInfo(name), file.getvalue())  # without the time: the same bytes again
    return path


@dataclass(frozen=True)
class Files:
    """Names of the images by id: "train/<class>/<file>"."""

    train: list[str]
    test: list[str]

    def counts(self) -> pd.DataFrame:
        """Images of each class, a row each: class, training, test."""
        of = [Counter(name.split("/")[1] for name in names) for names in (self.train, self.test)]
        return pd.DataFrame([{"class": c, "training": of[0][c], "test": of[1][c]} for c in of[0]])

    def test_id(self, name: str) -> int:
        """The id of a test image by its name, or by its file where no other is called so. Raises ValueError."""
        file = listing.flat(name)
        ids = [i for i, test in enumerate(self.test) if name == test or test.split("/")[2] == file]
        if len(ids) != 1:
            problem = "several test images" if ids else "no test image"
            raise ValueError(f"target={name!r} is {problem}; name one as in {self.test[0]!r}")
        return ids[0]


def files(images: Entry) -> Files:
    """What a folder or zip holds, from the names alone. Raises ValueError where it is no dataset or too small."""
    with data.opened(fetch(images), images) as (names, _):
        splits = data.splits(names, images)
    for c, of_class in splits[0].items():
        if (n := len(of_class)) < LEAST_IMAGES:
            raise ValueError(
                f"{images.name}: class {c} has {n} training images; give every class {LEAST_IMAGES} or more"
            )
    return Files(*([name for of_class in split.values() for name in of_class] for split in splits))


def values(images: Entry, names: Files, **overrides) -> Profile:
    """The profile for these images: the default one's values, but for those that have to fit their number.

    overrides: as for `lib.profiles.load`; None leaves a value as it is here. A batch is at most a tenth of the images,
    and fits what removal leaves of them. MoCo's memory bank holds the keys of at most an eighth, so that an image
    hardly meets itself among the negatives. Source: our choice. Raises what `lib.profiles.load` raises.
    """
    n, smallest = len(names.train), int(names.counts()["training"].min())
    batch_size, moco_batch_size = min(BASE.recipe.batch_size, n // 10), min(BASE.selfsupervised.batch_size, n // 8)
    given = {key: value for key, value in overrides.items() if value is not None}
    epochs = given.get("epochs", max(BASE.recipe.epochs, math.ceil(STEPS / (n // batch_size))))
    fitting = {
        "n_targets": 3,
        "k_max": min(BASE.k_max, smallest // 2),
        "batch_size": batch_size,
        "epochs": epochs,
        "warmup_epochs": epochs * BASE.recipe.warmup_epochs / BASE.recipe.epochs,
        "moco_batch_size": moco_batch_size,
        "moco_memory_bank": min(BASE.selfsupervised.memory_bank, n // 4),
    }
    profile = replace(profiles.load(BASE.name, **fitting | given), name=NAME, dataset=images)
    if profile.k_max < SHOWN:
        raise ValueError(f"k_max={profile.k_max} is less than the {SHOWN} images that are shown; give {SHOWN} or more")
    return profile


@dataclass(frozen=True, kw_only=True)
class OwnStudy(Study):
    """target: test id of the only target; None: drawn, as many as the profile says."""

    target: int | None = None

    def __post_init__(self):
        height, width = self.dataset.train_images.shape[2:]
        if min(height, width) < LEAST_SIDE:
            raise ValueError(
                f"images of {height} x {width} pixels are smaller than the {LEAST_SIDE} a side that the network takes; "
                f"give size={LEAST_SIDE} or more to have them resized"
            )
        super().__post_init__()
        if ":" in self.profile.recipe.arch:
            check_network(self.profile.recipe, self.dataset)

    def check_targets(self) -> None:
        n_test = len(self.dataset.test_labels)
        if self.profile.n_targets > n_test:
            raise ValueError(f"n_targets={self.profile.n_targets} exceeds the {n_test} test images; lower n_targets")

    def outputs(self, name: str) -> Path:
        """A folder of its own for each content of the images, values and targets."""
        content = {"dataset": self.dataset.checksum, "targets": self.targets.tolist()}
        return self.folder / f"{name}-{short_hash(self.profile.content | content)}"

    @cached_property
    def targets(self) -> np.ndarray:
        """Test ids (n_targets,), ascending: the one asked for, or at random among those the base models get right."""
        if self.target is not None:
            return np.array([self.target])
        right = np.flatnonzero(margins(self.base_logits, self.dataset.test_labels) > 0)
        if len(right) < self.profile.n_targets:
            raise ValueError(
                f"n_targets={self.profile.n_targets} is too many: the base models get only {len(right)} test images "
                f"right; lower n_targets or train better models, as with more epochs"
            )
        return np.sort(np.random.default_rng(self.profile.seed).permutation(right)[: self.profile.n_targets])

    @property
    def accuracy(self) -> float:
        """Share of the test images that the base models get right, their logits averaged."""
        return float((margins(self.base_logits, self.dataset.test_labels) > 0).mean())

    @property
    def guessing(self) -> float:
        """The accuracy of always naming the test images' most frequent class."""
        return float(np.bincount(self.dataset.test_labels).max() / len(self.dataset.test_labels))


def check_network(recipe: Recipe, dataset: Dataset) -> None:
    """Refuse a network of the user's own that does not take the images, or does not give a logit for every class."""
    shape, n_classes = dataset.train_images.shape[1:], len(dataset.class_names)
    form = f"{recipe.arch} has to give logits (b, {n_classes}) of images (b, {', '.join(map(str, shape))})"
    network = nets.build(recipe, shape[0], n_classes, seed=0).eval()
    if not any(True for _ in network.parameters()):
        raise ValueError(f"{recipe.arch} has no parameters; a network that cannot learn cannot be retrained")
    try:
        with torch.no_grad():
            logits = network(torch.zeros(2, *shape))
    except (Exception, SystemExit) as problem:
        raise ValueError(f"{form}: {problem!r}") from problem
    if not isinstance(logits, torch.Tensor) or logits.shape != (2, n_classes):
        raise ValueError(f"{form}; of two it gives {tuple(getattr(logits, 'shape', ())) or type(logits).__name__}")
    if not logits.isfinite().all():
        raise ValueError(f"{form}; of images that are all 0 they are not finite")


def step_seconds() -> tuple[float, float]:
    """Core-seconds a step, of a small training and of learning features, as the example took them; see MEASURED."""
    ledger = (MEASURED / "ledger" / "0000.jsonl").read_text(encoding="utf-8").splitlines()
    with np.load(next((MEASURED / "features").glob("moco-*.npz"))) as kept:
        seconds, features = float(kept["seconds"]), json.loads(str(kept["identity"]))["recipe"]
        steps = features["epochs"] * (len(kept["train"]) // features["batch_size"])
    return float(np.mean([json.loads(line)["seconds"] for line in ledger])) / STEPS, seconds / steps


def at_most(profile: Profile, dataset: Dataset) -> str:
    """What supports by removal in the order of METHODS take, on one line.

    A training takes its floating-point operations or its steps, whichever last longer: small batches keep no core busy.
    """
    n = profile.n_base + profile.n_votes * (1 + profile.n_targets * len(METHODS) * (profile.budget + 1))
    n_train, (core, _), ours = len(dataset.train_labels), plan.core_speed(), profile.selfsupervised
    works = plan.of_training(profile.recipe, dataset), plan.of_features(ours, dataset)
    steps = [recipe.epochs * (n_train // recipe.batch_size) for recipe in (profile.recipe, ours)]
    each = [max(w / core, k * s) for w, k, s in zip(works, steps, step_seconds(), strict=True)]
    minutes = math.ceil((n * each[0] + each[1]) / 60)
    return (
        f"features and at most {n} trainings, about {minutes} minute{'s' * (minutes > 1)} of one core, a step taking "
        f"at least as long as in the example (results/{OF_EXAMPLE}), less what is kept from before"
    )


def said(dataset: Dataset) -> str:
    """How many images of how many classes were read."""
    n_train, n_test = len(dataset.train_labels), len(dataset.test_labels)
    return f"{n_train} training and {n_test} test images of {len(dataset.class_names)} classes"


def open_page(parameters: Mapping) -> tuple[Page, Files]:
    """The page of the user's images, with their names. parameters: the notebook's, as for `Page`."""
    images, target = entry(parameters["images"], parameters["size"]), parameters["target"]
    names, only = files(images), {} if target is None else {"n_targets": 1}
    profile = values(images, names, **page.chosen(parameters, page.OVERRIDES) | only)
    profile = replace(profile, name=OF_EXAMPLE if parameters["images"] is None else NAME)
    target = None if target is None else names.test_id(target)
    opened = Page(NAME, dict(parameters) | {"dry_run": None}, profile, OwnStudy, target=target)
    cost = f"{said(opened.study.dataset)}: {at_most(profile, opened.study.dataset)}"
    if parameters.get("dry_run"):
        raise plan.Counted(cost)
    print(f"\r{cost}", file=sys.stderr, flush=True)  # for the terminal: no page keeps a line that begins so
    return opened, names
