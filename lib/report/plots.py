"""Figures: one style, one colour a method everywhere."""

import io
from collections.abc import Iterable, Sequence
from functools import lru_cache
from html import escape

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.methods import BLUE, NETWORKS, ORANGE, label, look
from lib.report import stats

TITLES = {"removal": "Removal", "mislabel": "Mislabelling"}
CHANGED = {"removal": "removed", "mislabel": "mislabelled"}
ASIAN = ("Noto Sans CJK JP", "Noto Sans CJK SC", "WenQuanYi Zen Hei", "Hiragino Sans", "PingFang SC", "Malgun Gothic")


def style() -> None:
    """White background (legible in a dark theme too), light grid, text that is readable in the book."""
    sns.set_theme(context="notebook", style="whitegrid", palette="colorblind")
    plt.rcParams.update({"figure.dpi": 110, "savefig.dpi": 150, "savefig.bbox": "tight", "axes.titleweight": "bold"})


@lru_cache(maxsize=1)
def png(figure: Figure) -> bytes:
    """The figure as a picture, drawn once for its page and its file."""
    picture = io.BytesIO()
    figure.savefig(picture, metadata={"Software": None})
    return picture.getvalue()


def grid(n: int, columns: int, width: float, height: float, **shared: bool) -> tuple[Figure, list[Axes]]:
    """A figure of n panels, each width x height inches, at most so many columns; those to spare are hidden."""
    style()
    columns = min(columns, n)
    rows = -(-n // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(width * columns, height * rows), squeeze=False, **shared)
    for axis in axes.flat[n:]:
        axis.set_visible(False)
    return figure, list(axes.flat[:n])


def titled(figure: Figure, title: str, x_label: str = "", y_label: str = "", **options) -> Figure:
    """The figure with a title, and labels that all its panels share."""
    if x_label:
        figure.supxlabel(x_label, fontsize=11)
    if y_label:
        figure.supylabel(y_label, fontsize=11)
    figure.suptitle(title, **{"fontsize": 12} | options)
    figure.tight_layout()
    return figure


def line(axis: Axes, x, y, band: tuple, name: str, colour, dash, width: float = 2, step: str | None = None) -> None:
    """A line and the band of its interval. band: low and high, each as long as x. step: where a step curve jumps."""
    drawn = {"color": colour, "linestyle": dash, "linewidth": width, "drawstyle": step and f"steps-{step}"}
    axis.plot(x, y, label=name, **drawn)
    axis.fill_between(x, *band, step=step, color=colour, alpha=0.12, linewidth=0)


def support_cdfs(supports: pd.DataFrame, k_max: int, title: str, panels: str = "kind") -> Figure:
    """CDF of the support, a panel for each kind and a line for each method, with the band of its interval over targets.

    supports: the table of `lib.study.Study.supports`. panels: the column that has a panel for each of its values, for
    tables of one kind that have another. The axis is linear up to 8 and logarithmic beyond.
    """
    names = list(supports[panels].unique())
    figure, axes = grid(len(names), len(names), max(4.4, 11.2 / len(names)), 4.4, sharey=True)
    for axis, name in zip(axes, names, strict=True):
        shown = stats.usable(supports[supports[panels] == name])
        methods = list(shown["method"].unique())
        alike = [look(method)[1:] for method in methods]
        for i, method in enumerate(methods):
            width = 2 / (1 + alike[i + 1 :].count(alike[i]))  # of one method with several numbers of models, the last
            cdf(axis, shown[shown["method"] == method], k_max, *look(method), width)
        of_k(axis, shown, k_max)
        changed = CHANGED[shown["kind"].iloc[0]]
        axis.set(title=(TITLES | NETWORKS).get(name, name), xlabel=f"training images {changed}, k")
    axes[0].set_ylabel("share of targets flipped")
    axes[0].legend(loc="upper left", bbox_to_anchor=(0, 0.92), fontsize=9)
    return titled(figure, title)


def cdf(axis: Axes, supports: pd.DataFrame, k_max: int, name: str, colour, dash, width: float = 2) -> None:
    """The line and the band of one method."""
    k = np.arange(k_max + 1)
    flipped = stats.flipped_by(supports, k)
    line(axis, k, flipped.mean(axis=0), stats.share_interval(flipped), name, colour, dash, width, step="post")


def of_k(axis: Axes, supports: pd.DataFrame, k_max: int) -> None:
    """The axes of a CDF: k, linear up to 8 and logarithmic beyond, and how many targets it is of."""
    axis.set_xscale("symlog", base=2, linthresh=8)
    ticks = [0, *(2**p for p in range(1, 20) if 2**p <= k_max)]
    axis.set(xlim=(0, k_max), ylim=(0, 1.02), xticks=ticks, xticklabels=ticks)
    count = f"n = {supports['target'].nunique()} targets; bands: 95 % intervals"
    axis.text(0.02, 0.97, count, transform=axis.transAxes, va="top", fontsize=9)


def counts(rows: list[dict], title: str) -> Figure:
    """For each rival the share of targets with smaller, equal and larger support. rows: of `stats.paired`."""
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    figure, axes = grid(len(kinds), len(kinds), 5.6, 0.6 * len(rows) / len(kinds) + 1.8, sharey=True)
    for axis, kind in zip(axes, kinds, strict=True):
        of_kind = [row for row in rows if row["kind"] == kind]
        left = np.zeros(len(of_kind))
        for key, colour in (("smaller", BLUE), ("equal", "0.8"), ("larger", ORANGE)):
            values = np.array([row[key] for row in of_kind])
            bars = axis.barh(range(len(of_kind)), values, left=left, color=colour, label=key)
            axis.bar_label(bars, [str(value) if value else "" for value in values], label_type="center", fontsize=10)
            left += values
        axis.set_yticks(range(len(of_kind)), [label(row["worse"]) for row in of_kind])
        axis.set(title=TITLES[kind], xlabel=f"targets, n = {of_kind[0]['n']}")
        axis.grid(False)
    axes[0].invert_yaxis()
    axes[-1].legend(loc="upper left", bbox_to_anchor=(1, 1), title="our support is", frameon=False)
    return titled(figure, title, fontsize=11)


def most_similar(
    images: np.ndarray,
    targets: dict[str, tuple[np.ndarray, dict[str, np.ndarray]]],
    removed: dict[tuple[str, str], int] | None = None,
) -> Figure:
    """Each target and, a row for each method, the first ten training images of its ranking.

    images: (n_train, c, h, w) uint8. targets: by title, the target (c, h, w) and, by method, its ranking (k,) of train
    ids. removed: by title and method, how many of the first are framed too, in blue.
    """
    n_rows, installed = [len(rankings) for _, rankings in targets.values()], font_manager.get_font_names()
    fonts = ["DejaVu Sans", *(name for name in ASIAN if name in installed)]
    figure = plt.figure(figsize=(11, 0.5 * len(targets) + 1.05 * sum(n_rows)), layout="constrained")
    parts = figure.subfigures(len(targets), squeeze=False, height_ratios=n_rows)[:, 0]
    for i, (part, (title, (target, rankings))) in enumerate(zip(parts, targets.items(), strict=True), start=1):
        shown = title if _is_legible(title, fonts) else f"target {i}"
        part.suptitle(shown, fontsize=12, fontfamily=fonts, parse_math=False)
        axes = part.subplots(len(rankings), 11, squeeze=False)
        for row, (method, ids) in zip(axes, rankings.items(), strict=True):
            for axis, image in zip(row, [target, *images[ids[:10]]], strict=False):
                axis.imshow(image.transpose(1, 2, 0).squeeze(), cmap="gray")
                axis.set(xticks=[], yticks=[])
            for axis in row[1 + len(ids) :]:
                axis.set_visible(False)
            for n, axis in enumerate(row[: (removed or {}).get((title, method), 0) + 1]):
                axis.spines[:].set(color="tab:blue" if n else "tab:red", linewidth=3)
            row[0].set_ylabel(label(method), rotation=0, ha="right", va="center", fontsize=9)
    return figure


def _is_legible(text: str, fonts: list[str]) -> bool:
    """Whether one of the fonts has each character of it."""
    maps = [font_manager.get_font(font_manager.findfont(name)).get_charmap() for name in fonts]
    return all(any(ord(character) in known for known in maps) for character in text)


def points(axis: Axes, rows: pd.DataFrame, value: str, names: pd.Series, colour=BLUE) -> None:
    """A point for each row, the first at the top, and the bar of its interval. colour: one, or one per row."""
    ends = (rows[f"{value}_{end}" if f"{value}_{end}" in rows else end] for end in ("low", "high"))
    axis.hlines(range(len(rows)), *ends, color=colour, linewidth=1.5)
    axis.scatter(rows[value], range(len(rows)), color=colour, s=36)
    axis.set_yticks(range(len(rows)), names)
    if not axis.yaxis_inverted():
        axis.invert_yaxis()


def span(rows: dict | pd.DataFrame, value: str) -> np.ndarray:
    """Intervals as matplotlib's error bars want them, (2, n): how far below the values, how far above."""
    return np.reshape([rows[value] - rows[f"{value}_low"], rows[f"{value}_high"] - rows[value]], (2, -1))


def markdown(head: Sequence, rows: Iterable[Sequence]) -> str:
    """A table for a page's text."""
    return "".join(f"| {' | '.join(map(str, cells))} |\n" for cells in (head, ["---"] * len(head), *rows))


def _with_interval(value: float, low: float, high: float) -> str:
    if pd.isna(value):
        return "–"
    return f"{value:z.3f}" if pd.isna(low) else f"{value:z.3f} [{low:z.3f},\N{NO-BREAK SPACE}{high:z.3f}]"


def listed(rows: pd.DataFrame | list[dict], verdict: str, column: str = "method") -> str:
    """The methods with a verdict, for a sentence. column: where the method stands."""
    rows = pd.DataFrame(rows)
    return "; ".join(rows.loc[rows["verdict"] == verdict, column].map(label)) or "none"


COMPARED = {"agrees": "smaller supports", "disagrees": "larger supports"}  # verdicts on `better` against `worse`
BOUNDED = ("difference", "here", "ours", "rho", "share", "value")  # columns whose interval is low to high
NAMES = {  # of columns, where another name says more, or takes less room
    "auc": "AUC",
    "removal_auc": "removal AUC",
    "mislabel_auc": "mislabelling AUC",
    "lds": "LDS",
    "better": "first",
    "worse": "second",
    "flipped": "share flipped",
    "median": "median support",
    "margin_drop": "fall of margin",
    "drop": "fall of margin",
    "knn_accuracy": "kNN accuracy",
    "seconds": "time (core-s)",
    "core_seconds": "time (core-s)",
    "core_hours": "time (core-h)",
    "share_of_class": "k / class",
    "p_holm": "p (Holm)",
}


def table(rows: pd.DataFrame | list[dict], first: tuple[str, ...] = ()):
    """A table to show on a page: methods in words, intervals beside their value, three decimals, no index.

    first: columns that stand before the others. Names of classes and files can be anything, and are shown as they are.
    What sorts and frames it in the book is book/_static/tables.js.
    """
    shown = pd.DataFrame(rows)
    for column in shown.columns.intersection(["method", "better", "worse", "against"]):
        shown[column] = shown[column].map(label)
    if "network" in shown:
        shown["network"] = shown["network"].replace(NETWORKS)
    for column in list(shown):
        bounds = [f"{column}_low", f"{column}_high"]
        if column in BOUNDED and "low" in shown:
            bounds = ["low", "high"]
        if set(bounds) <= set(shown):
            shown[column] = [_with_interval(*triple) for triple in shown[[column, *bounds]].itertuples(index=False)]
            shown = shown.drop(columns=bounds)
    for column in shown.select_dtypes("float"):
        if column in ("p", "p_holm"):
            shown[column] = ["–" if pd.isna(p) else "< 0.001" if p < 0.0005 else f"{p:.3f}" for p in shown[column]]
        elif (shown[column].dropna() % 1 == 0).all():
            shown[column] = shown[column].astype("Int64")
    if {"verdict", "better", "kind"} <= set(shown):
        shown["verdict"] = shown["verdict"].replace(COMPARED)
    if {"verdict", "difference"} <= set(shown):  # beside what it is about
        shown.insert(shown.columns.get_loc("difference") + 1, "verdict", shown.pop("verdict"))
    shown = shown[sorted(shown, key=lambda column: first.index(column) if column in first else len(first))]
    shown.columns = [NAMES.get(column, escape(str(column).replace("_", " "))) for column in shown]
    styled = shown.style.hide(axis="index").format(precision=3, na_rep="–", escape="html")
    return styled.set_table_attributes('class="dataframe"')
