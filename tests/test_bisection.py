"""Algorithm 1 on oracles whose answer is known by hand."""

import itertools

import pytest

from lib.bisection import FOUND, LARGER, WRONG_AT_ZERO, Support, search, united


def run(oracle, k_max=256, budget=7, n_votes=1) -> tuple[Support, list[tuple[int, int]]]:
    """Answer a search by oracle(k, seed) -> still right; returns the support and the (k, seed) asked, in order."""
    asked = []
    questions = search(k_max, budget, n_votes)
    probe = next(questions)
    while True:
        asked += [(probe.k, seed) for seed in probe.seeds]
        try:
            probe = questions.send([oracle(probe.k, seed) for seed in probe.seeds])
        except StopIteration as stop:
            return stop.value, asked


@pytest.mark.parametrize("threshold", range(1, 17))
def test_finds_every_threshold_exactly_when_the_budget_suffices(threshold):
    support, _ = run(lambda k, _: k < threshold, k_max=16, budget=4)
    assert (support.size, support.low, support.high, support.reason) == (threshold, threshold - 1, threshold, FOUND)


def test_probes_follow_the_paper_by_hand():
    # k_max 256 flips; 128 flips; 64 right; 96 flips; 80 right; 88 right; 92 flips; 90 right: budget of 7 is spent.
    support, asked = run(lambda k, _: k < 91)
    assert [k for k, _ in asked] == [0, 256, 128, 64, 96, 80, 88, 92, 90]
    assert (support.low, support.high, support.size) == (90, 92, 92)
    assert support.trainings == 9


def test_stops_when_the_bracket_is_one_wide():
    support, asked = run(lambda k, _: k < 3, k_max=4, budget=7)
    assert [k for k, _ in asked] == [0, 4, 2, 3] and support.size == 3


def test_a_target_that_never_flips_costs_two_probes():
    support, asked = run(lambda k, _: True)
    assert [k for k, _ in asked] == [0, 256]
    assert (support.size, support.reason, support.low, support.high) == (None, LARGER, 256, None)


def test_a_target_that_is_wrong_without_change_is_excluded_not_supported():
    support, asked = run(lambda k, _: False)
    assert [k for k, _ in asked] == [0]
    assert (support.size, support.reason) == (None, WRONG_AT_ZERO)


def test_non_monotone_flipping_gives_a_flip_with_an_unflipped_k_just_below():
    flips = {16, *range(8, 11)}  # flips at 8 to 10, is right again at 11 to 15, flips at 16
    support, _ = run(lambda k, _: k not in flips, k_max=16, budget=4)
    assert support.size in flips and support.low not in flips and support.high - support.low == 1


@pytest.mark.parametrize("n_votes", [1, 2, 3, 4, 5])
def test_early_decision_gives_the_same_answer_as_all_votes(n_votes):
    for outcome in itertools.product([True, False], repeat=n_votes):
        support, asked = run(lambda k, seed, o=outcome: k == 0 or o[seed], k_max=1, n_votes=n_votes)
        still_right = sum(outcome) / n_votes > 0.5
        assert support.reason == (LARGER if still_right else FOUND)
        used = [seed for k, seed in asked if k == 1]
        assert used == list(range(len(used)))
        decided_before_last = 2 * sum(outcome[:-1]) > n_votes or 2 * (n_votes - 1 - sum(outcome[:-1])) >= n_votes
        assert (len(used) < n_votes) == (n_votes > 1 and decided_before_last)


def test_ties_count_as_flipped():
    support, _ = run(lambda k, seed: k == 0 or seed == 0, k_max=1, n_votes=2)
    assert support.reason == FOUND and support.votes[-1].right == support.votes[-1].wrong == 1


def test_probes_left_bounds_the_search():
    questions = search(k_max=256, budget=7, n_votes=1)
    left = [next(questions).probes_left]
    try:
        while True:
            left.append(questions.send([left[-1] > 8]).probes_left)
    except StopIteration:
        assert left == list(range(9, 0, -1))


@pytest.mark.parametrize("name", ["k_max", "budget", "n_votes"])
def test_nothing_below_one_is_searched(name):
    with pytest.raises(ValueError, match=f"{name}=0 must be at least 1"):
        next(search(**({"k_max": 8, "budget": 7, "n_votes": 3} | {name: 0})))


def run_united(oracles, k_max=256, budget=7, n_votes=1):
    """Answer a united search, each target by its own oracle(k, seed); returns supports and the (ks, seeds) asked."""
    asked, questions = [], united(len(oracles), k_max, budget, n_votes)
    probe = next(questions)
    while True:
        asked.append((probe.ks, probe.seeds))
        try:
            answers = [[right(k, s) for right, k in zip(oracles, probe.ks, strict=True)] for s in probe.seeds]
            probe = questions.send(answers)
        except StopIteration as stop:
            return stop.value, asked


def noisy(threshold: int, salt: int):
    """Right below the threshold, but for some seeds near it, by a fixed pattern."""
    return lambda k, seed: k < threshold + (7 * seed + salt + k) % 5 - 2


@pytest.mark.parametrize("n_votes", [1, 3, 5])
def test_united_searches_of_independent_targets_are_those_of_each_alone(n_votes):
    oracles = [noisy(threshold, salt) for salt, threshold in enumerate((-9, 3, 40, 41, 200, 255, 400))]
    together, asked = run_united(oracles, n_votes=n_votes)
    assert together == [run(oracle, n_votes=n_votes)[0] for oracle in oracles]
    assert len({(ks, seed) for ks, seeds in asked for seed in seeds}) == sum(len(seeds) for _, seeds in asked)


def test_one_united_target_is_a_search():
    oracle = noisy(90, 1)
    together, asked = run_united([oracle], n_votes=3)
    alone, probes = run(oracle, n_votes=3)
    assert together == [alone] and [(ks[0], seed) for ks, seeds in asked for seed in seeds] == probes


def test_targets_whose_search_has_ended_rest_at_their_support():
    _, asked = run_united([lambda k, _: False, lambda k, _: True, lambda k, _: k < 1, lambda k, _: k < 91], k_max=256)
    assert [ks for ks, _ in asked] == [(0, 0, 0, 0), (0, 256, 256, 256)] + [
        (0, 256, first, last)
        for first, last in zip((128, 64, 32, 16, 8, 4, 2), (128, 64, 96, 80, 88, 92, 90), strict=True)
    ]
    supports, _ = run_united([lambda k, _: k < 1, lambda k, _: k < 9], k_max=16, budget=4)
    assert [s.size for s in supports] == [1, 9]
