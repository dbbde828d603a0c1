"""TRAK (Park et al. 2023, arXiv 2303.14186), by its authors' library `traker`."""

import logging
import tempfile
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from trak import TRAKer
from trak.projectors import BasicProjector, ProjectionType

from lib import nets
from lib.data import Dataset
from lib.retrain import Recipe
from lib.rivals import networks

PROJECTION_DIM = 1024
BLOCK_FLOATS = 2**29  # numbers of the projection matrix that are held at once, at most: 2 GiB


def trak(
    dataset: Dataset,
    recipe: Recipe,
    targets: np.ndarray,
    n_models: int = 20,
    projection_dim: int = PROJECTION_DIM,
    damping: float = 1.0,
    seed: int = 0,
    device: str = "cpu",
) -> Iterator[np.ndarray]:
    """TRAK over networks that are each trained on a random half of the training images, as its authors do.

    projection_dim: of the random Gaussian projection of the gradients, drawn anew for each network. damping: added to
    the diagonal of Φ'Φ, in units of its mean eigenvalue; 0: none. Cost of a network beside its training: a gradient of
    every image, and 2 * n_train * n_parameters * projection_dim operations.
    Raises ValueError without damping, where the projection has more dimensions than there are images or parameters.
    Source: Paper §4.1 (there 20 480 dimensions) and TRAK's Algorithm 1: over the networks, the inner products and the
    weights 1 - p of the training images are averaged separately. DEPARTURE: its authors do not damp; how much
    was chosen by LDS on test images that are no targets (benchmarks/trak_choice.py).
    """
    limit = min(len(dataset.train_labels), networks.n_parameters(dataset, recipe))
    if damping == 0 and projection_dim > limit:
        raise ValueError(
            f"projection_dim={projection_dim} exceeds the {limit} training images or parameters, so that Φ'Φ has no "
            f"inverse; lower it, or give damping"
        )
    images = networks.inputs(dataset, targets, device)
    products, weights = torch.zeros(len(dataset.train_labels), len(targets)), 0
    trainings = networks.half_trainings(dataset, recipe, n_models, seed)
    for i, net in enumerate(networks.trained(dataset, trainings, device)):
        projector = Projector(net, projection_dim, seed, i, device)
        weights = weights + add_products(net, images, projector, damping, products)
        yield (products.numpy() * weights).T / (i + 1) ** 2


class Projector(BasicProjector):
    """traker's projector in as few blocks as memory allows, that keeps its matrix.

    traker 0.3.2 frees the matrix before scoring and, where it is one block, does not make it anew.
    """

    def __init__(self, net: nn.Module, projection_dim: int, seed: int, model_id: int, device: str):
        block_size = max(1, BLOCK_FLOATS // nets.size(net))
        super().__init__(
            nets.size(net), projection_dim, seed, ProjectionType.normal, device, block_size, model_id=model_id
        )

    def free_memory(self) -> None:
        pass


def add_products(
    net: nn.Module, images: networks.Inputs, projector: Projector, damping: float, products: Tensor
) -> np.ndarray:
    """Add one network's inner products to `products` (n_train, n_targets), in place; returns its 1 - p (n_train, 1)."""
    state, model_id, device = net.state_dict(), projector.model_id, projector.device
    # traker differentiates by torch.func: no_grad spares it a second graph.
    with tempfile.TemporaryDirectory() as folder, networks.quiet(), torch.no_grad():
        tracker = TRAKer(
            net,
            "image_classification",
            train_set_size=len(images.train[1]),
            save_dir=folder,
            device=device,
            projector=projector,
            logging_level=logging.ERROR,
            use_half_precision=False,
        )
        tracker.load_checkpoint(state, model_id)
        for batch in networks.batches(net, images.train):
            tracker.featurize(batch, num_samples=len(batch[1]))
        mean_eigenvalue = np.square(tracker.saver.current_store["grads"]).sum() / projector.proj_dim
        tracker.score_computer.lambda_reg = damping * float(mean_eigenvalue)
        tracker.finalize_features()
        tracker.start_scoring_checkpoint("targets", state, model_id, num_targets=len(images.targets[1]))
        for batch in networks.batches(net, images.targets):
            tracker.score(batch, num_samples=len(batch[1]))
        store = tracker.saver.current_store
        pair = (torch.tensor(store[name], device=device) for name in ("features", "targets_grads"))
        tracker.score_computer.get_scores(*pair, accumulator=products)
        return np.array(store["out_to_loss"])


def kept(dataset: Dataset, recipe: Recipe, projection_dim: int = PROJECTION_DIM, **_) -> int:
    """Bytes of a network and of the projected gradients of all training images."""
    return networks.weight_bytes(dataset, recipe) + 4 * len(dataset.train_labels) * projection_dim


METHODS = {"trak": trak}
KEPT = {"trak": kept}
