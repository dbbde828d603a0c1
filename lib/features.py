"""Feature extractors: each maps all images of a dataset to vectors (n, d), in which `lib.distances` then compares.

Three methods: "moco" learns without labels by momentum contrast (MoCo v2, with the modules and the loss of the lightly
library), "supervised" takes the layer before the last of a classifier trained by `lib.retrain`, "pixels" takes the
normalised images themselves. `knn_accuracy` checks their quality; `lib.study` keeps them under their recipe.
"""

import copy
import math
from dataclasses import dataclass

import numpy as np
import torch
from lightly.loss import NTXentLoss
from lightly.models.modules.heads import MoCoProjectionHead
from lightly.models.utils import deactivate_requires_grad, update_momentum
from lightly.utils.benchmarking.knn import knn_predict
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from lib import augment, models
from lib.data import Dataset
from lib.retrain import EVAL_BATCH, Recipe, Retraining, fit, one_thread, resident


@dataclass(frozen=True)
class FeatureRecipe:
    """How features are made. All fields but the first three belong to "moco".

    The defaults were chosen by kNN accuracy on training images held out of the embedded Fashion-MNIST subset
    (benchmarks/moco_choice.py). Cost there: about ten minutes of one core.
    """

    method: str = "moco"  # or "supervised", "pixels"
    seed: int = 0
    classifier: Recipe | None = None  # of "supervised": how its network is trained
    arch: str = "resnet9"
    width: int = 32
    stem: str = "conv5s2"
    epochs: int = 50
    batch_size: int = 128  # the last batch of an epoch is dropped when short
    peak_lr: float = 0.03  # falls to 0 along half a cosine
    weight_decay: float = 5e-4
    temperature: float = 0.1
    momentum: float = 0.99  # of the key encoder, which follows the query encoder
    memory_bank: int = 1024  # past keys that serve as negatives
    output_dim: int = 64  # of the projection in which the loss compares
    crop: float = 0.7  # smallest area of a view; 1: none
    flip: bool = True
    jitter: float = 0.4  # of contrast and brightness
    cutout: int = 8  # pixels a side; 0: none


@dataclass(frozen=True)
class Features:
    """train: (n_train, d) float32. test: (n_test, d) float32. Row i belongs to id i."""

    train: np.ndarray
    test: np.ndarray


def extract(dataset: Dataset, recipe: FeatureRecipe, device: str = "cpu", progress: bool = True) -> Features:
    """Features of every image of the dataset; nothing is learnt from the test images.

    The same recipe gives the same bits on the same machine: on a CPU it is computed with one thread.
    Raises ValueError for an unknown method, sizes that do not fit, or a training that diverged.
    """
    if recipe.method not in EXTRACTORS:
        raise ValueError(f"unknown feature method {recipe.method!r}; choose one of {', '.join(EXTRACTORS)}")
    with one_thread(device):
        embed = EXTRACTORS[recipe.method](dataset, recipe, device, progress)
        images = resident(dataset, device)
        with torch.no_grad():
            train, test = (
                torch.cat([embed(images.normalised(batch)) for batch in split.split(EVAL_BATCH)])
                for split in (images.train, images.test)
            )
    features = Features(train.float().cpu().numpy(), test.float().cpu().numpy())
    if not (np.isfinite(features.train).all() and np.isfinite(features.test).all()):
        raise ValueError(
            f"{recipe.method} features of {dataset.name} are not finite: the training diverged, or all training images "
            f"are of one colour; lower the learning rate, or look at the images"
        )
    return features


def pixels(dataset: Dataset, recipe: FeatureRecipe, device: str, progress: bool):
    """The image itself as its feature: no learning, the baseline that learnt features have to beat."""
    return nn.Flatten()


def supervised(dataset: Dataset, recipe: FeatureRecipe, device: str, progress: bool):
    """The layer before the last of a classifier trained on the labels. Source: Paper §3.1."""
    if recipe.classifier is None:
        raise ValueError("supervised features need a classifier to train: give FeatureRecipe(classifier=Recipe(...))")
    return fit(dataset, Retraining(recipe.classifier, recipe.seed), device).embed


def moco(dataset: Dataset, recipe: FeatureRecipe, device: str, progress: bool):
    """A backbone trained without labels by momentum contrast: two views of an image agree, other images are negatives.

    Random streams: network, head, order, views, each spawned from the seed. Returns the query encoder's backbone.
    Source: Paper §3.1; the loss is symmetric over both views. DEPARTURE: ResNet-9 with our own augmentations and
    schedule, chosen by kNN accuracy (benchmarks/moco_choice.py), where the paper trains ResNet-18 for 800 epochs.
    """
    check(dataset, recipe)
    net_seed, head_seed, order_seed, view_seed = np.random.SeedSequence(recipe.seed).generate_state(4).tolist()
    order_rng, view_rng = Generator().manual_seed(order_seed), Generator(device).manual_seed(view_seed)
    images = resident(dataset, device)
    images = images.normalised(images.train)
    net = models.build(recipe, images.shape[1], n_classes=1, seed=net_seed)
    head, loss = projection(net.n_features, recipe, head_seed)
    query, loss = nn.Sequential(net.trunk, head).to(device).train(), loss.to(device)
    key = copy.deepcopy(query)
    deactivate_requires_grad(key)
    optimiser = torch.optim.SGD(query.parameters(), lr=0.0, momentum=0.9, weight_decay=recipe.weight_decay)
    steps_per_epoch = len(images) // recipe.batch_size
    n_steps = recipe.epochs * steps_per_epoch
    for epoch in tqdm(range(recipe.epochs), desc="MoCo", unit="epoch", disable=not progress, mininterval=5):
        batches = torch.randperm(len(images), generator=order_rng).split(recipe.batch_size)[:steps_per_epoch]
        for step, ids in enumerate(batches, start=epoch * steps_per_epoch):
            optimiser.param_groups[0]["lr"] = recipe.peak_lr * (1 + math.cos(math.pi * step / n_steps)) / 2
            update_momentum(query, key, recipe.momentum)
            value = contrast(query, key, loss, images[ids], recipe, view_rng)
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
    return query[0].eval()


def projection(n_features: int, recipe: FeatureRecipe, seed: int) -> tuple[nn.Module, NTXentLoss]:
    """The head into the space in which the loss compares, and the loss with its memory bank, random from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = MoCoProjectionHead(n_features, 2 * n_features, recipe.output_dim)
        return head, NTXentLoss(recipe.temperature, memory_bank_size=(recipe.memory_bank, recipe.output_dim))


def contrast(query: nn.Module, key: nn.Module, loss, images: Tensor, recipe: FeatureRecipe, rng: Generator) -> Tensor:
    """The loss of one batch (b, c, h, w), over both directions: each view is the query of the other's key."""
    views = [view(images, recipe, rng).contiguous(memory_format=torch.channels_last) for _ in range(2)]
    with torch.no_grad():
        keys = [key(x) for x in views]
    queries = [query(x) for x in views]
    # One call for both directions: with two, the second would meet its own keys among the negatives.
    return loss(torch.cat(queries), torch.cat(keys[::-1]))


def view(images: Tensor, recipe: FeatureRecipe, rng: Generator) -> Tensor:
    """One random view of each image (b, c, h, w)."""
    if recipe.crop < 1:
        images = augment.crop(images, recipe.crop, rng)
    if recipe.flip:
        images = augment.flip(images, rng)
    if recipe.jitter:
        images = augment.jitter(images, recipe.jitter, rng)
    if recipe.cutout:
        images = augment.cutout(images, recipe.cutout, rng)
    return images


def check(dataset: Dataset, recipe: FeatureRecipe) -> None:
    """Refuse sizes with which momentum contrast cannot run as meant."""
    n, height, width = len(dataset.train_images), *dataset.train_images.shape[2:]
    if n < recipe.batch_size:
        raise ValueError(f"{n} training images are fewer than one batch of {recipe.batch_size}; lower batch_size")
    if recipe.memory_bank < 2 * recipe.batch_size:
        raise ValueError(
            f"a memory bank of {recipe.memory_bank} cannot hold the {2 * recipe.batch_size} keys of one batch; "
            f"raise memory_bank or lower batch_size"
        )
    if not 0 < recipe.crop <= 1:
        raise ValueError(f"crop={recipe.crop} is no share of the area; give more than 0 and at most 1")
    if recipe.cutout > min(height, width):
        raise ValueError(f"cutout={recipe.cutout} exceeds the images' {height} x {width} pixels; lower it, 0 for none")


EXTRACTORS = {"moco": moco, "supervised": supervised, "pixels": pixels}


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
    train, test = (F.normalize(torch.tensor(x), dim=1) for x in (features.train, features.test))
    labels = torch.tensor(dataset.train_labels)
    votes = [
        knn_predict(batch, train.T, labels, len(dataset.class_names), knn_k=k, knn_t=temperature)[:, 0]
        for batch in test.split(EVAL_BATCH)
    ]
    return float(np.mean(torch.cat(votes).numpy() == dataset.test_labels))
