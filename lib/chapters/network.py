"""A wider network, and one that trains for longer: do the methods keep their order?

Removal, united tests of one training per probe. Targets stay those of the profile, and the rankings that look into no
network stay as they are; TRAK looks into networks like those that are tested.
"""

from dataclasses import replace

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from lib.methods import OURS, RANDOM, label, look, marker
from lib.report import plots, stats
from lib.retrain import Recipe
from lib.study import REMOVAL, Study

WIDTHS, EPOCHS = (0.5, 2), (2, 4)  # times the profile's own
N_NETWORKS = 10  # of TRAK, at most
AXES = ("width", "epochs")
ENDS = ("", "_low", "_high")


def recipes(recipe: Recipe) -> list[Recipe]:
    """The profile's own, and that with one value changed, in the order of what a training costs."""
    wider = [replace(recipe, width=max(1, round(recipe.width * times))) for times in WIDTHS]
    longer = [replace(recipe, epochs=recipe.epochs * times) for times in EPOCHS]
    return sorted([recipe, *wider, *longer], key=lambda one: (one.width**2 * one.epochs, one.epochs))


def tested(study: Study) -> pd.DataFrame:
    """Of `Study.supports` for every recipe, with columns width, epochs, ranking, accuracy (of votes at k = 0).

    method: the ranking with the recipe's width and epochs, a name of its own.
    """
    n_networks, tables = min(N_NETWORKS, study.profile.ensembles[-1]), []
    trak = f"trak:{n_networks}"
    for recipe in recipes(study.profile.recipe):
        here = replace(study.profile, recipe=recipe, ensembles=(n_networks,))
        rankings = {name: study.attribution.ranking(name) for name in (OURS, "pixels_l2", RANDOM)}
        rankings[trak] = replace(study.attribution, profile=here).ranking(trak)
        names = {f"{name}, width {recipe.width}, {recipe.epochs} epochs": name for name in rankings}
        given = replace(study, given={own: rankings[name] for own, name in names.items()})
        supports = given.supports([(REMOVAL, own) for own in names], united=True, recipe=recipe)
        of_recipe = {"width": recipe.width, "epochs": recipe.epochs, "accuracy": accuracy(study, supports)}
        tables.append(supports.assign(ranking=supports["method"].map(names), **of_recipe))
    return pd.concat(tables, ignore_index=True)


def accuracy(study: Study, supports: pd.DataFrame) -> float:
    """Mean test accuracy of the trainings behind supports that changed nothing."""
    trained = study.retrainings(supports)
    return float(trained.loc[trained["removed"] == 0, "test_accuracy"].mean())


def table(supports: pd.DataFrame, k_max: int) -> pd.DataFrame:
    """A row for each recipe and ranking: width, epochs, accuracy, ranking, n, auc with its interval, and ours less it.

    supports: of `tested`. difference, low, high, p, verdict: of `stats.paired`; missing for ours itself.
    """
    rows = []
    for (width, epochs), group in supports.groupby(["width", "epochs"]):
        of_recipe = {"width": width, "epochs": epochs, "accuracy": group["accuracy"].iloc[0]}
        group = group.assign(method=group["ranking"])
        for row in stats.summary(group, k_max).to_dict("records"):
            pair = {} if row["method"] == OURS else stats.paired(group, REMOVAL, OURS, row["method"], k_max)
            keys = ("difference", "low", "high", "p", "verdict")
            areas = {"ranking": row["method"], "n": row["n"]} | {f"auc{end}": row[f"auc{end}"] for end in ENDS}
            rows.append(of_recipe | areas | {key: pair.get(key) for key in keys})
    return pd.DataFrame(rows)


def along(rows: pd.DataFrame, recipe: Recipe, axis: str) -> pd.DataFrame:
    """The rows in which the other of AXES has the profile's own value."""
    (other,) = set(AXES) - {axis}
    return rows[rows[other] == getattr(recipe, other)].sort_values(axis, kind="stable")


def finding(rows: pd.DataFrame, recipe: Recipe) -> str:
    """What the page says first, in Markdown. rows: of `table`. recipe: the profile's own."""
    rivals, words = rows[rows["ranking"].str.startswith("trak")], []
    for axis in AXES:
        of_axis = along(rivals, recipe, axis)
        each = (
            f"{row[axis]}: {stats.said(row['difference'], row['low'], row['high'])}" for _, row in of_axis.iterrows()
        )
        words.append(f"by {axis}, {'; '.join(each)}")
    every = "at every one" if (rivals["high"] < 0).all() else "not at every one"
    overlap = "all overlap: no trend is shown" if rivals["low"].max() < rivals["high"].min() else "do not all overlap"
    return (
        f"**Ours less {label(rivals['ranking'].iloc[0])}, difference of AUC by removal: {'; and '.join(words)}.** TRAK "
        f"finds smaller supports {every} of {len(rivals)} networks, and the intervals {overlap} (n up to "
        f"{rivals['n'].max()})."
    )


def figure(rows: pd.DataFrame, recipe: Recipe, title: str) -> Figure:
    """AUC of each ranking against the width, and against the epochs, of the network; bars are 95 % over targets."""
    plots.style()
    drawn, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained", sharey=True)
    for axes_of, axis in zip(axes, AXES, strict=True):
        for i, (ranking, of) in enumerate(along(rows, recipe, axis).groupby("ranking", sort=False)):
            shown, colour, dash = look(ranking)
            spans = [of["auc"] - of["auc_low"], of["auc_high"] - of["auc"]]
            drawing = {"color": colour, "linestyle": dash, "marker": marker(ranking), "label": shown}
            axes_of.errorbar(of[axis] * 1.02**i, of["auc"], spans, **drawing)
        ticks = along(rows, recipe, axis)[axis].unique()
        axes_of.set(xscale="log", xlabel=f"{axis} of the network")
        axes_of.set_xticks(ticks, ticks)
        axes_of.minorticks_off()
    axes[0].set_ylabel("AUC, removal")
    drawn.legend(*axes[1].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=10)
    drawn.suptitle(title)
    return drawn
