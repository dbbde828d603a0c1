"""Counterfactual retraining: what would the model say, had it been trained on other data?

One retraining is a pure function of (dataset, recipe, removed ids, relabelled ids, seed). Removal is an index mask,
mislabelling a label array: nothing is written to disk and no global state is left behind. `lib.engine` runs many
retrainings in parallel and remembers them.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Optimizer

from lib import base, nets
from lib.data import EVAL_BATCH, Dataset, Images, augment, clock, one_thread, resident


@dataclass(frozen=True)
class Recipe:
    """How a model is trained. The defaults are the paper's for CIFAR-10 (Paper §4.1 and footnote 1)."""

    arch: str = "resnet9"
    width: int = 64
    stem: str = "conv3"
    epochs: int = 24
    warmup_epochs: float = 5.0  # learning rate: linear 0 -> peak_lr over these, then linear to 0
    batch_size: int = 512  # the last batch of an epoch is dropped when short
    peak_lr: float = 0.5
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    flip: bool = True
    translate: int = 2  # pixels in each direction; 0: none
    cutout: int = 8  # pixels a side; 0: none
    precision: str = "float32"  # or "bfloat16": mixed precision

    balanced: bool = False  # each class weighs the same in the loss, however many images of it are left
    sizes: tuple[int, int] | None = None  # pixels a side of random resized crops, at first and in the last epochs
    last_epochs: int = 5  # that have the second of `sizes`
    smallest_crop: float = 0.08  # share of the image's area; FFCV's and torchvision's, where the paper is silent

    @property
    def identity(self) -> dict:
        """What names this recipe in keys and files: its fields, without those that came later and change nothing."""
        unused = () if self.sizes else ("sizes", "last_epochs", "smallest_crop")
        unused += () if self.balanced else ("balanced",)
        content = {key: value for key, value in vars(self).items() if key not in unused}
        return content | ({"source": nets.own.source(self.arch)} if ":" in self.arch else {})

    @property
    def hash(self) -> str:
        return short_hash(self.identity)

    def size(self, epoch: int) -> int:
        """Pixels a side of the crops in that epoch, counted from 0."""
        return self.sizes[epoch >= self.epochs - self.last_epochs]


def short_hash(content) -> str:
    """Sixteen hexadecimal digits of the SHA-256 of `content` as canonical JSON."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Retraining:
    """The arguments of one retraining, except the dataset. The order of the ids is irrelevant to the result."""

    recipe: Recipe
    seed: int
    removed: tuple[int, ...] = ()  # train ids
    relabelled: tuple[tuple[int, int], ...] = ()  # (train id, new label)

    def key(self, dataset: Dataset) -> str:
        """The name of this retraining in the ledger: a hash of all its arguments."""
        return _key(self, dataset.checksum)


@lru_cache(1000)  # a search asks for the same few again and again
def _key(retraining: Retraining, checksum: str) -> str:
    removed = sorted(map(int, retraining.removed))
    relabelled = sorted((int(i), int(label)) for i, label in retraining.relabelled)
    return short_hash([checksum, retraining.recipe.identity, retraining.seed, [removed, relabelled]])


@dataclass(frozen=True)
class Outcome:
    """logits: (n_test, n_classes) float32. seconds: see `clock`."""

    logits: np.ndarray
    test_accuracy: float
    seconds: float


def retrain(dataset: Dataset, retraining: Retraining, device: str = "cpu", images: Images | None = None) -> Outcome:
    """Train once on the changed training set and test. Same arguments on the same machine give the same bits.

    images: where they are read from, in memory by default; `lib.data.beton` reads them from a file.
    Raises ValueError where the change does not fit the dataset, or the training diverged.
    """
    now = clock(device)
    start = now()
    with one_thread(device):
        images = images or resident(dataset, device)
        net = fit(dataset, retraining, device, images=images)
        logits = predict(net, images)
    if not np.isfinite(logits).all():
        raise ValueError(f"{dataset.name}: a retraining diverged, its logits are not finite; lower peak_lr")
    return Outcome(logits, float((logits.argmax(1) == dataset.test_labels).mean()), now() - start)


def check_recipe(recipe: Recipe) -> None:
    """Refuse values that cannot be meant, whatever is trained on."""
    for name, value in vars(recipe).items():
        base.check(name, value)
    if recipe.warmup_epochs >= recipe.epochs:
        raise ValueError(f"epochs={recipe.epochs} must exceed warmup_epochs={recipe.warmup_epochs}; set both")


def check(dataset: Dataset, retraining: Retraining) -> None:
    """Refuse a recipe, or a change of the training set, that cannot be meant."""
    check_recipe(retraining.recipe)
    recipe, n, n_classes = retraining.recipe, len(dataset.train_labels), len(dataset.class_names)
    changed = [*retraining.removed, *(i for i, _ in retraining.relabelled)]
    if outside := [i for i in changed if not 0 <= i < n]:
        raise ValueError(f"train id {outside[0]} does not exist: {dataset.name} has ids 0 to {n - 1}")
    if repeated := len(changed) - len(set(changed)):
        raise ValueError(f"{repeated} train ids are removed or relabelled twice; name each once")
    for i, label in retraining.relabelled:
        if not 0 <= label < n_classes:
            raise ValueError(f"label {label} does not exist: {dataset.name} has labels 0 to {n_classes - 1}")
        if label == dataset.train_labels[i]:
            raise ValueError(f"train id {i} has label {label} already; relabelling it changes nothing, choose another")
    if (left := n - len(retraining.removed)) < (batch := recipe.batch_size):
        raise ValueError(
            f"{left} training images are left, fewer than one batch of {batch}; remove fewer or lower batch_size"
        )


def fit(
    dataset: Dataset,
    retraining: Retraining,
    device: str = "cpu",
    watch: Callable[[float, nn.Module], None] | None = None,
    images: Images | None = None,
) -> nn.Module:
    """Train on the changed training set; returns the network in evaluation mode.

    watch: called before every step with its learning rate and the network. images: as in `retrain`. Random streams:
    initialisation, order, augmentation, each spawned from the seed. The order is drawn over all ids and then filtered:
    two retrainings of one seed see what they share in the same order (common random numbers). Errors: of `check`.
    """
    check(dataset, retraining)
    recipe, n = retraining.recipe, len(dataset.train_labels)
    init_seed, order_seed, augment_seed = np.random.SeedSequence(retraining.seed).generate_state(3).tolist()
    keep, labels = torch.ones(n, dtype=torch.bool), torch.tensor(dataset.train_labels)
    keep[list(retraining.removed)] = False
    for i, label in retraining.relabelled:
        labels[i] = label
    images, labels = images or resident(dataset, device), labels.to(device)
    order_rng = torch.Generator().manual_seed(order_seed)
    augment_rng = torch.Generator(device).manual_seed(augment_seed)
    net = nets.build(recipe, images.test.shape[1], len(dataset.class_names), init_seed).to(device).train()
    settings = {"momentum": recipe.momentum, "nesterov": recipe.nesterov, "weight_decay": recipe.weight_decay}
    optimiser = SGD(net.parameters(), fused=True, **settings)
    steps_per_epoch = int(keep.sum()) // recipe.batch_size
    weights = class_weights(labels[keep.to(device)], len(dataset.class_names)) if recipe.balanced else None
    for epoch in range(recipe.epochs):
        order = torch.randperm(n, generator=order_rng)
        order = order[keep[order]][: steps_per_epoch * recipe.batch_size]
        batches = images.batches(order, recipe.batch_size, labels)
        for step, (batch, batch_labels, _) in enumerate(batches, start=epoch * steps_per_epoch):
            optimiser.param_groups[0]["lr"] = learning_rate((step + 0.5) / steps_per_epoch, recipe)
            if watch:
                watch(optimiser.param_groups[0]["lr"], net)
            batch = augmented(images.normalised(batch), recipe, epoch, augment_rng)
            train_step(net, optimiser, batch, batch_labels, recipe, weights)
    return net.eval()


def class_weights(labels: Tensor, n_classes: int) -> Tensor:
    """Of a balanced loss, blind to how many images a class has, (n_classes,); our choice. labels: (n,), training's."""
    return len(labels) / (n_classes * torch.bincount(labels, minlength=n_classes).clamp(min=1))


def train_step(
    net: nn.Module, optimiser: Optimizer, images: Tensor, labels: Tensor, recipe: Recipe, weights: Tensor | None = None
) -> None:
    """One step of gradient descent. images: (b, c, h, w). labels: (b,). weights: of `class_weights`."""
    with torch.autocast(images.device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
        logits = net(images.contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(logits, labels, weights, label_smoothing=recipe.label_smoothing)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def augmented(images: Tensor, recipe: Recipe, epoch: int, rng: torch.Generator) -> Tensor:
    """The paper's augmentations, as far as the recipe switches them on. images: (b, c, h, w), normalised."""
    if recipe.sizes:
        images = augment.resized_crop(images, recipe.size(epoch), recipe.smallest_crop, rng)
    if recipe.flip:
        images = augment.flip(images, rng)
    if recipe.translate:
        images = augment.translate(images, recipe.translate, rng)
    if recipe.cutout:
        images = augment.cutout(images, recipe.cutout, rng)
    return images


def learning_rate(epoch: float, recipe: Recipe) -> float:
    """Linear from 0 to the peak over the warm-up, then linear to 0 at the last epoch's end. Source: Paper §4.1."""
    rising = epoch / recipe.warmup_epochs
    falling = (recipe.epochs - epoch) / (recipe.epochs - recipe.warmup_epochs)
    return recipe.peak_lr * min(rising, falling)


@torch.no_grad()
def predict(net: nn.Module, images: Images) -> np.ndarray:
    """Logits (n_test, n_classes) float32 of the test images."""
    batches = images.test.split(EVAL_BATCH)
    return torch.cat([net(images.normalised(batch)) for batch in batches]).float().cpu().numpy()


def margins(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Correct-class margin: the correct logit minus the highest other. Source: Paper App. A.5.

    logits: (n, n_classes). labels: (n,). Returns (n,); the prediction is right where it is positive.
    """
    rows = np.arange(len(labels))
    others = np.array(logits)
    others[rows, labels] = -np.inf
    return logits[rows, labels] - others.max(axis=1)
