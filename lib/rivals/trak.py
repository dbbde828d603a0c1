"""TRAK (Park et al. 2023, arXiv 2303.14186): its projected gradients by its authors' library `traker`."""

import logging
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from numbers import Integral, Real

import numpy as np
import torch
from torch import Tensor, nn
from trak import TRAKer
from trak.projectors import AbstractProjector, BasicProjector, ProjectionType

from lib import nets
from lib.data import Dataset
from lib.retrain import Recipe
from lib.rivals import networks
from lib.rivals.rival import HALVES, Inputs, Rival, batches, running_mean

PROJECTION_DIM, DAMPING = 1024, 1.0
PAPER_SHARE = 0.41  # dimensions per training image: Paper §4.1 has 20 480 of 50 000
BLOCK = 2048  # rows of Φ'Φ that are computed at once
BLOCK_FLOATS = 2**30  # numbers of the projection matrix that are held at once, at most: 4 GiB


def trak(
    net: nn.Module, inputs: Inputs, projection_dim: int = PROJECTION_DIM, damping: float = DAMPING, sparse: bool = False
) -> np.ndarray:
    """(n_targets + 1, n_train): a network's inner products with training images and, last, these images' weights 1 - p.

    Of networks that are each trained on a random half of the training images, as TRAK's authors do.
    projection_dim: of the random projection of the gradients, drawn anew for each network. damping: added to the
    diagonal of Φ'Φ, in units of its mean eigenvalue; 0: none. sparse: project by `SparseProjector` and not by a
    Gaussian matrix. Cost per network beside its training: a gradient of every image; 2 * n_train * n_parameters *
    projection_dim operations, sparse n_train * n_parameters; and n_train * projection_dim² + projection_dim³.
    Source: Paper §4.1 (there 20 480 dimensions). DEPARTURE: its authors do not damp; how much was chosen by LDS on test
    images that are no targets (benchmarks/trak_choice.py).
    """
    train, targets, weights = projected(net, inputs, projection_dim, sparse)
    return np.vstack([inner_products(train, targets, damping), weights])


def undamped(net: nn.Module, inputs: Inputs) -> np.ndarray:
    """As `trak`, without a ridge, at the paper's share of dimensions; by a sparse projection, which is affordable."""
    return trak(net, inputs, papers_dim(inputs.train[1]), damping=0.0, sparse=True)


def papers_dim(train_labels: Sequence) -> int:
    """PAPER_SHARE of the training images."""
    return round(PAPER_SHARE * len(train_labels))


def projected(net: nn.Module, inputs: Inputs, dim: int, sparse: bool = False) -> tuple[Tensor, Tensor, np.ndarray]:
    """Projected gradients of training images (n_train, d) and targets (n_targets, d), and weights 1 - p (n_train,).

    The first columns of a Gaussian one are a projection to fewer dimensions.
    """
    projector = (SparseProjector if sparse else random_projector)(net, dim, inputs.network)
    state = net.state_dict()
    # traker differentiates by torch.func: no_grad spares it a second graph.
    with tempfile.TemporaryDirectory() as folder, networks.quiet(), torch.no_grad():
        settings = {"device": projector.device, "use_half_precision": False, "logging_level": logging.ERROR}
        tracker = TRAKer(net, "image_classification", len(inputs.train[1]), folder, projector=projector, **settings)
        tracker.load_checkpoint(state, inputs.network)
        for batch in batches(net, inputs.train):
            tracker.featurize(batch, num_samples=len(batch[1]))
        gradients = map(tracker.gradient_computer.compute_per_sample_grad, batches(net, inputs.targets))
        targets = [projector.project(batch, inputs.network) / tracker.normalize_factor for batch in gradients]
        store = tracker.saver.current_store
        train, weights = torch.tensor(store["grads"], device=projector.device), np.array(store["out_to_loss"])[:, 0]
        return train, torch.cat(targets), weights


def inner_products(train: Tensor, targets: Tensor, damping: float) -> np.ndarray:
    """x (Φ'Φ + λ I)⁻¹ Φ', (n_targets, n_train); divided, as by traker, by the inverse's mean absolute entry.

    train: Φ (n_train, d). targets: x (n_targets, d). damping: as in `trak`. By Cholesky, from the lower triangle of
    Φ'Φ: half of the operations of traker's own, whose projected gradients these are.
    """
    gram = train.new_zeros(train.shape[1], train.shape[1])
    for start in range(0, len(gram), BLOCK):
        rows, until = slice(start, start + BLOCK), slice(start + BLOCK)
        gram[rows, until] = train[:, rows].T @ train[:, until]
    gram.diagonal().add_(damping * gram.trace() / len(gram))
    factor, failed = torch.linalg.cholesky_ex(gram)
    if failed and gram.isfinite().all():  # else the network diverged, which `lib.rivals.ensembles` says
        raise ValueError("TRAK: Φ'Φ has no inverse in single precision: it takes fewer dimensions, or a ridge")
    inverse = torch.cholesky_inverse(factor)
    return (targets @ inverse @ train.T / inverse.abs().mean()).cpu().numpy()


def separate_means(results: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The mean inner products times the mean weights, of the first network, of the first two, …; results: of `trak`.

    Source: TRAK's Algorithm 1.
    """
    return (mean[:-1] * mean[-1] for mean in running_mean(results))


def random_projector(net: nn.Module, projection_dim: int, model_id: int) -> BasicProjector:
    """traker's projector in as few blocks as memory allows, that keeps its matrix.

    traker 0.3.2 frees the matrix before scoring and, where it is one block, does not make it anew.
    """
    size, device = nets.size(net), next(net.parameters()).device.type
    settings = {"block_size": max(1, BLOCK_FLOATS // size), "model_id": model_id}
    projector = BasicProjector(size, projection_dim, 0, ProjectionType.normal, device, **settings)
    projector.free_memory = lambda: None
    return projector


class SparseProjector(AbstractProjector):
    """Adds each parameter's gradient, with a random sign, to one dimension drawn at random.

    Its inner products are unbiased, as the Gaussian's are. A dimension that no parameter falls to is left out: it would
    be zero, and Φ'Φ without an inverse. Source: Charikar, Chen and Farach-Colton 2002, "Finding frequent items in data
    streams"; for attribution GraSS, arXiv 2505.18976.
    """

    def __init__(self, net: nn.Module, projection_dim: int, model_id: int):
        size, device = nets.size(net), next(net.parameters()).device
        rng = np.random.default_rng(np.random.SeedSequence(1, spawn_key=(model_id,)))
        hit, dimension = np.unique(rng.integers(projection_dim, size=size), return_inverse=True)
        super().__init__(size, len(hit), 0, "sparse", device.type)
        self.dimension = torch.as_tensor(dimension, device=device)
        self.sign = torch.as_tensor(rng.choice(np.float32([-1, 1]), size=size), device=device)

    def project(self, grads: dict[str, Tensor] | Tensor, model_id: int) -> Tensor:  # (b, p) -> (b, d)
        if isinstance(grads, dict):
            grads = torch.cat([part.flatten(1) for part in grads.values()], dim=1)
        by_parameter = (grads * self.sign).T
        empty = by_parameter.new_zeros(self.proj_dim, len(grads))
        return empty.index_add_(0, self.dimension, by_parameter).T.contiguous()

    def free_memory(self) -> None:
        """Nothing that is worth it."""


def check(dataset: Dataset, recipe: Recipe, projection_dim=PROJECTION_DIM, damping=DAMPING, **_) -> None:
    """Refuse what is no dimension or no damping, or, undamped, more dimensions than images or parameters."""
    if not (isinstance(projection_dim, Integral) and projection_dim >= 1):
        raise ValueError(f"projection_dim={projection_dim!r} must be a whole number of at least 1")
    if not (isinstance(damping, Real) and 0 <= damping < np.inf):
        raise ValueError(f"damping={damping!r} must be a finite number, not below 0")
    limit = min(len(dataset.train_labels), networks.n_parameters(dataset, recipe))
    if damping == 0 and projection_dim > limit:
        raise ValueError(
            f"projection_dim={projection_dim} exceeds the {limit} training images or parameters, so that Φ'Φ has no "
            f"inverse; lower it, or give damping"
        )


def kept(dataset: Dataset, projection_dim: int = PROJECTION_DIM, **_) -> int:
    """Bytes of the projected gradients of all training images."""
    return 4 * len(dataset.train_labels) * projection_dim


ENSEMBLE = {"trained_on": HALVES, "combine": separate_means}
RIVALS = {
    "trak": Rival(trak, check=check, kept=kept, **ENSEMBLE),
    "trak_undamped": Rival(
        undamped,
        check=lambda dataset, recipe: check(dataset, recipe, papers_dim(dataset.train_labels), damping=0),
        kept=lambda dataset: kept(dataset, papers_dim(dataset.train_labels)),
        **ENSEMBLE,
    ),
}
