"""CDF, area and intervals on supports whose answer is known by hand; the rules of evidence on tables of known truth.

A rule's level is what it says wrongly of simulated tables on which nothing is to be said: at most 5 %, and as much more
as so many simulations may come out at by chance, once in a thousand times. Its power is what it says rightly.
"""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, binomtest

from lib.bisection import FOUND, LARGER, WRONG_AT_ZERO
from lib.chapters import table1
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


def test_what_the_rules_do_where_most_values_are_zero(fewer):
    """As the page of verdicts has it: "alike" is agreed too often, and intervals of small areas are too narrow."""
    rng = np.random.default_rng(0)
    at_the_bound = [-(rng.random(49) < 0.05).astype(float) for _ in range(200)]
    verdicts = [stats.located(values, "alike", 0.05) for values in at_the_bound]
    assert 0.05 < np.mean([verdict == "agrees" and p <= stats.LEVEL for verdict, p in verdicts]) < 0.12
    areas = [np.where(rng.random(28) < 0.9, 0, rng.random(28)) for _ in range(200)]
    low, high = np.transpose([stats.mean_interval(values) for values in areas])
    assert 0.7 < np.mean((low <= 0.05) & (high >= 0.05)) < 0.9


def test_what_is_missing_for_one_of_two_is_no_pair():
    """Targets that only one method gets right beforehand, an LDS that is not defined, a correlation without a rank."""
    row = stats.paired(table({"a": [10, 20, 30], "b": ["x", 40, 60]}), "removal", "a", "b", k_max=100)
    assert row["n"] == 2 and row["difference"] == pytest.approx(0.25) and np.isfinite([row["low"], row["p"]]).all()
    scores = pd.DataFrame({"a": [0.1, np.nan, 0.3, 0.5], "b": [0.0, 0.1, 0.1, np.nan]})
    one = stats.differences(scores, "b").iloc[0]
    assert one["n"] == 2 and one["difference"] == pytest.approx(0.15)
    long = scores.rename_axis("target").reset_index().melt("target", var_name="method", value_name="lds")
    assert table1.against(long, "a")["n"].tolist() == [2] and stats.lds_summary(long)["n"].tolist() == [3, 3]
    assert np.isnan(stats.correlated(np.ones(8), np.arange(8.0))["p"])
    assert stats.holm(pd.Series([0.01, np.nan, 0.03])).dropna().tolist() == pytest.approx([0.02, 0.03])


def test_paired_sees_a_consistent_difference_that_single_bands_hide():
    sizes = np.arange(1, 60)
    supports = table({"a": sizes.tolist(), "b": (sizes + 3).tolist()})
    assert stats.paired(supports, "removal", "a", "b", k_max=100)["verdict"] == "agrees"
    assert stats.paired(supports, "removal", "b", "a", k_max=100)["verdict"] == "disagrees"
    a, b = stats.summary(supports, 100).to_dict("records")
    assert a["auc_low"] < b["auc_high"]


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
    values = pd.DataFrame({"a": [1.0, 5.0] * 4, "b": [2.0, 6.0] * 4, "c": [0.0, 5.0, 0.0, 6.0] * 2})
    rows = stats.differences(values, "a")
    assert rows["method"].tolist() == ["b", "c"] and rows["mean"].tolist() == [4.0, 2.75]
    assert rows["difference"].tolist() == [1.0, -0.25] and rows["verdict"].tolist() == ["agrees", "undecided"]
    assert rows["p"].tolist() == [2 / 2**8, pytest.approx(stats.sign_flips(values["c"] - values["a"]))]


def test_a_verdict_goes_by_the_test_and_not_by_the_interval():
    few = pd.DataFrame({"a": [0.0] * 5, "b": [1.0, 1.1, 1.2, 0.9, 1.0]})  # p is 2 of 32: no five targets say more
    row = stats.differences(few, "a").iloc[0]
    assert row["low"] > 0 and row["p"] == 0.0625 and row["verdict"] == "undecided"


def test_shares_have_the_exact_interval():
    yes = np.arange(10)[:, None] < [0, 3, 10]
    low, high = stats.share_interval(yes)
    expected = [binomtest(count, 10).proportion_ci(0.95) for count in (0, 3, 10)]
    np.testing.assert_allclose(low, [each.low for each in expected])
    np.testing.assert_allclose(high, [each.high for each in expected])
    none = stats.share(yes[:, 0])
    assert none == {"share": 0, "low": 0, "high": pytest.approx(1 - 0.025 ** (1 / 10)), "n": 10}  # in closed form
    assert np.isnan(stats.share(np.array([], bool))["share"])


SIMULATIONS = 200
K_MAX = 256


def at_most(level: float, simulations: int = SIMULATIONS) -> float:
    """The largest share of simulations that a rule of this level reaches, but once in a thousand times."""
    return binom.ppf(0.999, simulations, level) / simulations


@pytest.fixture
def fewer(monkeypatch):
    """Rules with fewer resamples, for many simulations: p moves in steps of 1/100."""
    monkeypatch.setattr(stats, "RESAMPLES", 199)


def simulated(rng, n: int, ratio: float) -> np.ndarray:
    """Differences of area of n targets by two methods; the second's supports are `ratio` times as large.

    As in the figures: targets differ far more than methods do, supports are skewed, and many are larger than k_max.
    """
    target = rng.lognormal(4.5, 1.2, size=n)
    first, second = (target * factor * rng.lognormal(0, 0.6, size=n) for factor in (1, ratio))
    return (np.minimum(second, K_MAX) - np.minimum(first, K_MAX)) / K_MAX


@pytest.mark.parametrize("n", [10, 49])
def test_sign_flips_keep_their_level(fewer, n):
    rng = np.random.default_rng(0)
    p = np.array([stats.sign_flips(simulated(rng, n, 1)) for _ in range(SIMULATIONS)])
    assert (p <= 0.05).mean() <= at_most(0.05) and (p <= 0.5).mean() <= at_most(0.5)


@pytest.mark.parametrize(
    ("n", "ratio", "difference", "power"),
    [(49, 1.22, 0.05, 0.3), (49, 1.5, 0.1, 0.75), (85, 1.5, 0.1, 0.95), (27, 1.5, 0.1, 0.5), (19, 1.5, 0.1, 0.35)],
)
def test_power_of_sign_flips(fewer, n, ratio, difference, power):
    """A difference of AUC of the margin's size is found in 3 of 10 studies of 49 targets, twice that in most."""
    rng = np.random.default_rng(1)
    tables = [simulated(rng, n, ratio) for _ in range(SIMULATIONS)]
    assert np.mean([table.mean() for table in tables]) == pytest.approx(difference, abs=0.01)
    assert np.mean([stats.sign_flips(table) <= 0.05 for table in tables]) == pytest.approx(power, abs=0.1)


def test_of_no_values_nothing_is_known():
    """As where a recipe gets all targets wrong before anything is removed."""
    assert np.isnan(stats.mean_interval(np.zeros((0, 3)))).all() and np.shape(stats.mean_interval([])) == (2,)
    row = stats.differences(pd.DataFrame({"a": [], "b": []}, dtype=float), "b").iloc[0]
    assert row["verdict"] == "undecided" and row["n"] == 0 and np.isnan(row["difference"])


def test_exact_sign_flips_by_hand():
    assert stats.sign_flips(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])) == 2 / 2**6
    assert stats.sign_flips(np.array([3.0])) == 1 and stats.sign_flips(np.zeros(5)) == 1


@pytest.mark.parametrize("claimed", ["alike", "not better", "much"])
def test_means_at_a_bound_are_rarely_told_from_it(fewer, claimed):
    """Two methods that differ by just the margin are called alike, or unlike, in at most one of twenty studies."""
    rng = np.random.default_rng(2)
    margin = np.mean(simulated(rng, 200_000, 1.5))
    located = [stats.located(simulated(rng, 49, 1.5), claimed, margin) for _ in range(SIMULATIONS)]
    words = [word for word, p in located if p <= stats.LEVEL]
    assert max(words.count("agrees"), words.count("disagrees")) / SIMULATIONS <= at_most(0.05)


def test_power_to_call_two_alike():
    """Within 0.05 of AUC: two that are the same take some 200 targets of this spread; two of half of it, 49."""
    rng = np.random.default_rng(3)
    for n, spread, word in ((49, 1, "undecided"), (49, 0.4, "agrees"), (400, 1, "agrees")):
        verdict, p = stats.located(simulated(rng, n, 1) * spread, "alike", 0.05)
        assert (verdict if p <= stats.LEVEL else "undecided") == word


PAPERS = 100  # the paper's targets


def of_all_tables(n: int, share: float, paper: float, rule) -> float:
    """How often a rule says yes of our count of n and the paper's of 100: exactly, over all that are not rare."""
    ours, theirs = binom.pmf(np.arange(n + 1), n, share), binom.pmf(np.arange(PAPERS + 1), PAPERS, paper)
    common = [(i, j) for i in np.flatnonzero(ours > 1e-3) for j in np.flatnonzero(theirs > 1e-3)]
    return sum(ours[i] * theirs[j] for i, j in common if rule((i, n), (j, PAPERS)))


def differ(ours, paper) -> bool:
    return stats.same_share(ours, paper) <= stats.LEVEL


def alike(ours, paper) -> bool:
    low, high = stats.shares_differ_by(ours, paper)
    return max(-low, high) < stats.MARGINS["share"]


@pytest.mark.parametrize("share", [0.05, 0.23])
def test_shares_that_are_one_are_rarely_told_apart(share):
    assert of_all_tables(49, share, share, differ) <= 0.05


def test_power_for_shares():
    """41 % of 49 targets are told from the paper's 16 of 100; one share is alike with 1000 targets, not with 85."""
    assert of_all_tables(49, 0.41, 0.16, differ) == pytest.approx(0.85, abs=0.05)
    assert not alike((20, 85), (23, 100)) and not alike((43, 85), (50, 100)) and alike((230, 1000), (23, 100))


@pytest.mark.parametrize("share", [0.33, 0.13])
def test_shares_that_differ_by_the_margin_are_rarely_called_alike(share):
    counts = np.random.default_rng(4).binomial([[1000, PAPERS]], [share, 0.23], size=(SIMULATIONS, 2)).tolist()
    assert np.mean([alike((ours, 1000), (paper, PAPERS)) for ours, paper in counts]) <= at_most(0.05)


def test_newcombe_by_his_example():
    """Newcombe 1998, Table II, row (a), method 10: 56/70 less 48/80 is 0.2, from 0.0524 to 0.3339."""
    assert stats.shares_differ_by((56, 70), (48, 80)) == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_holm_by_hand_and_that_families_are_rarely_wrong():
    corrected = stats.holm(pd.Series({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}))
    assert corrected.to_dict() == pytest.approx({"d": 0.02, "a": 0.03, "c": 0.06, "b": 0.06})
    families = np.random.default_rng(0).random((400, 13))
    wrong = [stats.holm(pd.Series(p)).min() <= 0.05 for p in families]
    assert np.mean(wrong) <= at_most(0.05, 400) and np.mean(families.min(axis=1) <= 0.05) > 0.4


def test_level_and_power_of_correlations(fewer):
    """Over 19 methods: none is rarely found, one of .8 nearly always."""
    rng = np.random.default_rng(0)
    for truth, n, least, most in ((0, 60, 0, at_most(0.05, 60)), (0.8, 20, 0.9, 1)):
        tables = [rng.normal(size=(2, 19)) for _ in range(n)]
        ps = [stats.correlated(first, truth * first + np.sqrt(1 - truth**2) * noise)["p"] for first, noise in tables]
        assert least <= np.mean(np.array(ps) <= 0.05) <= most


def test_bca_covers_the_mean_of_skewed_values():
    rng = np.random.default_rng(0)
    covered = [
        low <= 1 <= high for low, high in (stats.mean_interval(rng.exponential(size=49), "BCa") for _ in range(60))
    ]
    assert np.mean(covered) > 0.85
    assert stats.mean_interval(np.full(5, 0.25), "BCa") == (0.25, 0.25)
