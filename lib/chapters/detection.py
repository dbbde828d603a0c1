"""How well does a score find what is wrong: AUROC, what is found among the first inspected, and curves of that.

Suspicion (n,) is larger for what is to be inspected first; wrong (n,) bool is the truth. Intervals are over the n.
"""

from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import norm, rankdata, sem

from lib.report import plots, stats

SHARES = np.linspace(0, 1, 26)  # inspected, at which curves are drawn
COLOURS = "C0", "C1", "C2", "C3", "C4", "black", "C9"  # of lines; C5 and C6 look like C1 and C4


def placed(suspicion: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Pseudo-values (n,) whose mean is the AUROC and whose scatter is its error's; of two scores they can be paired.

    Source: DeLong, DeLong, Clarke-Pearson 1988.
    """
    ranks, n, n_wrong = rankdata(suspicion), len(wrong), wrong.sum()
    beaten = np.where(wrong, ranks, n + 1 - ranks)  # by each: those of its own kind are taken off
    beaten[wrong] -= rankdata(suspicion[wrong])
    beaten[~wrong] -= rankdata(-suspicion[~wrong])
    share, n_own = beaten / np.where(wrong, n - n_wrong, n_wrong), np.where(wrong, n_wrong, n - n_wrong)
    auroc = share[wrong].mean()
    return auroc + (share - auroc) * n / n_own


def with_interval(name: str, pseudo: np.ndarray) -> dict:
    """The mean of `placed` values, or of differences of them, for a row: NAME, NAME_low, NAME_high."""
    return stats.mean(name, pseudo, lambda values: norm.interval(stats.CONFIDENCE, values.mean(), sem(values)))


def row(suspicion: np.ndarray, wrong: np.ndarray) -> dict:
    """n, n_wrong, auroc; first: share of wrong ones among the n_wrong most suspicious; half: among those inspected
    until half of the wrong ones are found. Each with _low and _high.
    """
    ordered, n_wrong = wrong[np.argsort(-suspicion, kind="stable")], int(wrong.sum())
    until_half = ordered[: np.searchsorted(ordered.cumsum(), -(-n_wrong // 2)) + 1]
    values = {"n": len(wrong), "n_wrong": n_wrong} | with_interval("auroc", placed(suspicion, wrong))
    values["auroc_high"] = min(values["auroc_high"], 1.0)
    values |= stats.mean("first", ordered[:n_wrong], stats.share_interval)
    return values | stats.mean("half", until_half, stats.share_interval)


def curve(suspicion: np.ndarray, wrong: np.ndarray) -> pd.DataFrame:
    """inspected, found: which share of the wrong ones lies among the most suspicious SHARES."""
    total = np.append(0, wrong[np.argsort(-suspicion, kind="stable")].cumsum())
    return pd.DataFrame({"inspected": SHARES, "found": total[np.round(SHARES * len(wrong)).astype(int)] / total[-1]})


def figure(curves: pd.DataFrame, panels: str, title: str) -> Figure:
    """A panel for each value of a column, a line for each `score`; dotted: what random order finds."""
    drawn, axes = plots.grid(len(names := list(curves[panels].unique())), 3, 3.6, 3.2, sharey=True)
    looks = dict(zip(curves["score"].unique(), zip(COLOURS, cycle(("-", "--")), strict=False), strict=False))
    for axis, name in zip(axes, names, strict=True):
        for score, line in curves[curves[panels] == name].groupby("score", sort=False):
            colour, dash = looks[score]
            axis.plot(line["inspected"], line["found"], color=colour, linestyle=dash, label=score, linewidth=1.5)
        axis.plot([0, 1], [0, 1], color="0.6", linestyle=":")
        axis.set(xlim=(0, 1), ylim=(0, 1.01))
        axis.set_title(name, fontsize=10)
    drawn.legend(*axes[0].get_legend_handles_labels(), loc="center left", bbox_to_anchor=(1, 0.5), fontsize=9)
    return plots.titled(drawn, title, "share inspected", "share of the wrong ones found", fontsize=11)
