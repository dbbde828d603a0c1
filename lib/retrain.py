"""Counterfactual retraining: what would the model say, had it been trained on other data?

One retraining is a pure function of (dataset, recipe, removed ids, relabelled ids, seed). Removal is an index mask,
mislabelling a label array: nothing is written to disk and no global state is left behind. `lib.campaign` runs many
retrainings in parallel and `lib.ledger` remembers them.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib import augment, models
from lib.data import Dataset

SAMPLE = 2**30  # pixel values that mean and standard deviation are taken from: 4 GiB meanwhile
EVAL_BATCH = 1000  # images a forward pass without gradients
PRECISIONS = ("float32", "bfloat16")


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

    @property
    def hash(self) -> str:
        return short_hash(asdict(self))

    def class_weights(self, labels: Tensor, n_classes: int) -> Tensor | None:
        """What an image of each class weighs in the loss, (n_classes,); None: all the same. labels: of the training."""
        return None


@dataclass(frozen=True)
class BalancedRecipe(Recipe):
    """A loss in which each class weighs the same, however many images of it are left.

    Source: our choice, to tell apart what an image says from how many of its class there are.
    """

    balanced: bool = True  # never False: it sets these trainings apart in the ledger

    def class_weights(self, labels: Tensor, n_classes: int) -> Tensor:
        return len(labels) / (n_classes * torch.bincount(labels, minlength=n_classes).clamp(min=1))


@dataclass(frozen=True)
class ResizingRecipe(Recipe):
    """Training on random resized crops whose resolution rises. The defaults are the paper's for ImageNet (Paper §4.1).

    Images of test keep their size. What the paper does not say, the area of a crop, is that of FFCV's ImageNet training
    and torchvision.
    """

    arch: str = "resnet18"
    stem: str = "conv7s2pool"
    epochs: int = 16
    batch_size: int = 1024
    translate: int = 0
    cutout: int = 0
    sizes: tuple[int, int] = (160, 192)  # pixels a side: at first, and in the last epochs
    last_epochs: int = 5
    smallest_crop: float = 0.08  # share of the image's area

    def size(self, epoch: int) -> int:
        """Pixels a side in that epoch, counted from 0."""
        return self.sizes[epoch >= self.epochs - self.last_epochs]


@dataclass(frozen=True)
class BalancedResizingRecipe(BalancedRecipe, ResizingRecipe):
    """Both."""


def balanced(recipe: Recipe) -> BalancedRecipe:
    """The same training with a class-balanced loss."""
    kind = BalancedResizingRecipe if isinstance(recipe, ResizingRecipe) else BalancedRecipe
    return kind(**asdict(recipe))


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
        changes = [sorted(map(int, self.removed)), sorted((int(i), int(label)) for i, label in self.relabelled)]
        return short_hash([dataset.checksum, asdict(self.recipe), self.seed, changes])


@dataclass(frozen=True)
class Outcome:
    """logits: (n_test, n_classes) float32. seconds: see `clock`."""

    logits: np.ndarray
    test_accuracy: float
    seconds: float


def retrain(dataset: Dataset, what: Retraining, device: str = "cpu", images: "Images | None" = None) -> Outcome:
    """Train once on the changed training set and test. Same arguments on the same machine give the same bits.

    images: where they are read from, in memory by default; `lib.beton.opened` reads them from a file.
    Raises ValueError where the change does not fit the dataset.
    """
    check(dataset, what)
    now = clock(device)
    start = now()
    with one_thread(device):
        images = images or resident(dataset, device)
        net = fit(dataset, what, device, images=images)
        logits = predict(net, images)
    seconds = now() - start
    return Outcome(logits, float((logits.argmax(1) == dataset.test_labels).mean()), seconds)


def check(dataset: Dataset, what: Retraining) -> None:
    """Refuse a change of the training set, or a precision, that cannot be meant."""
    n, n_classes = len(dataset.train_labels), len(dataset.class_names)
    changed = [*what.removed, *(i for i, _ in what.relabelled)]
    outside = [i for i in changed if not 0 <= i < n]
    if outside:
        raise ValueError(f"train id {outside[0]} does not exist: {dataset.name} has ids 0 to {n - 1}")
    if len(set(changed)) < len(changed):
        raise ValueError(
            f"{len(changed) - len(set(changed))} train ids are removed or relabelled twice; name each once"
        )
    for i, label in what.relabelled:
        if not 0 <= label < n_classes:
            raise ValueError(f"label {label} does not exist: {dataset.name} has labels 0 to {n_classes - 1}")
        if label == dataset.train_labels[i]:
            raise ValueError(f"train id {i} has label {label} already; relabelling it changes nothing, choose another")
    if isinstance(what.recipe, ResizingRecipe) and not 0 < what.recipe.smallest_crop <= 1:
        raise ValueError(
            f"smallest_crop={what.recipe.smallest_crop} is no share of the area; give more than 0 and at most 1"
        )
    if what.recipe.precision not in PRECISIONS:
        raise ValueError(f"unknown precision {what.recipe.precision!r}; choose one of {', '.join(PRECISIONS)}")
    left = n - len(what.removed)
    if left < what.recipe.batch_size:
        raise ValueError(
            f"{left} training images are left, fewer than one batch of {what.recipe.batch_size}; "
            f"remove fewer or lower batch_size"
        )


def fit(
    dataset: Dataset,
    what: Retraining,
    device: str = "cpu",
    watch: Callable[[float, nn.Module], None] | None = None,
    images: "Images | None" = None,
) -> nn.Module:
    """Train on the changed training set; returns the network in evaluation mode.

    watch: called before every step with its learning rate and the network. images: as in `retrain`. Random streams:
    initialisation, order, augmentation, each spawned from the seed. The order is drawn over all ids and then filtered:
    two retrainings of one seed see what they share in the same order (common random numbers).
    """
    recipe, n = what.recipe, len(dataset.train_labels)
    init_seed, order_seed, augment_seed = np.random.SeedSequence(what.seed).generate_state(3).tolist()
    keep, labels = torch.ones(n, dtype=torch.bool), torch.tensor(dataset.train_labels)
    keep[list(what.removed)] = False
    for i, label in what.relabelled:
        labels[i] = label
    images, labels = images or resident(dataset, device), labels.to(device)
    order_rng = torch.Generator().manual_seed(order_seed)
    augment_rng = torch.Generator(device).manual_seed(augment_seed)
    net = models.build(recipe, images.test.shape[1], len(dataset.class_names), init_seed).to(device).train()
    optimiser = torch.optim.SGD(
        net.parameters(),
        lr=recipe.peak_lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        fused=True,
    )
    steps_per_epoch = int(keep.sum()) // recipe.batch_size
    weights = recipe.class_weights(labels[keep.to(device)], len(dataset.class_names))
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


def train_step(
    net: nn.Module,
    optimiser: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
    recipe: Recipe,
    weights: Tensor | None = None,
):
    """One step of gradient descent. images: (b, c, h, w). labels: (b,). weights: of `Recipe.class_weights`."""
    with torch.autocast(images.device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
        logits = net(images.contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(logits, labels, weights, label_smoothing=recipe.label_smoothing)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def augmented(images: Tensor, recipe: Recipe, epoch: int, rng: torch.Generator) -> Tensor:
    """The paper's augmentations, as far as the recipe switches them on. images: (b, c, h, w), normalised."""
    if isinstance(recipe, ResizingRecipe):
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


@dataclass(frozen=True)
class Images:
    """The images of a dataset on a device, (n, c, h, w) uint8, and how they are normalised; mean, std: (1, c, 1, 1)."""

    train: Tensor
    test: Tensor
    mean: Tensor
    std: Tensor

    def batches(self, ids: Tensor, size: int, labels: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Training images (b, c, h, w) uint8, labels (b,) and ids (b,) of the given ids in the given order.

        labels: (n,), by id. b = size, but for the last batch, which may be short.
        """
        for some in (ids[i : i + size] for i in range(0, len(ids), size)):
            yield self.train[some], labels[some], some

    def normalised(self, images: Tensor) -> Tensor:
        """float32 (b, c, h, w), in which each channel of the training images has mean 0 and standard deviation 1."""
        return (images.float() - self.mean) / self.std


@lru_cache(maxsize=2)
def resident(dataset: Dataset, device: str = "cpu") -> Images:
    """The images on the device, once a process. On a CPU they share the dataset's memory, memory-mapped or not."""
    arrays = dataset.train_images, dataset.test_images
    train, test = (torch.from_numpy(x if x.flags.writeable else x.copy()).to(device) for x in arrays)
    return Images(train, test, *mean_and_std(train))


def mean_and_std(images: Tensor) -> tuple[Tensor, Tensor]:
    """Of each channel, (1, c, 1, 1) float32. images: (n, c, h, w) uint8; of many, evenly spread ones are looked at."""
    some = images[:: -(-images.numel() // SAMPLE)]
    with one_thread(images.device.type):
        std, mean = torch.std_mean(some.float(), dim=(0, 2, 3), keepdim=True)
    return mean, std


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


def pick_device(name: str) -> str:
    """ "cpu" or "cuda"; "auto" is CUDA where there is one. ValueError for another name or CUDA that is not there."""
    if name not in ("auto", "cpu", "cuda"):
        raise ValueError(f"unknown device {name!r}; choose auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device 'cuda' is not available here; choose cpu or auto")
    return "cuda" if name != "cpu" and torch.cuda.is_available() else "cpu"


def clock(device: str) -> Callable[[], float]:
    """What measures the cost of work: seconds of processor time on a CPU, whoever shares it, of wall time on CUDA."""
    return time.process_time if device == "cpu" else time.perf_counter


@contextmanager
def one_thread(device: str):
    """On a CPU, compute with one thread and restore the number after.

    The sums of a batch depend on how threads share them: one thread gives the same bits however many retrainings run
    side by side, and the retraining is the unit of parallelism anyway.
    """
    before = torch.get_num_threads()
    if device == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
