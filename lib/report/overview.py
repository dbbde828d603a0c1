"""The table of figures at the head of the README and of the book, from results/: `python -m lib.report.overview`.

It replaces what stands between the two markers in README.md; a test fails while it is out of date.
"""

import pandas as pd

from lib.data import RESULTS, ROOT
from lib.report.paper import FIGURES

BEGIN, END = "<!-- figures -->\n", "<!-- /figures -->\n"
HEADER = "| Figure | Claims of the paper | One of them | Command |\n|---|---|---|---|\n"
COUNTED = {"agrees": "agree", "exceeds": "exceed", "undecided": "undecided", "disagrees": "disagree"}


def table() -> str:
    """The table as Markdown, a row for each figure and profile, from results/claims.csv."""
    verdicts, text = pd.read_csv(RESULTS / "claims.csv"), HEADER
    for name, figure in FIGURES.items():
        for profile, rows in claims(name).groupby("profile", sort=False):
            title, command = f"{figure.label}: {figure.title}", f"make {name}"
            if profile == "cifar10":
                title, command = f"{title}, CIFAR-10", f"{command} PROFILE=cifar10"
            text += f"| {title} | {counted(rows['verdict'])} | {_first(rows)} | `{command}` |\n"
    tested = counted(verdicts.loc[verdicts["confirmatory"], "verdict"])
    whole = f"the few that are confirmatory, tested together: {tested}"
    return f"{text}| All pages | {counted(verdicts['verdict'])} | {whole} | `make verdicts` |\n"


def claims(name: str) -> pd.DataFrame:
    """The rows of results/claims.csv about a figure or the table, the profile nearest to the paper first."""
    rows = pd.read_csv(RESULTS / "claims.csv").astype({"n": "Int64"})
    return rows[rows["section"].str.endswith(f", {FIGURES[name].label}")]


def counted(verdicts: pd.Series) -> str:
    """How many claims agree, exceed, are undecided and disagree, those that occur."""
    counts = verdicts.value_counts()
    return ", ".join(f"{counts[verdict]} {word}" for verdict, word in COUNTED.items() if verdict in counts) or "–"


def update(text: str) -> str:
    """The README's text with the present table between its markers."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + table() + END + after


def _first(rows: pd.DataFrame) -> str:
    """The first claim that was measured, a confirmatory one if there is one."""
    rows = rows[rows["verdict"].isin(COUNTED)].sort_values("confirmatory", ascending=False, kind="stable")
    for row in rows.head(1).to_dict("records"):
        interval = f" [{row['low']:z.2f}, {row['high']:z.2f}]" if pd.notna(row["low"]) else ""
        return f"{row['verdict']}: {row['claim']}, {row['ours']:z.2f}{interval}"
    return "–"


def refresh() -> None:
    """Put the present table into the README, which is untouched where it is there already."""
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    if text != (updated := update(text)):
        readme.write_text(updated, encoding="utf-8")


if __name__ == "__main__":
    refresh()
