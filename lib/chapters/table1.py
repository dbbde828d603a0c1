"""Table 1: the linear datamodeling score (LDS) of every method, and what more trainings and other subsets change."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib.lds import rank_correlation
from lib.methods import FEATURES, RANDOM, RIVALS, label, look, marker
from lib.profiles import Profile
from lib.report import Page, paper, plots, stats
from lib.rivals import Attribution, largest, sizes
from lib.study import Study

TRAININGS, WIDER = 3, 2  # per subset, and times the profile's targets
ALPHAS = (0.25, 0.5, 0.75)  # shares of the training images
FEATURES_THERE = ("moco", "supervised", "pixels")  # of Figures 2 and 3
NOT_HERE = "Not computed on this profile."


def methods(profile: Profile) -> list[str]:
    """The competing methods with all their numbers of models, the features, the control; or some of each."""
    if not profile.every_method:
        return [*largest(profile, *profile.rivals), *FEATURES_THERE, RANDOM]
    return [*(f"{name}:{size}" for name in RIVALS for size in sizes(profile, name)[::-1]), *FEATURES, RANDOM]


def papers() -> pd.DataFrame:
    """The paper's Table 1: method, models, lds."""
    rows = [(value.method, value.models, value.value) for value in paper.FIGURES["table1"].values]
    return pd.DataFrame(rows, columns=["method", "models", "lds"])


def against(scores: pd.DataFrame, better: str) -> pd.DataFrame:
    """Is the LDS of `better` higher than each other method's? Paired by target. scores: from `Attribution.lds`.

    Columns: better, worse, n, difference, low, high, p, verdict.
    """
    negative = -scores.pivot(index="target", columns="method", values="lds")  # the reference is what is subtracted
    rows = stats.differences(negative, better).drop(columns="mean").set_index("method")
    rows = rows.loc[[name for name in scores["method"].unique() if name != better]]
    rows["verdict"] = rows["verdict"].replace({"agrees": "higher", "disagrees": "lower"})
    return rows.rename_axis("worse").reset_index().assign(better=better)[["better", "worse", *rows]]


def further(page: Page) -> dict[str, pd.DataFrame]:
    """What Table 1 has beside the LDS, by the name of its table: none where it has some of the methods."""
    if not page.values.every_method:
        return {}
    makes = {"ceiling": lambda study: noise_ceiling(study.attribution)}
    makes |= {"by_trainings": by_trainings, "by_alpha": by_alpha}
    return {name: page.table(name, lambda make=make: make(page.study)) for name, make in makes.items()}


def noise_ceiling(attribution: Attribution, n_trainings: int = 1) -> pd.DataFrame:
    """What the noise of trainings leaves of the LDS, a row for each target: target, repeat, ceiling.

    repeat: rank correlation of the margins of two trainings on the same halves, the mean over pairs. ceiling: the
    correlation of the mean of n_trainings with the mean of ever more. Source: Spearman 1904, 1910; Brown 1910.
    """
    n, of = n_trainings, attribution
    margins = [of.subset_margins(of.held_out, repeat=i)[1][:, of.targets] for i in range(max(n, 2))]
    repeated = np.mean([rank_correlation(*pair) for pair in combinations(margins, 2)], axis=0)
    of_mean = n * repeated.clip(min=0) / (1 + (n - 1) * repeated.clip(min=0))
    return pd.DataFrame({"target": of.targets, "repeat": repeated, "ceiling": np.sqrt(of_mean)})


def ceilings(ceiling: pd.DataFrame) -> pd.DataFrame:
    """Means over targets with 95 % intervals. ceiling: of `noise_ceiling`."""
    rows = [{"measure": name} | stats.mean("value", ceiling[name]) for name in ("repeat", "ceiling")]
    return pd.DataFrame(rows).assign(n=len(ceiling))


def by_alpha(study: Study) -> pd.DataFrame:
    """Of `stats.lds_summary`, over models that see each of ALPHAS, a column, of the training images."""
    names = [*largest(study.profile, "trak", "datamodels"), *FEATURES]
    return pd.concat(stats.lds_summary(study.attribution.lds(names, alpha)).assign(alpha=alpha) for alpha in ALPHAS)


def wide(by_alpha: pd.DataFrame) -> pd.DataFrame:
    """The same table with a row for each method, and the values of every alpha in columns of their own."""
    table = by_alpha.drop(columns="n").pivot(index="method", columns="alpha").loc[by_alpha["method"].unique()]
    table.columns = [f"alpha {alpha}{column.removeprefix('lds')}" for column, alpha in table.columns]
    return table.reset_index()


def by_trainings(study: Study) -> pd.DataFrame:
    """The LDS over one and over TRAININGS of each subset, with WIDER targets: a row for each method and number.

    Columns: trainings, method, n, lds, lds_low, lds_high, ceiling (mean over targets), of_ceiling (lds / ceiling).
    """
    profile = study.profile
    most = {"ensembles": profile.ensembles[-1:], "subset_models": profile.subset_models[-1:]}
    wider = replace(study, profile=replace(profile, n_targets=WIDER * profile.n_targets, **most)).attribution
    tables = []
    for n in (1, TRAININGS):
        scores = wider.lds([*largest(profile, "trak", "datamodels"), "moco", RANDOM], n_trainings=n)
        ceiling = noise_ceiling(wider, n)["ceiling"].mean()
        table = stats.lds_summary(scores).assign(ceiling=ceiling, of_ceiling=lambda rows: rows["lds"] / rows["ceiling"])
        tables.append(table.assign(trainings=n))
    table = pd.concat(tables, ignore_index=True)
    return table[["trainings", *table.columns.drop("trainings")]]


def more_trainings(table: pd.DataFrame) -> str:
    """What more trainings per subset change, a sentence in Markdown. table: of `by_trainings`."""
    one, more = (of.set_index("method") for _, of in table.groupby("trainings"))
    orders = [of["lds"].rank().to_list() for of in (one, more)]
    words = "the same" if orders[0] == orders[1] else "another"
    each = ", ".join(f"{label(name)} {one['lds'][name]:.2f} to {more['lds'][name]:.2f}" for name in more.index)
    return (
        f"**From one training to {TRAININGS}, {more['n'].iloc[0]} targets:** {each}; the ceiling goes from "
        f"{one['ceiling'].iloc[0]:.2f} to {more['ceiling'].iloc[0]:.2f}. The order of the methods is {words}."
    )


def strips(scores: pd.DataFrame, title: str) -> Figure:
    """LDS of each target as a point, and their mean, a row for each method. scores: from `Attribution.lds`."""
    names = list(scores["method"].drop_duplicates())
    figure, [axis] = plots.grid(1, 1, 8, 0.45 * len(names) + 1.5)
    for height, method in enumerate(names):
        values, colour = scores.loc[scores["method"] == method, "lds"], look(method)[1]
        points = {"marker": marker(method), "markersize": 5, "markeredgewidth": 0, "linestyle": ""}
        axis.plot(values, np.full(len(values), height), color=colour, alpha=0.35, **points)
        axis.plot(values.mean(), height, "|", color="black", markersize=16, markeredgewidth=2)
    axis.set_yticks(range(len(names)), list(map(label, names)))
    axis.axvline(0, color="0.6", linestyle=":")
    axis.invert_yaxis()
    n = scores["target"].nunique()
    axis.set(xlabel=f"LDS; a point per target, n = {n}, a bar for the mean", title=title)
    figure.tight_layout()
    return figure
