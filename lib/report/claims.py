"""The paper's claims (`paper.yaml`), each with what was measured here and a verdict by rule; from the figures' tables.

The rules: a claim that one method beats another *agrees* where the 95 % interval of their difference, paired by target,
lies above zero, *disagrees* where below, else it is *undecided*; that it does not, the other way round; that two are
alike is undecided while the interval holds zero, and else disagrees. A share agrees where the paper's lies within the
exact 95 % interval of ours (`lib.report.stats.share_interval`). A ratio of costs is compared with 1.

Each function below that a claim can name as its measure takes the folder of a page's tables and the claim's arguments,
and returns the columns `measured` to `verdict`.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd

from lib.report import stats
from lib.report.paper import CLAIMS, FIGURES, Claim

COLUMNS = ("claim", "section", "paper", "measured", "ours", "low", "high", "n", "profile", "verdict")
VERDICTS = {  # of a claim about two methods, where the difference is positive and where it is negative
    "better": {"agrees": "agrees", "disagrees": "disagrees"},
    "not better": {"agrees": "disagrees", "disagrees": "agrees"},
    "alike": {"agrees": "disagrees", "disagrees": "disagrees"},
}


def difference(tables: Path, table: str = "claims", value: str = "AUC", claimed: str = "better", **row: str) -> dict:
    """The difference of two methods. claimed: of the first one; a key of VERDICTS."""
    measured = _row(tables / f"{table}.csv", row)
    verdict = VERDICTS[claimed].get(measured["verdict"], "undecided")
    return _with_interval(f"difference of {value}", measured["difference"], measured, verdict)


def loss(tables: Path, method: str, value: str, claimed: str = "better") -> dict:
    """What a ranking's AUC loses on another network: all of it ("loss"), or less a random ranking's ("beyond_random").

    claimed: "better" that there is a loss, "not better" that there is none.
    """
    row = _row(tables / "losses.csv", {"network": "mobilenetv2", "method": method})
    row |= {"low": row[f"{value}_low"], "high": row[f"{value}_high"]}
    verdict = VERDICTS[claimed].get(stats.verdict(row["low"], row["high"]), "undecided")
    return _with_interval(f"AUC, {value.replace('_', ' ')}", row[value], row, verdict)


def monotone(tables: Path) -> dict:
    """The share of targets whose flip is monotone in k; it agrees while the interval holds 1."""
    row = _row(tables / "shares.csv", {"what": "of these: monotone"})
    return _share("share monotone", row["share"], row, claimed=1.0)


def share(tables: Path, paper: float, kind: str, share_of_class: float) -> dict:
    """The share of targets that flip when so much of their class is changed. paper: the paper's."""
    row = _row(tables / "paper.csv", {"kind": kind, "share_of_class": str(share_of_class)})
    return _share(f"share flipped, k {row['k']}", row["here"], row, paper)


def count(tables: Path, paper: float, outcome: str, kind: str, worse: str) -> dict:
    """The share of targets on which our support is smaller than a rival's, or equal. paper: the paper's."""
    row = _row(tables / "claims.csv", {"kind": kind, "worse": worse})
    counted = stats.share(np.arange(row["n"]) < row[outcome])
    return _share(f"share of targets {outcome}", counted["share"], counted, paper)


def cost(tables: Path, rival: str, cost: str) -> dict:
    """How many times ours a rival costs, with as many models as the paper gave it. cost: "seconds" or "bytes"."""
    ratio = _row(tables / "scaled.csv", {"method": rival})[f"times_our_{cost}"]
    return {"measured": f"its {cost} over ours", "ours": ratio, "verdict": "agrees" if ratio > 1 else "disagrees"}


MEASURES = {measure.__name__: measure for measure in (difference, loss, monotone, share, count, cost)}


def table(folder: Path, profile: str, claims: Sequence[Claim] = CLAIMS) -> pd.DataFrame:
    """Every claim, a row each; see COLUMNS. folder: of the figures' tables, under results/.

    Verdict "not measured": the profile lacks what a claim is about, or is another one that has not been run. Raises
    FileNotFoundError where a figure of this one is missing, ValueError for a wrong measure or argument.
    """
    rows = []
    for claim in claims:
        figure, row = FIGURES.get(claim.page), {"verdict": "not measured"}
        values = [figure.select(keys).value for keys in claim.states]
        # a share that the paper states is an argument of the measure
        stated = {"paper": values[0] / figure.n} if values and figure.n else {}
        tables = (folder.parent / claim.profile if claim.profile else folder) / claim.page
        with suppress(IndexError, *([FileNotFoundError] if claim.profile else [])):
            row = _measured(claim, tables, stated)
        row |= {
            "claim": claim.claim,
            "section": f"{claim.section}, {figure.label}" if figure else claim.section,
            "paper": claim.paper or f"{' and '.join(map(str, values))} {figure.unit}".strip(),
            "profile": claim.profile or profile,
        }
        rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"n": "Int64"})


def _measured(claim: Claim, tables: Path, stated: dict) -> dict:
    try:
        return MEASURES[claim.measure](tables, **claim.of | stated)
    except (KeyError, TypeError) as error:
        problem = f"{error} is unknown to measure {claim.measure!r}; the measures are {', '.join(MEASURES)}"
        raise ValueError(f"paper.yaml: {claim.claim!r}: {problem}") from error


def _row(path: Path, values: dict[str, str]) -> dict:
    """The first row whose columns are the values or, if none is, begin with them. IndexError where there is none."""
    if not path.exists():
        figure, profile = path.parent.name, path.parents[1].name
        raise FileNotFoundError(
            f"there are no results of {figure} in profile {profile}: make {figure} PROFILE={profile}"
        )
    rows = pd.read_csv(path)
    for column, value in values.items():
        names = rows[column].astype(str)
        rows = rows[names == value if value in set(names) else names.str.startswith(value)]
    return rows.iloc[0].to_dict()


def _share(measured: str, ours: float, row: dict, claimed: float) -> dict:
    return _with_interval(measured, ours, row, "agrees" if row["low"] <= claimed <= row["high"] else "disagrees")


def _with_interval(measured: str, ours: float, row: dict, verdict: str) -> dict:
    return {"measured": measured, "ours": ours} | {key: row[key] for key in ("low", "high", "n")} | {"verdict": verdict}
