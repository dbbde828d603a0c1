"""Scores of one's own, judged as all methods of the book are: by retraining, on the same targets, with united tests.

    file -> `given` -> ranking of each target's class -> JudgedStudy -> supports and LDS -> beside methods of the book

Retrainings that the committed ledger knows cost nothing; new ones go into a ledger of the method's own, under
results/judged, and so does the result.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from lib.chapters import given
from lib.chapters.timed import OutOfTime, TimedLedger
from lib.engine import Driver
from lib.lds import lds
from lib.methods import OURS, RANDOM, is_name, label
from lib.profiles import Profile
from lib.report import Page, committed, paper, stats
from lib.retrain import short_hash
from lib.rivals import largest
from lib.study import MISLABEL, REMOVAL, Study

KINDS = (REMOVAL, MISLABEL)
LDS = "lds"
FOLDER = "judged"  # under results
SHOWN = 10  # training images of a target in the gallery
EXAMPLE = "trak"  # what is judged where no file is given, by the name of the same method's stored scores
STATED = [value for value in paper.FIGURES["fig03"].values if value.method == "ours"]  # shares flipped: Paper §4.2


@dataclass(frozen=True, kw_only=True)
class JudgedStudy(Study):
    """A study whose new retrainings and results go into folders of their own. judged: the name of what is judged.

    until: when it is to stop, see `TimedLedger`. home: the folder; None: under results, one for each profile and name.
    """

    judged: str
    until: float = math.inf
    home: Path | None = None

    @property
    def own_folder(self) -> Path:
        return self.home or self.results / FOLDER / self.profile.name / short_hash({"name": self.judged})

    @cached_property
    def driver(self) -> Driver:
        committed = super().driver
        ledger = TimedLedger(self.own_folder / "ledger", self.until, below=committed.ledger)
        return replace(committed, ledger=ledger)

    def outputs(self, figure: str) -> Path:
        """Those of another ranking of the same name stay."""
        rankings = {name: np.asarray(ranking).tolist() for name, ranking in self.given.items()}
        return self.own_folder / short_hash(rankings) / self.profile.folder(figure)


@dataclass(frozen=True)
class Judged:
    """ranking: (n_targets, k_max) ids of the target's class. scores: (n_targets, n_train); None: a ranking alone."""

    name: str
    ranking: np.ndarray
    scores: np.ndarray | None


def open_page(parameters: Mapping) -> tuple[Page, list[Judged]]:
    """The page of what is judged, and this: the scores in a file, or two rankings by features.

    parameters: the notebook's, as for `Page`. Raises ValueError for what does not fit, before anything is trained.
    """
    kinds(parameters["kinds"])
    path, of_features, minutes = (parameters[key] for key in ("scores", "features", "minutes"))
    if path and of_features:
        raise ValueError(f"scores={path!r} and features={of_features!r} are two things to judge; give one of them")
    name = parameters["name"] or (Path(path or of_features).stem if path or of_features else "TRAK, as a file")
    if is_name(name):
        raise ValueError(f"name={name!r} is what the book calls a method of its own; give another")
    options = {"kind": JudgedStudy, "judged": name, "until": time.monotonic() + 60 * (minutes or math.inf)}
    page = Page("score", parameters, **options)
    study = page.study
    if page.tally is not None:  # a dry run has no scores
        judged = [Judged(name, study.attribution.ranking(RANDOM), None)]
    elif of_features:
        judged = by_features(name, of_features, study)
    else:
        judged = [Judged(name, *given.ranked(given.read(path) if path else example(study), study))]
    return Page("score", parameters, **options, given={one.name: one.ranking for one in judged}), judged


def by_features(name: str, path: str, study: Study) -> list[Judged]:
    """What is judged of the features in a file: a ranking by each distance; the first has the scores for the LDS."""
    ranked, scores = given.by_features(given.read_features(path, study), study)
    named = [(f"{name}, {label(distance)}", ranking) for distance, ranking in ranked.items()]
    return [Judged(*pair, scores if i == 0 else None) for i, pair in enumerate(named)]


def kinds(text: str) -> list[str]:
    """Of "removal,mislabel,lds", those that are asked for. ValueError for another word."""
    asked = [word.strip() for word in text.split(",")]
    if unknown := set(asked) - {*KINDS, LDS}:
        raise ValueError(f"kinds={text!r}: {min(unknown)!r} is none of {', '.join((*KINDS, LDS))}")
    return asked


def example(study: Study) -> np.ndarray:
    """Scores that the book has: those of the competing method EXAMPLE with the most models."""
    return study.attribution.scores(f"{largest(study.profile, EXAMPLE)[0]}:all")


def beside(profile: Profile) -> list[str]:
    """The methods of the book that a judged one stands beside."""
    return [OURS, *largest(profile, "trak"), "pixels_l2", RANDOM]


def supports(study: JudgedStudy, names: list[str], of_kinds: list[str]) -> pd.DataFrame:
    """Of what is judged and of `beside`, by united tests; see `Study.supports`.

    With a limit of time group by group, so that each that is finished is known for all: OutOfTime where none is.
    """
    curves = [(kind, method) for kind in of_kinds for method in (*names, *beside(study.profile))]
    if not curves:
        return pd.DataFrame(columns=[*committed.COLUMNS, "keys"])
    if getattr(study, "until", math.inf) == math.inf:
        return study.supports(curves, united=True)
    tables = []
    for group in study.groups(united=True):
        try:
            tables.append(study.supports(curves, among=[group]))
        except OutOfTime as error:
            if not tables:
                raise OutOfTime(f"none of the first {len(group)} targets is judged yet: {error}") from None
            break
    return pd.concat(tables, ignore_index=True).sort_values(["kind", "method", "target"], ignore_index=True)


def reached(study: Study, supports: pd.DataFrame) -> str:
    """How many targets are judged, a sentence."""
    done, n = supports["target"].nunique(), len(study.targets)
    if done in (0, n):
        return f"All {n} targets are judged; tables leave out those that are wrong before any image is removed."
    return f"**{done} of {n} targets** were judged in the time given. What was trained is kept: run it again to go on."


def comparisons(supports: pd.DataFrame, names: list[str], profile: Profile) -> pd.DataFrame:
    """The AUC of what is judged less that of each other method, paired by target, with corrected tests.

    Columns: kind, method, against, n, difference, low, high, p (of sign flips, by Holm over all rows), verdict.
    """
    pairs = product(supports["kind"].unique(), names, beside(profile))
    rows = pd.DataFrame([stats.paired(supports, *pair, profile.k_max) for pair in pairs])
    columns = ["kind", "method", "against", "n", "difference", "low", "high", "p"]
    table = rows.rename(columns={"better": "method", "worse": "against"}).reindex(columns=columns)
    table = table.assign(p=stats.holm(table["p"]))
    better = np.where(table["difference"] > 0, "smaller supports", "larger supports")
    return table.assign(verdict=np.where(table["p"] <= stats.LEVEL, better, "undecided"))


def doubts(comparisons: pd.DataFrame) -> list[str]:
    """Why the scores may not be what they are meant to be, a sentence each."""
    random = comparisons[(comparisons["against"] == RANDOM) & (comparisons["verdict"] == "larger supports")]
    return [
        f"By {row.kind} {row.method} is worse than a random order of the class (AUC {row.difference:+.2f}, p = "
        f"{row.p:.2g}): is the sign turned round? Higher means that an image supports the target's prediction more."
        for row in random.itertuples()
    ]


def ties(study: Study, judged: list[Judged]) -> list[str]:
    """Where ids decide what is ranked last, a sentence each."""
    counts = {one.name: given.tied(one.scores, one.ranking, study) for one in judged if one.scores is not None}
    return [
        f"Of {n} of {len(study.targets)} targets the last image that {name} ranks scores as much as one that it leaves "
        "out: the lower id decides."
        for name, n in counts.items()
        if n
    ]


def shares(supports: pd.DataFrame, class_size: int) -> pd.DataFrame:
    """Targets flipped at the paper's shares of a class: kind, method, k ("< 50"), flipped with _low and _high, n."""
    rows = []
    for value in STATED:
        k = round(value.k / paper.FIGURES["fig03"].class_size * class_size)
        for method, group in supports[supports["kind"] == value.kind].groupby("method", sort=False):
            targets = stats.usable(group)
            flipped = stats.flipped_by(targets, np.array([k - (value.bound == "<")]))[:, 0]
            row = {"kind": value.kind, "method": method, "k": f"{value.bound} {k}"}
            rows.append(row | stats.mean("flipped", flipped, stats.share_interval) | {"n": len(targets)})
    return pd.DataFrame(rows)


def lds_scores(study: Study, judged: list[Judged]) -> pd.DataFrame:
    """The LDS of what is judged, of MoCo and of TRAK, a row each target: method, target, lds; of a ranking no row."""
    if not (scored := [one for one in judged if one.scores is not None]):
        return pd.DataFrame(columns=["method", "target", "lds"])
    attribution, targets = study.attribution, study.targets
    masks, margins = attribution.subset_margins(attribution.held_out)
    tables = [
        pd.DataFrame({"method": one.name, "target": targets, "lds": lds(one.scores, masks, margins[:, targets])})
        for one in scored
    ]
    return pd.concat([*tables, attribution.lds(["moco", *largest(study.profile, "trak")])], ignore_index=True)


def instructive(supports: pd.DataFrame, name: str, n: int = 2) -> list[int]:
    """Test ids at which the removal supports of what is judged and of ours differ most, n either way."""
    sizes = stats.sizes(supports[supports["kind"] == REMOVAL]).replace(np.inf, np.nan)
    largest = np.nanmax(sizes.to_numpy(), initial=1)
    less = (sizes[OURS].fillna(largest) - sizes[name].fillna(largest)).sort_values(kind="stable")
    return [*less.index[: -n - 1 : -1], *less.index[:n]]


def leaderboard(study: Study, names: list[str], supports: pd.DataFrame) -> pd.DataFrame:
    """AUC of what is judged among all methods of the profile, the largest of removal first.

    Columns: method, and for each kind its AUC with _low and _high, n. The other methods' supports are those of the page
    of methods, by the same united tests, where there are any.
    """
    if supports.empty:
        return supports[["method"]]
    stored = study.folder / "methods" / "supports.csv"
    tables = [supports] + ([pd.read_csv(stored)] if stored.exists() else [])
    summary = stats.summary(pd.concat(tables).drop_duplicates(["kind", "method", "target"]), study.profile.k_max)
    summary = summary[summary["kind"].isin(supports["kind"].unique())]
    wide = summary.pivot(index="method", columns="kind", values=["auc", "auc_low", "auc_high"])
    wide.columns = [f"{kind}_{value}" for value, kind in wide.columns]
    by = [column for column in wide if column.endswith("_auc")]
    ordered = wide.sort_values(sorted(by, reverse=True), ascending=False).reset_index()
    return ordered.assign(judged=ordered["method"].isin(names))
