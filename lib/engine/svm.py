"""Exemplar SVMs of many targets against the same negatives, solved together and exactly.

With z = (x, 1), so that the intercept is regularised with the rest, a target's SVM is the v of least

    |v|² / 2  +  c_target max(0, 1 - v·z_target)²  +  c_negative Σ max(0, 1 + v·z)²      (sum over the negatives)

Only the samples with a loss determine v, as a rule the target and a few dozen of thousands of negatives: v is the ridge
regression on them. Newton's method regresses on those that have a loss now, until they are those that have one then. It
is fast because it starts next to the end: a search in single precision, with one matrix product for all targets and all
negatives a round, finds which samples have a loss; Newton's method confirms or corrects that in double precision.
`lib.esvm` has the definition; a test compares.

Below, `samples` are minus the negatives, then the targets, (n + t, d + 1): all of them are to score v·sample >= 1.
`own` are the targets' rows in it, and `c` the weights of a target's n + 1 losses: the negatives' and, last, its own.
"""

from functools import partial

import numpy as np

ADDED = 32  # samples that join a target's pool at once, or half the pool where that is more
BATCH = 100  # targets solved together; memory is about 100 * n * BATCH bytes
ROWS = 2**21  # numbers in the samples that are copied for regressions at once, so that they stay in the cache
LARGEST = 1e12  # of 2 c |z|²: beyond, |v|² is lost in the rounding of the losses


def decision_values(targets: np.ndarray, negatives: np.ndarray, C: float) -> np.ndarray:
    """See `lib.esvm.decision_values`."""
    n = len(negatives)
    samples = np.ones((n + len(targets), negatives.shape[1] + 1))
    samples[:n, :-1], samples[n:, :-1] = negatives, targets
    samples[:n] *= -1
    c_target, c_negative = weights(n, C)
    norm, limit = np.sqrt(np.einsum("nd,nd->n", samples, samples).max()), np.sqrt(LARGEST / c_target / 2)
    if norm > limit:
        raise ValueError(
            f"features of norm {norm:.3g} exceed {limit:.3g}, the limit of {n} negatives at C={C:g}; scale them down"
        )
    single, c = samples.astype(np.float32), np.append(np.full(n, c_negative), c_target)
    values = np.empty((len(targets), n))
    for first in range(0, len(targets), BATCH):
        own = np.arange(n, len(samples))[first : first + BATCH]
        values[own - n] = -_newton(samples, own, c, _search(single, own, c))[:, :n]
    return values


def weights(n: int, C: float) -> tuple[float, float]:
    """c_target and c_negative of one target and n negatives: C over the share of its class, halved."""
    return C * (n + 1) / 2, C * (n + 1) / (2 * n)


def _search(samples: np.ndarray, own: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Which samples have a loss at the optimum, (t, n + 1) bool; nearly right.

    A target regresses on those samples of its pool that have a loss. Those outside that are violated most join the
    pool, until none is.
    """
    pool = np.zeros((len(own), len(c)), dtype=bool)
    pool[:, np.linspace(0, len(c) - 1, min(len(c), ADDED)).astype(int)] = True
    scores = np.zeros(pool.shape, dtype=samples.dtype)
    left = np.arange(len(own))
    while True:
        v = _regress(samples, own[left], c, pool[left] & (scores[left] < 1), again=True)
        scores[left] = outside = _scores(samples, own[left], c, v)
        outside[pool[left]] = np.inf
        violated = (outside < 1).sum(axis=1)
        if not violated.any():
            return scores < 1
        left, outside = left[violated > 0], outside[violated > 0]
        added = min(violated.max(), max(ADDED, pool[left].sum(axis=1).max() // 2))
        pool[left[:, None], np.argpartition(outside, added - 1, axis=1)[:, :added]] = True


def _newton(samples: np.ndarray, own: np.ndarray, c: np.ndarray, active: np.ndarray) -> np.ndarray:
    """Scores at the optimum, (t, n + 1). active: (t, n + 1) bool, what to regress on first.

    Ends where a regression gives a loss to the very samples that it is on, or no step towards it lowers the objective
    in double precision. Source: Keerthi and DeCoste 2005.
    """
    v = _regress(samples, own, c, active)
    scores = _scores(samples, own, c, v)
    left = np.flatnonzero(((scores < 1) != active).any(axis=1))
    while len(left):
        active = scores[left] < 1
        goal = _regress(samples, own[left], c, active)
        ahead = _scores(samples, own[left], c, goal)
        step = _line_search(v[left], goal, scores[left], ahead, c)
        settled = ((ahead < 1) == active).all(axis=1) | (step == 0)
        step = np.where(settled, 1, step)[:, None]
        v[left] += step * (goal - v[left])
        scores[left] += step * (ahead - scores[left])
        left = left[~settled]
    return scores


def _scores(samples: np.ndarray, own: np.ndarray, c: np.ndarray, v: np.ndarray) -> np.ndarray:  # (t, n + 1)
    return np.hstack([v @ samples[: len(c) - 1].T, np.einsum("td,td->t", v, samples[own])[:, None]])


def _regress(samples: np.ndarray, own: np.ndarray, c: np.ndarray, active: np.ndarray, again=False) -> np.ndarray:
    """The v of least |v|² / 2 + Σ c (1 - v·sample)² over the active samples. active: (t, n + 1). Returns (t, d + 1).

    again: regress once more, without the samples that have no loss then; it saves rounds, but may go too far.
    """
    count = active.sum(axis=1)
    if len(own) > 1 and len(own) * count.max() * samples.shape[1] > ROWS:
        half = len(own) // 2
        return np.vstack([_regress(samples, own[i], c, active[i], again) for i in np.s_[:half, half:]])
    filled = np.arange(count.max()) < count[:, None]  # (t, m); the rest has no weight
    target, column = np.nonzero(active)
    row, root = np.zeros(filled.shape, dtype=int), np.zeros(filled.shape)
    row[filled], root[filled] = np.where(column < len(c) - 1, column, own[target]), np.sqrt(2 * c[column])
    rows = samples[row]
    if count.max() < samples.shape[1]:
        ridge = partial(_ridge_by_gram, rows, rows @ rows.transpose(0, 2, 1))
    else:
        ridge = partial(_ridge_by_hessian, rows)
    v, loss = ridge(root)
    return ridge(np.where(loss > 0, root, 0))[0] if again else v


def _ridge_by_gram(rows: np.ndarray, gram: np.ndarray, root: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ridge regression of 1 on rows (t, m, d + 1) of weights root² (t, m): v (t, d + 1), and losses up to a factor."""
    system = gram * root[:, :, None]
    system *= root[:, None]
    np.einsum("tmm->tm", system)[:] += 1
    beta = root * np.linalg.solve(system, root[:, :, None])[:, :, 0]
    return (beta[:, None].astype(rows.dtype) @ rows)[:, 0], beta


def _ridge_by_hessian(rows: np.ndarray, root: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same by a system of d + 1 equations instead of m."""
    weight = (root[:, :, None] ** 2).astype(rows.dtype)
    system = ((weight * rows).transpose(0, 2, 1) @ rows).astype(np.float64)
    np.einsum("tdd->td", system)[:] += 1
    v = np.linalg.solve(system, rows.transpose(0, 2, 1) @ weight).astype(rows.dtype)
    return v[:, :, 0], (1 - rows @ v)[:, :, 0]


def _line_search(v: np.ndarray, goal: np.ndarray, scores: np.ndarray, ahead: np.ndarray, c: np.ndarray) -> np.ndarray:
    """The longest step (t,) of 1, 1/2, 1/4, ... of the way from v to goal that lowers the objective; 0 if none does.

    v, goal: (t, d + 1). scores, ahead: (t, n + 1), theirs.
    """

    def objective(step: np.ndarray) -> np.ndarray:
        losses = np.maximum(0, 1 - scores - step[:, None] * (ahead - scores))
        return ((v + step[:, None] * (goal - v)) ** 2).sum(axis=1) / 2 + losses**2 @ c

    step = np.ones(len(v))
    lower = objective(0 * step) * (1 - 1e-14)  # less may be rounding
    while (long := (objective(step) > lower) & (step > 0)).any():
        step[long] = np.where(step[long] > 1e-9, step[long] / 2, 0)
    return step
