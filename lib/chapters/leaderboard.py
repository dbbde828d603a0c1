"""All methods of a profile in one table, the book's and those that others hand in: what is reached, and for which cost.

    leaderboard/NAME/{scores.npy, method.yaml} -> `Entry` -> a JudgedStudy with its ledger beside -> a row

An entry carries its scores and the retrainings that judged them, so that anyone can compute its row again.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from lib.chapters import comparison, given, judge
from lib.chapters.judge import Judged, JudgedStudy
from lib.data import ROOT
from lib.methods import OURS, RANDOM, label, look, marker
from lib.report import Page, plots, stats
from lib.study import REMOVAL, Study

FOLDER = ROOT / "leaderboard"


@dataclass(frozen=True)
class Entry:
    """A method of others. method: its name. profile: that its scores are of. by: who hands it in.

    seconds: core-seconds, from images to scores, networks included. bytes: to be kept for further targets. source:
    where its code is. machine: that took the seconds.
    """

    folder: Path
    method: str
    profile: str
    by: str
    source: str
    seconds: float
    bytes: int
    machine: str


def entries(profile: str, folder: Path = FOLDER) -> list[Entry]:
    """Those of a profile, by folder. ValueError, naming the file, where one says too little or something else."""
    known = [_entry(path) for path in sorted(folder.glob("*/method.yaml"))]
    return [entry for entry in known if entry.profile == profile]


def _entry(path: Path) -> Entry:
    stated, kinds = yaml.safe_load(path.read_text(encoding="utf-8")), {f.name: f.type for f in fields(Entry)[1:]}
    if not isinstance(stated, dict) or set(stated) != set(kinds):
        raise ValueError(f"{path} must say {', '.join(kinds)}, and nothing else")
    for key, value in stated.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0
        if not (number if kinds[key] in (float, int) else isinstance(value, str) and value):
            raise ValueError(f"{path}: {key}={value!r} must be {'text' if kinds[key] is str else 'a number from 0 on'}")
    return Entry(path.parent, **stated)


def judged(study: Study, entry: Entry) -> tuple[JudgedStudy, Judged]:
    """The study that judges an entry, whose retrainings are kept beside its scores, and what it judges.

    Errors: of `given.read` and `given.ranked`.
    """
    own = Judged(entry.method, *given.ranked(given.read(str(entry.folder / "scores.npy")), study))
    options = {field.name: getattr(study, field.name) for field in fields(Study)}
    options |= {"given": {entry.method: own.ranking}}
    return JudgedStudy(**options, judged=entry.method, home=entry.folder), own


def row(study: Study, entry: Entry) -> dict:
    """An entry's row of `board`. What its ledger and the profile's lack is trained, into its own."""
    mine, own = judged(study, entry)
    supports = mine.supports([(kind, entry.method) for kind in judge.KINDS], united=True)
    areas = stats.summary(supports, study.profile.k_max).set_index("kind")
    beside = pd.concat([supports, mine.supports([(REMOVAL, OURS)], united=True)])
    values = {"method": entry.method, "n_targets": int(areas["n"].iloc[0])}
    for kind in judge.KINDS:
        values |= {f"{kind}_{key}": areas.loc[kind, key] for key in ("auc", "auc_low", "auc_high")}
    values |= dict.fromkeys(("lds", "lds_low", "lds_high"), np.nan)
    if own.scores is not None:
        table = stats.lds_summary(judge.lds_scores(mine, [own])).set_index("method").loc[entry.method]
        values |= {key: table[key] for key in ("lds", "lds_low", "lds_high")}
    paired = ours_less(beside, study.profile.k_max).iloc[0]
    return values | paired.to_dict() | {"seconds": entry.seconds, "bytes": entry.bytes, "by": entry.by}


def ours_less(supports: pd.DataFrame, k_max: int) -> pd.DataFrame:
    """AUC of removal of ours less that of each other method, paired by target: method, n, difference, low, high, p."""
    names = [name for name in supports["method"].unique() if name != OURS]
    rows = [stats.paired(supports, REMOVAL, OURS, name, k_max) for name in names]
    return pd.DataFrame(rows).rename(columns={"worse": "method"})[["method", "n", "difference", "low", "high", "p"]]


def of_the_book(study: Study) -> pd.DataFrame:
    """The rows of the page of methods; where it has not been made for the profile, of ours and of random alone."""
    stored = study.folder / "methods.csv", study.folder / "methods" / "supports.csv"
    if all(path.exists() for path in stored):
        table, supports = map(pd.read_csv, stored)
    else:
        names = [OURS, RANDOM]
        supports = comparison.supports(study, names)
        table = comparison.table(study, supports).merge(comparison.lds(study, names), on="method")
    return table.merge(ours_less(supports, study.profile.k_max), on="method", how="left")


def board(page: Page) -> pd.DataFrame:
    """A row a method, the largest AUC of removal first; none in a dry run, which has no scores.

    Columns: method, by, n_targets; removal_auc, mislabel_auc, lds, each with _low and _high (95 % over targets);
    difference: of AUC of removal, ours less this method, with low, high and p_holm over all rows; seconds, bytes;
    undominated: whether no method reaches as large an AUC of removal in as few seconds.
    """
    measures = "removal_auc", "mislabel_auc", "lds"
    auc, *others = ([f"{name}{end}" for end in ("", "_low", "_high")] for name in measures)
    columns = ["method", "by", "n_targets", *auc, "difference", "low", "high", "p_holm", *sum(others, [])]
    columns += ["seconds", "bytes"]
    if page.tally is not None:
        return pd.DataFrame(columns=columns, index=page.study.targets[:0])
    added = [row(page.study, entry) for entry in entries(page.values.name)]
    rows = pd.concat([of_the_book(page.study).assign(by="this book"), pd.DataFrame(added)], ignore_index=True)
    rows = rows.assign(p_holm=stats.holm(rows["p"]))
    rows = rows.sort_values("removal_auc", ascending=False, kind="stable", ignore_index=True)[columns]
    return rows.assign(undominated=undominated(rows, "seconds"))


def finding(board: pd.DataFrame, data: str) -> str:
    """The page's first line, in Markdown. board: of `board`. data: its name."""
    if not len(board):
        return ""
    of, auc = board.set_index("method"), ["removal_auc", "removal_auc_low", "removal_auc_high"]
    best, ours = (f"{label(name)} {stats.said(*of.loc[name, auc])}" for name in (of.index[0], OURS))
    certain = of[of["p_holm"] <= stats.LEVEL]
    smaller, larger = (label_all(certain.index[sign * certain["difference"] > 0]) for sign in (-1, 1))
    return (
        f"**Of {len(of)} methods on {data}, {label(of.index[0])} has the largest AUC of removal: {best}, "
        f"{ours}, n = {of.loc[OURS, 'n_targets']} targets.** Paired by target and corrected for all rows, these find "
        f"smaller supports than {label(OURS)}: {smaller}. These find larger ones: {larger}. Of the others it is "
        f"undecided. Undominated, so that no other method reaches as much in as few seconds, are: "
        f"{label_all(of.index[of['undominated']])}."
    )


def label_all(names: Iterable[str]) -> str:
    """For a sentence. Labels have commas of their own."""
    return "; ".join(map(label, names)) or "none"


def undominated(rows: pd.DataFrame, cost: str) -> np.ndarray:
    """(n,) bool: no other row has as large an AUC of removal for as little, and more of it or for less."""
    cost, reached = rows[cost].to_numpy(), rows["removal_auc"].to_numpy()
    as_good = (cost <= cost[:, None]) & (reached >= reached[:, None])
    better = (cost < cost[:, None]) | (reached > reached[:, None])
    return ~(as_good & better).any(axis=1)


def dominance(rows: pd.DataFrame, title: str) -> Figure:
    """The AUC of removal against core-seconds and against bytes; a line through what nothing dominates."""
    plots.style()
    figure, axes = plt.subplots(1, 2, figsize=(13, 5.4), sharey=True, layout="constrained")
    for axis, cost, name in zip(axes, ("seconds", "bytes"), ("core-seconds", "bytes to be kept"), strict=True):
        for point in rows.to_dict("records"):
            style = {"color": look(point["method"])[1], "ecolor": "0.7", "elinewidth": 0.8, "zorder": 2}
            style |= {"fmt": marker(point["method"]), "label": label(point["method"])}
            axis.errorbar(point[cost], point["removal_auc"], plots.span(point, "removal_auc"), **style)
        best = undominated(rows, cost)
        line = rows[best].sort_values(cost)
        axis.step(line[cost], line["removal_auc"], where="post", color="0.4", zorder=1)
        for point in rows[best | (rows["method"] == OURS)].to_dict("records"):
            own, right = point["method"] == OURS, point[cost] > rows[cost].max() / 10
            place = {"xytext": (-8 if own or right else 6, 0 if own else 6), "ha": "right" if own or right else "left"}
            at, words = (point[cost], point["removal_auc"]), {"textcoords": "offset points", "fontsize": 9}
            axis.annotate(label(point["method"]), at, va="center" if own else "baseline", **words, **place)
        axis.set_xscale("symlog", linthresh=0.01 if cost == "seconds" else 1e4)
        axis.set(xlabel=name)
    axes[0].set(ylabel="removal AUC")
    handles = axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside right center", fontsize=8, title="largest AUC first", title_fontsize=8)
    figure.suptitle(f"{title}; bars: 95 % over n = {rows['n_targets'].max()} targets")
    return figure
