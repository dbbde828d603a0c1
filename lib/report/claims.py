"""The paper's claims (`paper.yaml`), each with what was measured here and a verdict by rule; from the figures' tables.

The rules are in `lib.report.stats`. Each function below that a claim can name as its measure takes the folder of a
page's tables, what the paper states if it states a number, and the claim's arguments. It returns some of COLUMNS, the
rival's number of models, and the verdict to which the data lean, which stands where p is small; else `otherwise` does.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd

from lib.data import RESULTS
from lib.methods import OURS, RANDOM, parse
from lib.profiles import FASHION, PROFILES
from lib.report import stats
from lib.report.paper import CLAIMS, FIGURES, Claim, Figure, Value

COLUMNS = ["claim", "section", "paper", "profile", "main", "measured", "ours", "low", "high", "n", "tests"]
COLUMNS += ["test", "p", "p_holm", "uncorrected", "verdict", "note"]
Stated = tuple[Value, Figure] | None
ENOUGH = 20  # targets: with fewer a test decides next to nothing
NOT_JUDGED = "not judged"
LEFT_OUT = (NOT_JUDGED, "not measured", "not tested")
COUNTED = {"agrees": "agree", "exceeds": "exceed", "undecided": "undecided", "disagrees": "disagree"}


def difference(tables, stated: Stated, kind: str, better: str, worse: str, claimed="better", network="") -> dict:
    """By how much the supports of one ranking are smaller than another's; network: that retrained, by how it begins."""
    sizes, (first, second), row = _sizes(tables, kind, (better, worse), network)
    paired = stats.smaller_by(sizes[first], sizes[second], PROFILES[tables.parent.name].k_max)
    return _paired(paired, "AUC", claimed) | row


def loss(tables: Path, stated: Stated, method: str, network: str, claimed: str) -> dict:
    """What a ranking's AUC loses on another network than the one under study, beyond what a random ranking's loses."""
    on = [_sizes(tables, "removal", (method, RANDOM), name) for name in (FASHION.recipe.arch, network)]
    (own, (name, _), row), (other, _, _) = on
    lost = stats.smaller_by(own, other, PROFILES[tables.parent.name].k_max)
    return _paired(lost[name] - lost[RANDOM], "AUC", claimed, "AUC lost beyond random") | {"tests": row["tests"]}


def fall(tables: Path, stated: Stated, distance: str) -> dict:
    """By how much further margins fall by one distance than by L2, over all sets of features."""
    margins = _read(tables / "margins.csv")
    distances = margins["method"].map(lambda method: parse(method).distance)
    first, second = (stats.mean_falls(margins[distances == name]).mean(axis=1) for name in (distance, "l2"))
    return _paired(first - second, "margins' fall") | {"tests": "united"}


def lds(tables: Path, stated: Stated, better: str, worse: str = "", claimed: str = "alike") -> dict:
    """By how much the LDS of one method is higher than another's or, without another, than the paper's value."""
    scores = _read(tables / "lds.csv").pivot(index="target", columns="method", values="lds")
    if lacking := {better, worse or better} - set(scores):
        raise IndexError(f"{tables} has no LDS of {min(lacking)}")
    other = scores[worse] if worse else stated[0].value
    return _paired(scores[better] - other, "LDS", claimed, "" if worse else "LDS here less the paper's")


def share(tables: Path, stated: Stated, method: str) -> dict:
    """The share of targets that flip when the paper's share of their class is changed."""
    value, figure = stated
    keys = {"kind": value.kind, "share_of_class": str(round(value.k / figure.class_size, 4))}
    bound, k = _row(tables / "paper.csv", keys)["k"].split()
    sizes, (name,), row = _sizes(tables, value.kind, (method,))
    flips, above = sizes[name] <= int(k) - (bound == "<"), "exceeds" if name == OURS else "disagrees"
    row["short"] = name != OURS and flips.mean() < value.value / figure.n
    return _counted(flips, stated, f"share flipped, k {bound} {k}", above) | row


def count(tables: Path, stated: Stated, worse: str) -> dict:
    """The share of targets on which our support is smaller than a rival's, or equal."""
    outcome, (sizes, (ours, rival), row) = stated[0].outcome, _sizes(tables, stated[0].kind, (OURS, worse))
    yes = {"smaller": sizes[ours] < sizes[rival], "equal": sizes[ours] == sizes[rival]}[outcome]
    above = "exceeds" if outcome == "smaller" else "disagrees"
    return _counted(yes, stated, f"share of targets {outcome}", above) | row


def value(tables: Path, stated: Stated, table: str, column: str, least: float, **row: str) -> dict:
    """A value of a table, in the row with these values: above the least, it and its interval where it has one?"""
    cells = _row(tables / f"{table}.csv", row)
    low, high = (cells.get(bound, cells[column]) for bound in ("low", "high"))
    verdict = "agrees" if low > least else "disagrees" if high < least else "undecided"
    interval = {key: cells[key] for key in ("low", "high", "n") if key in cells}
    measured, test = f"{column.replace('_', ' ')}; over {least:g} agrees", "interval" if interval else "as it is"
    return {"measured": measured, "ours": cells[column], "test": test, "otherwise": verdict} | interval


MEASURES = (difference, loss, fall, lds, share, count, value)
MEASURES = {measure.__name__: measure for measure in MEASURES}


def table(folder: Path, profile: str, claims: Sequence[Claim] = CLAIMS) -> pd.DataFrame:
    """Every claim, a row for each of its profiles; see COLUMNS. folder: of the figures' tables, under results/.

    The main ones are corrected together. Verdict "not measured": the profile lacks what a claim is about, or is another
    one that has not been run; "not judged": its rival is weaker, and loses or falls short; "not tested": no measure.
    Raises FileNotFoundError where a figure of this profile is missing, ValueError for a wrong measure or argument.
    """
    rows = [_evidence(c, folder, profile if name == FASHION.name else name) for c in claims for name in c.profiles]
    rows = pd.DataFrame(rows, columns=[*COLUMNS, "leaning", "otherwise", "weaker", "short"]).astype({"p": float})
    rows["p_holm"] = stats.holm(rows.loc[rows["main"], "p"].dropna())
    for column, p in (("uncorrected", rows["p"]), ("verdict", rows["p_holm"].fillna(rows["p"]))):
        verdicts = rows["leaning"].where(p <= stats.LEVEL, rows["otherwise"])
        hollow = verdicts.isin(["agrees", "exceeds"]) | (rows["short"] & (verdicts == "disagrees"))
        rows[column] = verdicts.mask(rows["weaker"] & hollow, NOT_JUDGED)
    return rows[COLUMNS].astype({"n": "Int64"})


def of_figure(name: str) -> pd.DataFrame:
    """The rows of results/claims.csv about a figure or the table, the profile nearest to the paper first."""
    rows = pd.read_csv(RESULTS / "claims.csv").astype({"n": "Int64"})
    return rows[rows["section"].str.endswith(f", {FIGURES[name].label}")]


def counted(verdicts: pd.Series) -> str:
    """How many claims agree, exceed, are undecided and disagree, those that occur."""
    counts = verdicts.value_counts()
    return ", ".join(f"{n} {many if n > 1 else one}" for one, many in COUNTED.items() if (n := counts.get(one))) or "–"


def first(rows: pd.DataFrame) -> list[str]:
    """Of the first claim that was measured, if it can be one of the main ones: claim, the paper's, ours, verdict."""
    rows, main = rows[rows["verdict"].isin(COUNTED)], {claim.claim for claim in CLAIMS if claim.main}
    for row in rows.sort_values("claim", key=lambda of: ~of.isin(main), kind="stable").head(1).to_dict("records"):
        unit = f"{' ' if row['measured'].startswith('times') else ', '}{row['measured']}"
        return [row["claim"], row["paper"], stats.said(row["ours"], row["low"], row["high"]) + unit, row["verdict"]]
    return ["–"] * 4


def said(table: pd.DataFrame, claim: str, profile: str) -> str:
    """What was measured of a claim on a profile, for a sentence: value, interval, n and verdict. table: of `table`."""
    rows = table[(table["claim"] == claim) & (table["profile"] == profile)]
    if rows.empty:
        raise ValueError(f"there is no claim {claim!r} on {profile}; see results/claims.csv")
    return in_words(rows.iloc[0])


def in_words(row: pd.Series) -> str:
    """What was measured of a claim, and the verdict. row: of `table`."""
    if pd.isna(row["ours"]):
        return row["verdict"]
    n = "" if pd.isna(row["n"]) else f", n = {row['n']}"
    return f"{stats.said_of(row, 'ours', 2 if row['ours'] < 100 else 0)}{n}: {row['verdict']}"


def _evidence(claim: Claim, folder: Path, profile: str) -> dict:
    figure, values = FIGURES.get(claim.page), [FIGURES[claim.page].select(keys) for keys in claim.states]
    row, notes = {"otherwise": "not tested"}, [claim.not_tested]
    if claim.measure:
        row, notes = {"otherwise": "not measured"}, ["not computed on these data"]
        with suppress(IndexError, *([] if profile == folder.name else [FileNotFoundError])):
            row = _measured(claim, folder.parent / profile / claim.page, (values[0], figure) if values else None)
            notes = [claim.note]
    weaker = bool(claim.models) and (row.get("models") or claim.models) < claim.models
    if weaker:
        notes.append(f"the rival has {row['models']} models here, where {claim.models} would match the paper's")
    return (
        {"leaning": "undecided", "otherwise": "undecided", "short": False}
        | row
        | {
            "claim": claim.claim,
            "section": f"{claim.section}, {figure.label}" if figure else claim.section,
            "paper": claim.paper or f"{' and '.join(str(value.value) for value in values)} {figure.unit}".strip(),
            "profile": profile,
            "main": claim.main == profile,
            "weaker": weaker,
            "note": "; ".join(filter(None, notes)),
        }
    )


def _measured(claim: Claim, tables: Path, stated: Stated) -> dict:
    try:
        return MEASURES[claim.measure](tables, stated, **claim.of)
    except (KeyError, TypeError) as error:
        problem = f"{error} is unknown to measure {claim.measure!r}; the measures are {', '.join(MEASURES)}"
        raise ValueError(f"paper.yaml: {claim.claim!r}: {problem}") from error


def _sizes(tables: Path, kind: str, methods: Sequence[str], network: str = "") -> tuple[pd.DataFrame, list[str], dict]:
    """Supports of one kind by target and method; the methods' whole names; tests, models (of the last method).

    United tests favour some rankings: two are compared by separate ones where both have them, of ENOUGH targets. A
    method is named whole, or by how that begins. IndexError where there is none.
    """
    united = FIGURES[tables.name].tests or ("united" if PROFILES[tables.parent.name].united else "separate")
    files = [("supports", united)]
    if len(methods) > 1 and (tables / "separate.csv").exists():
        files.insert(_read(tables / "separate.csv")["target"].nunique() < ENOUGH, ("separate", "separate"))
    for file, tests in files:
        supports = _read(tables / f"{file}.csv").query("kind == @kind")
        supports = supports[supports["network"].str.startswith(network)] if network else supports
        alike = [[name for name in set(supports["method"]) if f"{name}:".startswith(f"{m}:")] for m in methods]
        if all(alike):
            names = [min(names, key=len) for names in alike]
            return stats.sizes(supports), names, {"tests": tests, "models": parse(names[-1]).models}
    raise IndexError(f"{tables} has no {kind} supports of {' and '.join(methods)}")


def _read(path: Path) -> pd.DataFrame:
    if not path.exists():
        figure, profile = path.parent.name, path.parents[1].name
        raise FileNotFoundError(
            f"there are no results of {figure} in profile {profile}: make {figure} PROFILE={profile}"
        )
    return pd.read_csv(path)


def _row(path: Path, values: dict[str, str]) -> dict:
    """The first row whose columns are the values. IndexError where there is none."""
    rows = _read(path)
    for column, value in values.items():
        rows = rows[rows[column].astype(str) == value]
    return rows.iloc[0].to_dict()


def _paired(differences: pd.Series, of: str, claimed: str = "better", measured: str = "") -> dict:
    values = differences.dropna().to_numpy()
    leaning, p = stats.located(values, claimed, stats.MARGINS.get(of, 0.0))
    low, high = map(float, stats.paired_interval(values))
    row = {"measured": measured or f"difference of {of}", "ours": values.mean(), "low": low, "high": high}
    return row | {"n": len(values), "test": "sign flips", "p": p, "leaning": leaning}


def _counted(yes: pd.Series, stated: Stated, measured: str, above: str) -> dict:
    """above: the verdict where our share is the larger one, and p is small."""
    ours, paper = (int(yes.sum()), len(yes)), (stated[0].value, stated[1].n)
    low, high = stats.shares_differ_by(ours, paper)
    row = {"measured": measured, "test": "Fisher's exact", "p": stats.same_share(ours, paper)}
    row |= {"leaning": above if ours[0] * paper[1] > paper[0] * ours[1] else "disagrees"}
    if max(-low, high) < stats.MARGINS["share"]:
        row |= {"leaning": "agrees", "otherwise": "agrees"}
    counted = stats.share(yes.to_numpy())
    return {"ours": counted.pop("share")} | counted | row
