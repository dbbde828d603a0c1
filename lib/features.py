"""Features: all images of a dataset as vectors (n, d), in which `lib.distances` then compares.

Those of `lib.ssl` ("moco", "simclr", ...) are learnt without labels, "supervised" is the layer before the last of a
classifier trained by `lib.retrain`, "pixels" the normalised images themselves, and the name of published weights (an
entry of the manifest) theirs. `knn_accuracy` checks their quality.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib import nets, ssl
from lib.data import EVAL_BATCH, Dataset, one_thread, resident
from lib.nets import published as weights
from lib.retrain import Retraining, fit
from lib.ssl import FeatureRecipe

PUBLISHED_BATCH = 50  # images of 224 x 224 pixels
TRAINED = (*ssl.METHODS, "supervised", "pixels")  # here; others are published weights
LEAST_SPREAD = 0.02  # of features of length 1; those of a network without training spread by more than 0.3


@dataclass(frozen=True)
class Features:
    """train: (n_train, d) float32. test: (n_test, d) float32. Row i belongs to id i."""

    train: np.ndarray
    test: np.ndarray


def extract(
    dataset: Dataset, recipe: FeatureRecipe, device: str = "cpu", progress: bool = True, checkpoint: Path | None = None
) -> Features:
    """Features of every image of the dataset; nothing is learnt from the test images.

    The same recipe gives the same bits on the same machine: on a CPU it is computed with one thread. checkpoint: a file
    that a long training without labels is kept in meanwhile, to go on from.
    Raises ValueError for an unknown method, sizes that do not fit, or a training that diverged or collapsed.
    """
    check(dataset, recipe)
    with one_thread(device):
        if recipe.method in TRAINED:
            features = embedded(dataset, _embedding(dataset, recipe, device, progress, checkpoint), device)
        else:
            features = published(dataset, weights.load(recipe.method), device)
    if not (np.isfinite(features.train).all() and np.isfinite(features.test).all()):
        raise ValueError(
            f"{recipe.method} features of {dataset.name} are not finite: the training diverged; lower the learning rate"
        )
    if recipe.method in ssl.METHODS and (apart := spread(features.train)) < LEAST_SPREAD:
        raise ValueError(
            f"{recipe.method} features of {dataset.name} collapsed: they spread by {apart:.1e} over the training "
            f"images, less than {LEAST_SPREAD}; lower peak_lr or weight_decay, or train by another method"
        )
    return features


def _embedding(dataset, recipe, device, progress, checkpoint) -> Callable[[Tensor], Tensor]:
    """From normalised images (b, c, h, w) to vectors (b, d), by a network that is trained here."""
    if recipe.method == "pixels":  # no learning: the baseline that learnt features have to beat
        return nn.Flatten()
    if recipe.method == "supervised":  # source: Paper §3.1
        return fit(dataset, Retraining(recipe.classifier, recipe.seed), device).embed
    return ssl.train(dataset, recipe, device, progress, checkpoint=checkpoint)


@torch.no_grad()
def embedded(dataset: Dataset, embed: Callable[[Tensor], Tensor], device: str = "cpu") -> Features:
    """Features of every image by `embed`, from images (b, c, h, w) to vectors (b, d)."""
    images = resident(dataset, device)
    train, test = (
        torch.cat([embed(images.normalised(batch)) for batch in split.split(EVAL_BATCH)])
        for split in (images.train, images.test)
    )
    return Features(train.float().cpu().numpy(), test.float().cpu().numpy())


@torch.no_grad()
def published(dataset: Dataset, net: nn.Module, device: str = "cpu", side: int = weights.SIDE) -> Features:
    """Features of every image by a network with published weights: resized, and normalised as it was trained.

    DEPARTURE: the whole image is resized to `side` pixels; the network's authors cut 224 out of the middle of 256.
    """
    net, size = net.to(device), (side, side)

    def embed(images: np.ndarray) -> np.ndarray:  # (n, c, h, w) uint8 -> (n, d), with a batch on the device at a time
        vectors = []
        for start in range(0, len(images), PUBLISHED_BATCH):
            batch = weights.normalised(torch.tensor(images[start : start + PUBLISHED_BATCH], device=device))
            vectors.append(net(F.interpolate(batch, size, mode="bilinear", antialias=True)).cpu().numpy())
        return np.concatenate(vectors)

    return Features(embed(dataset.train_images), embed(dataset.test_images))


def check(dataset: Dataset, recipe: FeatureRecipe) -> None:
    """Refuse an unknown method, or a recipe that does not fit its method or the dataset."""
    known = [*TRAINED, *weights.names()]
    if recipe.method not in known:
        raise ValueError(f"unknown feature method {recipe.method!r}; choose one of {', '.join(known)}")
    if recipe.method in ssl.METHODS:
        ssl.check(dataset, recipe)
    if recipe.method == "supervised" and recipe.classifier is None:
        raise ValueError("supervised features need a classifier to train: give FeatureRecipe(classifier=Recipe(...))")


def stored_bytes(dataset: Dataset, recipe: FeatureRecipe) -> int:
    """Bytes of the weights that make the features of further images, in single precision."""
    if recipe.method == "pixels":
        return 0
    if recipe.method not in TRAINED:
        return weights.BYTES
    channels, n_classes = dataset.train_images.shape[1], len(dataset.class_names)
    return 4 * nets.size(nets.build(recipe.classifier or recipe, channels, n_classes, seed=0))


def spread(features: np.ndarray) -> float:
    """How far features (n, d), each scaled to length 1, lie from their mean: 0 where all point the same way, at most 1.

    The root of the mean squared distance; a feature of length 0 stays 0.
    """
    unit = F.normalize(torch.tensor(features, dtype=torch.float64), dim=1)
    return float((unit - unit.mean(0)).square().sum(1).mean().sqrt())


def knn_accuracy(features: Features, dataset: Dataset, k: int = 20, temperature: float = 0.1) -> float:
    """Share of test images whose class wins the vote of the k most similar training images.

    A vote weighs exp(cosine / temperature). Source: the vote is that of lightly's benchmark; k = 20 instead of its 200
    is our choice, for small training sets.
    Raises ValueError where k exceeds the training set or the features are not the dataset's.
    """
    sizes, expected = (len(features.train), len(features.test)), (len(dataset.train_labels), len(dataset.test_labels))
    if sizes != expected:
        raise ValueError(f"features of {sizes} train and test images, but {dataset.name} has {expected}; extract again")
    if not 1 <= k <= sizes[0]:
        raise ValueError(f"k={k} neighbours of {sizes[0]} training images; give 1 to {sizes[0]}")
    from lightly.utils.benchmarking.knn import knn_predict  # here, since it brings Lightning, which takes seconds

    train, test = (F.normalize(torch.tensor(x), dim=1) for x in (features.train, features.test))
    labels = torch.tensor(dataset.train_labels)
    votes = [
        knn_predict(batch, train.T, labels, len(dataset.class_names), knn_k=k, knn_t=temperature)[:, 0]
        for batch in test.split(EVAL_BATCH)
    ]
    return float(np.mean(torch.cat(votes).numpy() == dataset.test_labels))
