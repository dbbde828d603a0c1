"""Figures: one style, one colour a method everywhere."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from lib import stats

_COLOURS = sns.color_palette("colorblind")
METHODS = {  # name: (label, colour, line style); those of lib.baselines are followed by their number of models
    "moco_esvm": ("MoCo, exemplar SVM (ours)", _COLOURS[0], "-"),
    "moco_l2": ("MoCo, L2", _COLOURS[9], "--"),
    "supervised_l2": ("supervised, L2", _COLOURS[1], "-."),
    "pixels_l2": ("raw pixels, L2", _COLOURS[2], ":"),
    "random": ("random in the class", _COLOURS[7], (0, (5, 1, 1, 1, 1, 1))),
    "trak": ("TRAK", _COLOURS[3], (0, (3, 1))),
    "datamodels": ("Datamodels", _COLOURS[4], (0, (3, 1, 1, 1))),
    "empirical_influence": ("empirical influence", _COLOURS[5], (0, (1, 1))),
    "moco": ("MoCo features", _COLOURS[0], "-"),
    "supervised": ("supervised features", _COLOURS[1], "-"),
    "pixels": ("raw pixels", _COLOURS[2], "-"),
}
TITLES = {"removal": "Removal", "mislabel": "Mislabelling"}
CHANGED = {"removal": "removed", "mislabel": "mislabelled"}


def style() -> None:
    """White background (legible in a dark theme too), light grid, text that is readable in the book."""
    sns.set_theme(context="notebook", style="whitegrid", palette="colorblind")
    plt.rcParams.update({"figure.dpi": 110, "savefig.dpi": 150, "savefig.bbox": "tight", "axes.titleweight": "bold"})


def look(method: str) -> tuple:
    """Label, colour and line style of a method; "trak:20" is TRAK with 20 models, in TRAK's colour."""
    name, _, size = method.partition(":")
    shown, colour, dash = METHODS[name]
    return (f"{shown} ({size})" if size else shown), colour, dash


def label(method: str) -> str:
    """The name of a method in figures and tables."""
    return look(method)[0]


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
            name, colour, dash = look(method)
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


def counts(rows: list[dict], title: str) -> Figure:
    """For each rival the share of targets with smaller, equal and larger support. rows: of `lib.stats.paired`."""
    style()
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    figure, axes = plt.subplots(
        1, len(kinds), figsize=(5.6 * len(kinds), 0.6 * len(rows) / len(kinds) + 1.8), sharey=True
    )
    for axis, kind in zip(np.atleast_1d(axes), kinds, strict=True):
        of_kind = [row for row in rows if row["kind"] == kind]
        left = np.zeros(len(of_kind))
        for key, colour in (("smaller", _COLOURS[0]), ("equal", "0.8"), ("larger", _COLOURS[1])):
            values = np.array([row[key] for row in of_kind])
            bars = axis.barh(range(len(of_kind)), values, left=left, color=colour, label=key)
            axis.bar_label(bars, [str(value) if value else "" for value in values], label_type="center", fontsize=10)
            left += values
        axis.set_yticks(range(len(of_kind)), [label(row["worse"]) for row in of_kind])
        axis.set(title=TITLES[kind], xlabel=f"targets, n = {of_kind[0]['n']}")
        axis.grid(False)
    np.atleast_1d(axes)[0].invert_yaxis()
    np.atleast_1d(axes)[-1].legend(loc="upper left", bbox_to_anchor=(1, 1), title="our support is", frameon=False)
    figure.suptitle(title, fontsize=11)
    figure.tight_layout()
    return figure


def most_similar(images: np.ndarray, target: np.ndarray, rankings: dict[str, np.ndarray], title: str) -> Figure:
    """The target and, a row for each method, the first ten training images of its ranking.

    images: (n_train, c, h, w) uint8. target: (c, h, w). rankings: {method: (k,) train ids}, k at least 10.
    """
    figure, axes = plt.subplots(len(rankings), 11, figsize=(11, 1.25 * len(rankings)), squeeze=False)
    for row, (method, ids) in zip(axes, rankings.items(), strict=True):
        for axis, image in zip(row, [target, *images[ids[:10]]], strict=True):
            axis.imshow(image.transpose(1, 2, 0).squeeze(), cmap="gray")
            axis.set(xticks=[], yticks=[])
        for spine in row[0].spines.values():
            spine.set(color="tab:red", linewidth=3)
        row[0].set_ylabel(label(method), rotation=0, ha="right", va="center", fontsize=9)
    figure.suptitle(title, fontsize=12)
    figure.tight_layout(w_pad=0.1)
    return figure


def lds_strips(scores: pd.DataFrame, title: str) -> Figure:
    """LDS of each target as a point, and their mean, a row for each method. scores: from `Study.lds`."""
    style()
    methods = list(scores["method"].drop_duplicates())
    figure, axis = plt.subplots(figsize=(8, 0.45 * len(methods) + 1.5))
    for height, method in enumerate(methods):
        name, colour, _ = look(method)
        values = scores.loc[scores["method"] == method, "lds"]
        axis.plot(values, np.full(len(values), height), "o", color=colour, alpha=0.35, markersize=5, markeredgewidth=0)
        axis.plot(values.mean(), height, "|", color="black", markersize=16, markeredgewidth=2)
    axis.set_yticks(range(len(methods)), [label(method) for method in methods])
    axis.axvline(0, color="0.6", linestyle=":")
    axis.invert_yaxis()
    axis.set(xlabel="LDS; a point a target, a bar for the mean", title=title)
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
