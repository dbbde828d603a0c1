"""What each method without labels adds to the training loop: its modules, and a loss of two views of a batch.

Heads and losses are those of the lightly library. A new method is a class here, and a line in METHODS.
"""

import copy
import warnings

import torch
from lightly.loss import BarlowTwinsLoss, DINOLoss, NegativeCosineSimilarity, NTXentLoss, SwaVLoss
from lightly.models.modules import heads
from lightly.models.utils import deactivate_requires_grad, update_momentum
from torch import Tensor, nn

from lib.ssl.recipe import FeatureRecipe

# Sizes of heads, in multiples of the backbone's features. Source: lightly's CIFAR-10 benchmark, whose heads are 1 to 2
# (MoCo, SimCLR, SwAV, BYOL) or 4 (SimSiam, Barlow Twins, DINO) times as wide as its ResNet-18's 512 features.
HIDDEN, WIDE = 2, 4
PROTOTYPES = 128  # of SwAV: one an image of a batch; our choice, lightly's benchmark has 512 for ten times the images


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
