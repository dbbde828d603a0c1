"""The answer and the table of figures at the head of README and book, from results/: `python -m lib.chapters.front`.

They replace what stands between their markers in both; a test fails while they are out of date. In the book each row
of the table has a small picture of its figure, which the command makes too.
"""

import pandas as pd
from PIL import Image, ImageOps

from lib.chapters import crossed, ridge
from lib.data import BOOK, RESULTS, ROOT, replacing
from lib.profiles import FASHION, PROFILES
from lib.report import Page, claims, committed, paper, stats

BEGIN, END = "<!-- figures -->\n", "<!-- /figures -->\n"
ANSWER, ANSWERED = "<!-- answer -->\n", "<!-- /answer -->\n"
IMAGES = {1000: "a thousand images of CIFAR-10", 10_000: "a fifth of CIFAR-10", 50_000: "all of CIFAR-10"}
DATA = {"cifar10_full": IMAGES[50_000], "cifar10": IMAGES[10_000], "fashion": "Fashion-MNIST"}  # by profile
ALONE = "a fifth of CIFAR-10, each target alone"
NETWORKS = "{} networks on Fashion-MNIST and {} on CIFAR-10".format(
    *(PROFILES[name].ensembles[-1] for name in ("fashion", "cifar10"))  # behind TRAK, at most
)
ANSWERS = ("trak:20", "Fashion-MNIST"), ("trak:10", IMAGES[10_000]), ("trak:10", IMAGES[50_000])
UNDAMPED = "trak_undamped:10"
STANDS = {"agrees": "behind ours", "disagrees": "ahead of ours", "undecided": "not told from ours"}  # TRAK, by verdict
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
            if profile in DATA and profile != FASHION.name:
                title, command = f"{title}, {DATA[profile]}", f"{command} PROFILE={profile}"
            picture = f'<img src="{THUMBNAIL.format(f"{name}-{profile}")}" alt="{title}" width="88">'
            link = f"[{title}](notebooks/{name}{'' if in_book else '.ipynb'})"
            lines.append(
                [picture] * in_book + [link, claims.counted(rows["verdict"]), claims.first(rows), f"`{command}`"]
            )
    tested = claims.counted(verdicts.loc[verdicts["confirmatory"], "verdict"])
    whole = f"the main ones, confirmatory, tested together: {tested}"
    lines.append([""] * in_book + ["All pages", claims.counted(verdicts["verdict"]), whole, "`make verdicts`"])
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def pairs() -> pd.DataFrame:
    """Ours less each other ranking by removal, paired by target: the columns of `stats.paired`, and data."""
    grey = pd.read_csv(RESULTS / "fashion" / "fig03" / "claims.csv").query("kind == 'removal'")
    colour = pd.read_csv(RESULTS / "cifar10" / "scale" / "pairs.csv")
    alone = pd.read_csv(RESULTS / "cifar10" / "fig03" / "claims.csv").query("tests == 'separate'")
    undamped = pd.read_csv(RESULTS / "cifar10_full" / "fig03" / "claims.csv")
    undamped = undamped.query("kind == 'removal' and worse == @UNDAMPED")
    named = {"Fashion-MNIST": grey, ALONE: alone, IMAGES[50_000]: undamped}
    return pd.concat([*(t.assign(data=d) for d, t in named.items()), colour.assign(data=colour["images"].map(IMAGES))])


def against(worse: str, data: str) -> str:
    """One of `pairs`, for a sentence: by its other ranking and its data."""
    row = pair(worse, data)
    return f"{stats.said_of(row, 'difference')} on {data}, n = {row['n']}"


def pair(worse: str, data: str) -> pd.Series:
    """One of `pairs`, by its other ranking and its data."""
    return pairs().set_index(["worse", "data"]).loc[(worse, data)]


def everywhere(page: Page, claim: str) -> str:
    """What was measured of one of the paper's claims about a figure, on each of DATA that has it, for a sentence.

    It says by which tests where not all are by the same.
    """
    tests, parts = claims.of_figure(page.name).query("claim == @claim").set_index("profile")["tests"], []
    for profile in (name for name in DATA if name in tests):
        of = f", {tests[profile]} tests" if tests.nunique() > 1 else ""
        parts.append(f"on {DATA[profile]}{of}, {page.said(claim, profile)}")
    return "; ".join(parts)


def tested_alone() -> pd.DataFrame:
    """Ours less TRAK with a ridge and without, of the target's class and of all; see `crossed.against`."""
    profile = PROFILES["cifar10"]
    return crossed.against(committed.table(profile, "ridge", "alone"), profile.k_max)


def answer() -> str:
    """Whether the paper holds, whether its method beats TRAK, and why not, in Markdown."""
    tested = pd.read_csv(RESULTS / "claims.csv").query("confirmatory")
    damped = (tested["note"].str.contains("TRAK is damped") & (tested["verdict"] == "disagrees")).sum()
    ahead = {"agrees": "yes", "disagrees": "no"}
    words = dict.fromkeys(ahead.get(pair(*of)["verdict"], "undecided") for of in ANSWERS)
    paragraphs = (
        f"**Does the paper hold, at this size?** Of its {len(tested)} main claims, tested together: "
        f"{claims.counted(tested['verdict'])}; {damped} of those that disagree are about TRAK, which has a ridge here.",
        f"**Does its method beat TRAK?** By removal, {' or '.join(words)}: ours less TRAK, difference of AUC, is "
        f"{against(*ANSWERS[0])} (TRAK (20), each target alone), and {against(*ANSWERS[-1])} (TRAK (10), united "
        "tests).",
        "**Why not?** TRAK's authors' code, which the paper ran, has no ridge by default and ranks the images of all "
        f"classes; the paper names neither. {_where_trak_stands()} {by_lds()}",
    )
    return "\n\n".join(paragraphs)


def _where_trak_stands() -> str:
    """With a ridge and undamped, within the target's class and over all, in sentences; the numbers: `differences`."""
    here, every, free, there = tested_alone()["verdict"].map(STANDS)
    grey, colour = map(_undamped, ("fashion", "cifar10"))
    return (
        f"On {IMAGES[10_000]}, each target alone, TRAK (10) with a ridge is {here} within the target's class and "
        f"{every} over all classes; undamped, at the paper's dimensions per image, it is {free} within the class and "
        f"{there} over all. By united tests, undamped, it is {grey} on Fashion-MNIST, {colour} on {IMAGES[10_000]} "
        f"and {STANDS[pair(UNDAMPED, IMAGES[50_000])['verdict']]} on {IMAGES[50_000]}."
    )


def by_lds() -> str:
    """Whether the paper's TRAK is like that with a ridge or like that without, by its LDS; a sentence."""
    rows = committed.table(PROFILES["cifar10_full"], "table1", "summary").set_index("method")
    damped, free = (rows.loc[name] for name in ("trak:10", UNDAMPED))
    stated = paper.FIGURES["table1"].select({"method": "trak", "models": 10}).value
    nearer = min((abs(row["lds"] - stated), name) for row, name in zip((damped, free), crossed.RIDGE, strict=True))[1]
    return (
        f"By its LDS, {stated}, the paper's TRAK (10) is like the one {nearer}: here, on {IMAGES[50_000]}, TRAK (10) "
        f"has {stats.said_of(damped, 'lds')} with a ridge and {stats.said_of(free, 'lds')} undamped."
    )


def _undamped(profile: str) -> str:
    """Where TRAK stands undamped, within the target's class, by the interval of united tests."""
    row = ridge.setting(committed.table(PROFILES[profile], "ridge", "rows"), ridge.PAPER_SHARE, 0.0)
    ahead, behind = row["against_removal_high"] < 0, row["against_removal_low"] > 0
    return STANDS["disagrees" if ahead else "agrees" if behind else "undecided"]


def _swept(rows: pd.DataFrame, damping: float) -> str:
    """Ours less TRAK (10) of the target's class at the paper's share of dimensions. rows: of `ridge.table`."""
    said = ridge.said(rows, ridge.PAPER_SHARE, damping, "against_removal")
    return f"{said}, n = {rows['n'].iloc[0]}"


def differences() -> str:
    """The numbers behind the answer, as a table in Markdown: TRAK with its ridge and undamped, by data and tests."""
    grey, colour = (committed.table(PROFILES[name], "ridge", "rows") for name in ("fashion", "cifar10"))
    alone = tested_alone()

    def tested(worse: str, data: str) -> str:
        return ridge.in_words(pair(worse, data))

    def by_ridge(classes: str) -> tuple[str, ...]:
        return tuple(ridge.in_words(alone.loc[(damped, classes)]) for damped in crossed.RIDGE)

    own, every = crossed.CLASSES
    rows = [
        ("Fashion-MNIST, each target alone, TRAK (20)", tested("trak:20", "Fashion-MNIST"), "–"),
        ("Fashion-MNIST, united tests, TRAK (10)", _swept(grey, 1.0), _swept(grey, 0.0)),
        (f"{IMAGES[10_000]}, each target alone, TRAK (10)", *by_ridge(own)),
        ("the same, choosing from all classes", *by_ridge(every)),
        (f"{IMAGES[10_000]}, united tests, TRAK (10)", tested("trak:10", IMAGES[10_000]), _swept(colour, 0.0)),
        (f"{IMAGES[50_000]}, united tests, TRAK (10)", *(tested(of, IMAGES[50_000]) for of in ("trak:10", UNDAMPED))),
    ]
    head = ("Ours less TRAK, difference of AUC by removal", "TRAK with a ridge", "undamped, 0.41 dimensions per image")
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, ("---",) * 3, *rows))


def update(text: str, file: str) -> str:
    """The text of README or INTRO with what is up to date between their markers."""
    answered = f"{answer()}\n\n{differences()}"
    for begin, end, present in ((ANSWER, ANSWERED, answered), (BEGIN, END, table(file))):
        before, _, rest = text.partition(begin)
        text = before + begin + present + end + rest.partition(end)[2]
    return text


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
