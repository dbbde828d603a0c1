"""Backbones trained without labels: one training loop for all of `lib.ssl.methods`.

Backbone, batches, schedule and augmentation are the same for all: what differs between two methods' features is the
method. A training can be killed and goes on from its checkpoint.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor, nn
from tqdm import tqdm

from lib import base, nets
from lib.data import Dataset, augment, replacing, resident
from lib.ssl.methods import METHODS
from lib.ssl.recipe import FeatureRecipe

KEPT_EVERY = 600  # seconds of a training between two checkpoints


def train(
    dataset: Dataset,
    recipe: FeatureRecipe,
    device: str = "cpu",
    progress: bool = True,
    watch: Callable[[int, nn.Module], None] | None = None,
    checkpoint: Path | None = None,
) -> nn.Module:
    """The backbone after training by `recipe.method`, in evaluation mode: images (b, c, h, w) -> features (b, d).

    watch: called after every epoch with the number of epochs so far and the backbone. checkpoint: a file that a long
    training is kept in every ten minutes and goes on from, to the same bits; it is of this dataset and recipe alone,
    and removed at the end. Random streams: network, the method's modules, order, views, each spawned from the seed.
    What `check` refuses is not meant to come here. Source: Paper §3.1, App. A.2. DEPARTURE: ResNet-9 with our own
    augmentations and schedule, chosen by MoCo's kNN accuracy (benchmarks/moco_choice.py) and shared by all methods,
    where the paper trains ResNet-18 for 800 epochs. SGD for all, where the authors of SimCLR, BYOL, Barlow Twins and
    SwAV use LARS, and those of DINO AdamW.
    """
    net_seed, head_seed, order_seed, view_seed = np.random.SeedSequence(recipe.seed).generate_state(4).tolist()
    order_rng, view_rng = Generator().manual_seed(order_seed), Generator(device).manual_seed(view_seed)
    images = resident(dataset, device)
    images = images.normalised(images.train)
    net = nets.build(recipe, images.shape[1], n_classes=1, seed=net_seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(head_seed)
        method = METHODS[recipe.method](net, recipe).to(device).train()
    trained = [parameter for parameter in method.parameters() if parameter.requires_grad]
    optimiser = torch.optim.SGD(trained, lr=0.0, momentum=0.9, weight_decay=recipe.weight_decay)
    steps_per_epoch = len(images) // recipe.batch_size
    n_steps = recipe.epochs * steps_per_epoch
    state = method, optimiser, {"order": order_rng, "view": view_rng}
    first = restored(checkpoint, *state) if checkpoint and checkpoint.exists() else 0
    kept_at, epochs = time.monotonic(), range(first, recipe.epochs)
    for epoch in tqdm(epochs, recipe.method, recipe.epochs, initial=first, unit="epoch", disable=not progress):
        batches = torch.randperm(len(images), generator=order_rng).split(recipe.batch_size)[:steps_per_epoch]
        for step, ids in enumerate(batches, start=epoch * steps_per_epoch):
            optimiser.param_groups[0]["lr"] = recipe.peak_lr * (1 + math.cos(math.pi * step / n_steps)) / 2
            loss = method([view(images[ids], recipe, view_rng) for _ in range(2)])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        if watch:
            watch(epoch + 1, net.trunk.eval())
            net.trunk.train()
        if checkpoint and time.monotonic() - kept_at > KEPT_EVERY:
            keep(checkpoint, epoch + 1, *state)
            kept_at = time.monotonic()
    if checkpoint:
        checkpoint.unlink(missing_ok=True)
    return net.trunk.eval()


def tensors(method: nn.Module) -> dict[str, Tensor]:
    """All that a method learns and remembers; lightly leaves its memory bank out of the `state_dict`."""
    return method.state_dict() | dict(method.named_buffers())


def keep(path: Path, epochs: int, method: nn.Module, optimiser: torch.optim.Optimizer, streams: dict) -> None:
    """Write all that the training goes on from after so many epochs."""
    states = {name: rng.get_state() for name, rng in streams.items()}
    content = {"epochs": epochs, "tensors": tensors(method), "optimiser": optimiser.state_dict(), "streams": states}
    with replacing(path) as temporary:
        torch.save(content, temporary)


def restored(path: Path, method: nn.Module, optimiser: torch.optim.Optimizer, streams: dict) -> int:
    """Take up what `keep` wrote; returns how many epochs are done."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        for name, tensor in tensors(method).items():
            tensor.copy_(content["tensors"][name])
        optimiser.load_state_dict(content["optimiser"])
        for name, rng in streams.items():
            rng.set_state(content["streams"][name])
        return content["epochs"]
    except Exception as problem:  # damage shows as whatever the unpickler runs into
        raise ValueError(f"{path} is damaged ({problem}); delete it to train from the start") from problem


def view(images: Tensor, recipe: FeatureRecipe, rng: Generator) -> Tensor:
    """One random view of each image (b, c, h, w), channels last."""
    if recipe.crop < 1:
        images = augment.crop(images, recipe.crop, rng)
    if recipe.flip:
        images = augment.flip(images, rng)
    if recipe.jitter:
        images = augment.jitter(images, recipe.jitter, rng)
    if recipe.saturation or recipe.hue or recipe.grey:
        images = augment.colour(images, recipe.saturation, recipe.hue, recipe.grey, rng)
    if recipe.cutout:
        images = augment.cutout(images, recipe.cutout, rng)
    return images.contiguous(memory_format=torch.channels_last)


def check(dataset: Dataset, recipe: FeatureRecipe) -> None:
    """Refuse values with which the recipe's method cannot run as meant."""
    for name, value in vars(recipe).items():
        base.check(name, value)
    n, sides = len(dataset.train_images), dataset.train_images.shape[2:]
    if n < recipe.batch_size:
        raise ValueError(f"{n} training images are fewer than one batch of {recipe.batch_size}; lower batch_size")
    if recipe.batch_size < 2:
        raise ValueError(f"batch_size={recipe.batch_size} leaves nothing to tell an image from; give at least 2")
    if recipe.method == "moco" and recipe.memory_bank < 2 * recipe.batch_size:
        raise ValueError(
            f"a memory bank of {recipe.memory_bank} cannot hold the {2 * recipe.batch_size} keys of one batch; "
            f"raise memory_bank or lower batch_size"
        )
    if recipe.cutout > min(sides):
        raise ValueError(
            f"cutout={recipe.cutout} exceeds the images' {sides[0]} x {sides[1]} pixels; lower it, 0 for none"
        )
