"""Why do few wrong labels flip so little here? Networks that train for longer, and a wider one, learn more by heart.

Mislabelling by ours and at random, united tests of one training per probe. Targets, wrong labels and rankings stay
those of the profile's own network.
"""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from lib.chapters import network
from lib.methods import DOTTED, OURS, RANDOM, SOLID
from lib.profiles import PROFILES
from lib.report import paper, plots, stats
from lib.retrain import Recipe
from lib.study import MISLABEL, Study

TIMES = (1, 2, 4, 8)  # the profile's own epochs, up to the paper's
WIDER = 2  # times the profile's own width
FEW = paper.FIGURE_3.select(
    {"kind": MISLABEL, "method": "ours", "k": 30}
)  # the paper's "less than 30 training samples"


def recipes(recipe: Recipe) -> list[Recipe]:
    """The profile's own, those that train for longer, and the wider one; in the order of what a training costs."""
    most = PROFILES["paper"].recipe.epochs
    longer = [replace(recipe, epochs=recipe.epochs * times) for times in TIMES if recipe.epochs * times <= most]
    wider = replace(recipe, width=recipe.width * WIDER)
    return sorted([*longer, wider], key=lambda one: (one.width**2 * one.epochs, one.epochs))


def tested(study: Study) -> pd.DataFrame:
    """The supports of ours and of random images with every recipe; see `lib.chapters.network.with_recipe`."""
    rankings = {name: study.attribution.ranking(name) for name in (OURS, RANDOM)}
    tables = [network.with_recipe(study, MISLABEL, one, rankings) for one in recipes(study.profile.recipe)]
    return pd.concat(tables, ignore_index=True)


def few(class_size: int) -> dict[str, int]:
    """The most images that count as the paper's FEW, as a share of a class of that size, and as a number."""
    less = 1 if FEW.bound == "<" else 0
    return {"by_share": FEW.k * class_size // paper.FIGURE_3.class_size - less, "by_number": FEW.k - less}


def table(supports: pd.DataFrame, k_max: int, class_size: int) -> pd.DataFrame:
    """A row for each recipe and ranking: width, epochs, accuracy, method, n, auc with its interval, and `by_few`.

    supports: of `tested`.
    """
    rows = []
    for (width, epochs, method), group in supports.groupby(["width", "epochs", "ranking"], sort=False):
        targets = stats.usable(group)
        row = {"width": width, "epochs": epochs, "accuracy": group["accuracy"].iloc[0], "method": method}
        row |= {"n": len(targets)} | stats.mean("auc", stats.area(targets, k_max)) | by_few(targets, class_size)
        rows.append(row)
    return pd.DataFrame(rows)


def by_few(targets: pd.DataFrame, class_size: int) -> dict:
    """The shares of targets that flip by as many wrong labels as `few` says, by its names, with their intervals."""
    shares = {}
    for name, k in few(class_size).items():
        flipped = stats.flipped_by(targets, np.array([k]))[:, 0]
        shares |= stats.mean(name, flipped, stats.share_interval)
    return shares


def finding(rows: pd.DataFrame, recipe: Recipe, class_size: int) -> str:
    """What the page says first, in Markdown. rows: of `table`. recipe: the profile's own."""
    ours = rows[rows["method"] == OURS]
    longer = ours[ours["width"] == recipe.width].sort_values("epochs")
    wider = ours[ours["width"] != recipe.width].iloc[0]
    k, each = few(class_size), {}
    for name in k:
        each[name] = "; ".join(f"{row['epochs']} epochs {stats.said_of(row, name)}" for _, row in longer.iterrows())
    return (
        f"**Fewer than {k['by_number'] + 1} wrong labels flip, of {ours['n'].max()} targets, a share of: "
        f"{each['by_number']}; at {recipe.epochs} epochs, but a width of {wider['width']} instead of {recipe.width}, "
        f"{stats.said_of(wider, 'by_number')}.** The same share of a class as in the paper, fewer than "
        f"{k['by_share'] + 1}, flips: {each['by_share']}. The paper has {FEW.value / paper.FIGURE_3.n:.2f}."
    )


def longest(rows: pd.DataFrame, recipe: Recipe) -> str:
    """What the most epochs change, for a sentence. rows: of `table`. recipe: the profile's own."""
    ours = rows[(rows["method"] == OURS) & (rows["width"] == recipe.width)].sort_values("epochs")
    first, last = ours.iloc[0], ours.iloc[-1]
    few_flip, many_flip = (stats.said_of(row, "by_number") for row in (first, last))
    return f"at {last['epochs']} epochs {many_flip}, at {first['epochs']} epochs {few_flip}, n = {last['n']}"


def figure(supports: pd.DataFrame, recipe: Recipe, k_max: int, class_size: int, title: str) -> Figure:
    """The share of targets flipped against k, a line for each recipe: ours solid, random dotted; a panel for epochs,
    and one for width. supports: of `tested`.
    """
    plots.style()
    drawn, axes = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained", sharey=True)
    for axis, name in zip(axes, ("epochs", "width"), strict=True):
        other = "width" if name == "epochs" else "epochs"
        shown = stats.usable(supports[supports[other] == getattr(recipe, other)])
        values = sorted(shown[name].unique())
        for value, colour in zip(values, sns.color_palette("crest", len(values)), strict=True):
            for ranking, dash in ((OURS, SOLID), (RANDOM, DOTTED)):
                of = shown[(shown[name] == value) & (shown["ranking"] == ranking)]
                words = f"{value} {name}" if name == "epochs" else f"width {value}"
                words += "" if ranking == OURS else ", random"
                plots.cdf(axis, of, k_max, words, colour, dash)
        for k in few(class_size).values():
            axis.axvline(k, color="0.7", linewidth=1, zorder=0)
        plots.of_k(axis, shown, k_max)
        axis.set(xlabel="training images mislabelled, k", title=network.AXES[name])
        axis.legend(loc="upper left", bbox_to_anchor=(0, 0.92), fontsize=9)
    axes[0].set_ylabel("share of targets flipped")
    drawn.suptitle(title)
    return drawn
