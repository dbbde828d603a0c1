"""k-reciprocal re-ranking against the method written down with sets and loops, and in pictures known by hand."""

from math import exp

import numpy as np
import pytest

from lib.rivals import reranking


def literal(target: np.ndarray, train: np.ndarray) -> list[float]:
    """Zhong et al. 2017, sections 3.2 to 3.4, for one target, with the authors' choices where these leave any."""
    x = [*train, target]
    images = range(len(x))
    plain = [[float(((x[p] - x[g]) ** 2).sum()) for g in images] for p in images]
    plain = [[value / max(row) for value in row] for row in plain]
    rank = [sorted(images, key=lambda g, p=p: (g != p, plain[p][g])) for p in images]

    def neighbours(p: int, k: int) -> set[int]:  # N(p, k), with p itself
        return set(rank[p][: k + 1])

    def reciprocal(p: int, k: int) -> set[int]:  # R(p, k)
        return {g for g in neighbours(p, k) if p in neighbours(g, k)}

    encoding = []
    for p in images:
        near = reciprocal(p, 20)
        expanded = set(near)
        for q in near:
            of_q = reciprocal(q, 10)
            if len(near & of_q) > 2 / 3 * len(of_q):
                expanded |= of_q
        weights = {g: exp(-plain[p][g]) for g in expanded}
        encoding.append([weights.get(g, 0) / sum(weights.values()) for g in images])
    averaged = []
    for p in images:
        nearest = rank[p][:6]
        averaged.append([sum(encoding[g][i] for g in nearest) / len(nearest) for i in images])

    def jaccard(a: list[float], b: list[float]) -> float:
        return 1 - sum(map(min, a, b)) / sum(map(max, a, b))

    return [0.7 * jaccard(averaged[-1], averaged[g]) + 0.3 * plain[-1][g] for g in images[:-1]]


def clusters(n: int, d: int = 3, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 2 * rng.integers(0, 3, size=(n, 1)) + rng.normal(size=(n, d))


@pytest.mark.parametrize("n", [1, 4, 21, 22, 150])
def test_is_the_method_written_down_with_sets_and_loops(n):
    targets, train = clusters(3, seed=1), clusters(n)
    expected = [literal(target, train) for target in targets]
    np.testing.assert_allclose(-reranking.k_reciprocal(targets, train), expected, atol=1e-10)


def test_the_expansion_matters_in_that_comparison():
    """Some image is joined by others than its own reciprocal neighbours: what is compared is not a special case."""
    squared = ((clusters(150)[:, None] - clusters(150)) ** 2).sum(axis=2)
    ranks = reranking._nearest(squared)
    assert (reranking._expanded(ranks) != 0).sum() > (reranking._reciprocal(ranks) != 0).sum()


def test_sharing_neighbours_beats_being_close():
    """The target lies at the edge of its group, closer to an image of another than to the far end of its own."""
    rng = np.random.default_rng(0)
    group, others = rng.uniform(-0.3, 0.3, size=(19, 2)) + [1.5, 0], rng.uniform(-0.2, 0.2, size=(60, 2)) - [1.7, 0]
    target = np.zeros((1, 2))
    values = reranking.k_reciprocal(target, np.vstack([group, others]))[0]
    assert np.linalg.norm(group, axis=1).max() > np.linalg.norm(others, axis=1).min()
    assert values[:19].min() > values[19:].max()


def test_lies_between_minus_one_and_zero():
    values = reranking.k_reciprocal(clusters(5, seed=1), clusters(80))
    assert values.min() >= -1 and values.max() <= 0
