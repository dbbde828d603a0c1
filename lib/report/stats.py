"""From supports to numbers with intervals: CDFs, areas under them, paired differences, verdicts.

The unit of every interval is the target: it says how the result would vary with other targets of the same kind.
Targets that are wrong before anything is changed have no support; they are counted and left out.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.stats import beta, bootstrap

from lib.bisection import WRONG_AT_ZERO

RESAMPLES = 10_000
CONFIDENCE = 0.95


def flipped_by(supports: pd.DataFrame, k: np.ndarray) -> np.ndarray:
    """Whether each target's support is at most each k. supports: n rows. k: (m,). Returns (n, m) bool."""
    sizes = supports["size"].astype(float).fillna(np.inf).to_numpy()
    return sizes[:, None] <= k


def mean_interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95 % interval of the mean over the first axis. values: (n, ...). Returns low and high, (...).

    Percentiles of 10 000 bootstrap resamples; one value has no spread and gives itself.
    """
    values = np.asarray(values)
    if len(values) < 2:
        return values.mean(axis=0), values.mean(axis=0)
    rng = np.random.default_rng(0)
    result = bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, confidence_level=CONFIDENCE, method="percentile", rng=rng
    )
    return result.confidence_interval.low, result.confidence_interval.high


def share_interval(yes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95 % interval of the share of `yes` over the first axis. yes: (n, ...) bool. Returns low and high, (...).

    The exact one (Clopper and Pearson's), since resamples of none or of all do not vary.
    """
    tail, n, count = (1 - CONFIDENCE) / 2, len(yes), np.asarray(yes).sum(axis=0)
    low = np.where(count > 0, beta.ppf(tail, count, n - count + 1), 0.0)
    high = np.where(count < n, beta.ppf(1 - tail, count + 1, n - count), 1.0)
    return low, high


def usable(supports: pd.DataFrame) -> pd.DataFrame:
    """The targets that are right before anything is changed."""
    return supports[supports["reason"] != WRONG_AT_ZERO]


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

    Returns kind, better, worse, n, difference, low, high, smaller, equal, larger (targets on which `better` finds so
    large a support), verdict.
    """
    sizes = usable(supports[supports["kind"] == kind]).pivot(index="target", columns="method", values="size")
    first, second = (sizes[method].astype(float).fillna(np.inf) for method in (better, worse))
    counts = {"smaller": (first < second).sum(), "equal": (first == second).sum(), "larger": (first > second).sum()}
    judged = _judged((second.clip(upper=k_max) - first.clip(upper=k_max)) / k_max)
    last = {"verdict": judged.pop("verdict")}
    return {"kind": kind, "better": better, "worse": worse, "n": len(sizes)} | judged | counts | last


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
    """The height of each target's removal curve: its fall of the margin, averaged over k. (targets, methods).

    margins: as for `fixed_k`, of one kind.
    """
    falls = {}
    for method, group in margins.groupby("method", sort=False):
        means = by_k(group)["margin"]
        falls[method] = means[0] - means.drop(columns=0).mean(axis=1)
    return pd.DataFrame(falls)


def by_k(margins: pd.DataFrame) -> pd.DataFrame:
    """Mean margin and share of wrong answers, (targets right at k = 0, k): columns ("margin", k) and ("wrong", k)."""
    means = margins.assign(wrong=margins["margin"] <= 0).groupby(["target", "k"])[["margin", "wrong"]].mean().unstack()
    return means[means["wrong", 0] < 0.5]


def mean(name: str, values: np.ndarray | pd.Series, interval: Callable = mean_interval) -> dict:
    """The mean of a value over targets, and its interval, by this or by `share_interval`: NAME, NAME_low, NAME_high."""
    low, high = map(float, interval(values))
    return {name: float(values.mean()), f"{name}_low": low, f"{name}_high": high}


def share(yes: pd.Series | np.ndarray) -> dict:
    """The share of `yes`, (n,) bool, with its interval: share, low, high, n."""
    if not len(yes):
        return {"share": np.nan, "low": np.nan, "high": np.nan, "n": 0}
    low, high = map(float, share_interval(yes))
    return {"share": float(np.mean(yes)), "low": low, "high": high, "n": len(yes)}


def differences(values: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Is each method's value larger than that of the reference? Paired by target; the largest mean first.

    values: (targets, methods). Columns: method, n, mean, difference, low, high, verdict.
    """
    means = values.mean().sort_values(ascending=False).drop(reference)
    rows = [
        {"method": method, "n": len(values), "mean": average} | _judged(values[method] - values[reference])
        for method, average in means.items()
    ]
    return pd.DataFrame(rows)


def _judged(paired: pd.Series) -> dict:
    """The mean of paired differences, (n,), its interval, and whether it is positive: all for a row."""
    low, high = map(float, mean_interval(paired))
    return {"difference": paired.mean(), "low": low, "high": high, "verdict": verdict(low, high)}


def lds_summary(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean LDS of each method over targets: method, n, lds, lds_low, lds_high. scores: from `Attribution.lds`."""
    groups = scores.groupby("method", sort=False)["lds"]
    return pd.DataFrame({"method": method, "n": len(values)} | mean("lds", values) for method, values in groups)


def lds_paired(scores: pd.DataFrame, better: str) -> pd.DataFrame:
    """Is the LDS of `better` higher than each other method's? Paired by target.

    Columns: better, worse, n, difference, low, high, verdict.
    """
    by_target = scores.pivot(index="target", columns="method", values="lds")
    rows = [
        {"better": better, "worse": worse, "n": len(by_target)} | _judged(by_target[better] - by_target[worse])
        for worse in scores["method"].unique()
        if worse != better
    ]
    return pd.DataFrame(rows)


def agreement(first: pd.Series, second: pd.Series) -> dict:
    """How far do two measurements of the same margins agree? Paired by their index, (target, seed) or the like.

    Returns n, correlation (Pearson's), same_sign (share with the same prediction, right or wrong), difference (mean of
    second - first) with low, high.
    """
    first, second = first.align(second, join="inner")
    low, high = map(float, mean_interval((second - first).groupby("target").mean()))
    row = {"n": len(first), "correlation": first.corr(second), "same_sign": ((first > 0) == (second > 0)).mean()}
    return row | {"difference": (second - first).mean(), "low": low, "high": high}


def verdict(low: float, high: float) -> str:
    """What an interval of a difference says of the claim that it is positive: agrees, disagrees, or undecided."""
    return "agrees" if low > 0 else "disagrees" if high < 0 else "undecided"
