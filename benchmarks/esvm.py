"""Exemplar SVMs: one scikit-learn LinearSVC for each target against all targets of a class solved together."""

from pathlib import Path

import numpy as np
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from benchmarks.side_by_side import row, seconds
from lib import esvm
from lib.data import load
from lib.paths import RESULTS

TARGETS, SAMPLE, REPEATS = 100, 3, 3  # solved together; of them by LinearSVC; times


def synthetic(n: int = 5000, d: int = 512) -> tuple[np.ndarray, np.ndarray]:
    """Positive and correlated, as a network's features are: targets (TARGETS, d) and negatives (n, d)."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(n + TARGETS, 16)) @ rng.normal(size=(16, d)) + rng.normal(size=(n + TARGETS, d))
    return np.maximum(0, z[:TARGETS]).astype(np.float32), np.maximum(0, z[TARGETS:]).astype(np.float32)


def learnt() -> tuple[np.ndarray, np.ndarray]:
    """MoCo's features of the first TARGETS test images of class 0 and of the class's training images."""
    (path,) = Path(RESULTS / "fashion" / "features").glob("moco-*.npz")
    dataset = load("fashion_mnist")
    with np.load(path, allow_pickle=False) as file:
        return file["test"][dataset.test_labels == 0][:TARGETS], file["train"][dataset.train_labels == 0]


def measure(name: str, targets: np.ndarray, negatives: np.ndarray) -> list[dict]:
    def together():
        esvm.decision_values(targets, negatives)

    def one_by_one():
        for target in targets[:SAMPLE]:
            svm = LinearSVC(C=0.1, tol=1e-6, max_iter=10_000, class_weight="balanced", random_state=0)
            svm.fit(np.vstack([target, negatives]), np.arange(1 + len(negatives)) == 0).decision_function(negatives)

    def product():
        targets.astype(np.float64) @ negatives.T.astype(np.float64)

    together()
    ours, theirs, floor = (np.array([seconds(f) for _ in range(REPEATS)]) for f in (together, one_by_one, product))
    ratios = (theirs / SAMPLE) / (ours / len(targets))
    note = f"ours is {np.median(ours) / np.median(floor):.0f} x one product of all targets with all negatives"
    shape = f"{len(negatives)} x {negatives.shape[1]}"
    limit = "≥ 50" if len(negatives) == 5000 else ""
    return [row(f"LinearSVC / ours, {name} features {shape}", ratios, limit=limit, note=note)]


def rows() -> list[dict]:
    with threadpool_limits(1):
        return [*measure("synthetic", *synthetic()), *measure("MoCo", *learnt())]
