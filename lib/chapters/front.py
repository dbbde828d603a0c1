"""The answer and the table of figures at the head of README and book, from results/: `python -m lib.chapters.front`.

They replace what stands between their markers in both; a test fails while they are out of date. In the book each row
of the table has a small picture of its figure, which the command makes too.
"""

import pandas as pd
from PIL import Image, ImageOps

from lib.chapters import ridge
from lib.data import BOOK, RESULTS, ROOT, replacing
from lib.profiles import PROFILES
from lib.report import claims, committed, paper, stats

BEGIN, END = "<!-- figures -->\n", "<!-- /figures -->\n"
ANSWER, ANSWERED = "<!-- answer -->\n", "<!-- /answer -->\n"
IMAGES = {1000: "a thousand images of CIFAR-10", 10_000: "a fifth of CIFAR-10", 50_000: "all of CIFAR-10"}
ALONE = "CIFAR-10, tested alone"
ANSWERS = ("trak:20", "Fashion-MNIST"), ("trak:10", IMAGES[10_000]), ("trak:10", IMAGES[50_000])
HEADER = ["Figure", "Claims of the paper", "The first of them", "Command"]
README, INTRO = "README.md", "book/intro.md"
THUMBNAIL = "_static/thumbnails/{}.webp"  # under book/
SIZE = (176, 88)  # pixels, at most; shown at half of it


def table(file: str) -> str:
    """The table as Markdown, a row for each figure and profile, from results/claims.csv. file: README or INTRO."""
    verdicts, in_book = pd.read_csv(RESULTS / "claims.csv"), file == INTRO
    lines = [[""] * in_book + HEADER, ["---"] * (in_book + len(HEADER))]
    for name, figure in paper.FIGURES.items():
        for profile, rows in claims.of_figure(name).groupby("profile", sort=False):
            title, command = f"{figure.label}: {figure.title}", f"make {name}"
            if profile == "cifar10":
                title, command = f"{title}, CIFAR-10", f"{command} PROFILE=cifar10"
            picture = f'<img src="{THUMBNAIL.format(f"{name}-{profile}")}" alt="{title}" width="88">'
            link = f"[{title}](notebooks/{name}{'' if in_book else '.ipynb'})"
            lines.append([picture] * in_book + [link, claims.counted(rows["verdict"]), _first(rows), f"`{command}`"])
    tested = claims.counted(verdicts.loc[verdicts["confirmatory"], "verdict"])
    whole = f"the main ones, confirmatory, tested together: {tested}"
    lines.append([""] * in_book + ["All pages", claims.counted(verdicts["verdict"]), whole, "`make verdicts`"])
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def pairs() -> pd.DataFrame:
    """Ours less each other ranking by removal, paired by target: the columns of `stats.paired`, and data."""
    grey = pd.read_csv(RESULTS / "fashion" / "fig03" / "claims.csv").query("kind == 'removal'")
    colour = pd.read_csv(RESULTS / "cifar10" / "scale" / "pairs.csv")
    alone = pd.read_csv(RESULTS / "cifar10" / "fig03" / "claims.csv").query("tests == 'separate'")
    named = {"Fashion-MNIST": grey, ALONE: alone}
    return pd.concat([*(t.assign(data=d) for d, t in named.items()), colour.assign(data=colour["images"].map(IMAGES))])


def against(worse: str, data: str) -> str:
    """One of `pairs`, for a sentence: by its other ranking and its data."""
    row = pair(worse, data)
    return f"{stats.said_of(row, 'difference')} on {data}, n = {row['n']}"


def pair(worse: str, data: str) -> pd.Series:
    """One of `pairs`, by its other ranking and its data."""
    return pairs().set_index(["worse", "data"]).loc[(worse, data)]


def as_run() -> tuple[dict, dict]:
    """Ours less TRAK, as the book runs it and as the paper does; see `ridge.as_run`."""
    profile = PROFILES["cifar10"]
    return ridge.as_run(committed.table(profile, "ridge", "alone"), profile.k_max)


def answer() -> str:
    """Whether the paper holds, and whether its method beats TRAK, as one paragraph of Markdown."""
    tested = pd.read_csv(RESULTS / "claims.csv").query("confirmatory")
    damped = (tested["note"].str.contains("TRAK is damped") & (tested["verdict"] == "disagrees")).sum()
    ahead = {"agrees": "yes", "disagrees": "no"}
    rows = [pair(*of) for of in ANSWERS]
    words = dict.fromkeys(ahead.get(row["verdict"], "undecided") for row in rows)
    here, there = as_run()
    ahead_there = {"agrees": "behind", "disagrees": "ahead"}.get(there["verdict"], "not told from ours")
    grey, colour = (undamped(name) for name in ("fashion", "cifar10"))
    return (
        f"**Does the paper hold, at this size?** Of its {len(tested)} main claims, tested together: "
        f"{claims.counted(tested['verdict'])}; {damped} of those that disagree are about TRAK, which has a ridge here. "
        f"**Does its method beat TRAK?** By removal, {' or '.join(words)}: ours less TRAK, difference of AUC, is "
        f"{against(*ANSWERS[0])} (TRAK (20), each target alone), and {against(*ANSWERS[-1])} (TRAK (10), united "
        f"tests). **Why not?** In part because of the ridge, which its authors' code has not by default. Without one "
        f"the difference is {grey} on Fashion-MNIST and {colour} on {IMAGES[10_000]}. Without one and choosing from "
        f"all classes, TRAK (10) is {ahead_there} on {IMAGES[10_000]}: {ridge.in_words(there)}, instead of "
        f"{ridge.in_words(here)}. The paper, which ran that code, names neither."
    )


def undamped(profile: str) -> str:
    """Ours less TRAK (10) undamped, of the target's class, by united tests, for a sentence."""
    rows = committed.table(PROFILES[profile], "ridge", "rows")
    said = ridge.said(rows, ridge.PAPER_SHARE, 0.0, "against_removal")
    return f"{said}, n = {rows['n'].iloc[0]},"


def differences() -> str:
    """The numbers behind the answer, as a table in Markdown: with TRAK's ridge and without, by data and tests."""
    grey, colour = (committed.table(PROFILES[name], "ridge", "rows") for name in ("fashion", "cifar10"))
    here, there = as_run()

    def tested(worse: str, data: str) -> str:
        return ridge.in_words(pair(worse, data))

    def swept(rows: pd.DataFrame, damping: float) -> str:
        said = ridge.said(rows, ridge.PAPER_SHARE, damping, "against_removal")
        return f"{said}, n = {rows['n'].iloc[0]}"

    rows = [
        ("Fashion-MNIST, each target alone, TRAK (20)", tested("trak:20", "Fashion-MNIST"), "–"),
        ("Fashion-MNIST, united tests, TRAK (10)", swept(grey, 1.0), swept(grey, 0.0)),
        (f"{IMAGES[10_000]}, each target alone, TRAK (10)", ridge.in_words(here), "–"),
        ("the same, choosing from all classes", tested("trak:10:all", ALONE), ridge.in_words(there)),
        (f"{IMAGES[10_000]}, united tests, TRAK (10)", tested("trak:10", IMAGES[10_000]), swept(colour, 0.0)),
        (f"{IMAGES[50_000]}, united tests, TRAK (10)", tested("trak:10", IMAGES[50_000]), "–"),
    ]
    head = ("Ours less TRAK, difference of AUC by removal", "TRAK with a ridge", "without a ridge")
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, ("---",) * 3, *rows))


def update(text: str, file: str) -> str:
    """The text of README or INTRO with what is up to date between their markers; INTRO has no room for all numbers."""
    answered = f"{answer()}\n\n{differences()}" if file == README else f"{answer()}\n"
    for begin, end, present in ((ANSWER, ANSWERED, answered), (BEGIN, END, table(file))):
        before, _, rest = text.partition(begin)
        text = before + begin + present + end + rest.partition(end)[2]
    return text


def _first(rows: pd.DataFrame) -> str:
    """The first claim that was measured, a confirmatory one if there is one."""
    rows = rows[rows["verdict"].isin(claims.COUNTED)].sort_values("confirmatory", ascending=False, kind="stable")
    for row in rows.head(1).to_dict("records"):
        unit = " times ours" if row["measured"].startswith("times") else ""
        return f"{row['verdict']}: {row['claim']}, {stats.said(row['ours'], row['low'], row['high'])}{unit}"
    return "–"


def refresh() -> None:
    """Put the present table into README and INTRO, which are untouched where it is there already."""
    for file in (README, INTRO):
        text = (ROOT / file).read_text(encoding="utf-8")
        if text != (updated := update(text, file)):
            (ROOT / file).write_text(updated, encoding="utf-8")


def thumbnails() -> None:
    """Make the pictures of the table anew."""
    for name in paper.FIGURES:
        for profile in claims.of_figure(name)["profile"].unique():
            path = BOOK / THUMBNAIL.format(f"{name}-{profile}")
            path.parent.mkdir(exist_ok=True)
            with Image.open(RESULTS / profile / name / "figure.png") as figure, replacing(path) as temporary:
                ImageOps.contain(figure.convert("RGB"), SIZE).save(temporary, "WEBP", quality=80)


if __name__ == "__main__":
    thumbnails()
    refresh()
