"""Influence functions (Koh & Liang 2017, arXiv 1703.04730): what would more weight of a training image do to a target?

    score = gradient of the target's log-odds · (Hessian + damping)⁻¹ · minus the gradient of the image's loss

Over all parameters, batch norm in evaluation mode. The Hessian's products with vectors are dattri's. The solvers are
SciPy's, since dattri's do not work on these networks: its conjugate gradients divide 0 by 0 once converged, its Arnoldi
iteration loses the orthogonality of its basis, EK-FAC knows linear layers only, the explicit Hessian does not fit into
memory, and DataInf comes out as plain inner products.

DEPARTURE: the Hessian is that of the cross-entropy against the network's own predictions, which is the Gauss-Newton
matrix. That of the training loss has negative eigenvalues, since the networks are not trained to a minimum, and
inverting those turns the scores upside down.
"""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from dattri.func.hessian import hvp_at_x
from dattri.func.utils import flatten_func, flatten_params
from scipy.sparse.linalg import LinearOperator, cg, eigsh
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from lib.data import Dataset
from lib.retrain import Recipe
from lib.rivals import networks
from lib.rivals.gradients import gradients, minus_log_odds

TOLERANCE = 0.01  # of a solution's residual and of an eigenvalue, relative


def influence_cg(
    dataset: Dataset,
    recipe: Recipe,
    targets: np.ndarray,
    n_models: int = 5,
    damping: float = 0.1,
    iterations: int = 10,
    hessian_images: int = 500,
    seed: int = 0,
    device: str = "cpu",
) -> Iterator[np.ndarray]:
    """Influence functions by conjugate gradients, averaged over networks.

    iterations: at most; a residual of one percent is enough. hessian_images: random training images, drawn anew for
    each network, over which the Hessian is taken; at most all. Cost of a network beside its training: a gradient of
    every image, and `iterations` Hessian products a target. Raises ValueError without damping.
    """
    if damping == 0:
        raise ValueError("damping=0 leaves directions in which the Hessian is 0; give damping above 0")
    solve = partial(conjugate_gradients, damping=damping, iterations=iterations)
    return influence(dataset, recipe, targets, n_models, solve, hessian_images, seed, device)


def influence_arnoldi(
    dataset: Dataset,
    recipe: Recipe,
    targets: np.ndarray,
    n_models: int = 5,
    damping: float = 0.1,
    eigenpairs: int = 50,
    hessian_images: int = 500,
    seed: int = 0,
    device: str = "cpu",
) -> Iterator[np.ndarray]:
    """Influence functions by the Hessian's largest eigenvalues, the others taken for 0, averaged over networks.

    hessian_images: as for influence_cg. Cost of a network beside its training: a gradient of every image, and about two
    Hessian products an eigenpair, however many the targets. Raises ValueError without damping, or where there are fewer
    parameters than eigenpairs. Source: Schioppa et al. 2022, arXiv 2112.03052. DEPARTURE: they drop what lies outside
    the eigenvectors' span, here it is divided by the damping.
    """
    limit = networks.n_parameters(dataset, recipe) - 1
    if eigenpairs > limit or damping == 0:
        raise ValueError(f"eigenpairs={eigenpairs}, damping={damping}: give at most {limit}, and damping above 0")
    solve = partial(leading_eigenvectors, damping=damping, eigenpairs=eigenpairs)
    return influence(dataset, recipe, targets, n_models, solve, hessian_images, seed, device)


def influence(dataset, recipe, targets, n_models, solve, hessian_images, seed, device) -> Iterator[np.ndarray]:
    """The scores with `solve` for the inverse Hessian, averaged over networks."""
    images = networks.inputs(dataset, targets, device)
    nets = networks.trained(dataset, networks.trainings(recipe, n_models, seed), device)
    streams = np.random.default_rng(seed).spawn(n_models)
    samples = (rng.permutation(len(dataset.train_labels))[:hessian_images] for rng in streams)
    return networks.running_mean(products(net, images, ids, solve) for net, ids in zip(nets, samples, strict=True))


def products(net: nn.Module, images: networks.Inputs, sample: np.ndarray, solve: Callable) -> np.ndarray:
    """(n_targets, n_train): gradients of the targets times inverse Hessian times gradients of the training images.

    sample: train ids over which the Hessian is taken.
    """
    targets = torch.cat(list(gradients(net, minus_log_odds, images.targets)))
    directions = solve(hessian(net, images.train[0][sample]), targets.cpu().numpy())
    directions = torch.from_numpy(directions).to(targets)
    train = gradients(net, F.cross_entropy, images.train)
    return torch.cat([directions @ some.T for some in train], dim=1).cpu().numpy()


def hessian(net: nn.Module, images: Tensor) -> LinearOperator:
    """The Hessian (p, p), by all parameters, of the cross-entropy against the network's own predictions on images."""
    with torch.no_grad():
        own, parameters = net(images).softmax(1), flatten_params(dict(net.named_parameters()))

    @flatten_func(net)
    def loss(parameters: dict[str, Tensor]) -> Tensor:
        return F.cross_entropy(functional_call(net, parameters, images), own)

    n, product = len(parameters), hvp_at_x(loss, (parameters,))

    def multiply(vector: np.ndarray) -> np.ndarray:
        return product(torch.from_numpy(vector.reshape(n)).to(parameters)).cpu().numpy()

    return LinearOperator((n, n), matvec=multiply, dtype=np.float32)


def conjugate_gradients(matrix: LinearOperator, vectors: np.ndarray, damping: float, iterations: int) -> np.ndarray:
    """The inverse of (matrix + damping), times each of the vectors (b, p)."""
    damped = LinearOperator(matrix.shape, matvec=lambda v: matrix @ v + damping * v, dtype=matrix.dtype)
    return np.stack([cg(damped, vector, rtol=TOLERANCE, maxiter=iterations)[0] for vector in vectors])


def leading_eigenvectors(matrix: LinearOperator, vectors: np.ndarray, damping: float, eigenpairs: int) -> np.ndarray:
    """As conjugate_gradients, with only the largest eigenvalues of the matrix."""
    start = np.random.default_rng(0).standard_normal(len(vectors.T), dtype=np.float32)
    values, basis = eigsh(matrix, eigenpairs, v0=start, tol=TOLERANCE)
    inside = vectors @ basis
    return inside / (values + damping) @ basis.T + (vectors - inside @ basis.T) / damping


METHODS = {"influence_cg": influence_cg, "influence_arnoldi": influence_arnoldi}
