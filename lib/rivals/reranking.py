"""k-reciprocal re-ranking: near is what shares neighbours with the target, not only what is close to it.

Source: Zhong et al., CVPR 2017, arXiv 1701.08398; in the details as its authors' code, zhunzhong07/person-re-ranking:
distances are squared and divided by the largest of their row, an encoding sums to one, and an image is its own first
neighbour. Below, `ranks` are ids of the nearest images, nearest first, (m, K1 + 1).
"""

import numpy as np
from scipy.sparse import coo_array, csr_array
from sklearn.metrics.pairwise import euclidean_distances

K1, K2, LAMBDA = 20, 6, 0.3  # neighbours that encode an image, encodings averaged, share of the plain distance


def k_reciprocal(targets: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Minus the re-ranked distance, among the training images and one target at a time.

    targets: (t, d). train: (n, d). Returns (t, n) float64 in [-1, 0]. Memory: about 16 n² bytes.
    """
    train, n = train.astype(float), len(train)
    squared = np.empty((n + 1, n + 1))  # the target comes last
    squared[:n, :n] = euclidean_distances(train, squared=True)
    np.fill_diagonal(squared, -np.finfo(float).tiny)  # itself before its copies
    near = _nearest(squared[:n, :n])
    result = np.empty((len(targets), n))
    for row, to_target in zip(result, euclidean_distances(targets.astype(float), train, squared=True), strict=True):
        squared[n, :n] = squared[:n, n] = to_target
        row[:] = -_reranked(squared, _joined(squared, near))
    return result


def _nearest(squared: np.ndarray) -> np.ndarray:
    """Columns of the K1 + 1 least of every row, or of all where there are fewer, least first."""
    k = min(K1 + 1, squared.shape[1])
    columns = np.argpartition(squared, k - 1, axis=1)[:, :k]
    order = np.argsort(np.take_along_axis(squared, columns, axis=1), axis=1)
    return np.take_along_axis(columns, order, axis=1)


def _joined(squared: np.ndarray, near: np.ndarray) -> np.ndarray:
    """ranks with the target, from those without: it can only push out the last."""
    n = len(near)
    candidates = np.hstack([near, np.full((n, 1), n)])
    kept = _nearest(np.take_along_axis(squared[:n], candidates, axis=1))
    return np.vstack([np.take_along_axis(candidates, kept, axis=1), _nearest(squared[n:])])


def _reranked(squared: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Distance of the last image to all others, (m - 1,): Jaccard's of the encodings, and the plain one."""
    row, column = _expanded(ranks).nonzero()
    scale = np.maximum(squared.max(axis=1), np.finfo(float).tiny)
    weight = coo_array((np.exp(-squared[row, column] / scale[row]), (row, column)), shape=squared.shape).tocsr()
    weight = weight.multiply(1 / weight.sum(axis=1)[:, None]).tocsr()
    encoding = _neighbours(ranks[:, :K2]) @ weight / min(K2, ranks.shape[1])
    shared = encoding[:, encoding[[-1]].indices].toarray()
    overlap = np.minimum(shared[:-1], shared[-1]).sum(axis=1)
    return (1 - LAMBDA) * (1 - overlap / (2 - overlap)) + LAMBDA * squared[-1, :-1] / scale[-1]


def _expanded(ranks: np.ndarray) -> csr_array:
    """R*, (m, m): the reciprocal neighbours of each image, joined by those of each that shares over 2/3 with it."""
    whole, half = _reciprocal(ranks), _reciprocal(ranks[:, : K1 // 2 + 1])
    common = whole.multiply(whole @ half).tocoo()
    agrees = 3 * common.data > 2 * half.sum(axis=1)[common.col]
    joining = coo_array((common.data[agrees], (common.row[agrees], common.col[agrees])), shape=whole.shape)
    return whole + joining.tocsr() @ half


def _reciprocal(ranks: np.ndarray) -> csr_array:
    """R, (m, m) of 0 and 1, symmetric: which images are among each other's ranks."""
    near = _neighbours(ranks)
    return near.multiply(near.T).tocsr()


def _neighbours(ranks: np.ndarray) -> csr_array:
    m, k = ranks.shape
    return csr_array((np.ones(m * k), ranks.ravel(), np.arange(0, m * k + 1, k)), shape=(m, m))


DISTANCES = {"k_reciprocal": k_reciprocal}
