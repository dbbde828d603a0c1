"""Gradient similarity: a training image supports a target if a step down its loss raises the target's log-odds.

Inner products of the gradients of single images, over all parameters, batch norm in evaluation mode: at the end of the
training (dot product, cosine) or along it (TracIn). By torch.func: dattri's TracIn gives the same numbers (a test sees
to that) at a higher cost, since it differentiates by one flat vector of all parameters.

DEPARTURE: the training images' cross-entropy is not smoothed, although the recipe's may be: a smoothed loss falls as a
network becomes less sure of what is right.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from lib.data import Dataset
from lib.retrain import Recipe
from lib.rivals import networks

CHECKPOINTS = 5


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
    n_checkpoints: int = CHECKPOINTS,
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
    scale = F.normalize if cosine else nn.Identity()
    total = 0
    for weight, net in checkpoints:
        targets = scale(torch.cat(list(gradients(net, minus_log_odds, images.targets))))
        train = map(scale, gradients(net, F.cross_entropy, images.train))
        total = total + weight * torch.cat([targets @ some.T for some in train], dim=1)
    return total.cpu().numpy()


def gradients(net: nn.Module, loss: Callable, images: tuple[Tensor, Tensor]) -> Iterator[Tensor]:
    """The gradient of each single image's loss by all parameters: (b, n_parameters), batch by batch.

    loss: (logits (1, n_classes), labels (1,)) -> scalar. images: (n, c, h, w), and their labels (n,).
    """
    parameters = {name: parameter.detach() for name, parameter in net.named_parameters()}

    def of_one(parameters: dict[str, Tensor], image: Tensor, label: Tensor) -> Tensor:
        return loss(functional_call(net, parameters, image[None]), label[None])

    of_each = vmap(grad(of_one), in_dims=(None, 0, 0))
    for batch in networks.batches(net, images):
        found = of_each(parameters, *batch)
        yield torch.cat([found[name].flatten(1) for name in parameters], dim=1)


def minus_log_odds(logits: Tensor, labels: Tensor) -> Tensor:
    """What is measured of a target: minus the log-odds of its label, summed. logits: (n, n_classes). labels: (n,).

    Their gradient has the direction of the cross-entropy's, but does not fade where a network is sure.
    """
    correct = torch.arange(logits.shape[1], device=logits.device) == labels[:, None]
    return (logits.masked_fill(correct, -torch.inf).logsumexp(1) - (logits * correct).sum(1)).sum()


METHODS = {"grad_dot": grad_dot, "grad_cos": grad_cos, "tracin": tracin}
KEPT = {"tracin": lambda dataset, recipe: CHECKPOINTS * networks.weight_bytes(dataset, recipe)}
