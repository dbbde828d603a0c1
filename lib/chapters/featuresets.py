"""Sets of features of many kinds, each ranked by the exemplar SVM, and what is known of each without any support.

Beside MoCo as the other pages have it: the same after fewer epochs, a classifier's features, those of a network trained
on ImageNet, raw pixels, all these reduced to a few dimensions too, and other ways to learn without labels; on CIFAR-10
a MoCo that learnt from all of its images.
"""

from dataclasses import dataclass, replace

import numpy as np

from lib import data, distances, esvm, features
from lib.chapters import spaces
from lib.data import Dataset
from lib.features import FeatureRecipe, Features
from lib.lds import rank_correlation
from lib.methods import FEATURES
from lib.profiles import PROFILES
from lib.study import Groups, Study

IMAGENET, SIDE = "efficientnet_lite0", 112  # trained on ImageNet with labels; pixels a side that images get for it
FEW = 16  # dimensions that features are reduced to
SHIFT, CONTRAST = 2, 0.7  # pixels, and share of the contrast, of a copy
WHOLE, ALL_IMAGES = "cifar10", "cifar10_full"  # the profile that has a larger one, and that
LARGER = "MoCo of all 50 000 images"
MEASURED = ("scores", "knn", "copies", "dimensions")


@dataclass(frozen=True)
class Chosen:
    """epochs: of MoCo that is trained for less. stored: sets as the other pages have them, not reduced, without copies.

    reduced: whether the others are reduced too. n_groups: of targets that are tested together; None: all.
    """

    epochs: tuple[int, ...]
    stored: tuple[str, ...]
    reduced: bool
    n_groups: int | None


GREY = Chosen((2, 5, 15), ("moco", "byol", "simclr", "dino"), True, None)
COLOUR = Chosen((2, 5, 15), ("moco",), False, 3)  # a training takes ten times as long


def chosen(study: Study) -> Chosen:
    """What is compared on the dataset of a study."""
    return GREY if study.dataset.train_images.shape[1] == 1 else COLOUR


def groups(study: Study) -> Groups:
    """The targets that are tested, by positions in `Study.targets`."""
    return study.groups(united=True)[: chosen(study).n_groups]


def recipes(study: Study, pretrained: bool) -> dict[str, FeatureRecipe]:
    """How each set is made, by the name that the page has for it. pretrained: whether IMAGENET is among them."""
    profile, moco, of = study.profile, study.profile.selfsupervised, chosen(study)
    fewer = {f"MoCo, {n} epochs": replace(moco, epochs=n) for n in of.epochs if n < moco.epochs}
    others = {FEATURES[name][0]: profile.features(name) for name in ("supervised", "pixels", *of.stored)}
    larger = {LARGER: PROFILES[ALL_IMAGES].selfsupervised} if profile == PROFILES[WHOLE] else {}
    foreign = {"EfficientNet-lite0, ImageNet": FeatureRecipe(IMAGENET)} if pretrained else {}
    return fewer | others | larger | foreign


def measured(study: Study, recipe: FeatureRecipe) -> dict[str, dict[str, np.ndarray]]:
    """Of a set's "whole" features and, where `chosen` says so, of the same "reduced" to FEW dimensions; kept.

    Each: scores (n_targets, n_train) of the exemplar SVM, knn, copies, dimensions.
    """
    attribution, dataset, of = study.attribution, study.dataset, chosen(study)
    identity = {"features": recipe.identity, "few": FEW, "copies": [SHIFT, CONTRAST], "C": esvm.C}
    is_stored = recipe.method in of.stored and recipe == study.profile.features(recipe.method)
    is_larger = recipe == PROFILES[ALL_IMAGES].selfsupervised
    parts = ("whole", "reduced") if of.reduced and not is_stored else ("whole",)

    def make() -> dict[str, np.ndarray]:
        if is_stored:
            whole = attribution.features(recipe.method)
        else:
            whole = of_all_images(study) if is_larger else extracted(copied(dataset), recipe, study.driver.device)
        sets = [whole, reduced(whole, FEW)][: len(parts)]
        return joined([known(vectors, dataset, study.targets) for vectors in sets])

    def stand_in() -> dict[str, np.ndarray]:
        own = dataset.test_labels[study.targets][:, None] == dataset.train_labels
        one = {"scores": np.where(own, np.random.default_rng(0).random(own.shape), -np.inf)}
        return joined([one | dict.fromkeys(("knn", "copies", "dimensions"), np.array(0.5))] * len(parts))

    def joined(values: list[dict]) -> dict[str, np.ndarray]:
        return {f"{part} {key}": value for part, one in zip(parts, values, strict=True) for key, value in one.items()}

    arrays = attribution.kept(f"features_{recipe.method}", identity, 1, make, stand_in)
    return {part: {key: arrays[f"{part} {key}"] for key in MEASURED} for part in parts}


def extracted(dataset: Dataset, recipe: FeatureRecipe, device: str) -> Features:
    """As `features.extract`, for IMAGENET too."""
    if recipe.method == IMAGENET:
        return features.published(dataset, spaces.efficientnet_lite0(), device, SIDE)
    return features.extract(dataset, recipe, device)


def of_all_images(study: Study) -> Features:
    """Features of the study's images by the MoCo of ALL_IMAGES, which learnt from them and from all others."""
    profile, larger = study.profile, replace(study, profile=PROFILES[ALL_IMAGES])
    vectors = larger.attribution.features("moco")
    as_images = replace(larger.dataset, train_images=vectors.train, test_images=vectors.test)
    few = data.subset(as_images, profile.train_per_class, profile.test_per_class)
    return Features(few.train_images, few.test_images)


def copied(dataset: Dataset) -> Dataset:
    """The dataset with a copy of each test image behind the test images: shifted, and paler."""
    moved = np.roll(dataset.test_images, (SHIFT, -SHIFT), axis=(2, 3)).astype(np.float32)
    mean = moved.mean(axis=(1, 2, 3), keepdims=True)
    copies = (mean + CONTRAST * (moved - mean)).round().astype(np.uint8)
    images, labels = np.concatenate([dataset.test_images, copies]), np.tile(dataset.test_labels, 2)
    return replace(dataset, test_images=images, test_labels=labels)


def known(vectors: Features, dataset: Dataset, targets: np.ndarray) -> dict[str, np.ndarray]:
    """MEASURED of features, of test images and, where they are there, of their copies behind them."""
    labels, n_test = dataset.test_labels, len(dataset.test_labels)
    own, copies = vectors.test[:n_test], vectors.test[n_test:]
    pair = own[targets], vectors.train
    return {
        "scores": distances.scores(distances.DISTANCES["esvm"], *pair, labels[targets], dataset.train_labels),
        "knn": np.array(features.knn_accuracy(Features(vectors.train, own), dataset)),
        "copies": np.array(copies_named(own, copies, labels) if len(copies) else np.nan),
        "dimensions": np.array(effective_dimensions(vectors.train)),
    }


def reduced(vectors: Features, n: int) -> Features:
    """The first n principal components of the training features; as they are, where there are no more."""
    mean = vectors.train.mean(axis=0)
    _, directions = np.linalg.eigh(np.cov(vectors.train.T))  # in ascending order
    few = directions[:, ::-1][:, :n].astype(np.float32)
    return Features((vectors.train - mean) @ few, (vectors.test - mean) @ few)


def effective_dimensions(vectors: np.ndarray) -> float:
    """How many directions the features (n, d) vary in: (sum of variances)² / sum of squares; 1 to d."""
    variances = np.linalg.eigvalsh(np.cov(vectors.T)).clip(min=0)
    return float(variances.sum() ** 2 / np.square(variances).sum())


def copies_named(images: np.ndarray, copies: np.ndarray, labels: np.ndarray) -> float:
    """Share of the images whose own copy is the nearest of all copies of their class. Features (n, d), labels (n,)."""
    right = []
    for label in np.unique(labels):
        ids = np.flatnonzero(labels == label)
        right.append(distances.cosine(images[ids], copies[ids]).argmax(axis=1) == np.arange(len(ids)))
    return float(np.concatenate(right).mean())


def all_sets(study: Study, pretrained: bool) -> dict[str, dict[str, np.ndarray]]:
    """scores, knn, copies and dimensions of each set by name, whole and reduced."""
    sets = {}
    for name, recipe in recipes(study, pretrained).items():
        for part, values in measured(study, recipe).items():
            sets[name if part == "whole" else f"{name}, {FEW} dimensions"] = values
    return sets


def rankings(study: Study, sets: dict[str, dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The ranking (n_targets, k_max) of each set."""
    return {name: distances.ranking(values["scores"], study.profile.k_max) for name, values in sets.items()}


def agreement(study: Study, scores: np.ndarray, reference: np.ndarray) -> float:
    """Spearman's correlation of two methods' scores within the target's class, mean over targets."""
    own = study.dataset.test_labels[study.targets][:, None] == study.dataset.train_labels
    pairs = zip(scores, reference, own, strict=True)
    return float(np.mean([rank_correlation(one[of_class], other[of_class]) for one, other, of_class in pairs]))
