"""The table of figures at the head of the README and of the book, from results/: `python -m lib.report.overview`.

It replaces what stands between the two markers in both; a test fails while it is out of date. In the book each row has
a small picture of its figure, which the command makes too.
"""

import pandas as pd
from PIL import Image, ImageOps

from lib.data import BOOK, RESULTS, ROOT, replacing
from lib.report.paper import FIGURES

BEGIN, END = "<!-- figures -->\n", "<!-- /figures -->\n"
HEADER = ["Figure", "Claims of the paper", "One of them", "Command"]
COUNTED = {"agrees": "agree", "exceeds": "exceed", "undecided": "undecided", "disagrees": "disagree"}
README, INTRO = "README.md", "book/intro.md"
THUMBNAIL = "_static/thumbnails/{}.webp"  # under book/
SIZE = (176, 88)  # pixels, at most; shown at half of it


def table(file: str) -> str:
    """The table as Markdown, a row for each figure and profile, from results/claims.csv. file: README or INTRO."""
    verdicts, in_book = pd.read_csv(RESULTS / "claims.csv"), file == INTRO
    lines = [[""] * in_book + HEADER, ["---"] * (in_book + len(HEADER))]
    for name, figure in FIGURES.items():
        for profile, rows in claims(name).groupby("profile", sort=False):
            title, command = f"{figure.label}: {figure.title}", f"make {name}"
            if profile == "cifar10":
                title, command = f"{title}, CIFAR-10", f"{command} PROFILE=cifar10"
            picture = f'<img src="{THUMBNAIL.format(f"{name}-{profile}")}" alt="{title}" width="88">'
            link = f"[{title}](notebooks/{name}{'' if in_book else '.ipynb'})"
            lines.append([picture] * in_book + [link, counted(rows["verdict"]), _first(rows), f"`{command}`"])
    tested = counted(verdicts.loc[verdicts["confirmatory"], "verdict"])
    whole = f"the few that are confirmatory, tested together: {tested}"
    lines.append([""] * in_book + ["All pages", counted(verdicts["verdict"]), whole, "`make verdicts`"])
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def claims(name: str) -> pd.DataFrame:
    """The rows of results/claims.csv about a figure or the table, the profile nearest to the paper first."""
    rows = pd.read_csv(RESULTS / "claims.csv").astype({"n": "Int64"})
    return rows[rows["section"].str.endswith(f", {FIGURES[name].label}")]


def counted(verdicts: pd.Series) -> str:
    """How many claims agree, exceed, are undecided and disagree, those that occur."""
    counts = verdicts.value_counts()
    return ", ".join(f"{counts[verdict]} {word}" for verdict, word in COUNTED.items() if verdict in counts) or "–"


def update(text: str, file: str) -> str:
    """The text of README or INTRO with the present table between its markers."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + table(file) + END + after


def _first(rows: pd.DataFrame) -> str:
    """The first claim that was measured, a confirmatory one if there is one."""
    rows = rows[rows["verdict"].isin(COUNTED)].sort_values("confirmatory", ascending=False, kind="stable")
    for row in rows.head(1).to_dict("records"):
        interval = f" [{row['low']:z.2f}, {row['high']:z.2f}]" if pd.notna(row["low"]) else ""
        return f"{row['verdict']}: {row['claim']}, {row['ours']:z.2f}{interval}"
    return "–"


def refresh() -> None:
    """Put the present table into README and INTRO, which are untouched where it is there already."""
    for file in (README, INTRO):
        text = (ROOT / file).read_text(encoding="utf-8")
        if text != (updated := update(text, file)):
            (ROOT / file).write_text(updated, encoding="utf-8")


def thumbnails() -> None:
    """Make the pictures of the table anew."""
    for name in FIGURES:
        for profile in claims(name)["profile"].unique():
            path = BOOK / THUMBNAIL.format(f"{name}-{profile}")
            path.parent.mkdir(exist_ok=True)
            with Image.open(RESULTS / profile / name / "figure.png") as figure, replacing(path) as temporary:
                ImageOps.contain(figure.convert("RGB"), SIZE).save(temporary, "WEBP", quality=80)


if __name__ == "__main__":
    thumbnails()
    refresh()
