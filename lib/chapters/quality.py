"""What must features have, to rank well? What is known of `featuresets`, and the supports that they lead to."""

from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib.chapters.featuresets import MEASURED, agreement, known
from lib.features import Features
from lib.methods import BLUE, ORANGE, RED
from lib.report import committed, plots, stats
from lib.rivals import largest
from lib.study import MISLABEL, REMOVAL, Study

MOCO = "MoCo"  # the name of the set that the other pages have
LABELLED = ("supervised", "EfficientNet")  # how the names of sets begin that were learnt with labels
ALL, UNLABELLED = "all", "learnt without labels"  # sets that a correlation is over
CANDIDATES = {  # column: what is known of a set without any support
    "knn": "kNN accuracy",
    "copies": "pale copies recognised, share",
    "trak": "agreement with TRAK",
    "pixels": "agreement with pixels",
    "dimensions": "effective dimensions",
}


def table(study: Study, sets: dict[str, dict[str, np.ndarray]], supports: pd.DataFrame) -> pd.DataFrame:
    """A row for each set: CANDIDATES, then for each kind of support its AUC with interval, auc_KIND, and n."""
    (rival,), k_max = largest(study.profile, "trak"), study.profile.k_max
    trak, pixels = study.attribution.scores(rival), study.attribution.scores("pixels_l2")
    areas, rows = stats.summary(supports, k_max).set_index(["kind", "method"]), []
    for name, values in sets.items():
        row = {"features": name} | {key: float(values[key]) for key in MEASURED[1:]}
        row |= {"trak": agreement(study, values["scores"], trak), "pixels": agreement(study, values["scores"], pixels)}
        for kind in supports["kind"].unique():
            this = areas.loc[kind, name]
            row |= {f"auc_{kind}{end}": this[f"auc{end}"] for end in ("", "_low", "_high")} | {"n": this["n"]}
        rows.append(row)
    return pd.DataFrame(rows)


def order(rows: pd.DataFrame) -> pd.DataFrame:
    """How well each candidate orders the sets: Spearman's correlation with the AUC over sets. rows: of `table`.

    A row for each kind, candidate and `sets`: ALL, and the UNLABELLED ones alone. p_holm: corrected for the candidates.
    """
    groups = {ALL: rows, UNLABELLED: rows[~rows["features"].str.startswith(LABELLED)]}
    kinds = [kind for kind in (REMOVAL, MISLABEL) if f"auc_{kind}" in rows]
    tables = []
    for kind, (name, group) in product(kinds, groups.items()):
        of = pd.DataFrame([correlated(group, key, f"auc_{kind}") for key in CANDIDATES])
        of.insert(0, "candidate", CANDIDATES.values())
        tables.append(of.assign(kind=kind, sets=name, p_holm=stats.holm(of["p"])))
    first = ["kind", "sets", "candidate"]
    table = pd.concat(tables, ignore_index=True)
    return table[[*first, *table.columns.drop([*first, "p"])]]


def correlated(rows: pd.DataFrame, key: str, column: str) -> dict:
    """`stats.correlated` of two columns, where both are known; of fewer than three rows nothing."""
    of_both = rows[[key, column]].dropna().to_numpy().T
    unknown = dict.fromkeys(("ours", "low", "high", "p"), np.nan) | {"n": of_both.shape[1]}
    return stats.correlated(*of_both) if of_both.shape[1] > 2 else unknown


def finding(rows: pd.DataFrame, correlations: pd.DataFrame, kind: str) -> str:
    """What goes with a large AUC, in Markdown. rows, correlations: of `table` and `order`."""
    every, others = (of for _, of in correlations[correlations["kind"] == kind].groupby("sets", sort=False))
    certain, left = (of[of["p_holm"] <= stats.LEVEL] for of in (every, others))
    up, down = (strongest(certain[sign * certain["ours"] > 0]) or "nothing" for sign in (1, -1))
    learnt = rows["features"].str.startswith(LABELLED)
    areas = ["{:.2f} to {:.2f}".format(*of[f"auc_{kind}"].agg(["min", "max"])) for of in (rows[learnt], rows[~learnt])]
    return (
        f"**Over {len(rows)} sets of features, a larger AUC of {kind} goes with more of: {up}; and with less of: "
        f"{down} (rank correlations, those that survive Holm's correction). Without the {learnt.sum()} sets learnt "
        f"with labels {'these survive it: ' + strongest(left) if len(left) else 'none survives it'}.** The strongest "
        f"there: {strongest(others, 2) or 'none'}, over {(~learnt).sum()} sets. Sets learnt with labels have "
        f"an AUC of {areas[0]}, the others of {areas[1]}, each over {rows['n'].max():.0f} targets."
    )


def strongest(of: pd.DataFrame, n: int | None = None) -> str:
    """The n strongest correlations, all if None, for a sentence. of: rows of `order`."""
    of = of.dropna(subset=["ours"]).sort_values("ours", key=lambda rho: -rho.abs(), kind="stable")[:n]
    return "; ".join(f"{row.candidate} {stats.said(row.ours, row.low, row.high)}" for row in of.itertuples())


def shown(correlations: pd.DataFrame) -> pd.DataFrame:
    """The table of `order` as the page shows it."""
    names = dict(zip(("ours", "low", "high"), (f"rank correlation{end}" for end in ("", "_low", "_high")), strict=True))
    return correlations.rename(columns=names).assign(test="permutations of sets")


def placed(study: Study, name: str, vectors: Features, supports: pd.DataFrame) -> tuple[pd.DataFrame, Figure]:
    """Features of one's own among the sets of the book: their row of `table`, and the `figure` with them in it.

    name: of their ranking by the exemplar SVM in supports, of `Study.supports`. Raises FileNotFoundError where the
    profile has no sets.
    """
    rows, correlations = (committed.table(study.profile, "quality", table) for table in ("rows", "correlations"))
    of_own = supports[(supports["method"] == name) & (supports["kind"] == REMOVAL)]
    own = table(study, {name: known(vectors, study.dataset, study.targets)}, of_own)
    title = f"Profile {study.profile.name}: {name} (star) among the features of the book"
    return own, figure(pd.concat([rows, own], ignore_index=True), correlations, REMOVAL, title, own=name)


def against_moco(supports: pd.DataFrame, k_max: int) -> pd.DataFrame:
    """The book's MoCo less every MoCo that learnt for fewer epochs or from more images: rows of `stats.paired`.

    By removal, paired by target. supports: of `Study.supports`.
    """
    names = [name for name in supports["method"].unique() if name.startswith(f"{MOCO},") or name.startswith(f"{MOCO} ")]
    others = [name for name in names if not name.endswith(" dimensions")]
    return pd.DataFrame([stats.paired(supports, REMOVAL, MOCO, name, k_max) for name in others])


def figure(rows: pd.DataFrame, correlations: pd.DataFrame, kind: str, title: str, own: str | None = None) -> Figure:
    """AUC of a kind of support against each candidate, a point a set, with its interval; hollow where reduced.

    own: the set that is drawn as a star.
    """
    plots.style()
    drawn, axes = plt.subplots(2, 3, figsize=(10, 6.4), layout="constrained", sharey=True)
    names, ordered = rows["features"], correlations[(correlations["kind"] == kind) & (correlations["sets"] == ALL)]
    few, learnt = names.str.endswith(" dimensions"), names.str.startswith(LABELLED)
    groups = {own: (names == own, {"fmt": "*", "color": RED, "ms": 14})}
    for how, of, colour in ((UNLABELLED, ~learnt, BLUE), ("learnt with labels", learnt, ORANGE)):
        of &= names != own
        groups[how] = of & ~few, {"fmt": "o", "color": colour}
        groups[f"{how}, few dimensions"] = of & few, {"fmt": "o", "color": colour, "mfc": "white"}
    for axis, (key, shown) in zip(axes.flat, CANDIDATES.items(), strict=False):
        for name, (of, shape) in groups.items():
            group, area = rows[of], f"auc_{kind}"
            if len(group):
                axis.errorbar(group[key], group[area], plots.span(group, area), lw=1, label=name, **shape)
        ours, low, high, n = ordered.set_index("candidate").loc[shown, ["ours", "low", "high", "n"]]
        axis.set_title(f"{shown}\n{stats.said(ours, low, high)}, {n:.0f} sets", fontsize=11)
        if key == "dimensions":
            axis.set(xscale="log", xticks=(ticks := [3, 10, 30]), xticklabels=ticks)
            axis.minorticks_off()
    axes[1, 2].axis("off")
    axes[1, 2].legend(*axes[0, 0].get_legend_handles_labels(), loc="center", fontsize=9)
    drawn.supylabel(f"AUC, {kind}")
    drawn.suptitle(f"{title}; bars: 95 % over n = {rows['n'].max():.0f} targets")
    return drawn
