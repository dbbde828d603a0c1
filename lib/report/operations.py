"""The floating-point operations of trainings: networks are run on no data (torch's device "meta") and counted."""

from functools import cache

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import resnet50

from lib import features, nets, ssl
from lib.data import Dataset
from lib.features import FeatureRecipe
from lib.nets import published
from lib.profiles import Profile
from lib.retrain import Recipe
from lib.rivals import trak

BACKWARD = 2  # a backward pass in units of a forward pass


def of_training(recipe: Recipe, dataset: Dataset) -> float:
    """Of one training on the whole training set. Resized images are those of each epoch's size."""
    n_train, channels, *native = dataset.train_images.shape
    sizes = [(recipe.size(epoch),) * 2 for epoch in range(recipe.epochs)] if recipe.sizes else [native]
    passes = [of_forward_pass(network(recipe, dataset), (channels, *size)) for size in sizes]
    return (1 + BACKWARD) * n_train * recipe.epochs * float(np.mean(passes))


def of_features(recipe: FeatureRecipe, dataset: Dataset) -> float:
    """Of learning features and computing those of all images."""
    n_images = len(dataset.train_labels) + len(dataset.test_labels)
    if recipe.method not in features.TRAINED:
        return n_images * of_resnet50()
    if recipe.classifier:
        return of_training(recipe.classifier, dataset)
    n_train, *shape = dataset.train_images.shape
    forward = of_forward_pass(network(recipe, dataset), tuple(shape))
    views = 2 * (1 + BACKWARD + issubclass(ssl.METHODS[recipe.method], ssl.Momentum))
    return (views * n_train * recipe.epochs + n_images) * forward


def of_network(profile: Profile, dataset: Dataset) -> float:
    """Of one network that a competing method looks into."""
    return of_training(profile.recipe, dataset)


def of_trak(profile: Profile, dataset: Dataset) -> float:
    """Of one network: half a training, the gradient of every training image, and its projection."""
    recipe, projection_dim = profile.recipe, profile.trak.get("projection_dim", trak.PROJECTION_DIM)
    projection = 2.0 * len(dataset.train_labels) * nets.size(network(recipe, dataset)) * projection_dim
    return of_training(recipe, dataset) * (1 / 2 + 1 / recipe.epochs) + projection


def n_features(recipe: FeatureRecipe, dataset: Dataset) -> int:
    """The length of a feature."""
    if recipe.method not in features.TRAINED:
        return published.N_FEATURES
    return network(recipe.classifier or recipe, dataset).n_features


def network(recipe: Recipe | FeatureRecipe, dataset: Dataset) -> torch.nn.Module:
    """The network of a recipe, without its numbers."""
    return _built(recipe.arch, recipe.width, recipe.stem, dataset.train_images.shape[1], len(dataset.class_names))


@cache
def of_forward_pass(net: torch.nn.Module, shape: tuple[int, int, int]) -> int:
    """Of one image (c, h, w): two for a multiplication with its addition. Raises ValueError where it does not fit."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        try:
            net.eval()(torch.empty(1, *shape, device="meta"))
        except RuntimeError as problem:
            raise ValueError(f"images of {shape} do not fit the network: {problem}; choose another stem") from problem
    return counter.get_total_flops()


@cache
def of_resnet50() -> int:
    """Of a forward pass of the network of `lib.nets.published`."""
    with torch.device("meta"):
        return of_forward_pass(resnet50(), (3, published.SIDE, published.SIDE))


@cache
def _built(arch: str, width: int, stem: str, channels: int, n_classes: int) -> torch.nn.Module:
    return nets.build(Recipe(arch, width, stem), channels, n_classes, seed=0).to("meta")
