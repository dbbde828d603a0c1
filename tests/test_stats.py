"""CDF, area, intervals and verdicts on supports whose answer is known by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from lib.bisection import FOUND, LARGER, WRONG_AT_ZERO
from lib.report import stats


def table(sizes: dict[str, list], kind="removal") -> pd.DataFrame:
    """sizes: method -> one size a target; None is larger than k_max, "x" is wrong at k = 0."""
    rows = [
        {"kind": kind, "method": method, "target": target, "trainings": 4}
        | {"size": size if isinstance(size, int) else None}
        | {"reason": WRONG_AT_ZERO if size == "x" else LARGER if size is None else FOUND}
        for method, column in sizes.items()
        for target, size in enumerate(column)
    ]
    return pd.DataFrame(rows).astype({"size": "Int64"})


def test_summary_by_hand():
    supports = table({"a": [25, 50, None, "x"], "b": [100, None, None, "x"]})
    a, b = stats.summary(supports, k_max=100).to_dict("records")
    assert (a["n"], a["excluded"], a["trainings"]) == (3, 1, 16)
    assert a["flipped"] == pytest.approx(2 / 3) and b["flipped"] == pytest.approx(1 / 3)
    assert a["auc"] == pytest.approx((0.75 + 0.5 + 0) / 3) and b["auc"] == 0
    assert a["median"] == 50 and np.isnan(b["median"])
    assert a["auc_low"] <= a["auc"] <= a["auc_high"] and a["flipped_low"] < a["flipped"] < a["flipped_high"]


def test_area_is_the_area_under_the_cdf():
    supports = table({"a": [3, 7, 10, None]})
    k = np.arange(10)  # the CDF is constant on [k, k + 1)
    assert stats.area(supports, 10).mean() == pytest.approx(stats.flipped_by(supports, k).mean())


def test_cdf_counts_supports_up_to_k():
    flipped = stats.flipped_by(table({"a": [3, None]}), np.array([0, 2, 3, 99]))
    np.testing.assert_array_equal(flipped, [[False, False, True, True], [False] * 4])


def test_interval_matches_the_normal_approximation_and_is_reproducible():
    values = np.random.default_rng(0).normal(size=(400, 2))
    low, high = stats.mean_interval(values)
    half = 1.96 * values.std(axis=0) / 20
    np.testing.assert_allclose(low, values.mean(0) - half, atol=0.01)
    np.testing.assert_allclose(high, values.mean(0) + half, atol=0.01)
    np.testing.assert_array_equal(low, stats.mean_interval(values)[0])


def test_interval_of_one_value_or_of_equal_values():
    assert stats.mean_interval(np.array([0.5])) == (0.5, 0.5)
    assert tuple(map(float, stats.mean_interval(np.ones(5)))) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("interval", "truth"),
    [(stats.mean_interval, 0.5), (lambda values: stats.share_interval(values < 0.3), 0.3)],
)
def test_intervals_cover_the_truth(interval, truth):
    rng = np.random.default_rng(1)
    covered = [low <= truth <= high for low, high in (interval(rng.random(60)) for _ in range(60))]
    assert np.mean(covered) > 0.85


def test_paired_by_hand():
    supports = table({"a": [10, 20, 30, None, "x"], "b": [20, 20, None, 50, "x"]})
    row = stats.paired(supports, "removal", "a", "b", k_max=100)
    assert (row["n"], row["smaller"], row["equal"], row["larger"]) == (4, 2, 1, 1)
    assert list(row)[-4:] == ["smaller", "equal", "larger", "verdict"]  # as in the stored tables
    assert row["difference"] == pytest.approx((0.1 + 0 + 0.7 - 0.5) / 4)
    assert row["low"] < row["difference"] < row["high"] and row["verdict"] == "undecided"


def test_paired_sees_a_consistent_difference_that_single_bands_hide():
    sizes = np.arange(1, 60)
    supports = table({"a": sizes.tolist(), "b": (sizes + 3).tolist()})
    assert stats.paired(supports, "removal", "a", "b", k_max=100)["verdict"] == "agrees"
    assert stats.paired(supports, "removal", "b", "a", k_max=100)["verdict"] == "disagrees"
    a, b = stats.summary(supports, 100).to_dict("records")
    assert a["auc_low"] < b["auc_high"]


@pytest.mark.parametrize(("low", "high", "word"), [(0.1, 0.2, "agrees"), (-2, -1, "disagrees"), (-1, 1, "undecided")])
def test_verdict(low, high, word):
    assert stats.verdict(low, high) == word


def at_fixed_k(margins: dict[str, list[list[float]]]) -> pd.DataFrame:
    """margins[method][target]: at k = 0, 1, 2."""
    rows = [
        {"kind": "removal", "method": method, "target": target, "k": k, "seed": 0, "margin": margin}
        for method, targets in margins.items()
        for target, of_target in enumerate(targets)
        for k, margin in enumerate(of_target)
    ]
    return pd.DataFrame(rows)


def test_mean_falls_are_over_k_and_leave_out_what_is_wrong_at_once():
    falls = stats.mean_falls(at_fixed_k({"a": [[5, 4, 1], [1, 1, 1], [-1, -2, -3]], "b": [[5, 5, 5], [1, 0, -1]]}))
    assert falls["a"].tolist() == [2.5, 0] and falls["b"].tolist() == [0, 1.5]


def test_differences_are_paired_and_sorted():
    values = pd.DataFrame({"a": [1.0, 5.0], "b": [2.0, 6.0], "c": [0.0, 5.0]})
    rows = stats.differences(values, "a")
    assert rows["method"].tolist() == ["b", "c"] and rows["mean"].tolist() == [4.0, 2.5]
    assert rows["difference"].tolist() == [1.0, -0.5] and rows["verdict"].tolist() == ["agrees", "undecided"]


def test_shares_have_the_exact_interval():
    yes = np.arange(10)[:, None] < [0, 3, 10]
    low, high = stats.share_interval(yes)
    expected = [binomtest(count, 10).proportion_ci(0.95) for count in (0, 3, 10)]
    np.testing.assert_allclose(low, [each.low for each in expected])
    np.testing.assert_allclose(high, [each.high for each in expected])
    none = stats.share(yes[:, 0])
    assert none == {"share": 0, "low": 0, "high": pytest.approx(1 - 0.025 ** (1 / 10)), "n": 10}  # in closed form
    assert np.isnan(stats.share(np.array([], bool))["share"])
