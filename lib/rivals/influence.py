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

from collections.abc import Callable

import numpy as np
import torch
from dattri.func.hessian import hvp_at_x
from dattri.func.utils import flatten_func, flatten_params
from scipy.sparse.linalg import LinearOperator, cg, eigsh
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from lib.rivals.gradients import inner_products
from lib.rivals.rival import Inputs, Rival

DAMPING = 0.1
HESSIAN_IMAGES = 500  # random training images, drawn anew for each network, over which the Hessian is taken
ITERATIONS = 10  # of conjugate gradients, at most
EIGENPAIRS = 50
TOLERANCE = 0.01  # of a solution's residual and of an eigenvalue, relative


def influence_cg(net: nn.Module, inputs: Inputs) -> np.ndarray:
    """Influence functions by conjugate gradients.

    Cost per network beside its training: a gradient of every image, and ITERATIONS Hessian products per target.
    """
    return products(net, inputs, conjugate_gradients)


def influence_arnoldi(net: nn.Module, inputs: Inputs) -> np.ndarray:
    """Influence functions by the Hessian's largest eigenvalues, the others taken for 0.

    Cost per network beside its training: a gradient of every image, and about two Hessian products per eigenpair,
    however many the targets. Source: Schioppa et al. 2022, arXiv 2112.03052. DEPARTURE: they drop what lies outside the
    eigenvectors' span, here it is divided by the damping.
    """
    return products(net, inputs, leading_eigenvectors)


def products(net: nn.Module, inputs: Inputs, solve: Callable) -> np.ndarray:
    """(n_targets, n_train): gradients of the targets times inverse Hessian times gradients of the training images."""
    ids = inputs.rng().permutation(len(inputs.train[1]))[:HESSIAN_IMAGES]
    matrix = hessian(net, inputs.train[0][ids])
    return inner_products(net, inputs, lambda x: torch.from_numpy(solve(matrix, x.cpu().numpy())).to(x))


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


def conjugate_gradients(matrix: LinearOperator, vectors: np.ndarray) -> np.ndarray:
    """The inverse of (matrix + DAMPING), times each of the vectors (b, p)."""
    damped = LinearOperator(matrix.shape, matvec=lambda v: matrix @ v + DAMPING * v, dtype=matrix.dtype)
    return np.stack([cg(damped, vector, rtol=TOLERANCE, maxiter=ITERATIONS)[0] for vector in vectors])


def leading_eigenvectors(matrix: LinearOperator, vectors: np.ndarray) -> np.ndarray:
    """As conjugate_gradients, with only the largest eigenvalues of the matrix."""
    start = np.random.default_rng(0).standard_normal(len(vectors.T), dtype=np.float32)
    values, basis = eigsh(matrix, EIGENPAIRS, v0=start, tol=TOLERANCE)
    inside = vectors @ basis
    return inside / (values + DAMPING) @ basis.T + (vectors - inside @ basis.T) / DAMPING


RIVALS = {"influence_cg": Rival(influence_cg), "influence_arnoldi": Rival(influence_arnoldi)}
