"""The networks that are retrained and that features are taken from.

Each maps images (b, c, h, w) float32 to logits (b, n_classes). A new one is a file here with a subclass of `Network`,
and a line in ARCHITECTURES. Used by `lib.retrain` (the model under study) and `lib.ssl` (the backbone).
"""

import torch
from torch import nn

from lib.nets.mobilenet import MobileNetV2, ShallowMobileNetV2
from lib.nets.network import Network
from lib.nets.resnet import ResNet9, ResNet18
from lib.nets.vit import ViT

__all__ = ["ARCHITECTURES", "Network", "build", "check", "published", "size"]

ARCHITECTURES = {
    "resnet9": ResNet9,
    "mobilenetv2": MobileNetV2,
    "mobilenetv2_shallow": ShallowMobileNetV2,
    "resnet18": ResNet18,
    "vit": ViT,
}


def check(recipe) -> None:
    """Refuse an unknown architecture, or a stem or width that it does not have."""
    if recipe.arch not in ARCHITECTURES:
        raise ValueError(f"unknown network part {recipe.arch!r}; choose one of {', '.join(ARCHITECTURES)}")
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
    """The network of a recipe (`arch`, `width`, `stem`), initialised from the seed, channels last."""
    check(recipe)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = ARCHITECTURES[recipe.arch](channels, n_classes, recipe.width, recipe.stem)
    return net.to(memory_format=torch.channels_last)


def size(net: nn.Module) -> int:
    """How many numbers a network learns."""
    return sum(parameter.numel() for parameter in net.parameters())
