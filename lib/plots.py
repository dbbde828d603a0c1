"""Figures: one style, one colour a method everywhere."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from lib import stats

_COLOURS = sns.color_palette("colorblind")
METHODS = {  # name: (label, colour, line style)
    "moco_esvm": ("MoCo, exemplar SVM (ours)", _COLOURS[0], "-"),
    "moco_l2": ("MoCo, L2", _COLOURS[9], "--"),
    "supervised_l2": ("supervised, L2", _COLOURS[1], "-."),
    "pixels_l2": ("raw pixels, L2", _COLOURS[2], ":"),
    "random": ("random in the class", _COLOURS[7], (0, (5, 1, 1, 1, 1, 1))),
}
TITLES = {"removal": "Removal", "mislabel": "Mislabelling"}
CHANGED = {"removal": "removed", "mislabel": "mislabelled"}


def style() -> None:
    """White background (legible in a dark theme too), light grid, text that is readable in the book."""
    sns.set_theme(context="notebook", style="whitegrid", palette="colorblind")
    plt.rcParams.update({"figure.dpi": 110, "savefig.dpi": 150, "savefig.bbox": "tight", "axes.titleweight": "bold"})


def label(method: str) -> str:
    """The name of a method in figures and tables."""
    return METHODS[method][0]


def support_cdfs(supports: pd.DataFrame, k_max: int, title: str) -> Figure:
    """CDF of the support, a panel for each kind and a line for each method, with a bootstrap band over targets.

    supports: the table of `lib.study.Study.supports`. The axis is linear up to 8 and logarithmic beyond.
    """
    style()
    kinds = list(supports["kind"].unique())
    figure, axes = plt.subplots(1, len(kinds), figsize=(5.6 * len(kinds), 4.4), sharey=True, squeeze=False)
    k = np.arange(k_max + 1)
    for axis, kind in zip(axes[0], kinds, strict=True):
        of_kind = stats.usable(supports[supports["kind"] == kind])
        for method, group in of_kind.groupby("method", sort=False):
            name, colour, dash = METHODS[method]
            flipped = stats.flipped_by(group, k)
            low, high = stats.interval(flipped)
            axis.step(k, flipped.mean(axis=0), where="post", color=colour, linestyle=dash, label=name, linewidth=2)
            axis.fill_between(k, low, high, step="post", color=colour, alpha=0.12, linewidth=0)
        axis.set_xscale("symlog", base=2, linthresh=8)
        ticks = [0, *(2**p for p in range(1, 20) if 2**p <= k_max)]
        axis.set(xlim=(0, k_max), ylim=(0, 1.02), xticks=ticks, xticklabels=ticks, title=TITLES[kind])
        axis.set_xlabel(f"training images {CHANGED[kind]}, k")
        n = of_kind["target"].nunique()
        axis.text(0.02, 0.97, f"n = {n} targets", transform=axis.transAxes, va="top", fontsize=10)
    axes[0][0].set_ylabel("share of targets flipped")
    axes[0][0].legend(loc="upper left", bbox_to_anchor=(0, 0.92), fontsize=9)
    figure.suptitle(title, fontsize=12)
    figure.tight_layout()
    return figure


def table(rows: pd.DataFrame | list[dict]):
    """A table to show on a page: methods in words, intervals beside their value, three decimals, no index."""
    shown = pd.DataFrame(rows)
    for column in ("method", "better", "worse"):
        if column in shown:
            shown[column] = shown[column].map(label)
    for column in list(shown):
        bounds = [f"{column}_low", f"{column}_high"]
        if column in ("difference", "here"):
            bounds = ["low", "high"]
        if set(bounds) <= set(shown):
            triples = shown[[column, *bounds]].itertuples(index=False)
            shown[column] = [f"{value:.3f} [{low:.3f}, {high:.3f}]" for value, low, high in triples]
            shown = shown.drop(columns=bounds)
    shown.columns = [column.replace("_", " ") for column in shown]
    return shown.style.hide(axis="index").format(precision=3, na_rep="–")
