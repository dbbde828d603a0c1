"""Exemplar SVMs of many targets against the same negatives, solved together and exactly.

The targets of a class share their negatives, and of thousands of negatives a few dozen are support vectors. So each
target keeps a working set of negatives; on it the SVM is solved exactly (a small system of equations), and one matrix
product checks all negatives of all targets at once for violations, the worst of which join the working sets. It ends
when nothing is violated, at the optimum of the full problem. scikit-learn's LinearSVC, one fit a target, is what the
authors' code calls and what the tests compare with.

In symbols, with z = (x, 1), so that the intercept is regularised with the rest, a target's SVM is the v of least

    |v|² / 2  +  c_target max(0, 1 - v·z_target)²  +  c_negative Σ max(0, 1 + v·z)²      (sum over the negatives)
"""

import numpy as np
from scipy.linalg import solve

C = 0.1  # as in the authors' code; balanced classes: see `weights`
TOLERANCE = 1e-9  # a negative is violated when 1 + v·z exceeds this and it is not in the working set
STEP = 1e-12  # a Newton step that would change no coefficient by more than this, relative to the largest, is the last
ADDED = 32  # negatives that join a target's working set at once
BATCH = 256  # targets solved together; memory is 8 * n * BATCH bytes


def decision_values(targets: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """Decision value of every negative under every target's exemplar SVM.

    targets: (t, d). negatives: (n, d). Returns (t, n) float64; higher is more similar to the target.
    Squared hinge, L2 penalty, regularised intercept, balanced classes. Source: Paper §3.1; Malisiewicz et al. 2011.
    """
    z = _with_intercept(negatives)
    batches = np.split(_with_intercept(targets), range(BATCH, len(targets), BATCH))
    return np.concatenate([_solve_batch(batch, z) for batch in batches])


def weights(n: int) -> tuple[float, float]:
    """c_target and c_negative of one target and n negatives: C over the share of its class, halved."""
    return C * (n + 1) / 2, C * (n + 1) / (2 * n)


def _with_intercept(x: np.ndarray) -> np.ndarray:  # (n, d) -> (n, d + 1)
    return np.hstack([np.asarray(x, dtype=np.float64), np.ones((len(x), 1))])


def _solve_batch(targets: np.ndarray, z: np.ndarray) -> np.ndarray:
    """targets: (t, d + 1). z: (n, d + 1). Returns (t, n)."""
    problems = [_WorkingSet(target, len(z)) for target in targets]
    values = np.empty((len(targets), len(z)))
    unsolved = np.arange(len(targets))
    while len(unsolved):
        values[unsolved] = np.stack([problems[i].v for i in unsolved]) @ z.T
        unsolved = np.array([i for i in unsolved if problems[i].extend(values[i], z)], dtype=int)
    return values


class _WorkingSet:
    """One target's problem on its working set. Row 0 is the target, the others are negatives; y = (1, -1, -1, ...)."""

    def __init__(self, target: np.ndarray, n: int):
        self.c_target, self.c_negative = weights(n)
        self.rows = target[None]  # (m, d + 1)
        self.kernel = self.rows @ self.rows.T  # (m, m)
        self.beta = np.zeros(1)  # v = beta @ rows
        self.outside = np.ones(n, dtype=bool)  # negatives that are not in the working set
        self._solve()

    def extend(self, values: np.ndarray, z: np.ndarray) -> bool:
        """Take in the worst violated negatives and solve again; False when there are none. values: (n,)."""
        violated = np.flatnonzero(self.outside & (values > TOLERANCE - 1))
        if not len(violated):
            return False
        worst = violated[np.argsort(-values[violated], kind="stable")[:ADDED]]
        self.outside[worst] = False
        added = z[worst]
        cross = self.rows @ added.T
        self.kernel = np.block([[self.kernel, cross], [cross.T, added @ added.T]])
        self.rows = np.vstack([self.rows, added])
        self.beta = np.concatenate([self.beta, np.zeros(len(worst))])
        self._solve()
        return True

    def _solve(self) -> None:
        """Newton's method: each step goes towards the optimum of the samples that have a loss now, which is the optimum
        if the same have a loss there. The line search keeps it from cycling.
        """
        y = np.where(np.arange(len(self.rows)) == 0, 1.0, -1.0)
        c = np.where(y > 0, self.c_target, self.c_negative)
        loss = 1 - y * (self.kernel @ self.beta)
        while True:
            a = np.flatnonzero(loss > 0)
            goal = np.zeros_like(self.beta)
            goal[a] = solve(self.kernel[np.ix_(a, a)] + np.diag(0.5 / c[a]), y[a], assume_a="pos")
            step = goal - self.beta
            change = self.kernel @ step  # of v·z in each row
            if np.array_equal(loss - y * change > 0, loss > 0) or np.abs(step).max() <= STEP * np.abs(goal).max():
                break
            t = _line_search(loss, -y * change, c, self.beta @ change, step @ change)
            self.beta, loss = self.beta + t * step, loss - t * y * change
        self.beta, self.v = goal, goal @ self.rows


def _line_search(loss: np.ndarray, slope: np.ndarray, c: np.ndarray, linear: float, quadratic: float) -> float:
    """The t in [0, 1] of least  t linear + t² quadratic / 2 + Σ c max(0, loss + t slope)²;  loss, slope, c: (m,)."""

    def derivative(t: np.ndarray) -> np.ndarray:  # (k,) -> (k,), increasing and linear between the kinks
        hinge = np.maximum(0, loss + np.multiply.outer(t, slope))
        return linear + quadratic * t + 2 * hinge @ (c * slope)

    with np.errstate(divide="ignore", invalid="ignore"):
        kinks = -loss / slope
    ends = np.concatenate([[0.0], np.sort(kinks[(kinks > 0) & (kinks < 1)]), [1.0]])
    at = np.clip(np.searchsorted(derivative(ends), 0.0), 1, len(ends) - 1)
    (t0, t1), (d0, d1) = ends[at - 1 : at + 1], derivative(ends[at - 1 : at + 1])
    return float(np.clip(t0 - d0 * (t1 - t0) / (d1 - d0), t0, t1)) if d1 > d0 else t1
