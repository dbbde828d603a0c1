"""The networks that are retrained and that features are taken from.

Each maps images (b, c, h, w) float32 to logits (b, n_classes). A new one is a file here: a subclass of `Network`, and a
dict ARCHITECTURES that names it. Used by `lib.retrain` (the model under study) and `lib.ssl` (the backbone).
"""

import importlib
import pkgutil

import torch
from torch import nn

from lib.nets import own, published
from lib.nets.network import Network

__all__ = ["ARCHITECTURES", "Network", "build", "check", "own", "published", "size"]

ARCHITECTURES: dict[str, type[Network]] = {}
for _file in pkgutil.iter_modules(__path__, "lib.nets."):
    ARCHITECTURES |= getattr(importlib.import_module(_file.name), "ARCHITECTURES", {})


def check(recipe) -> None:
    """Refuse an unknown architecture, or a stem or width that it does not have."""
    if ":" in recipe.arch:
        own.named(recipe.arch)
        return
    if recipe.arch not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ValueError(f"unknown network part {recipe.arch!r}; choose one of {known}, or package.module:Name")
    stems, step = ARCHITECTURES[recipe.arch].STEMS, ARCHITECTURES[recipe.arch].WIDTH_STEP
    if recipe.stem not in stems:
        raise ValueError(
            f"unknown network part {recipe.stem!r}; choose one of {', '.join(stems)}, {recipe.arch}'s stems"
        )
    if recipe.width < 1:
        raise ValueError(f"width={recipe.width} must be at least 1")
    if recipe.width % step:
        raise ValueError(f"width={recipe.width} must be a multiple of {step} for {recipe.arch}")


def build(recipe, channels: int, n_classes: int, seed: int) -> nn.Module:
    """The network of a recipe (`arch`, `width`, `stem`; a user's own by `arch` alone), from the seed, channels last."""
    check(recipe)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if ":" in recipe.arch:
            net = own.build(recipe.arch, channels, n_classes)
        else:
            net = ARCHITECTURES[recipe.arch](channels, n_classes, recipe.width, recipe.stem)
    return net.to(memory_format=torch.channels_last)


def size(net: nn.Module) -> int:
    """How many numbers a network learns."""
    return sum(parameter.numel() for parameter in net.parameters())
