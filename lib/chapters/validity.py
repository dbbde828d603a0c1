"""Does a support measure what it says? Whether flipping is monotone in k, and how much of it is class imbalance."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib.bisection import search
from lib.chapters.greedy import compared
from lib.methods import BLUE, DOTTED, RED
from lib.report import plots, stats


def monotonicity(margins: pd.DataFrame) -> pd.DataFrame:
    """Where the majority of seeds gets a target wrong on an even grid of k from 0, and what bisection makes of it.

    margins: from `Study.margins`, of one curve. A row a target: target, first (the smallest k that flips), last (the
    largest at which it is still right), monotone (last < first), bisected (what Algorithm 1 finds on the same votes),
    error (bisected - first); missing where nothing flips.
    """
    rows = []
    for target, group in margins.groupby("target", sort=False):
        right = (group["margin"] > 0).groupby(group["k"]).mean() > 0.5
        ks, flipped = right.index.to_numpy(), ~right.to_numpy()
        first = ks[flipped].min() if flipped.any() else np.nan
        bisected = _bisected(right.to_numpy(), ks)
        rows.append(
            {"target": target, "first": first, "last": ks[~flipped].max() if not flipped.all() else np.nan}
            | {"monotone": not (flipped[:-1] & ~flipped[1:]).any(), "bisected": bisected, "error": bisected - first}
        )
    return pd.DataFrame(rows).astype(dict.fromkeys(("first", "last", "bisected", "error"), "Int64"))


def _bisected(right: np.ndarray, ks: np.ndarray) -> float:
    """The k that bisection finds on a measured curve. right: (m,) bool, whether the target is right at each of `ks`."""
    searching = search(len(ks) - 1, budget=len(ks), n_votes=1)
    probe = next(searching)
    while True:
        try:
            probe = searching.send([bool(right[probe.k])])
        except StopIteration as stop:
            return np.nan if stop.value.size is None else float(ks[stop.value.size])


def imbalance(plain: pd.DataFrame, balanced: pd.DataFrame, ours: str, control: str) -> pd.DataFrame:
    """How much of the fall of the margin is for the rarity of the class?

    plain, balanced: from `Study.margins` of the same tests, under cross-entropy and under a class-balanced loss.
    A row for each k: k, n (targets right at k = 0 under both), by_weight (how much less the control's margin falls
    under the balanced loss), control_share and control_share_balanced (the control's fall over ours), all three with
    _low and _high.
    """
    tables = [
        {method: stats.by_k(group)["margin"] for method, group in table.groupby("method")}
        for table in (plain, balanced)
    ]
    targets = tables[0][control].index.intersection(tables[1][control].index)
    rows = []
    for k in tables[0][control].columns[1:]:
        fall = [{m: (by_k[0] - by_k[k])[targets] for m, by_k in table.items()} for table in tables]
        row = {"k": k, "n": len(targets)} | stats.mean("by_weight", fall[0][control] - fall[1][control])
        for name, falls in zip(("control_share", "control_share_balanced"), fall, strict=True):
            row |= stats.ratio(name, falls[control], falls[ours])
        rows.append(row)
    return pd.DataFrame(rows)


def finding(monotone: pd.DataFrame, imbalance: pd.DataFrame, heads: pd.DataFrame) -> str:
    """The first line of the page, in Markdown. heads: of `lib.chapters.greedy.table`; the others of those above."""
    flips, most, grown = monotone[monotone["first"].notna()], imbalance.iloc[-1], heads.iloc[0]
    return (
        f"**A support is an estimate, and an upper bound.** Of {len(flips)} targets that flip on a grid of *k*, "
        f"{(~flips['monotone']).sum()} are right again at some larger *k*. At *k* = {most['k']:.0f}, removing random "
        f"images of the class takes {stats.said_of(most, 'control_share')} of the margin that removing ours takes (n = "
        f"{most['n']:.0f}). Grown one image at a time, ours has {compared(grown['verdict'])} the head of its list: "
        f"difference of AUC {stats.said_of(grown, 'difference')}, n = {grown['n']}."
    )


def margin_curves(margins: pd.DataFrame, title: str) -> Figure:
    """Margin against k, a panel a target, a dot where most seeds are wrong. margins: of `Study.margins`."""
    targets = list(margins["target"].drop_duplicates())
    figure, axes = plots.grid(len(targets), 5, 2.6, 2.3, sharex=True)
    for axis, target in zip(axes, targets, strict=True):
        of_target = margins[margins["target"] == target]
        by_k = of_target.groupby("k")["margin"]
        wrong = (of_target["margin"] <= 0).groupby(of_target["k"]).mean() >= 0.5
        axis.plot(of_target["k"], of_target["margin"], ".", color=BLUE, alpha=0.3)
        axis.plot(by_k.mean(), color=BLUE, linewidth=1.2)
        axis.plot(by_k.mean()[wrong], "o", color=RED, markersize=5)
        axis.axhline(0, color="0.6", linestyle=DOTTED)
        axis.set_title(f"target {target}", fontsize=10)
    return plots.titled(figure, title, "training images removed, k", "margin")
