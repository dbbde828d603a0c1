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

from lib.rivals.rival import Inputs, Rival, batches

CHECKPOINTS = 5  # of TracIn
SAME = nn.Identity()


def grad_dot(net: nn.Module, inputs: Inputs) -> np.ndarray:
    """Inner product of the gradients; at checkpoints, times the learning rate, TracInCP of Pruthi et al. 2020.

    Cost per network beside its training: a gradient of every image. Source: Charpiat et al., NeurIPS 2019;
    arXiv 2002.08484.
    """
    return inner_products(net, inputs)


def grad_cos(net: nn.Module, inputs: Inputs) -> np.ndarray:
    """Cosine of the gradients. Cost and source: as grad_dot."""
    return inner_products(net, inputs, F.normalize, F.normalize)


def inner_products(net: nn.Module, inputs: Inputs, of_targets=SAME, of_train=SAME) -> np.ndarray:
    """(n_targets, n_train) float32, of the gradients of targets and training images, (b, p), when so changed."""
    targets = of_targets(torch.cat(list(gradients(net, minus_log_odds, inputs.targets))))
    train = map(of_train, gradients(net, F.cross_entropy, inputs.train))
    return torch.cat([targets @ batch.T for batch in train], dim=1).cpu().numpy()


def gradients(net: nn.Module, loss: Callable, images: tuple[Tensor, Tensor]) -> Iterator[Tensor]:
    """The gradient of each single image's loss by all parameters: (b, n_parameters), batch by batch.

    loss: (logits (1, n_classes), labels (1,)) -> scalar. images: (n, c, h, w), and their labels (n,).
    """
    parameters = {name: parameter.detach() for name, parameter in net.named_parameters()}

    def of_one(parameters: dict[str, Tensor], image: Tensor, label: Tensor) -> Tensor:
        return loss(functional_call(net, parameters, image[None]), label[None])

    of_each = vmap(grad(of_one), in_dims=(None, 0, 0))
    for batch in batches(net, images):
        by_name = of_each(parameters, *batch)
        yield torch.cat([by_name[name].flatten(1) for name in parameters], dim=1)


def minus_log_odds(logits: Tensor, labels: Tensor) -> Tensor:
    """What is measured of a target: minus the log-odds of its label, summed. logits: (n, n_classes). labels: (n,).

    Their gradient has the direction of the cross-entropy's, but does not fade where a network is sure.
    """
    correct = torch.arange(logits.shape[1], device=logits.device) == labels[:, None]
    return (logits.masked_fill(correct, -torch.inf).logsumexp(1) - (logits * correct).sum(1)).sum()


RIVALS = {
    "grad_dot": Rival(grad_dot),
    "grad_cos": Rival(grad_cos),
    "tracin": Rival(grad_dot, checkpoints=CHECKPOINTS),
}
