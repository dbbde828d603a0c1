"""The rules of evidence, a function each; then from supports to numbers with intervals: CDFs, areas, differences.

The unit of every interval and test is the target: they say how a result would vary with other targets of the same kind,
not with other trainings of the features. Targets that are wrong before anything is changed have no support; they are
counted and left out. Verdicts go by the rules, those in a page's tables too.
"""

import warnings
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from scipy.stats import beta, binomtest, bootstrap, fisher_exact, permutation_test, sem
from scipy.stats import t as student

from lib.bisection import WRONG_AT_ZERO
from lib.lds import rank_correlation

RESAMPLES = 10_000
CONFIDENCE = 0.95
LEVEL = 0.05
MARGINS = {"AUC": 0.05, "LDS": 0.03, "share": 0.10}  # within which two are alike
CLAIMED = {  # of a mean difference: bounds, in margins, and the verdict where it lies below, between and above them
    "better": ([0], ["disagrees", "agrees"]),
    "worse": ([0], ["agrees", "disagrees"]),
    "much": ([1], ["disagrees", "agrees"]),  # better, by more than the margin
    "not better": ([1], ["agrees", "disagrees"]),
    "alike": ([-1, 1], ["disagrees", "agrees", "disagrees"]),
    "as good": ([-1, 1], ["disagrees", "agrees", "exceeds"]),
}


def said(value: float, low: float, high: float, digits: int = 2) -> str:
    """A value with its interval, for a sentence, or alone; a bound has a digit more where its side of 0 would hide."""
    bounds = [f"{bound:z.{digits + (0 < abs(bound) < 0.5 / 10**digits)}f}" for bound in (low, high)]
    return f"{value:z.{digits}f}" + (f" [{', '.join(bounds)}]" if pd.notna(low) else "")


def said_of(row: Mapping | pd.Series, value: str, digits: int = 2) -> str:
    """The same of a value of a row, whose interval is from NAME_low to NAME_high or else from low to high."""
    low, high = (row[f"{value}_{end}"] if f"{value}_{end}" in row else row[end] for end in ("low", "high"))
    return said(row[value], low, high, digits)


def sign_flips(differences: np.ndarray) -> float:
    """Is the mean zero? p, two-sided: how often is it as far off when the sign of each difference is tossed?

    differences: (n,), paired by target. Under the null both methods are exchangeable on every target. Exact where there
    are fewer patterns of signs than RESAMPLES, else of random ones. Source: Fisher 1935, §21; Phipson & Smyth 2010.
    """
    if len(differences) < 2:
        return 1.0
    drawn = {"permutation_type": "samples", "n_resamples": RESAMPLES, "rng": 0}
    return float(permutation_test((differences,), np.mean, **drawn).pvalue)


def located(differences: np.ndarray, claimed: str, margin: float) -> tuple[str, float]:
    """Where does the mean lie among the bounds of a claim? The verdict there, and p of its being at a bound instead.

    claimed: a key of CLAIMED. That two are alike takes a test against either end of the margin. Source: `sign_flips` of
    what is left beyond a bound; Schuirmann 1987.
    """
    bounds, verdicts = np.multiply(CLAIMED[claimed][0], margin), CLAIMED[claimed][1]
    place = np.searchsorted(bounds, differences.mean())
    return verdicts[place], max(sign_flips(differences - bound) for bound in bounds[max(place - 1, 0) : place + 1])


def same_share(first: tuple[int, int], second: tuple[int, int]) -> float:
    """Are two shares one? p, two-sided, that knows both n. first, second: count and n. Source: Fisher's exact test."""
    return float(fisher_exact([[count, n - count] for count, n in (first, second)]).pvalue)


def shares_differ_by(first: tuple[int, int], second: tuple[int, int]) -> tuple[float, float]:
    """95 % interval of the first share less the second; first, second: count and n. Source: Newcombe 1998, no. 10."""
    one, other = (binomtest(*counted) for counted in (first, second))
    (low, high), (other_low, other_high) = (test.proportion_ci(CONFIDENCE, "wilson") for test in (one, other))
    p, q = one.statistic, other.statistic
    return p - q - np.hypot(p - low, other_high - q), p - q + np.hypot(high - p, q - other_low)


def correlated(first: np.ndarray, second: np.ndarray) -> dict:
    """Spearman's correlation over methods, (n,): ours, with BCa low and high and a permutation test's p, two-sided."""
    pairs, drawn = (first, second), {"n_resamples": RESAMPLES, "rng": 0}
    test = permutation_test(pairs, rank_correlation, permutation_type="pairings", **drawn)
    with warnings.catch_warnings(action="ignore"):  # of too few to say: the ends are nan
        low, high = bootstrap(pairs, rank_correlation, paired=True, **drawn).confidence_interval
    row = {"ours": test.statistic, "low": low, "high": high, "n": len(first), "test": "permutations of methods"}
    return row | {"p": test.pvalue if np.isfinite(test.statistic) else np.nan}


def holm(p: pd.Series) -> pd.Series:
    """p of tests made together, such that one family in twenty has any false one; no missing. Source: Holm 1979."""
    return (p.dropna().sort_values() * np.arange(p.count(), 0, -1)).cummax().clip(upper=1)


def mean_interval(values: np.ndarray, method: str = "percentile") -> tuple[np.ndarray, np.ndarray]:
    """95 % interval of the mean over the first axis. values: (n, ...). Returns low and high, (...).

    Percentiles of bootstrap resamples, or "BCa", corrected for bias and skewness (Efron 1987). Values without a spread
    give themselves, and no values nan.
    """
    values = np.asarray(values)
    if not len(values):
        return (np.full(values.shape[1:], np.nan),) * 2
    if len(values) < 2 or not np.ptp(values, axis=0).any():
        return values.mean(axis=0), values.mean(axis=0)
    return tuple(bootstrap((values,), np.mean, n_resamples=RESAMPLES, method=method, rng=0).confidence_interval)


def paired_interval(differences: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same of paired differences, by "BCa"."""
    return mean_interval(differences, "BCa")


def share_interval(yes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95 % interval of the share of `yes` over the first axis. yes: (n, ...) bool. Returns low and high, (...).

    The exact one (Clopper and Pearson's), since resamples of none or of all do not vary.
    """
    tail, n, count = (1 - CONFIDENCE) / 2, len(yes), np.asarray(yes).sum(axis=0)
    low = np.where(count > 0, beta.ppf(tail, count, n - count + 1), 0.0)
    high = np.where(count < n, beta.ppf(1 - tail, count + 1, n - count), 1.0)
    return low, high


def over_seeds(values: np.ndarray) -> tuple[float, float]:
    """95 % interval of the mean over trainings, by Student's t: they are few. values: (n,)."""
    if not np.ptp(values):
        return values.mean(), values.mean()
    return student.interval(CONFIDENCE, len(values) - 1, values.mean(), sem(values))


def mean(name: str, values: np.ndarray | pd.Series, interval: Callable = mean_interval) -> dict:
    """The mean of a value over targets, and its interval, by this function or another: NAME, NAME_low, NAME_high."""
    low, high = map(float, interval(values))
    return {name: float(values.mean()), f"{name}_low": low, f"{name}_high": high}


def ratio(name: str, part: pd.Series, whole: pd.Series) -> dict:
    """The ratio of two means, with its bootstrap interval over pairs; one pair has no spread and gives itself."""

    def of(part, whole, axis=0):
        return part.mean(axis=axis) / whole.mean(axis=axis)

    low = high = value = of(part, whole)
    if len(part) > 1:
        drawn = {"n_resamples": RESAMPLES, "method": "percentile", "rng": 0}
        low, high = bootstrap((part, whole), of, paired=True, **drawn).confidence_interval
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def share(yes: pd.Series | np.ndarray) -> dict:
    """The share of `yes`, (n,) bool, with its interval: share, low, high, n."""
    low, high = map(float, share_interval(yes))
    return {"share": float(np.mean(yes)) if len(yes) else np.nan, "low": low, "high": high, "n": len(yes)}


def flipped_by(supports: pd.DataFrame, k: np.ndarray) -> np.ndarray:
    """Whether each target's support is at most each k. supports: n rows. k: (m,). Returns (n, m) bool."""
    return supports["size"].astype(float).fillna(np.inf).to_numpy()[:, None] <= k


def usable(supports: pd.DataFrame) -> pd.DataFrame:
    """The targets that are right before anything is changed."""
    return supports[supports["reason"] != WRONG_AT_ZERO]


def sizes(supports: pd.DataFrame) -> pd.DataFrame:
    """Supports of one kind, (usable targets, methods); infinite where larger than k_max."""
    filled = supports.assign(size=supports["size"].astype(float).fillna(np.inf))
    return usable(filled).pivot(index="target", columns="method", values="size")


def smaller_by(first: pd.DataFrame, second: pd.DataFrame, k_max: int) -> pd.DataFrame:
    """By how much the `area` of the first sizes is larger than of the second; both from `sizes`, or columns of it."""
    return (second.clip(upper=k_max) - first.clip(upper=k_max)) / k_max


def area(supports: pd.DataFrame, k_max: int) -> np.ndarray:
    """Each target's share of the area under the CDF from 0 to k_max: 1 - size / k_max, or 0 if not flipped. (n,).

    Their mean is the normalised AUC: 0 if no target flips, near 1 if all flip at once. Source: Paper §2.1 and Fig. 1.
    """
    return 1 - supports["size"].astype(float).fillna(k_max).to_numpy() / k_max


def summary(supports: pd.DataFrame, k_max: int) -> pd.DataFrame:
    """One row for each (kind, method): targets, share flipped, AUC with interval, median support, trainings.

    Columns: kind, method, n (targets right at k = 0), excluded, flipped, flipped_low, flipped_high, auc, auc_low,
    auc_high, median (support of half of the targets; missing where fewer flip), trainings.
    """
    rows = []
    for (kind, method), group in supports.groupby(["kind", "method"], sort=False):
        targets = usable(group)
        flips, areas = flipped_by(targets, np.array([k_max]))[:, 0], area(targets, k_max)
        median = targets["size"].astype(float).fillna(np.inf).median()
        rows.append(
            {"kind": kind, "method": method, "n": len(targets), "excluded": len(group) - len(targets)}
            | mean("flipped", flips, share_interval)
            | mean("auc", areas)
            | {"median": median if np.isfinite(median) else np.nan, "trainings": group["trainings"].sum()}
        )
    return pd.DataFrame(rows)


def paired(supports: pd.DataFrame, kind: str, better: str, worse: str, k_max: int) -> dict:
    """Does `better` find smaller supports than `worse` on the same targets? The difference of AUC, paired by target.

    Returns kind, better, worse, n, difference, low, high, p, smaller, equal, larger (counts of targets), verdict.
    """
    of_kind = sizes(supports[supports["kind"] == kind]).dropna(subset=[better, worse])
    first, second = of_kind[better], of_kind[worse]
    counts = {"smaller": (first < second).sum(), "equal": (first == second).sum(), "larger": (first > second).sum()}
    judged = _judged(smaller_by(first, second, k_max))
    last = {"verdict": judged.pop("verdict")}
    return {"kind": kind, "better": better, "worse": worse} | judged | counts | last


def fixed_k(margins: pd.DataFrame) -> pd.DataFrame:
    """How far margins fall, and how many targets flip, when the first k images of a ranking change.

    margins: from `Study.margins`, with k = 0 among its k; a target's margin is the mean over seeds, and most seeds
    decide what it is predicted as. Targets that are wrong at k = 0 are left out, as from the supports.
    A row for each curve and k: kind, method, k, n, drop, drop_low, drop_high, flipped, flipped_low, flipped_high.
    """
    rows = []
    for (kind, method), group in margins.groupby(["kind", "method"], sort=False):
        means = by_k(group)
        for k in means["margin"].columns[1:]:
            drop, flipped = means["margin", 0] - means["margin", k], means["wrong", k] >= 0.5
            row = {"kind": kind, "method": method, "k": k, "n": len(means)}
            rows.append(row | mean("drop", drop) | mean("flipped", flipped, share_interval))
    return pd.DataFrame(rows)


def mean_falls(margins: pd.DataFrame) -> pd.DataFrame:
    """Each target's fall of the margin, averaged over k: (targets, methods). margins: as for `fixed_k`, of one kind."""
    means = {method: by_k(group)["margin"] for method, group in margins.groupby("method", sort=False)}
    return pd.DataFrame({method: table[0] - table.drop(columns=0).mean(axis=1) for method, table in means.items()})


def by_k(margins: pd.DataFrame) -> pd.DataFrame:
    """Mean margin and share of wrong answers, (targets right at k = 0, k): columns ("margin", k) and ("wrong", k)."""
    means = margins.assign(wrong=margins["margin"] <= 0).groupby(["target", "k"])[["margin", "wrong"]].mean().unstack()
    return means[means["wrong", 0] < 0.5]


def differences(values: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Is each method's value larger than that of the reference? Paired by target; the largest mean first.

    values: (targets, methods). Columns: method, n, mean, difference, low, high, p, verdict.
    """
    means = values.mean().sort_values(ascending=False).drop(reference)
    rows = [{"method": m, "mean": mean} | _judged(values[m] - values[reference]) for m, mean in means.items()]
    return pd.DataFrame(rows)[["method", "n", "mean", "difference", "low", "high", "p", "verdict"]]


def _judged(paired: pd.Series) -> dict:
    """n, mean, BCa interval, p of `sign_flips` and the mean's sign, of the paired differences that are known: a row."""
    (low, high), mean, p = map(float, paired_interval(known := paired.dropna())), known.mean(), sign_flips(known)
    verdict = "undecided" if p > LEVEL else "agrees" if mean > 0 else "disagrees"
    return {"n": len(known), "difference": mean, "low": low, "high": high, "p": p, "verdict": verdict}


def lds_summary(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean LDS of each method over targets: method, n, lds, lds_low, lds_high. scores: from `Attribution.lds`."""
    groups = scores.dropna(subset=["lds"]).groupby("method", sort=False)["lds"]
    return pd.DataFrame({"method": method, "n": len(values)} | mean("lds", values) for method, values in groups)
