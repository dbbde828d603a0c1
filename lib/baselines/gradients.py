"""Gradient similarity: a training image supports a target if a step down its loss raises the target's log-odds.

The inner products are those of dattri's TracIn attributor, over all parameters, batch norm in evaluation mode: at the
end of the training (dot product, cosine) or along it (TracIn).
"""

from collections.abc import Iterator

import numpy as np
import torch
from dattri.task import AttributionTask
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from lib.baselines import networks
from lib.data import Dataset
from lib.retrain import Recipe


def grad_dot(
    dataset: Dataset, recipe: Recipe, targets: np.ndarray, n_models: int = 5, seed: int = 0, device: str = "cpu"
) -> Iterator[np.ndarray]:
    """Inner product of the gradients at the end of the training, averaged over networks.

    Cost of a network beside its training: a gradient of every image. Source: Charpiat et al., NeurIPS 2019.
    """
    images = networks.inputs(dataset, targets, device)
    trained = networks.trained(dataset, networks.trainings(recipe, n_models, seed), device)
    yield from networks.running_mean(inner_products([(1.0, net)], images) for net in trained)


def grad_cos(
    dataset: Dataset, recipe: Recipe, targets: np.ndarray, n_models: int = 5, seed: int = 0, device: str = "cpu"
) -> Iterator[np.ndarray]:
    """Cosine of the gradients at the end of the training, averaged over networks. Cost and source: as grad_dot."""
    images = networks.inputs(dataset, targets, device)
    trained = networks.trained(dataset, networks.trainings(recipe, n_models, seed), device)
    yield from networks.running_mean(inner_products([(1.0, net)], images, cosine=True) for net in trained)


def tracin(
    dataset: Dataset,
    recipe: Recipe,
    targets: np.ndarray,
    n_models: int = 5,
    n_checkpoints: int = 5,
    seed: int = 0,
    device: str = "cpu",
) -> Iterator[np.ndarray]:
    """TracIn: inner products along the training, weighted with the learning rate, averaged over trainings.

    n_checkpoints: points of a training, in the middles of equal parts of it. Cost of a training beside itself: a
    gradient of every image at each of them. Source: TracInCP of Pruthi et al. 2020, arXiv 2002.08484.
    """
    images = networks.inputs(dataset, targets, device)
    seen = (
        networks.trajectory(dataset, training, n_checkpoints, device)
        for training in networks.progress(networks.trainings(recipe, n_models, seed))
    )
    yield from networks.running_mean(inner_products(checkpoints, images) for checkpoints in seen)


def inner_products(
    checkpoints: list[tuple[float, nn.Module]], images: networks.Inputs, cosine: bool = False
) -> np.ndarray:
    """Sum over (weight, network) of weight * inner product of the gradients of targets and training images.

    cosine: divide by the gradients' lengths. Returns (n_targets, n_train) float32.
    """
    from dattri.algorithm.tracin import TracInAttributor  # here, since it imports torch's compiler: seconds

    weights, nets = zip(*checkpoints, strict=True)
    task = attribution_task(nets[0], [net.state_dict() for net in nets])
    attributor = TracInAttributor(task, list(weights), normalized_grad=cosine, device=images.train[0].device)
    attributor.projector_kwargs = None  # or the gradients are projected to 512 random dimensions
    with networks.quiet(), torch.no_grad():  # dattri differentiates by torch.func; this is against a second graph
        return attributor.attribute(*images.loaders(nets[0])).T.numpy()


def attribution_task(net: nn.Module, checkpoints: list[dict]) -> AttributionTask:
    """dattri's view of a network: what a training image does to the parameters, and what is measured of a target.

    The training image's loss is the cross-entropy; the target's is minus its log-odds, whose gradient has the same
    direction as that of its cross-entropy, but does not fade where a network is sure. DEPARTURE: the cross-entropy is
    not smoothed, although the recipe's may be: a smoothed loss falls as a network becomes less sure of what is right.
    """

    def training_loss(parameters: dict[str, Tensor], data: tuple[Tensor, Tensor]) -> Tensor:
        image, label = data
        return F.cross_entropy(logits(net, parameters, image), label if label.ndim else label[None])

    def target_loss(parameters: dict[str, Tensor], data: tuple[Tensor, Tensor]) -> Tensor:
        image, label = data
        values = logits(net, parameters, image)
        correct = torch.arange(values.shape[1], device=values.device) == label.reshape(-1, 1)
        return (values.masked_fill(correct, -torch.inf).logsumexp(1) - (values * correct).sum(1)).mean()

    return AttributionTask(training_loss, net, checkpoints, target_func=target_loss)


def logits(net: nn.Module, parameters: dict[str, Tensor], image: Tensor) -> Tensor:
    """(b, n_classes) of images (b, c, h, w), or of one image (c, h, w) with b = 1."""
    return functional_call(net, parameters, image.reshape(-1, *image.shape[-3:]))


METHODS = {"grad_dot": grad_dot, "grad_cos": grad_cos, "tracin": tracin}
