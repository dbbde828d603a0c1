"""Exemplar SVMs: scikit-learn's LinearSVC, one fit a target, over all targets of a class solved together.

Synthetic features have the size of 10 classes of 5 000 training images, each class with 100 of 1 000 targets. MoCo's
are those of the profile `fashion`, where a fit takes LinearSVC little longer than its checks of the input. All on one
thread and in processor time, which other programs disturb less than wall time.
"""

import tracemalloc
from time import process_time

import numpy as np
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from benchmarks.side_by_side import row, seconds
from lib import esvm
from lib.data import RESULTS, load

CLASSES, TARGETS, TIMED = 10, 100, 3  # TARGETS a class are solved together; TIMED classes are timed
SAMPLE, REPEATS = 3, 5  # targets of a class that LinearSVC is timed on, others in each repeat


def synthetic(rank: int, seed: int, n: int = 5000, d: int = 512) -> tuple[np.ndarray, np.ndarray]:
    """Positive and correlated, as a network's features are: targets (TARGETS, d) and negatives (n, d), float32."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n + TARGETS, rank)) @ rng.normal(size=(rank, d)) + rng.normal(size=(n + TARGETS, d))
    x = np.maximum(0, x).astype(np.float32)
    return x[:TARGETS], x[TARGETS:]


def learnt(label: int) -> tuple[np.ndarray, np.ndarray]:
    """MoCo's features of the first TARGETS test images of a class and of its training images."""
    (path,) = (RESULTS / "fashion" / "features").glob("moco-*.npz")
    dataset = load("fashion_mnist")
    with np.load(path, allow_pickle=False) as file:
        return file["test"][dataset.test_labels == label][:TARGETS], file["train"][dataset.train_labels == label]


def times(targets: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """Seconds a target, (REPEATS, 3), in turns: LinearSVC, ours, and one product of all targets with all negatives."""
    samples, labels = np.vstack([targets[:1], negatives]).astype(np.float64), np.arange(1 + len(negatives)) == 0
    svm = LinearSVC(C=esvm.C, tol=1e-6, max_iter=10_000, class_weight="balanced", random_state=0)

    def one_by_one(chosen: np.ndarray) -> None:
        for target in chosen:
            samples[0] = target
            svm.fit(samples, labels).decision_function(samples[1:])

    esvm.decision_values(targets, negatives)
    return np.array(
        [
            [
                seconds(lambda i=i: one_by_one(targets[i : i + SAMPLE]), process_time) / SAMPLE,
                seconds(lambda: esvm.decision_values(targets, negatives), process_time) / len(targets),
                seconds(lambda: targets.astype(np.float64) @ samples[1:].T, process_time) / len(targets),
            ]
            for i in range(0, REPEATS * SAMPLE, SAMPLE)
        ]
    )


def measure(name: str, classes: list[tuple[np.ndarray, np.ndarray]], limit: str = "") -> dict:
    """One row of the table. floor: the ratio if ours took no longer than the one product."""
    slow, ours, product = np.concatenate([times(*features) for features in classes[:TIMED]]).T
    tracemalloc.start()
    for features in classes:
        esvm.decision_values(*features)
    memory = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    floor = float(np.median(slow / product))
    note = (
        f"ours takes {1e3 * np.median(ours):.2f} ms a target, {np.median(ours / product):.0f} times the one product; "
        f"{memory / 1e6:.0f} MB at most for {len(classes)} classes"
    )
    return row(f"LinearSVC / ours, {name} features", slow / ours, floor=floor, limit=limit, note=note)


def rows() -> list[dict]:
    with threadpool_limits(1):
        return [
            *(
                measure(f"{rank}-factor 5000 x 512", [synthetic(rank, seed) for seed in range(CLASSES)], "≥ 50")
                for rank in (4, 16)
            ),
            measure("MoCo 500 x 64", [learnt(label) for label in range(CLASSES)]),
        ]
