"""What the paper claims of a figure, and beside it what was measured here, on all data: for the figure's page."""

from collections.abc import Iterable
from html import escape

import pandas as pd
from IPython.display import HTML

from lib.chapters.versus import DATA
from lib.profiles import PROFILES
from lib.report import Page, claims, committed, plots

RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def table(page: Page) -> HTML:
    """The table of `cells`, which wraps, and its notes."""
    shown, notes = cells(page)
    words = plots.table(shown).set_table_attributes('class="words"').to_html()
    listed = notes + ["–: not looked at"] * bool((shown == "–").any(axis=None))
    return HTML(f"{words}<p>{'; '.join(map(escape, listed))}</p>")


def cells(page: Page) -> tuple[pd.DataFrame, list[str]]:
    """A row for each claim, a column for each data, nearest to the paper first; and the notes that cells name.

    Tests are named where they differ from data to data.
    """
    rows = claims.of_figure(page.name).fillna({"note": ""})
    several = rows.groupby("claim")["tests"].transform("nunique") > 1
    parts = [note.split("; ") if note else [] for note in rows["note"]]
    notes = list(dict.fromkeys(part for of_row in parts for part in of_row))
    words = zip(rows.apply(claims.in_words, axis=1), rows["tests"], several, parts, strict=True)
    rows["here"] = [
        f"{here.replace(': ', f' ({tests}): ') if named else here} {_marks(map(notes.index, of_row))}".strip()
        for here, tests, named, of_row in words
    ]
    measured = rows["measured"].astype(object).str.partition(", k")[0]
    rows["measured"] = measured.groupby(rows["claim"]).transform("first").fillna("–")
    names, shown = sorted(rows["profile"].unique(), key=list(PROFILES).index, reverse=True), []
    for (claim, stated, measured), of in rows.groupby(["claim", "paper", "measured"], sort=False):
        here = of.set_index("profile")["here"]
        columns = {_titled(name): here.get(name, "–") for name in names}
        shown.append({"claim": claim, "paper": stated, "measured": measured} | columns)
    return pd.DataFrame(shown), [f"{_marks([i])} {note}" for i, note in enumerate(notes)]


def _marks(numbers: Iterable[int]) -> str:
    """The numbers of notes, from 0, as they stand raised in the text, from 1."""
    return " ".join(str(number + 1).translate(RAISED) for number in numbers)


def _titled(profile: str) -> str:
    """The name of a profile's data, at the head of a column."""
    name = DATA.get(profile) or committed.data(PROFILES[profile])
    return name[0].upper() + name[1:]


def everywhere(page: Page, claim: str) -> str:
    """What was measured of a claim on each of DATA that has it, and its verdict, for a sentence."""
    rows = claims.of_figure(page.name).query("claim == @claim").set_index("profile").dropna(subset="ours")
    rows = rows.loc[[name for name in DATA if name in rows.index]]
    values = [f"{row['ours']:z.2f} on {DATA[name]}" for name, row in rows.iterrows()]
    if rows["verdict"].nunique() == 1:
        return f"{', '.join(values)}: {rows['verdict'].iloc[0]}"
    return ", ".join(f"{value} ({verdict})" for value, verdict in zip(values, rows["verdict"], strict=True))
