"""Backbones trained without labels: one training loop, and a small class for what each method adds to it.

A method owns its modules and turns two views of a batch into a loss; METHODS names them all. Their heads and losses are
those of the lightly library. Backbone, batches, schedule and augmentation are the same for all: what differs between
two methods' features is the method. Used by `lib.features`.
"""

import copy
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from lightly.loss import BarlowTwinsLoss, DINOLoss, NegativeCosineSimilarity, NTXentLoss, SwaVLoss
from lightly.models.modules import heads
from lightly.models.utils import deactivate_requires_grad, update_momentum
from torch import Generator, Tensor, nn
from tqdm import tqdm

from lib import augment, models
from lib.data import Dataset
from lib.retrain import Recipe, resident

# Sizes of heads, in multiples of the backbone's features. Source: lightly's CIFAR-10 benchmark, whose heads are 1 to 2
# (MoCo, SimCLR, SwAV, BYOL) or 4 (SimSiam, Barlow Twins, DINO) times as wide as its ResNet-18's 512 features.
HIDDEN, WIDE = 2, 4
PROTOTYPES = 128  # of SwAV: one an image of a batch; our choice, lightly's benchmark has 512 for ten times the images


@dataclass(frozen=True)
class FeatureRecipe:
    """How features are made. All fields but the first three belong to the methods of `lib.selfsupervised`.

    The defaults were chosen for "moco" by kNN accuracy on training images held out of the embedded Fashion-MNIST subset
    (benchmarks/moco_choice.py). What it costs there is on the page of Figure 1.
    """

    method: str = "moco"  # or another of METHODS, "supervised", "pixels", the manifest's name of published weights
    seed: int = 0
    classifier: Recipe | None = None  # of "supervised": how its network is trained
    arch: str = "resnet9"
    width: int = 32
    stem: str = "conv5s2"
    epochs: int = 50
    batch_size: int = 128  # the last batch of an epoch is dropped when short
    peak_lr: float = 0.03  # falls to 0 along half a cosine
    weight_decay: float = 5e-4
    temperature: float = 0.1  # of moco, simclr, swav and dino's student
    momentum: float = 0.99  # of moco, byol, dino: of the encoder that follows the trained one
    memory_bank: int = 1024  # of moco: past keys that serve as negatives
    output_dim: int = 64  # of the projection in which the loss compares; simsiam and barlow_twins have their own
    crop: float = 0.7  # smallest area of a view; 1: none
    flip: bool = True
    jitter: float = 0.4  # of contrast and brightness
    cutout: int = 8  # pixels a side; 0: none


def train(
    dataset: Dataset,
    recipe: FeatureRecipe,
    device: str = "cpu",
    progress: bool = True,
    watch: Callable[[int, nn.Module], None] | None = None,
) -> nn.Module:
    """The backbone after training by `recipe.method`, in evaluation mode: images (b, c, h, w) -> features (b, d).

    watch: called after every epoch with the number of epochs so far and the backbone. Random streams: network, the
    method's modules, order, views, each spawned from the seed. What `check` refuses is not meant to come here.
    Source: Paper §3.1, App. A.2.
    DEPARTURE: ResNet-9 with our own augmentations and schedule, chosen by MoCo's kNN accuracy
    (benchmarks/moco_choice.py) and shared by all methods, where the paper trains ResNet-18 for 800 epochs. SGD for all,
    where the authors of SimCLR, BYOL, Barlow Twins and SwAV use LARS, and those of DINO AdamW.
    """
    net_seed, head_seed, order_seed, view_seed = np.random.SeedSequence(recipe.seed).generate_state(4).tolist()
    order_rng, view_rng = Generator().manual_seed(order_seed), Generator(device).manual_seed(view_seed)
    images = resident(dataset, device)
    images = images.normalised(images.train)
    net = models.build(recipe, images.shape[1], n_classes=1, seed=net_seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(head_seed)
        method = METHODS[recipe.method](net, recipe).to(device).train()
    trained = [parameter for parameter in method.parameters() if parameter.requires_grad]
    optimiser = torch.optim.SGD(trained, lr=0.0, momentum=0.9, weight_decay=recipe.weight_decay)
    steps_per_epoch = len(images) // recipe.batch_size
    n_steps = recipe.epochs * steps_per_epoch
    for epoch in tqdm(range(recipe.epochs), recipe.method, unit="epoch", disable=not progress, mininterval=5):
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
    return net.trunk.eval()


def view(images: Tensor, recipe: FeatureRecipe, rng: Generator) -> Tensor:
    """One random view of each image (b, c, h, w), channels last."""
    if recipe.crop < 1:
        images = augment.crop(images, recipe.crop, rng)
    if recipe.flip:
        images = augment.flip(images, rng)
    if recipe.jitter:
        images = augment.jitter(images, recipe.jitter, rng)
    if recipe.cutout:
        images = augment.cutout(images, recipe.cutout, rng)
    return images.contiguous(memory_format=torch.channels_last)


class Momentum(nn.Module):
    """A trained encoder, backbone and head, and a copy of it that follows as the moving average of its weights."""

    def __init__(self, net: nn.Module, head: nn.Module, momentum: float):
        super().__init__()
        self.online = nn.Sequential(net.trunk, head)
        self.follower = copy.deepcopy(self.online)
        deactivate_requires_grad(self.follower)
        self.momentum = momentum

    @torch.no_grad()
    def targets(self, views: list[Tensor]) -> list[Tensor]:
        """Move the follower one step, then encode each view (b, c, h, w) -> (b, d) with it."""
        update_momentum(self.online, self.follower, self.momentum)
        return [self.follower(x) for x in views]


class MoCo(Momentum):
    """A view agrees with the key of the image's other view, and with no key of another image in the memory bank.

    Source: MoCo v2, arXiv 2003.04297; the loss is symmetric over both views, as in lightly's benchmark.
    """

    def __init__(self, net: nn.Module, recipe: FeatureRecipe):
        n, d = net.n_features, recipe.output_dim
        super().__init__(net, heads.MoCoProjectionHead(n, HIDDEN * n, d), recipe.momentum)
        self.loss = NTXentLoss(recipe.temperature, memory_bank_size=(recipe.memory_bank, d))

    def forward(self, views: list[Tensor]) -> Tensor:  # two of (b, c, h, w) -> ()
        keys = self.targets(views)
        queries = [self.online(x) for x in views]
        # One call for both directions: with two, the second would meet its own keys among the negatives.
        return self.loss(torch.cat(queries), torch.cat(keys[::-1]))


class SimCLR(nn.Module):
    """A view agrees with the image's other view, and with no view of another image in the batch.

    Source: SimCLR, arXiv 2002.05709. DEPARTURE: batches of 128 images by default; its authors take 4 096.
    """

    def __init__(self, net: nn.Module, recipe: FeatureRecipe):
        super().__init__()
        n = net.n_features
        self.encoder = nn.Sequential(net.trunk, heads.SimCLRProjectionHead(n, HIDDEN * n, recipe.output_dim))
        self.loss = NTXentLoss(recipe.temperature)

    def forward(self, views: list[Tensor]) -> Tensor:  # two of (b, c, h, w) -> ()
        return self.loss(*map(self.encoder, views))


class BYOL(Momentum):
    """From one view, a predictor guesses what the follower makes of the other; there are no negatives.

    Source: BYOL, arXiv 2006.07733. DEPARTURE: the momentum is constant, as in lightly's benchmark; its authors raise it
    to 1.
    """

    def __init__(self, net: nn.Module, recipe: FeatureRecipe):
        n, d = net.n_features, recipe.output_dim
        super().__init__(net, heads.BYOLProjectionHead(n, HIDDEN * n, d), recipe.momentum)
        self.predictor = heads.BYOLPredictionHead(d, HIDDEN * n, d)
        self.loss = NegativeCosineSimilarity()

    def forward(self, views: list[Tensor]) -> Tensor:  # two of (b, c, h, w) -> ()
        targets = self.targets(views)
        first, second = (self.predictor(self.online(x)) for x in views)
        return (self.loss(first, targets[1]) + self.loss(second, targets[0])) / 2


class DINO(Momentum):
    """From one view, a student guesses how its follower sorts the other view into soft, balanced classes.

    Source: DINO, arXiv 2104.14294; the temperature and the momentum of the follower's centre are lightly's defaults.
    DEPARTURE: two global views and no local crops, a constant momentum and teacher temperature, as in lightly's
    benchmark.
    """

    def __init__(self, net: nn.Module, recipe: FeatureRecipe):
        n = net.n_features
        super().__init__(net, self.head(n, recipe.output_dim), recipe.momentum)
        self.loss = DINOLoss(WIDE * n, student_temp=recipe.temperature)

    @staticmethod
    @torch.no_grad()  # a weight made by weight_norm with gradients could not be copied
    def head(n: int, bottleneck: int) -> nn.Module:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*weight_norm", FutureWarning)  # torch's, of the form that lightly uses
            return heads.DINOProjectionHead(n, WIDE * n, bottleneck, WIDE * n, batch_norm=True)

    def forward(self, views: list[Tensor]) -> Tensor:  # two of (b, c, h, w) -> ()
        return self.loss(self.targets(views), [self.online(x) for x in views])


class SimSiam(nn.Module):
    """From one view, a predictor guesses the projection of the other, through which no gradient flows.

    Source: SimSiam, arXiv 2011.10566; the predictor's hidden layer is a quarter as wide as the projection.
    """

    def __init__(self, net: nn.Module, recipe: FeatureRecipe):
        super().__init__()
        n, d = net.n_features, WIDE * net.n_features
        self.encoder = nn.Sequential(net.trunk, heads.SimSiamProjectionHead(n, d, d))
        self.predictor = heads.SimSiamPredictionHead(d, n, d)
        self.loss = NegativeCosineSimilarity()

    def forward(self, views: list[Tensor]) -> Tensor:  # two of (b, c, h, w) -> ()
        first, second = map(self.encoder, views)
        return (
            self.loss(self.predictor(first), second.detach()) + self.loss(self.predictor(second), first.detach())
        ) / 2


class BarlowTwins(nn.Module):
    """Each output agrees over the two views of a batch, and is uncorrelated with every other output.

    Source: Barlow Twins, arXiv 2103.03230; the weight 0.005 of the correlations is its authors' and lightly's default.
    DEPARTURE: 4 times as many outputs as features, as in lightly's benchmark; its authors find that more are better.
    """

    def __init__(self, net: nn.Module, recipe: FeatureRecipe):
        super().__init__()
        n, d = net.n_features, WIDE * net.n_features
        self.encoder = nn.Sequential(net.trunk, heads.BarlowTwinsProjectionHead(n, d, d))
        self.loss = BarlowTwinsLoss()

    def forward(self, views: list[Tensor]) -> Tensor:  # two of (b, c, h, w) -> ()
        return self.loss(*map(self.encoder, views))


class SwAV(nn.Module):
    """From one view, guess to which prototypes the other is assigned, where a batch must use all of them evenly.

    Source: SwAV, arXiv 2006.09882; Sinkhorn's 3 iterations and regularisation 0.05 are its authors' and lightly's.
    DEPARTURE: two global views and no multi-crop, no queue and prototypes trained from the first step, as in lightly's
    benchmark.
    """

    def __init__(self, net: nn.Module, recipe: FeatureRecipe):
        super().__init__()
        n, d = net.n_features, recipe.output_dim
        self.encoder = nn.Sequential(net.trunk, heads.SwaVProjectionHead(n, HIDDEN * n, d))
        self.prototypes = heads.SwaVPrototypes(d, PROTOTYPES)
        # Its authors' have no bias; with one, similarities exceed 1 and overflow in Sinkhorn's exponential.
        nn.init.zeros_(self.prototypes.heads[0].bias).requires_grad_(False)
        self.loss = SwaVLoss(recipe.temperature)

    def forward(self, views: list[Tensor]) -> Tensor:  # two of (b, c, h, w) -> (1,)
        self.prototypes.normalize()
        return self.loss([self.prototypes(nn.functional.normalize(self.encoder(x))) for x in views], [])


METHODS = {
    "moco": MoCo,
    "simclr": SimCLR,
    "byol": BYOL,
    "dino": DINO,
    "simsiam": SimSiam,
    "barlow_twins": BarlowTwins,
    "swav": SwAV,
}


def check(dataset: Dataset, recipe: FeatureRecipe) -> None:
    """Refuse sizes with which the recipe's method cannot run as meant."""
    n, height, width = len(dataset.train_images), *dataset.train_images.shape[2:]
    if n < recipe.batch_size:
        raise ValueError(f"{n} training images are fewer than one batch of {recipe.batch_size}; lower batch_size")
    if recipe.batch_size < 2:
        raise ValueError(f"batch_size={recipe.batch_size} leaves nothing to tell an image from; give at least 2")
    if recipe.method == "moco" and recipe.memory_bank < 2 * recipe.batch_size:
        raise ValueError(
            f"a memory bank of {recipe.memory_bank} cannot hold the {2 * recipe.batch_size} keys of one batch; "
            f"raise memory_bank or lower batch_size"
        )
    for field in ("temperature", "output_dim"):
        if getattr(recipe, field) <= 0:
            raise ValueError(f"{field}={getattr(recipe, field)} must exceed 0")
    if not 0 <= recipe.momentum <= 1:
        raise ValueError(f"momentum={recipe.momentum} is no weight of an average; give 0 to 1")
    if not 0 < recipe.crop <= 1:
        raise ValueError(f"crop={recipe.crop} is no share of the area; give more than 0 and at most 1")
    if recipe.cutout > min(height, width):
        raise ValueError(f"cutout={recipe.cutout} exceeds the images' {height} x {width} pixels; lower it, 0 for none")
