"""Scores of one's own, judged as all methods of the book are: by retraining, on the same targets, with united tests.

    file -> `read` -> ranking of each target's class -> JudgedStudy -> supports and LDS -> beside methods of the book

Retrainings that the committed ledger knows cost nothing; new ones go into a ledger of the method's own, under
results/judged, and so does the result.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from lib import data, distances
from lib.engine import Driver, Ledger
from lib.lds import lds
from lib.methods import OURS, RANDOM
from lib.profiles import Profile
from lib.report import Page, paper, stats
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
    """A study whose new retrainings and results go into folders of their own. judged: the name of what is judged."""

    judged: str

    @property
    def own_folder(self) -> Path:
        """Under results, one for each profile and name."""
        return self.results / FOLDER / self.profile.name / short_hash({"name": self.judged})

    @cached_property
    def driver(self) -> Driver:
        committed = super().driver
        return replace(committed, ledger=Ledger(self.own_folder / "ledger", below=committed.ledger))

    def outputs(self, figure: str) -> Path:
        return self.own_folder / self.profile.folder(figure)


@dataclass(frozen=True)
class Judged:
    """ranking: (n_targets, k_max) ids of the target's class. scores: (n_targets, n_train); None: a ranking alone."""

    name: str
    ranking: np.ndarray
    scores: np.ndarray | None


def open_page(parameters: Mapping) -> tuple[Page, Judged]:
    """The page of the scores in a file, and what is judged. parameters: the notebook's, as for `Page`.

    Raises ValueError for scores that do not fit, before anything is trained for them.
    """
    kinds(parameters["kinds"])
    name = parameters["name"] or (Path(parameters["scores"]).stem if parameters["scores"] else "TRAK, as a file")
    page = Page("score", parameters, kind=JudgedStudy, judged=name)
    study = page.study
    if page.tally is not None:  # a dry run has no scores
        judged = Judged(name, study.attribution.ranking(RANDOM), None)
    else:
        values = read(parameters["scores"]) if parameters["scores"] else example(study)
        judged = Judged(name, *ranked(values, study))
    return Page("score", parameters, kind=JudgedStudy, judged=name, given={name: judged.ranking}), judged


def kinds(text: str) -> list[str]:
    """Of "removal,mislabel,lds", those that are asked for. ValueError for another word."""
    asked = [word.strip() for word in text.split(",")]
    if unknown := set(asked) - {*KINDS, LDS}:
        raise ValueError(f"kinds={text!r}: {min(unknown)!r} is none of {', '.join((*KINDS, LDS))}")
    return asked


def example(study: Study) -> np.ndarray:
    """Scores that the book has: those of the competing method EXAMPLE with the most models."""
    return study.attribution.scores(f"{largest(study.profile, EXAMPLE)[0]}:all")


def read(path: str) -> np.ndarray:
    """The array in a .npy file. ValueError where there is none, FileNotFoundError where there is no file."""
    try:
        values = np.load(data.given(path), allow_pickle=False)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"there is no file {path}; give scores as numpy.save writes them") from error
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{path} holds no array ({error}); give scores as numpy.save writes them") from error
    if not isinstance(values, np.ndarray):
        raise ValueError(f"{path} holds several arrays; give one, as numpy.save writes it")
    return values


def ranked(values: np.ndarray, study: Study) -> tuple[np.ndarray, np.ndarray | None]:
    """The ranking (n_targets, k_max) of each target's class by scores or a ranking, and the scores, if it is these.

    values: scores (n_targets, n_train), higher = more supportive, -inf where an image is not ranked; or a ranking
    (n_targets, at least k_max) of train ids. Rows are in the order of `study.targets`.
    """
    n_targets, k_max, n_train = len(study.targets), study.profile.k_max, len(study.dataset.train_labels)
    if values.ndim != 2 or len(values) != n_targets:
        raise ValueError(f"an array of shape {values.shape} does not fit: give a row for each of {n_targets} targets")
    of_class = study.dataset.test_labels[study.targets][:, None] == study.dataset.train_labels
    if np.issubdtype(values.dtype, np.integer):
        return _checked_ranking(values, of_class, k_max), None
    if values.shape[1] != n_train:
        raise ValueError(f"scores of {values.shape[1]} training images: {study.dataset.name} has {n_train}, in order")
    values = values.astype(np.float32)
    for row, scores in enumerate(values):
        if np.isnan(scores).any() or np.isposinf(scores).any():
            raise ValueError(f"row {row}: a score is not a number or infinite; give -inf to images that are not ranked")
        if len(np.unique(scores[of_class[row]])) == 1:
            raise ValueError(f"row {row}: all images of the target's class score the same, which is no ranking")
    own = np.where(of_class, values, -np.inf)
    return distances.ranking(own, k_max), np.where(np.isfinite(values), values, 0)


def _checked_ranking(values: np.ndarray, of_class: np.ndarray, k_max: int) -> np.ndarray:
    n_train = of_class.shape[1]
    if values.shape[1] < k_max:
        raise ValueError(f"a ranking of {values.shape[1]} images is too short; give at least k_max={k_max}")
    for row, ids in enumerate(values := values[:, :k_max]):
        if outside := [i for i in ids if not 0 <= i < n_train]:
            raise ValueError(f"row {row}: train id {outside[0]} does not exist; ids are 0 to {n_train - 1}")
        if len(set(ids)) < k_max:
            raise ValueError(f"row {row}: a train id is ranked twice; name each once")
        if not of_class[row, ids].all():
            raise ValueError(f"row {row}: an image is not of the target's class; rank the images of its class alone")
    return values.astype(np.int64)


def beside(profile: Profile) -> list[str]:
    """The methods of the book that a judged one stands beside."""
    return [OURS, *largest(profile, "trak"), "pixels_l2", RANDOM]


def supports(study: Study, name: str, of_kinds: list[str]) -> pd.DataFrame:
    """Of what is judged and of `beside`, by united tests; see `Study.supports`."""
    curves = [(kind, method) for kind in of_kinds for method in (name, *beside(study.profile))]
    return study.supports(curves, united=True)


def comparisons(supports: pd.DataFrame, name: str, profile: Profile) -> pd.DataFrame:
    """The AUC of what is judged less that of each other method, paired by target, with corrected tests.

    Columns: kind, against, n, difference, low, high, p (of sign flips, corrected by Holm over all rows), verdict.
    """
    rows = []
    for kind in supports["kind"].unique():
        sizes = stats.sizes(supports[supports["kind"] == kind])
        for method in beside(profile):
            paired = stats.smaller_by(sizes[name], sizes[method], profile.k_max).dropna()
            low, high = map(float, stats.mean_interval(paired, "BCa"))
            row = {"kind": kind, "against": method, "n": len(paired), "difference": paired.mean()}
            rows.append(row | {"low": low, "high": high, "p": stats.sign_flips(paired.to_numpy())})
    table = pd.DataFrame(rows).assign(p=lambda rows: stats.holm(rows["p"]))
    better = np.where(table["difference"] > 0, "smaller supports", "larger supports")
    return table.assign(verdict=np.where(table["p"] < stats.LEVEL, better, "undecided"))


def doubts(comparisons: pd.DataFrame) -> list[str]:
    """Why the scores may not be what they are meant to be, a sentence each."""
    random = comparisons[(comparisons["against"] == RANDOM) & (comparisons["verdict"] == "larger supports")]
    return [
        f"By {row.kind} these scores are worse than a random order of the class (AUC {row.difference:+.2f}, p = "
        f"{row.p:.2g}): is the sign turned round? Higher means that an image supports the target's prediction more."
        for row in random.itertuples()
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


def lds_table(study: Study, judged: Judged) -> pd.DataFrame:
    """The LDS of what is judged, of MoCo and of TRAK: method, n, lds, lds_low, lds_high; of a ranking no row."""
    if judged.scores is None:
        return pd.DataFrame(columns=["method", "n", "lds", "lds_low", "lds_high"])
    attribution = study.attribution
    masks, margins = attribution.subset_margins(attribution.held_out)
    values = lds(judged.scores, masks, margins[:, study.targets])
    own = pd.DataFrame({"method": judged.name, "target": study.targets, "lds": values})
    others = attribution.lds(["moco", *largest(study.profile, "trak")])
    return stats.lds_summary(pd.concat([own, others], ignore_index=True))


def instructive(supports: pd.DataFrame, name: str, n: int = 2) -> list[int]:
    """Test ids at which the removal supports of what is judged and of ours differ most, n either way."""
    sizes = stats.sizes(supports[supports["kind"] == REMOVAL]).replace(np.inf, np.nan)
    largest = np.nanmax(sizes.to_numpy(), initial=1)
    less = (sizes[OURS].fillna(largest) - sizes[name].fillna(largest)).sort_values(kind="stable")
    return [*less.index[: -n - 1 : -1], *less.index[:n]]


def leaderboard(study: Study, name: str, supports: pd.DataFrame) -> pd.DataFrame:
    """AUC of what is judged among all methods of the profile, the largest of removal first.

    Columns: method, and for each kind its AUC with _low and _high, n. The other methods' supports are those of the page
    of methods, by the same united tests, where there are any.
    """
    stored = study.folder / "methods" / "supports.csv"
    tables = [supports] + ([pd.read_csv(stored)] if stored.exists() else [])
    summary = stats.summary(pd.concat(tables).drop_duplicates(["kind", "method", "target"]), study.profile.k_max)
    summary = summary[summary["kind"].isin(supports["kind"].unique())]
    wide = summary.pivot(index="method", columns="kind", values=["auc", "auc_low", "auc_high"])
    wide.columns = [f"{kind}_{value}" for value, kind in wide.columns]
    by = [column for column in wide if column.endswith("_auc")]
    ordered = wide.sort_values(sorted(by, reverse=True), ascending=False).reset_index()
    return ordered.assign(judged=ordered["method"] == name)
