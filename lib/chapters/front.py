"""The first page of README and book, from results/: `python -m lib.chapters.front`.

What came out, in short, and the table of figures replace what stands between their markers in both; a test fails while
they are out of date. The command makes the pictures of both too.
"""

import pandas as pd
from PIL import Image, ImageOps

from lib.chapters import ridge, versus
from lib.chapters.versus import DATA, IMAGES, UNDAMPED
from lib.data import BOOK, RESULTS, ROOT, replacing
from lib.profiles import FASHION, PROFILES
from lib.report import claims, committed, paper, plots, stats

BEGIN, END = "<!-- figures -->\n", "<!-- /figures -->\n"
ANSWER, ANSWERED = "<!-- answer -->\n", "<!-- /answer -->\n"
GLANCE = {  # claims, and their words on the first page
    "removing images like the target flips more than removing random images of its class": (
        "removing the images that ours ranks first flips more than removing random ones of the class"
    ),
    "by L2, MoCo's features find smaller removal supports than supervised ones": (
        "MoCo's features find smaller supports than supervised ones, both by L2"
    ),
    "the exemplar SVM finds smaller removal supports than L2": "the exemplar SVM finds smaller supports than L2",
    "removing up to 25.6 % of the class flips": "removing up to a quarter of the class flips",
    "mislabelling less than 0.6 % of the class flips": "mislabelling less than 0.6 % of the class flips",
    "ours finds smaller removal supports than TRAK (20)": "ours finds smaller supports than TRAK, here with a ridge",
    "ours finds smaller removal supports than TRAK (20), undamped": "… than TRAK without a ridge",
    "ours finds smaller removal supports than TRAK (20), undamped, of all classes": (
        "… than TRAK without a ridge, ranking all classes: nearest to the paper's"
    ),
    "ours finds smaller removal supports than Datamodels (10k)": "… than Datamodels (10k)",
}
CONTROL = "… than raw pixels by L2, a control that the paper lacks"
CAPTION = """By removal, but for the row on wrong labels: differences of AUC, above zero as claimed, or shares of
targets that flip. *Not judged*: the rival has fewer models than the paper's, so that to win says nothing.
"""
FLIPPED = "by TRAK (20), undamped, removing up to 25.6 % of the class flips"
HEADER = ["Figure", "Its claims", "The first of them", "Paper", "Here", "Verdict"]
README, INTRO = "README.md", "book/intro.md"
VERSUS = "_static/versus.png"  # under book/
THUMBNAIL = "_static/thumbnails/{}.webp"  # likewise
SIZE = (176, 88)  # pixels, at most; shown at half of it


def table(file: str) -> str:
    """The table as Markdown, a row for each figure and profile, from results/claims.csv. file: README or INTRO."""
    verdicts, in_book, lines = pd.read_csv(RESULTS / "claims.csv"), file == INTRO, []
    for name, figure in paper.FIGURES.items():
        of_profiles = dict(list(claims.of_figure(name).groupby("profile", sort=False)))
        for profile, rows in sorted(of_profiles.items(), key=lambda of: [*DATA, of[0]].index(of[0])):
            title = f"{figure.label}: {figure.title}"
            if profile in DATA and profile != FASHION.name:
                title = f"{title}, {DATA[profile]}"
            picture = f'<img src="{THUMBNAIL.format(f"{name}-{profile}")}" alt="{title}" width="88">'
            link = f"[{title}](notebooks/{name}{'' if in_book else '.ipynb'})"
            lines.append([picture] * in_book + [link, claims.counted(rows["verdict"]), *claims.first(rows)])
    tested = claims.counted(verdicts.loc[verdicts["main"], "verdict"])
    whole = ["all pages", claims.counted(verdicts["verdict"]), f"the main ones, tested together: {tested}"]
    lines.append([""] * in_book + whole + [""] * 3)
    return plots.markdown([""] * in_book + HEADER, lines)


def answer() -> str:
    """The claims that tell most, why TRAK is stronger here, how far all is from the paper, its claims; in Markdown."""
    why = f"**Why is TRAK stronger here than in the paper?** {_why()}"
    far = f"{left()} [Figure 3](fig03) has how much each difference is known to matter."
    return "\n\n".join((glance(), why, far, counted()))


def brief(file: str) -> str:
    """The same in short, and the picture behind it. file: README or INTRO."""
    end, folder = ("", "") if file == INTRO else (".ipynb", "book/")
    why = (
        f"**Why is TRAK stronger here than in the paper?** Its settings may explain a part. {versus.defaults()} "
        f"{by_lds()} [Does the paper hold?](notebooks/holds{end}) has the other causes that were tested, and what is "
        f"open."
    )
    far = f"{left()} [Figure 3](notebooks/fig03{end}) has how much each difference is known to matter."
    items = "".join(f"- {item}\n" for item in (why, far, counted()))
    return f"{glance()}\n![{versus.TITLE}]({folder}{VERSUS})\n\n{items}"


def glance() -> str:
    """The claims that tell most, a row each, with what was measured on each data set; in Markdown."""
    measured, names = _claims().dropna(subset="ours").set_index(["claim", "profile"]), list(DATA)
    lines = [["The paper's claim", *(name[0].upper() + name[1:] for name in DATA.values())]]
    for claim, words in GLANCE.items():
        rows = [measured.loc[(claim, name)] if (claim, name) in measured.index else None for name in names]
        stated = next(row["paper"] for row in rows if row is not None)
        words += f" (paper: {stated})" if "%" in stated else ""
        lines.append([words, *("–" if row is None else _cell(row, "ours") for row in rows)])
    lines.append([CONTROL, *(_cell(versus.pair("pixels_l2", data), "difference") for data in DATA.values())])
    return f"{plots.markdown(lines[0], lines[1:])}\n{CAPTION}"


def _cell(row: pd.Series, value: str) -> str:
    number = f"{stats.said_of(row, value)}, n = {row['n']}".replace(" ", "\N{NO-BREAK SPACE}")
    return f"**{row['verdict']}**<br>{number}"


def counted() -> str:
    """How many of the paper's claims agree, in Markdown."""
    table = _claims()
    tested, damped = table[table["main"]], table["note"].str.contains("TRAK is damped", na=False)
    disagree, names = table["verdict"] == "disagrees", DATA | {"imagenet": "Tiny ImageNet"}
    on = ", ".join(f"{(tested['profile'] == profile).sum() or 'none'} on {name}" for profile, name in names.items())
    return (
        f"**The paper's claims, one by one.** Of {len(tested)} that we took for its main ones when results were known "
        f"({on}), tested together: {claims.counted(tested['verdict'])}. Of all, counted once per data set and, where "
        f"TRAK is in them, with its ridge and without: {claims.counted(table['verdict'])}. Of those that "
        f"disagree, {(disagree & damped & table['main']).sum()} main ones and {(disagree & damped).sum()} in all are "
        f"about TRAK with a ridge."
    )


def _claims() -> pd.DataFrame:
    return pd.read_csv(RESULTS / "claims.csv").astype({"n": "Int64"})


def left() -> str:
    """How far all of CIFAR-10 is from the paper, in Markdown; more in `lib.chapters.causes`."""
    here, there = PROFILES["cifar10_full"], PROFILES["paper"]
    accuracy = committed.table(PROFILES["cifar10"], "scale", "rows").set_index("images")["accuracy"].loc[[50_000]]
    moco, papers = here.selfsupervised, there.selfsupervised
    supports = committed.table(here, "fig03", "supports")
    wrong = here.n_targets - stats.usable(supports)["target"].nunique()
    return (
        f"**How far from the paper?** On {IMAGES[50_000]}, the number of images and *k* are the paper's. Other values "
        f"are not (the paper's in brackets): the images are JPEGs (lossless); {here.n_targets} targets "
        f"({there.n_targets}), drawn among those that unmodified models get right; for each *k*, {here.n_votes} "
        f"training ({there.n_votes}), which tests ten targets, one of each class; a ResNet-9 of width "
        f"{here.recipe.width} ({there.recipe.width}) that trains for {here.recipe.epochs} epochs "
        f"({there.recipe.epochs}) and is right on {accuracy.iloc[0]:.0%} of test images ({paper.SETUPS['paper'][1]}); "
        f"MoCo with a ResNet-9 of width {moco.width} (a ResNet-18 of {papers.width}) for {moco.epochs} epochs "
        f"({papers.epochs}). In the training with nothing removed {wrong} of the {here.n_targets} are wrong, and left "
        f"out: some flips are chance, and random images show how many."
    )


def _why() -> str:
    """The ridge and the dimensions, and what they do not explain; sentences."""
    flipped = _claims().query("claim == @FLIPPED and profile == 'cifar10_full'").iloc[0]
    few, papers, many = (versus.swept("fashion", 0.0, share) for share in (0.1, ridge.PAPER_SHARE, 0.9))
    return (
        f"Its settings may explain a part. {versus.defaults()} It is not the ridge alone: without one, TRAK weakens as "
        f"its dimensions come near the number of training images. On Fashion-MNIST, n = {few['n']}, ours less TRAK "
        f"(10) is {stats.said_of(few, 'difference')} at 0.1 dimensions per image, "
        f"{stats.said_of(papers, 'difference')} at the paper's {ridge.PAPER_SHARE} and "
        f"{stats.said_of(many, 'difference')} at 0.9. Whether the settings are all is open: undamped, within the "
        f"class, TRAK (10) flips {stats.said_of(flipped, 'ours')} of {flipped['n']} targets of {IMAGES[50_000]} by "
        f"removing up to a quarter of the class, the paper's TRAK (20) {flipped['paper']} (p = {flipped['p']:.2g}), "
        f"but the network, too, errs more often here than the paper's. The paper names neither a ridge nor the classes "
        f"whose images TRAK ranks. {by_lds()}"
    )


def by_lds() -> str:
    """TRAK's LDS with a ridge and undamped, beside the paper's; a sentence."""
    full = committed.table(PROFILES["cifar10_full"], "table1", "summary").set_index("method")["lds"]
    stated = paper.FIGURES["table1"].select({"method": "trak", "models": 10}).value
    damped, free = full["trak:10"], full[UNDAMPED]
    nearer = "with" if abs(damped - stated) < abs(free - stated) else "without"
    return (
        f"The LDS of TRAK (10), {stated} in the paper, is nearer to that {nearer} a ridge: on {IMAGES[50_000]} it is "
        f"{damped:.2f} with a ridge and {free:.2f} without."
    )


def update(text: str, file: str) -> str:
    """The text of README or INTRO with what is up to date between their markers."""
    for begin, end, present in ((ANSWER, ANSWERED, brief(file)), (BEGIN, END, table(file))):
        before, _, rest = text.partition(begin)
        text = before + begin + present + end + rest.partition(end)[2]
    return text


def refresh() -> None:
    """Put what is up to date into README and INTRO, which are untouched where it is there already."""
    for file in (README, INTRO):
        text = (ROOT / file).read_text(encoding="utf-8")
        if text != (updated := update(text, file)):
            (ROOT / file).write_text(updated, encoding="utf-8")


def pictures() -> None:
    """Make those of the answer and of the table anew."""
    with replacing(BOOK / VERSUS) as temporary:
        temporary.write_bytes(plots.png(versus.figure()))
    for name in paper.FIGURES:
        for profile in claims.of_figure(name)["profile"].unique():
            path = BOOK / THUMBNAIL.format(f"{name}-{profile}")
            path.parent.mkdir(exist_ok=True)
            with Image.open(RESULTS / profile / name / "figure.png") as figure, replacing(path) as temporary:
                ImageOps.contain(figure.convert("RGB"), SIZE).save(temporary, "WEBP", quality=80)


if __name__ == "__main__":
    pictures()
    refresh()
