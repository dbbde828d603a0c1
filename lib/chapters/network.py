"""A wider network, one that trains for longer, and more networks behind TRAK: do the methods keep their order?

Removal, united tests of one training per probe. Targets stay those of the profile, and the rankings that look into no
network stay as they are; TRAK looks into networks like those that are tested.
"""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib.methods import OURS, RANDOM, label, look, marker, parse
from lib.profiles import PROFILES
from lib.report import plots, stats
from lib.retrain import Recipe
from lib.study import REMOVAL, Study

WIDTHS, EPOCHS = (0.5, 2), (1, 2)  # times the profile's own; and the paper's epochs
N_GROUPS = 3  # of targets that are tested together, at most
N_NETWORKS = 10  # of TRAK, at most, where it is the network that changes
AXES = {"width": "width of the network", "epochs": "epochs of the network", "networks": "networks behind TRAK"}
ENDS = ("", "_low", "_high")


def recipes(recipe: Recipe) -> list[Recipe]:
    """The profile's own, and that with one value changed, in the order of what a training costs."""
    wider = [replace(recipe, width=max(1, round(recipe.width * times))) for times in WIDTHS]
    return sorted({*wider, *longer(recipe, EPOCHS)}, key=lambda one: (one.width**2 * one.epochs, one.epochs))


def longer(recipe: Recipe, times: tuple[int, ...]) -> list[Recipe]:
    """The recipe with so many times its epochs, as far as the paper's, and with the paper's."""
    most = max(recipe.epochs, PROFILES["paper"].recipe.epochs)
    epochs = {min(recipe.epochs * factor, most) for factor in times} | {most}
    return [replace(recipe, epochs=n) for n in sorted(epochs)]


def tested(study: Study) -> pd.DataFrame:
    """Of `Study.supports` for every recipe, with columns width, epochs, ranking, accuracy (of votes at k = 0).

    method: the ranking with the recipe's width and epochs, a name of its own. Of the profile's own recipe TRAK is
    there with every number of networks that the profile has.
    """
    own, ensembles, tables = study.profile.recipe, study.profile.ensembles, []
    n_networks = max([n for n in ensembles if n <= N_NETWORKS], default=ensembles[0])
    for recipe in recipes(own):
        numbers = ensembles if recipe == own else (n_networks,)
        there = replace(study.attribution, profile=replace(study.profile, recipe=recipe, ensembles=numbers))
        rankings = {name: study.attribution.ranking(name) for name in (OURS, "pixels_l2", RANDOM)}
        rankings |= {name: there.ranking(name) for name in (f"trak:{n}" for n in numbers)}
        tables.append(with_recipe(study, REMOVAL, recipe, rankings))
    return pd.concat(tables, ignore_index=True)


def with_recipe(study: Study, kind: str, recipe: Recipe, rankings: dict[str, np.ndarray]) -> pd.DataFrame:
    """Of `Study.supports` by united tests of models of that recipe, with the columns that `tested` names.

    rankings: (n_targets, k_max) train ids by the name of a method.
    """
    names = {f"{name}, width {recipe.width}, {recipe.epochs} epochs": name for name in rankings}
    given = replace(study, given={one: rankings[name] for one, name in names.items()})
    groups = study.groups(united=True)[:N_GROUPS]
    supports = given.supports([(kind, one) for one in names], united=True, recipe=recipe, among=groups)
    of_recipe = {"width": recipe.width, "epochs": recipe.epochs, "accuracy": accuracy(study, supports)}
    return supports.assign(ranking=supports["method"].map(names), **of_recipe)


def accuracy(study: Study, supports: pd.DataFrame) -> float:
    """Mean test accuracy of the trainings behind supports that changed nothing."""
    trained = study.retrainings(supports)
    return float(trained.loc[trained["removed"] + trained["relabelled"] == 0, "test_accuracy"].mean())


def table(supports: pd.DataFrame, k_max: int) -> pd.DataFrame:
    """A row for each recipe and ranking: width, epochs, accuracy, method, networks (TRAK's), n, auc with its interval.

    supports: of `tested`. difference, low, high, p, verdict: of `stats.paired`, ours less it; missing for ours itself.
    """
    rows = []
    for (width, epochs), group in supports.groupby(["width", "epochs"]):
        group = group.assign(method=group["ranking"])
        for row in stats.summary(group, k_max).to_dict("records"):
            name = row["method"]
            pair = {} if name == OURS else stats.paired(group, REMOVAL, OURS, name, k_max)
            of_recipe = {"width": width, "epochs": epochs, "accuracy": group["accuracy"].iloc[0], "method": name}
            areas = {"networks": parse(name).models, "n": row["n"]} | {f"auc{end}": row[f"auc{end}"] for end in ENDS}
            judged = {key: pair.get(key) for key in ("difference", "low", "high", "p")}
            judged["verdict"] = plots.COMPARED.get(pair.get("verdict"), pair.get("verdict"))
            rows.append(of_recipe | areas | judged)
    return pd.DataFrame(rows).astype({"networks": "Int64"})


def along(rows: pd.DataFrame, recipe: Recipe, axis: str) -> pd.DataFrame:
    """The rows that differ along one of AXES alone; else the profile's own values, and TRAK's N_NETWORKS, hold."""
    others = {"width": recipe.width, "epochs": recipe.epochs}
    others.pop(axis, None)
    same = (rows[list(others)] == pd.Series(others)).all(axis=1)
    if axis != "networks":
        elsewhere = rows[(rows["width"] != recipe.width) | (rows["epochs"] != recipe.epochs)]
        same &= rows["networks"].isna() | rows["method"].isin(elsewhere["method"])
    return rows[same].sort_values([axis, "method"], kind="stable")


def gaps(supports: pd.DataFrame, k_max: int) -> dict[tuple[int, int, str], pd.Series]:
    """Ours less TRAK, difference of area by target, by width, epochs and TRAK's name. supports: of `tested`."""
    right, columns = stats.usable(supports), ["width", "epochs", "ranking"]
    areas = right.assign(auc=stats.area(right, k_max)).pivot(index="target", columns=columns, values="auc")
    rivals = [setting for setting in areas if parse(setting[2]).models]
    return {setting: areas[(*setting[:2], OURS)] - areas[setting] for setting in rivals}


def moved(supports: pd.DataFrame, recipe: Recipe, k_max: int) -> pd.DataFrame:
    """How far ours less TRAK moves from the profile's own network with TRAK's N_NETWORKS, paired by target.

    A row for each other setting: setting, n (targets that all settings get right), and of `stats.differences` its mean,
    difference, low, high, p; corrected: p by Holm. supports: of `tested`. recipe: the profile's own.
    """
    by_setting, own = gaps(supports, k_max), (recipe.width, recipe.epochs)
    elsewhere = next(name for *network, name in by_setting if tuple(network) != own)
    named = {f"width {w}, {e} epochs, {label(name)}": gap for (w, e, name), gap in by_setting.items()}
    here = f"width {recipe.width}, {recipe.epochs} epochs, {label(elsewhere)}"
    rows = stats.differences(pd.DataFrame(named).dropna(), here).drop(columns="verdict")
    return rows.rename(columns={"method": "setting"}).assign(corrected=stats.holm(rows["p"]))


def finding(rows: pd.DataFrame, moved: pd.DataFrame, recipe: Recipe) -> str:
    """What the page says first, in Markdown. rows, moved: of `table` and `moved`. recipe: the profile's own."""
    rivals, words = rows[rows["networks"].notna()], []
    for axis, shown in AXES.items():
        pairs = along(rivals, recipe, axis)[[axis, "difference", "low", "high"]].itertuples(index=False)
        words.append(f"by {shown}, {'; '.join(f'{value}: {stats.said(*pair)}' for value, *pair in pairs)}")
    every = "always" if (rivals["high"] < 0).all() else "not always"
    shown = moved[moved["corrected"] <= stats.LEVEL].to_dict("records")
    moves = "; ".join(f"{row['setting']} {stats.said_of(row, 'difference')}" for row in shown) or "none"
    return (
        f"**TRAK finds smaller supports {every} ({len(rivals)} settings, n up to {rivals['n'].max()}).** Ours less "
        f"TRAK, difference of AUC by removal: {'. And '.join(words)}. On the same {moved['n'].iloc[0]} targets it "
        f"moves from where the profile's own network is with (*p*, corrected, at most {stats.LEVEL}): {moves}."
    )


def figure(rows: pd.DataFrame, recipe: Recipe, title: str) -> Figure:
    """AUC of each ranking along each of AXES; bars are 95 % over targets. rows: of `table`."""
    plots.style()
    drawn, axes = plt.subplots(1, len(AXES), figsize=(10, 4), layout="constrained", sharey=True)
    for panel, (axis, shown) in zip(axes, AXES.items(), strict=True):
        shown_rows = along(rows, recipe, axis).assign(stem=lambda of: of["method"].map(lambda name: parse(name).stem))
        ticks = shown_rows[axis].dropna().unique()
        for i, (_, of) in enumerate(shown_rows.groupby("stem", sort=False)):
            ranking = of["method"].iloc[-1]
            _, colour, dash = look(ranking)
            drawing = {"color": colour, "linestyle": dash, "marker": marker(ranking), "label": label(ranking)}
            if of[axis].isna().any():  # it has no networks
                panel.axhline(of["auc"].iloc[0], color=colour, linestyle=dash)
                continue
            panel.errorbar(of[axis].astype(float) * 1.02**i, of["auc"], plots.span(of, "auc"), **drawing)
        panel.set(xscale="log", xlabel=shown)
        panel.set_xticks(ticks, ticks)
        panel.minorticks_off()
    axes[0].set_ylabel("AUC, removal")
    drawn.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=10)
    drawn.suptitle(title)
    return drawn
