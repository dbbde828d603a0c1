"""All methods of a profile in one table, the book's and those that others hand in: what is reached, and for which cost.

    leaderboard/NAME/{scores.npy, method.yaml} -> `Entry` -> a JudgedStudy with its ledger beside -> a row

An entry carries its scores and the retrainings that judged them, so that anyone can compute its row again.
"""

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
from lib.methods import OURS, RANDOM, label, look
from lib.report import Page, stats
from lib.study import Study

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


@dataclass(frozen=True, kw_only=True)
class EntryStudy(JudgedStudy):
    """A study of an entry, whose retrainings are kept beside its scores."""

    entry: Entry

    @property
    def own_folder(self) -> Path:
        return self.entry.folder


def entries(profile: str, folder: Path = FOLDER) -> list[Entry]:
    """Those of a profile, by folder. ValueError, naming the file, where one says too little or something else."""
    known = [_entry(path) for path in sorted(folder.glob("*/method.yaml"))]
    return [entry for entry in known if entry.profile == profile]


def _entry(path: Path) -> Entry:
    told, kinds = yaml.safe_load(path.read_text(encoding="utf-8")), {f.name: f.type for f in fields(Entry)[1:]}
    if not isinstance(told, dict) or set(told) != set(kinds):
        raise ValueError(f"{path} must say {', '.join(kinds)}, and nothing else")
    for key, value in told.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0
        if not (number if kinds[key] in (float, int) else isinstance(value, str) and value):
            raise ValueError(f"{path}: {key}={value!r} must be {'text' if kinds[key] is str else 'a number from 0 on'}")
    return Entry(path.parent, **told)


def judged(study: Study, entry: Entry) -> tuple[EntryStudy, Judged]:
    """The study that judges an entry, and what it judges. Errors: of `given.read` and `given.ranked`."""
    own = Judged(entry.method, *given.ranked(given.read(str(entry.folder / "scores.npy")), study))
    options = {field.name: getattr(study, field.name) for field in fields(Study)}
    options |= {"given": {entry.method: own.ranking}}
    return EntryStudy(**options, judged=entry.method, entry=entry), own


def row(study: Study, entry: Entry) -> dict:
    """An entry's row of `board`. What its ledger and the profile's lack is trained, into its own."""
    mine, own = judged(study, entry)
    supports = mine.supports([(kind, entry.method) for kind in judge.KINDS], united=True)
    areas = stats.summary(supports, study.profile.k_max).set_index("kind")
    values = {"method": entry.method, "n_targets": int(areas["n"].iloc[0])}
    for kind in judge.KINDS:
        values |= {f"{kind}_{key}": areas.loc[kind, key] for key in ("auc", "auc_low", "auc_high")}
    values |= dict.fromkeys(("lds", "lds_low", "lds_high"), np.nan)
    if own.scores is not None:
        table = judge.lds_table(mine, [own]).set_index("method").loc[entry.method]
        values |= {key: table[key] for key in ("lds", "lds_low", "lds_high")}
    return values | {"seconds": entry.seconds, "bytes": entry.bytes, "by": entry.by}


def of_the_book(study: Study) -> pd.DataFrame:
    """The rows of the page of methods; where it has not been made for the profile, of ours and of random alone."""
    stored = study.folder / "methods.csv"
    if stored.exists():
        return pd.read_csv(stored)
    names = [OURS, RANDOM]
    table = comparison.table(study, comparison.supports(study, names))
    return table.merge(comparison.lds(study, names), on="method")


def board(page: Page, folder: Path = FOLDER) -> pd.DataFrame:
    """A row a method, the largest AUC of removal first; none in a dry run, which has no scores.

    Columns: method, by, n_targets; removal_auc, mislabel_auc, lds, each with _low and _high (95 % over targets);
    seconds, bytes; undominated: whether no method reaches as large an AUC of removal in as few seconds.
    """
    keep = [f"{value}{end}" for value in ("removal_auc", "mislabel_auc", "lds") for end in ("", "_low", "_high")]
    columns = ["method", "by", "n_targets", *keep, "seconds", "bytes"]
    if page.tally is not None:
        return pd.DataFrame(columns=columns, index=page.study.targets[:0])
    added = [row(page.study, entry) for entry in entries(page.values.name, folder)]
    rows = pd.concat([of_the_book(page.study).assign(by="this book"), pd.DataFrame(added)], ignore_index=True)
    rows = rows.sort_values("removal_auc", ascending=False, kind="stable", ignore_index=True)[columns]
    return rows.assign(undominated=undominated(rows, "seconds"))


def undominated(rows: pd.DataFrame, cost: str) -> np.ndarray:
    """(n,) bool: no other row has as large an AUC of removal for as little, and more of it or for less."""
    cost, reached = rows[cost].to_numpy(), rows["removal_auc"].to_numpy()
    as_good = (cost <= cost[:, None]) & (reached >= reached[:, None])
    better = (cost < cost[:, None]) | (reached > reached[:, None])
    return ~(as_good & better).any(axis=1)


def dominance(rows: pd.DataFrame, title: str) -> Figure:
    """The AUC of removal against core-seconds and against bytes; a line through what nothing dominates."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), sharey=True, layout="constrained")
    for axis, cost, name in zip(axes, ("seconds", "bytes"), ("core-seconds", "bytes to be kept"), strict=True):
        for point in rows.to_dict("records"):
            reached, low, high = (point[f"removal_auc{end}"] for end in ("", "_low", "_high"))
            style = {"color": look(point["method"])[1], "ecolor": "0.85", "zorder": 2}
            axis.errorbar(point[cost], reached, [[reached - low], [high - reached]], fmt="o", **style)
        best = rows[undominated(rows, cost)].sort_values(cost)
        axis.step(best[cost], best["removal_auc"], where="post", color="0.4", zorder=1)
        for point in best.itertuples():
            place = (getattr(point, cost), point.removal_auc)
            axis.annotate(label(point.method), place, xytext=(4, 4), textcoords="offset points", fontsize=8)
        axis.set_xscale("symlog", linthresh=0.01 if cost == "seconds" else 1e4)
        axis.set(xlabel=name)
    axes[0].set(ylabel="removal AUC")
    figure.suptitle(title)
    return figure
