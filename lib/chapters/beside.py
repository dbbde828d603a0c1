"""What the paper claims of a figure, and beside it what was measured here, on all data: for the figure's page."""

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
    return HTML(f"{words}<p>{'; '.join(escape(note) for note in notes)}</p>" if notes else words)


def cells(page: Page) -> tuple[pd.DataFrame, list[str]]:
    """A row for each claim, a column for each data, nearest to the paper first; and the notes that the claims name.

    Tests are named where they differ from data to data.
    """
    rows = claims.of_figure(page.name).fillna({"note": ""})
    several = rows.groupby("claim")["tests"].transform("nunique") > 1
    words = zip(rows.apply(claims.in_words, axis=1), rows["tests"], several, strict=True)
    rows["here"] = [words.replace(": ", f" ({tests}): ") if named else words for words, tests, named in words]
    measured = rows["measured"].astype(object).str.partition(", k")[0]
    rows["measured"] = measured.groupby(rows["claim"]).transform("first").fillna("–")
    notes = list(dict.fromkeys(part for note in rows["note"] for part in note.split("; ") if part))
    shown = []
    for (claim, stated, measured), of in rows.groupby(["claim", "paper", "measured"], sort=False):
        named = sorted({notes.index(part) + 1 for note in of["note"] for part in note.split("; ") if part})
        row = {"claim": f"{claim} {','.join(map(str, named)).translate(RAISED)}", "paper": stated, "measured": measured}
        here = of.set_index("profile")["here"]
        names = sorted(rows["profile"].unique(), key=list(PROFILES).index, reverse=True)
        shown.append(row | {committed.data(PROFILES[name]): here.get(name, "–") for name in names})
    return pd.DataFrame(shown), [f"{str(i).translate(RAISED)} {note}" for i, note in enumerate(notes, start=1)]


def everywhere(page: Page, claim: str) -> str:
    """What was measured of a claim on each of DATA that has it, and its verdict, for a sentence."""
    rows = claims.of_figure(page.name).query("claim == @claim").set_index("profile")
    rows = rows.loc[[name for name in DATA if name in rows.index and rows["verdict"][name] in claims.COUNTED]]
    values = [f"{row['ours']:z.2f} on {DATA[name]}" for name, row in rows.iterrows()]
    if rows["verdict"].nunique() == 1:
        return f"{', '.join(values)}: {rows['verdict'].iloc[0]}"
    return ", ".join(f"{value} ({verdict})" for value, verdict in zip(values, rows["verdict"], strict=True))
