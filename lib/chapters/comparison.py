"""All methods in one table: how small are the supports that each finds, what does it predict, and what does it cost?

Supports and margins come from united tests, all methods alike; a ranking of all classes cannot be united and is tested
target by target.
"""

from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from lib.methods import DOTTED, OURS, RANDOM, RIVALS, SUBSET_METHODS, label, look, marker, parse
from lib.profiles import Profile
from lib.report import paper, plots, stats
from lib.rivals import largest
from lib.study import MISLABEL, REMOVAL, Study

BY_FEATURES = (OURS, "moco_l2", "supervised_l2", "pixels_l2")
N_SEEDS = 3  # trainings for each k, if not said otherwise
COLUMNS = {  # of the table of all methods
    "removal_auc": "removal AUC",
    "mislabel_auc": "mislabelling AUC",
    "margin_drop": "fall of the margin",
    "lds": "LDS",
}


def methods(profile: Profile) -> list[str]:
    """Every method, or those of Figures 2 and 3; competing ones with the largest number of models of the profile."""
    if not profile.every_method:
        return [*BY_FEATURES, *largest(profile, *profile.rivals), RANDOM]
    return [*BY_FEATURES, *largest(profile, *RIVALS), RANDOM, f"{RANDOM}:all"]


def ks(profile: Profile) -> list[int]:
    """The fixed k, up to a quarter of k_max: by default an eighth of the class, where united tests show no bias."""
    return sorted({max(1, profile.k_max // share) for share in (16, 8, 4)})


def margins(study: Study, names: list[str], n_seeds: int = N_SEEDS) -> pd.DataFrame:
    """Margins of all targets with the first k images of each ranking removed; see `Study.margins`."""
    return study.margins(_removals(study, names), [0, *ks(study.profile)], n_seeds)


def across_networks(study: Study, names: list[str]) -> pd.DataFrame:
    """As `margins`, at the largest of `ks`, on every network of the profile: with a column network."""
    tests, k = _removals(study, names), ks(study.profile)[-1]
    recipes = (study.profile.recipe, *study.profile.transfer)
    tables = [study.margins(tests, [0, k], N_SEEDS, recipe).assign(network=recipe.arch) for recipe in recipes]
    return pd.concat(tables, ignore_index=True)


def supports(study: Study, names: list[str]) -> pd.DataFrame:
    """Removal and mislabelling supports; see `Study.supports`."""
    tables = []
    for united in (True, False):
        curves = [(kind, name) for kind in (REMOVAL, MISLABEL) for name in names if parse(name).same_class == united]
        tables += [study.supports(curves, united)] if curves else []
    return pd.concat(tables, ignore_index=True)


def table(study: Study, supports: pd.DataFrame) -> pd.DataFrame:
    """What each method finds and costs, by removal AUC: method, models, removal_auc, mislabel_auc, each with _low and
    _high, seconds, bytes, n_targets.

    supports: of the function `supports`. models: networks that the method looks into.
    """
    areas = stats.summary(supports, study.profile.k_max).set_index(["method", "kind"])
    rows = []
    for name in supports["method"].drop_duplicates():
        method = study.attribution.parse(name)
        row = {"method": name, "models": method.models or int(method.features not in (None, "pixels"))}
        for kind in (REMOVAL, MISLABEL):
            row |= {f"{kind}_{key}": areas.loc[(name, kind), key] for key in ("auc", "auc_low", "auc_high")}
        row |= {"seconds": study.attribution.seconds(name), "bytes": study.attribution.stored_bytes(name)}
        rows.append(row | {"n_targets": areas.loc[(name, REMOVAL), "n"]})
    return pd.DataFrame(rows).sort_values("removal_auc", ascending=False, ignore_index=True)


def margin_drops(at_fixed_k: pd.DataFrame) -> pd.DataFrame:
    """Mean fall of the margin at the largest k: method, margin_drop, margin_drop_low, margin_drop_high.

    at_fixed_k: of `stats.fixed_k`.
    """
    largest = at_fixed_k[at_fixed_k["k"] == at_fixed_k["k"].max()]
    drops = largest[["method", "drop", "drop_low", "drop_high"]]
    return drops.rename(columns=lambda name: name.replace("drop", "margin_drop"))


def lds(study: Study, names: list[str]) -> pd.DataFrame:
    """LDS of each method, that of the features for rankings by features: method, lds, lds_low, lds_high."""
    scored_as = {name: study.attribution.parse(name).features or name for name in names}
    scores = stats.lds_summary(study.attribution.lds(list(dict.fromkeys(scored_as.values())))).set_index("method")
    return scores.loc[list(scored_as.values())].drop(columns="n").assign(method=list(scored_as)).reset_index(drop=True)


def shared(study: Study, names: list[str]) -> pd.DataFrame:
    """Mean share of common images among the first k of two targets of one class, k the largest of `ks`.

    Columns: method, k, shared, most shared first; no row where each target is alone in its class.
    """
    k, labels = ks(study.profile)[-1], study.dataset.test_labels[study.targets]
    pairs = [(i, j) for i, j in combinations(range(len(labels)), 2) if labels[i] == labels[j]]
    rows = []
    for name in names if pairs else ():
        first = study.attribution.ranking(name)[:, :k]
        common = [len(np.intersect1d(first[i], first[j])) / k for i, j in pairs]
        rows.append({"method": name, "k": k, "shared": np.mean(common)})
    rows = pd.DataFrame(rows, columns=["method", "k", "shared"])
    return rows.sort_values("shared", ascending=False, ignore_index=True)


def parts(study: Study, methods: pd.DataFrame, supports: pd.DataFrame, margins: pd.DataFrame) -> pd.DataFrame:
    """What the whole comparison costs from nothing, each training counted once: part, core_hours.

    methods: of `table`. supports, margins: of the functions of that name.
    """
    attribution, profile = study.attribution, study.profile
    by_name = methods.set_index("method")["seconds"]
    fitted = [method for method in map(parse, by_name.index) if method.stem in SUBSET_METHODS]
    seconds = {
        "models on random halves": max(profile.subset_models, default=0) + profile.lds_models,
        "features, networks and scores": -sum(method.models for method in fitted),
    }
    seconds = {part: models * attribution.subset_seconds for part, models in seconds.items()}
    # less the features of MoCo, which are those of the exemplar SVM too
    seconds["features, networks and scores"] += by_name.sum() - by_name["moco_l2"]
    for part, table in (("supports", supports), ("margins at fixed k", margins)):
        seconds[part] = study.retrainings(table)["seconds"].sum()
    seconds["all"] = sum(seconds.values())
    return pd.DataFrame({"part": list(seconds), "core_hours": [value / 3600 for value in seconds.values()]})


def at_the_papers_numbers(methods: pd.DataFrame) -> pd.DataFrame:
    """TRAK and Datamodels with the paper's numbers of models, in proportion.

    methods: of `table`. Columns: method, seconds, bytes, times_our_seconds, times_our_bytes.
    """
    ours = methods.set_index("method").loc[OURS]
    rows = []
    for name, numbers in paper.FIGURES["fig01"].models.items():
        measured = methods[methods["method"].str.startswith(f"{name}:")]
        for models in numbers if len(measured) else ():  # a profile may have no models for a rival
            costs = {key: models / measured["models"].iloc[0] * measured[key].iloc[0] for key in ("seconds", "bytes")}
            ratios = {f"times_our_{key}": cost / ours[key] for key, cost in costs.items()}
            rows.append({"method": f"{name}:{models}"} | costs | ratios)
    return pd.DataFrame(rows)


def transfer_losses(supports: pd.DataFrame, network: str, k_max: int) -> pd.DataFrame:
    """What each ranking's AUC loses where another network than `network` is trained, paired by target.

    supports: of `Study.supports`, with a column network. Columns: network, method, n, loss and beyond_random (the loss
    less that of the random ranking, on the same targets), both with _low and _high.
    """
    usable = stats.usable(supports)
    usable = usable.assign(area=stats.area(usable, k_max))
    areas = usable.pivot(index="target", columns=["network", "method"], values="area")
    rows = []
    for other in supports["network"].drop_duplicates()[lambda names: names != network]:
        losses = (areas[network] - areas[other]).dropna()
        for method in losses:
            beyond = losses[method] - losses[RANDOM]
            row = {"network": other, "method": method, "n": len(losses)}
            row |= stats.mean("loss", losses[method], stats.paired_interval)
            rows.append(row | stats.mean("beyond_random", beyond, stats.paired_interval))
    return pd.DataFrame(rows)


def _removals(study: Study, names: list[str]) -> list[list]:
    """Tests that remove what each ranking names: united, but for rankings of all classes."""
    return [[(REMOVAL, name, i) for i in group] for name in names for group in study.groups(parse(name).same_class)]


def forest(rows: pd.DataFrame, title: str) -> Figure:
    """All methods, a line each, and a panel for each measure with its 95 % intervals. rows: of `table`."""
    figure, axes = plots.grid(len(COLUMNS), len(COLUMNS), 13 / len(COLUMNS), 0.36 * len(rows) + 1.6, sharey=True)
    for axis, (column, name) in zip(axes, COLUMNS.items(), strict=True):
        for height, row in enumerate(rows.to_dict("records")):
            sign, colour = marker(row["method"]), look(row["method"])[1]
            axis.errorbar(row[column], height, xerr=plots.span(row, column), fmt=sign, color=colour)
        axis.axvline(0, color="0.6", linestyle=DOTTED)
        axis.set(xlabel=name)
    axes[0].set_yticks(range(len(rows)), rows["method"].map(label))
    axes[0].invert_yaxis()
    return plots.titled(figure, title)


def fixed_k(rows: pd.DataFrame, references: list[str], title: str) -> Figure:
    """Mean fall of the margin against k, a panel for each method, with the references' lines in each for comparison.

    rows: `stats.fixed_k`, of one kind.
    """
    methods = [method for method in rows["method"].unique() if method not in references]
    figure, axes = plots.grid(len(methods), 4, 3.1, 2.5, sharex=True, sharey=True)
    for axis, method in zip(axes, methods, strict=True):
        for name in [*references, method]:
            line = rows[rows["method"] == name]
            plots.line(axis, line["k"], line["drop"], (line["drop_low"], line["drop_high"]), *look(name), width=1.5)
        axis.set_title(label(method), fontsize=10)
        axis.set_xscale("log", base=2)
        axis.set_xticks(k := sorted(rows["k"].unique()), k)
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles[: len(references)], names[: len(references)], loc="upper right", ncols=2, frameon=False)
    return plots.titled(figure, title, "training images removed, k", "mean fall of the margin", x=0.02, ha="left")


def costs(rows: pd.DataFrame, scaled: pd.DataFrame, title: str) -> Figure:
    """Figure 1: seconds against bytes, measured (filled) and extrapolated (hollow); removal against mislabelling AUC.

    rows: `table`. scaled: `at_the_papers_numbers`.
    """
    figure, (cost, quality) = plots.grid(2, 2, 6.75, 5)
    for row in rows.to_dict("records"):
        (name, colour, _), sign = look(row["method"]), marker(row["method"])
        if row["bytes"]:
            above = 3 if row["method"] == OURS else 2  # where two cost the same
            cost.plot(row["seconds"], row["bytes"] / 1e6, sign, color=colour, zorder=above)
        spans = {"xerr": plots.span(row, "removal_auc"), "yerr": plots.span(row, "mislabel_auc")}
        point = row["removal_auc"], row["mislabel_auc"]
        quality.errorbar(*point, **spans, fmt=sign, color=colour, ecolor=(*to_rgb(colour), 0.3), label=name)
    for row in scaled.to_dict("records"):
        point = row["seconds"], row["bytes"] / 1e6
        cost.plot(*point, marker(row["method"]), color=look(row["method"])[1], fillstyle="none")
        cost.annotate(label(row["method"]), point, xytext=(-6, 6), textcoords="offset points", fontsize=8, ha="right")
    cost.margins(0.12)
    cost.set(xscale="log", yscale="log", xlabel="core-seconds", ylabel="MB to be kept", title="(a) cost")
    n = rows["n_targets"].min()
    quality.set(xlabel="removal AUC", ylabel="mislabelling AUC", title=f"(b) quality, n = {n} targets, 95 % intervals")
    quality.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8, frameon=False)
    return plots.titled(figure, title)


def heat_map(values: pd.DataFrame, colour: pd.DataFrame, title: str, name: str) -> Figure:
    """A table as a picture: `value`, and its interval below it, in each cell.

    values: rows with columns row, column, value, low, high, in the order to be shown. colour: what each cell is
    coloured by, (rows, columns) with their names. name: of that.
    """
    rows, columns = (list(values[key].drop_duplicates()) for key in ("row", "column"))
    texts = [f"{v:.2f}\n[{low:.2f}, {high:.2f}]" for v, low, high in values[["value", "low", "high"]].to_numpy()]
    cells = values.assign(text=texts).pivot(index="row", columns="column", values="text").loc[rows, columns]
    figure, [axis] = plots.grid(1, 1, 0.94 * len(columns) + 3.2, 0.5 * len(rows) + 1.4)
    shades = colour.loc[rows, columns].astype(float)
    options = {"cmap": "vlag", "center": 0} if (shades.to_numpy() < 0).any() else {"cmap": "rocket_r"}
    sns.heatmap(shades, annot=cells, fmt="", ax=axis, annot_kws={"fontsize": 8}, cbar_kws={"label": name}, **options)
    axis.set(xlabel="", ylabel="", title=title)
    plt.setp(axis.get_xticklabels(), rotation=30, ha="right", rotation_mode="anchor")
    figure.tight_layout()
    return figure
