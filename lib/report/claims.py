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
from lib.report.paper import FIGURES, PAPER, Claim

COLUMNS = ("claim", "section", "paper", "measured", "ours", "low", "high", "n", "profile", "verdict")
VERDICTS = {  # of a claim about two methods, by the verdict that the first is better
    "better": {"agrees": "agrees", "disagrees": "disagrees", "undecided": "undecided"},
    "not better": {"agrees": "disagrees", "disagrees": "agrees", "undecided": "undecided"},
    "alike": {"agrees": "disagrees", "disagrees": "disagrees", "undecided": "undecided"},
}


def difference(tables: Path, table: str = "claims", value: str = "AUC", claimed: str = "better", **row: str) -> dict:
    """The difference of two methods. claimed: of the first one; a key of VERDICTS."""
    measured = _row(tables / f"{table}.csv", row)
    verdict = VERDICTS[claimed][measured["verdict"]]
    return {"measured": f"difference of {value}", "ours": measured["difference"]} | _interval(measured, verdict)


def loss(tables: Path, method: str, value: str, claimed: str = "better") -> dict:
    """What a ranking's AUC loses on another network: all of it ("loss"), or less a random ranking's ("beyond_random").

    claimed: "better" that there is a loss, "not better" that there is none.
    """
    row = _row(tables / "losses.csv", {"network": "mobilenetv2", "method": method})
    bounds = {key: row[f"{value}_{key}"] for key in ("low", "high")} | {"n": row["n"]}
    verdict = VERDICTS[claimed][stats.verdict(bounds["low"], bounds["high"])]
    return {"measured": f"AUC, {value.replace('_', ' ')}", "ours": row[value]} | _interval(bounds, verdict)


def monotone(tables: Path) -> dict:
    """The share of targets whose flip is monotone in k; it agrees while the interval holds 1."""
    row = _row(tables / "shares.csv", {"what": "of these: monotone"})
    return {"measured": "share monotone", "ours": row["share"]} | _interval(row, _holds(1.0, row))


def share(tables: Path, paper: float, kind: str, share_of_class: float) -> dict:
    """The share of targets that flip when so much of their class is changed. paper: the paper's."""
    row = _row(tables / "paper.csv", {"kind": kind, "share_of_class": str(share_of_class)})
    return {"measured": f"share flipped, k {row['k']}", "ours": row["here"]} | _interval(row, _holds(paper, row))


def count(tables: Path, paper: float, outcome: str, kind: str, worse: str) -> dict:
    """The share of targets on which our support is smaller than a rival's, or equal. paper: the paper's."""
    row = _row(tables / "claims.csv", {"kind": kind, "worse": worse})
    counted = stats.share(np.arange(row["n"]) < row[outcome])
    measured = {"measured": f"share of targets {outcome}", "ours": counted["share"]}
    return measured | _interval(counted, _holds(paper, counted))


def cost(tables: Path, rival: str, cost: str) -> dict:
    """How many times ours a rival costs, with as many models as the paper gave it. cost: "seconds" or "bytes"."""
    ratio = _row(tables / "scaled.csv", {"method": rival})[f"times_our_{cost}"]
    return {"measured": f"its {cost} over ours", "ours": ratio, "verdict": "agrees" if ratio > 1 else "disagrees"}


MEASURES = {measure.__name__: measure for measure in (difference, loss, monotone, share, count, cost)}


def table(folder: Path, profile: str, claims: Sequence[Claim] = PAPER.claims) -> pd.DataFrame:
    """Every claim, a row each; see COLUMNS. folder: of the figures' tables, under results/.

    Verdict "not measured": the profile lacks what a claim is about, or is another one that has not been run. Raises
    FileNotFoundError where a figure of this one is missing, ValueError for a wrong measure or argument.
    """
    rows = []
    for claim in claims:
        figure, measured = FIGURES.get(claim.page), {"verdict": "not measured"}
        values = [figure.select(keys).value for keys in claim.states]
        tables = (folder.parent / claim.profile if claim.profile else folder) / claim.page
        with suppress(IndexError, *([FileNotFoundError] if claim.profile else [])):
            measured = _measured(claim, tables)
        row = {
            "claim": claim.claim,
            "section": f"{claim.section}, {figure.label}" if figure else claim.section,
            "paper": claim.paper or f"{' and '.join(map(str, values))} {figure.unit}".strip(),
            "profile": claim.profile or profile,
        }
        rows.append(row | measured)
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"n": "Int64"})


def _measured(claim: Claim, tables: Path) -> dict:
    """The claim's measure, called; a share that the paper states is its argument `paper`."""
    arguments, figure = dict(claim.of), FIGURES.get(claim.page)
    if claim.states and figure.n:
        arguments["paper"] = figure.select(claim.states[0]).value / figure.n
    try:
        return MEASURES[claim.measure](tables, **arguments)
    except (KeyError, TypeError) as error:
        names = ", ".join(MEASURES)
        raise ValueError(
            f"paper.yaml: {claim.claim!r}: {error} is unknown to measure {claim.measure!r}; the measures are {names}"
        ) from error


def _row(path: Path, values: dict[str, str]) -> dict:
    """The first row whose columns are the values or, if none is, begin with them. IndexError where there is none."""
    rows = pd.read_csv(path)
    for column, value in values.items():
        names = rows[column].astype(str)
        rows = rows[names == value if value in set(names) else names.str.startswith(value)]
    return rows.iloc[0].to_dict()


def _holds(paper: float, ours: dict) -> str:
    return "agrees" if ours["low"] <= paper <= ours["high"] else "disagrees"


def _interval(row: dict, verdict: str) -> dict:
    return {key: row[key] for key in ("low", "high", "n")} | {"verdict": verdict}
