"""United tests: one training that removes the sets of ten targets, one of each class. Are its answers those of ten?

margins and supports of separate and of united tests -> `agreements`, `causes`, `costs`
"""

from collections.abc import Callable

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from lib.methods import OURS, RANDOM
from lib.report import plots, stats
from lib.study import REMOVAL, Study

CAUSES = (
    "united: the sets of all classes",
    "own set, others thinned at random",
    "two classes: with the strongest rival",
    "two classes: with the most distant",
)


def agreement(first: pd.Series, second: pd.Series) -> dict:
    """How far do two measurements of the same margins agree? Paired by their index, (target, seed) or the like.

    Returns n, correlation (Pearson's), same_sign (share with the same prediction, right or wrong), difference (mean of
    second - first) with low, high.
    """
    first, second = first.align(second, join="inner")
    low, high = map(float, stats.paired_interval((second - first).groupby("target").mean()))
    row = {"n": len(first), "correlation": first.corr(second), "same_sign": ((first > 0) == (second > 0)).mean()}
    return row | {"difference": (second - first).mean(), "low": low, "high": high}


def agreements(separate: pd.DataFrame, united: pd.DataFrame) -> pd.DataFrame:
    """How far united and separate tests agree, beside two seeds of the separate test; both from `Study.margins`.

    A row for each kind, k and what is compared: that of `agreement`; of united tests also less_than_seeds, the share of
    equal predictions less that of two seeds, paired by target, with _low and _high.
    """
    rows, index = [], ["target", "seed"]
    for (kind, k), one in separate.groupby(["kind", "k"], sort=False):
        by_seed = one.set_index(index)["margin"]
        other = united[(united["kind"] == kind) & (united["k"] == k)].set_index(index)["margin"]
        seeds = [by_seed.xs(seed, level="seed") for seed in (0, 1)]
        less = _same(by_seed, other) - _same(*seeds)
        row = {"kind": kind, "k": k, "compared": "united, separate"} | agreement(by_seed, other)
        rows.append(row | stats.mean("less_than_seeds", less))
        rows.append({"kind": kind, "k": k, "compared": "two seeds, separate"} | agreement(*seeds))
    return pd.DataFrame(rows)


def _same(first: pd.Series, second: pd.Series) -> pd.Series:
    """Of each target, the share of trainings in which both margins have one sign."""
    first, second = first.align(second, join="inner")
    return ((first > 0) == (second > 0)).groupby("target").mean()


def causes(
    study: Study, separate: pd.DataFrame, united: pd.DataFrame, n_seeds: int
) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """Where a bias comes from: margins of removal at k_max less those of the separate test with the same seed.

    In a united test; with the other classes thinned at random; with the set of one class more, that of the strongest
    rival or of the most distant. A row for each: test, and that of `agreement`. And the margins behind the last three.
    """
    k_max, group_of = study.profile.k_max, {i: group for group in study.groups(united=True) for i in group}

    def together_with(others: Callable, seeds: int) -> pd.DataFrame:
        tests = [[(REMOVAL, OURS, i), *((REMOVAL, *other) for other in others(i))] for i in range(len(study.targets))]
        return study.margins(tests, [k_max], seeds).drop_duplicates(["test", "seed"])

    made = [
        together_with(lambda i: [(RANDOM, j) for j in group_of[i] if j != i], n_seeds),
        *(together_with(lambda i, r=rank: [(OURS, partner(study, group_of[i], i, r))], 1) for rank in (-1, 0)),
    ]
    largest = f"kind == '{REMOVAL}' and k == {k_max}"
    tables = separate.query(largest), united.query(largest), *made
    alone, *others = (table.set_index(["target", "seed"])["margin"] for table in tables)
    rows = [{"test": test} | agreement(alone, other) for test, other in zip(CAUSES, others, strict=True)]
    return pd.DataFrame(rows), made


def partner(study: Study, group: list[int], i: int, rank: int) -> int:
    """Of the group of target i, that of the other class with the lowest (0) or highest (-1) logit of the base models.

    Targets are counted from 0.
    """
    labels, order = study.dataset.test_labels[study.targets], study.base_logits[study.targets[i]].argsort()
    others = [c for c in order if c != labels[i] and c in labels[group]]
    return next(j for j in group if labels[j] == others[rank])


def costs(supports: dict[str, pd.DataFrame], kind: str, method: str, k_max: int) -> dict:
    """One curve by "separate" and by "united" tests, on the targets that are right in both, and what both take: a row.

    difference: of AUC, united less separate, paired by target, with low and high.
    """
    pair = {name: table[(table["kind"] == kind) & (table["method"] == method)] for name, table in supports.items()}
    areas = _areas(pair, k_max)
    difference, low, high = stats.mean("difference", areas["united"] - areas["separate"]).values()
    trainings = {f"trainings_{name}": len(set().union(*table["keys"])) for name, table in pair.items()}
    row = {"kind": kind, "method": method, "n": len(areas)} | areas.mean().add_prefix("auc_").to_dict()
    row |= {"difference": difference, "low": low, "high": high}
    row |= {"rank_correlation": areas.corr(method="spearman").loc["united", "separate"]} | trainings
    return row | {"saving": trainings["trainings_separate"] / trainings["trainings_united"]}


def _areas(supports: dict[str, pd.DataFrame], k_max: int) -> pd.DataFrame:
    """`stats.area` of the targets that are right in both kinds of tests, (targets, tests). supports: of one curve."""
    usable = {name: stats.usable(table).set_index("target") for name, table in supports.items()}
    return pd.DataFrame({name: pd.Series(stats.area(of, k_max), of.index) for name, of in usable.items()}).dropna()


def against_ours(supports: dict[str, pd.DataFrame], kind: str, k_max: int) -> pd.DataFrame:
    """Does a united test lower another ranking's AUC less than ours? Rows of `stats.differences`, paired by target.

    Of each method's area, united less separate: `difference` is what that of the method has over that of ours.
    """
    of_kind, moved = {name: table[table["kind"] == kind] for name, table in supports.items()}, {}
    for method in of_kind["united"]["method"].unique():
        areas = _areas({name: table[table["method"] == method] for name, table in of_kind.items()}, k_max)
        moved[method] = areas["united"] - areas["separate"]
    return stats.differences(pd.DataFrame(moved), OURS).drop(columns="verdict")


def finding(agreed: pd.DataFrame, curves: pd.DataFrame, k_max: int) -> str:
    """The first line of the page, in Markdown. agreed, curves: of `agreements` and of `costs`."""
    of_united = agreed.dropna(subset="less_than_seeds")
    few, most = of_united[of_united["k"] < k_max], of_united[of_united["k"] == k_max].query("kind == @REMOVAL").iloc[0]
    bias = "a" if ((few["low"] > 0) | (few["high"] < 0)).any() else "no"
    ours = curves[(curves["kind"] == REMOVAL) & (curves["method"] == OURS)].iloc[0]
    lifted, moved = (stats.said_of(row, "difference") for row in (most, ours))
    n, least = agreed["n"].min(), -few["less_than_seeds_low"].min()
    return (
        f"**Up to k = {few['k'].max()}, {bias} bias of united tests is seen in margins; at k = {k_max} they move "
        f"margins of removal by {lifted}.** Up to k = {few['k'].max()}, the share of targets that a united and a "
        f"separate test both call right, or both wrong, is smaller than that of two seeds of the separate test by at "
        f"most {least:.2f} (the farthest end of the 95 % intervals, n = {n} targets). The AUC of ours by removal moves "
        f"by {moved}, n = {ours['n']} targets, for {ours['saving']:.0f} times fewer trainings."
    )


def figure(separate: pd.DataFrame, united: pd.DataFrame, title: str) -> Figure:
    """The margin of each target in united tests against that in separate ones, means over seeds, a panel a kind."""
    plots.style()
    means = {"separate": separate, "united": united}
    means = {name: table.groupby(["kind", "k", "target"])["margin"].mean() for name, table in means.items()}
    means = pd.DataFrame(means).reset_index().replace({"kind": plots.TITLES})
    columns = {"x": "separate", "y": "united", "hue": "k", "style": "k", "col": "kind"}
    drawn = {"palette": "colorblind", "facet_kws": {"sharex": False, "sharey": False}, "height": 4.2, "legend": "full"}
    grid = sns.relplot(means, **columns, col_order=list(plots.TITLES.values()), **drawn)
    for axis in grid.axes.flat:
        limits = sorted([*axis.get_xlim(), *axis.get_ylim()])[::3]
        axis.plot(limits, limits, color="0.6", linewidth=1)
        axis.axhline(0, color="0.6", linestyle=":")
        axis.axvline(0, color="0.6", linestyle=":")
    grid.set_axis_labels("margin (logits), separate tests", "margin (logits), united tests").set_titles("{col_name}")
    grid.figure.suptitle(f"{title}; n = {separate['target'].nunique()} targets", y=1.04)
    return grid.figure
