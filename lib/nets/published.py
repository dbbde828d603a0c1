"""Backbones with published weights: a ResNet-50 trained on ImageNet, whose features Figure 5 compares.

`load` is the one way in; a FeatureRecipe whose method is the name of a manifest's entry takes it. `lib.data` says which
files there are and fetches them; here they are read, as weights alone: code inside a file is never run.
"""

from pathlib import Path
from textwrap import shorten

import torch
from torch import Tensor, nn
from torchvision.models import resnet50

from lib.data import MANIFEST, entries, fetch, find

# Of red, green and blue between 0 and 1. Source: main_lincls.py of facebookresearch/moco; torchvision's and lightly's
# are the same.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIDE = 224  # pixels a side of the images that they were trained on
BYTES = 4 * 23_508_032  # of the weights of a ResNet-50 without its head, in single precision
LAYOUTS = {  # how the keys of the backbone begin; what begins otherwise is of the training, as a second encoder
    "facebookresearch/moco": "module.encoder_q.",  # source: its main_lincls.py
    "lightly": "backbone.",  # source: lightly-ai/lightly issue 1475, and its benchmarks/imagenet/resnet50
    "torchvision": "",
}
# Left out: the last layer of a classifier and of MoCo v1, or the two of MoCo v2.
HEAD = {"fc.weight", "fc.bias", "fc.0.weight", "fc.0.bias", "fc.2.weight", "fc.2.bias"}


def names(manifest: Path | str = MANIFEST) -> list[str]:
    """The manifest's entries that are weights."""
    return [entry.name for entry in entries(manifest).values() if entry.kind == "weights"]


def load(name: str, manifest: Path | str = MANIFEST) -> nn.Module:
    """The backbone of a manifest entry in evaluation mode: `normalised` images (b, 3, h, w) -> (b, 2048).

    Raises what `lib.data.fetch` raises, and ValueError where the file holds no weights of a ResNet-50.
    """
    entry = find(name, manifest)
    if entry.kind != "weights":
        raise ValueError(f"{name} is of kind {entry.kind}; name an entry of kind weights")
    return backbone(fetch(name, manifest=manifest))


def normalised(images: Tensor) -> Tensor:
    """Images (b, 3, h, w) uint8 as the backbones were trained on them, float32."""
    mean, std = (torch.tensor(x, device=images.device).view(3, 1, 1) for x in (IMAGENET_MEAN, IMAGENET_STD))
    return (images.float() / 255 - mean) / std


def backbone(path: Path) -> nn.Module:
    """The ResNet-50 of a checkpoint in one of LAYOUTS, without its head, in evaluation mode."""
    with torch.device("meta"):  # draws no random numbers: all weights come from the file
        net = resnet50()
    net.fc = nn.Identity()
    try:
        net.load_state_dict(backbone_weights(path), assign=True)
    except RuntimeError as problem:
        raise ValueError(f"{path} does not fit a ResNet-50, give another: {shorten(str(problem), 400)}") from problem
    return net.float().requires_grad_(False).eval()


def backbone_weights(path: Path) -> dict[str, Tensor]:
    """The weights in a checkpoint by torchvision's names, without the head's. Source of the names: LAYOUTS."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as problem:  # damage shows as whatever the unpickler runs into
        raise ValueError(
            f"{path} cannot be read as weights: it is damaged, no checkpoint, or holds code, which is never run. "
            f"Fetch it again; if it is your own, save its state_dict alone"
        ) from problem
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    for prefix in LAYOUTS.values() if isinstance(state, dict) else ():
        if f"{prefix}conv1.weight" in state:
            named = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
            return {key: value for key, value in named.items() if key not in HEAD}
    expected = ", ".join(f"{prefix}conv1.weight ({source})" for source, prefix in LAYOUTS.items())
    raise ValueError(f"{path} holds no ResNet-50 of a known layout; one of these keys is expected: {expected}")
