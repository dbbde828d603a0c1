"""The answer and the table of figures at the head of README and book, from results/: `python -m lib.chapters.front`.

They replace what stands between their markers in both; a test fails while they are out of date. In the book each row
of the table has a small picture of its figure, which the command makes too.
"""

import pandas as pd
from PIL import Image, ImageOps

from lib.chapters import crossed, ridge
from lib.data import BOOK, RESULTS, ROOT, replacing
from lib.profiles import FASHION, PROFILES, Profile, class_sizes
from lib.report import Page, claims, committed, paper, stats

BEGIN, END = "<!-- figures -->\n", "<!-- /figures -->\n"
ANSWER, ANSWERED = "<!-- answer -->\n", "<!-- /answer -->\n"
IMAGES = {1000: "a thousand images of CIFAR-10", 10_000: "a fifth of CIFAR-10", 50_000: "all of CIFAR-10"}
DATA = {"cifar10_full": IMAGES[50_000], "cifar10": IMAGES[10_000], "fashion": "Fashion-MNIST"}  # by profile
ALONE = {name: f"{data}, each target alone" for name, data in DATA.items() if PROFILES[name].alone}  # by profile
NETWORKS = "{} networks on Fashion-MNIST and {} on CIFAR-10".format(
    *(PROFILES[name].ensembles[-1] for name in ("fashion", "cifar10"))  # behind TRAK, at most
)
UNDAMPED = "trak_undamped:10"
STANDS = {"agrees": "behind ours", "disagrees": "ahead of ours", "undecided": "not told from ours"}  # TRAK, by verdict
LIKE = "removing images like the target flips more than removing random images of its class"
FEATURES = "MoCo's features find smaller removal supports than supervised ones"
DATAMODELS = "ours finds smaller removal supports than Datamodels (10k)"
FLIPPED = "by TRAK (20), undamped, removing up to 25.6 % of the class flips"
HEADER = ["Figure", "Its claims", "The first of them", "Paper", "Here", "Verdict"]
README, INTRO = "README.md", "book/intro.md"
THUMBNAIL = "_static/thumbnails/{}.webp"  # under book/
SIZE = (176, 88)  # pixels, at most; shown at half of it


def table(file: str) -> str:
    """The table as Markdown, a row for each figure and profile, from results/claims.csv. file: README or INTRO."""
    verdicts, in_book = pd.read_csv(RESULTS / "claims.csv"), file == INTRO
    lines = [[""] * in_book + HEADER, ["---"] * (in_book + len(HEADER))]
    for name, figure in paper.FIGURES.items():
        of_profiles = dict(list(claims.of_figure(name).groupby("profile", sort=False)))
        for profile, rows in sorted(of_profiles.items(), key=lambda of: [*DATA, of[0]].index(of[0])):
            title = f"{figure.label}: {figure.title}"
            if profile in DATA and profile != FASHION.name:
                title = f"{title}, {DATA[profile]}"
            picture = f'<img src="{THUMBNAIL.format(f"{name}-{profile}")}" alt="{title}" width="88">'
            link = f"[{title}](notebooks/{name}{'' if in_book else '.ipynb'})"
            lines.append([picture] * in_book + [link, claims.counted(rows["verdict"]), *claims.first(rows)])
    tested = claims.counted(verdicts.loc[verdicts["confirmatory"], "verdict"])
    whole = ["all pages", claims.counted(verdicts["verdict"]), f"the main ones, tested together: {tested}"]
    lines.append([""] * in_book + whole + [""] * 3)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def pairs() -> pd.DataFrame:
    """Ours less each other ranking by removal, paired by target: the columns of `stats.paired`, and data."""
    grey = pd.read_csv(RESULTS / "fashion" / "fig03" / "claims.csv").query("kind == 'removal'")
    colour = pd.read_csv(RESULTS / "cifar10" / "scale" / "pairs.csv")
    undamped = pd.read_csv(RESULTS / "cifar10_full" / "fig03" / "claims.csv")
    undamped = undamped.query("tests == 'united' and kind == 'removal' and worse == @UNDAMPED")
    named = {"Fashion-MNIST": grey, IMAGES[50_000]: undamped}
    for name, data in ALONE.items():
        named[data] = pd.read_csv(RESULTS / name / "fig03" / "claims.csv").query("tests == 'separate'")
    return pd.concat([*(t.assign(data=d) for d, t in named.items()), colour.assign(data=colour["images"].map(IMAGES))])


def against(worse: str, data: str) -> str:
    """One of `pairs`, for a sentence: by its other ranking and its data."""
    row = pair(worse, data)
    return f"{stats.said_of(row, 'difference')} on {data}, n = {row['n']}"


def against_alone(worse: str) -> str:
    """`against`, on all data where each target was tested alone beside united tests, for a sentence."""
    return "; ".join(against(worse, data) for data in ALONE.values())


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


def tested_alone(profile: str) -> pd.DataFrame:
    """Ours less TRAK with a ridge and without, of the target's class and of all; see `crossed.against`."""
    return crossed.against(committed.table(PROFILES[profile], "fig03", "separate"), PROFILES[profile])


def answer() -> str:
    """What reproduces, whether ours beats TRAK, why not, how far all is from the paper, and its claims; in Markdown."""
    table = pd.read_csv(RESULTS / "claims.csv").astype({"n": "Int64"})
    tested, damped = table[table["confirmatory"]], table["note"].str.contains("TRAK is damped", na=False)
    disagree, (ridge_here, free) = table["verdict"] == "disagrees", _verdicts()
    models, papers = (_per_image(PROFILES[name], i) for name, i in (("fashion", -1), ("paper", 0)))
    return "\n\n".join(
        (
            f"**What reproduces**, by removal, on {IMAGES[50_000]}: images like the target carry its prediction (ours "
            f"less random images of its class: {claims.said(table, LIKE, 'cifar10_full')}), and self-supervised "
            f"features serve better than supervised ones ({claims.said(table, FEATURES, 'cifar10_full')}).",
            f"**Does its method beat TRAK?** With a ridge, as in this book, TRAK is {ridge_here} comparisons below. "
            f"Without one, as by its authors' defaults, at the paper's {ridge.PAPER_SHARE} dimensions per training "
            f"image, it is {free}. **And Datamodels?** Ours less Datamodels, on Fashion-MNIST, with {models} models "
            f"per training image (the paper's (10k): {papers}): {claims.said(table, DATAMODELS, 'fashion')}.",
            f"**Why is TRAK stronger here than in the paper?** {_why()}",
            f"{left()}",
            f"**The paper's claims, one by one.** Of its {len(tested)} main ones, chosen when results were known and "
            f"tested together: {claims.counted(tested['verdict'])}. Of all, on every data set: "
            f"{claims.counted(table['verdict'])}; {(disagree & damped).sum()} of those that disagree are about TRAK "
            f"with a ridge.",
        )
    )


def _per_image(profile: Profile, i: int) -> str:
    """The profile's numbers of models for Datamodels, the one at i, per training image."""
    n_classes, per_class, _ = class_sizes(profile)
    return f"{profile.subset_models[i] / (n_classes * per_class):g}"


def left() -> str:
    """How far all of CIFAR-10 is from the paper still, a sentence in Markdown; more in `lib.chapters.causes`."""
    here, there = PROFILES["cifar10_full"], PROFILES["paper"]
    accuracy = committed.table(PROFILES["cifar10"], "scale", "rows").set_index("images")["accuracy"].loc[[50_000]]
    ours, papers = (
        f"{of.n_targets} targets, {of.n_votes} vote{'s' * (of.n_votes > 1)} per probe, a ResNet-9 of width "
        f"{of.recipe.width} that trains for {of.recipe.epochs} epochs and is right on {right} of test images, MoCo "
        f"with a {network} of width {of.selfsupervised.width} for {of.selfsupervised.epochs} epochs"
        for of, right, network in (
            (here, f"{accuracy.iloc[0]:.0%}", "ResNet-9"),
            (there, paper.SETUPS["paper"][1], "ResNet-18"),
        )
    )
    return (
        f"**How far from the paper?** On {IMAGES[50_000]} there are as many images and as large a *k* as in the paper, "
        f"but {ours}. In the paper: {papers}. All that differs, and what each is known to change, is on the page of "
        "Figure 3."
    )


def _verdicts() -> list[str]:
    """How TRAK with a ridge, and how undamped, stands in `comparisons`: in how many it is ahead, and so on."""
    words = []
    for rows in zip(*(of for _, *of in comparisons()), strict=True):
        counts = pd.Series([STANDS[row["verdict"]] for row in rows if row is not None]).value_counts()
        words.append(f"{' and '.join(f'{stands} in {n}' for stands, n in counts.items())} of {counts.sum()}")
    return words


def _why() -> str:
    """The ridge and the dimensions, and what they do not explain; sentences."""
    grey = committed.table(PROFILES["fashion"], "ridge", "rows")
    table = pd.read_csv(RESULTS / "claims.csv").astype({"n": "Int64"})
    flipped = table.query("claim == @FLIPPED and profile == 'cifar10_full'").iloc[0]
    assert flipped["verdict"] == "disagrees"  # else "not for these alone" is wrong
    at = [stats.said_of(_swept(grey, 0.0, share), "difference") for share in (0.1, ridge.PAPER_SHARE, 0.9)]
    return (
        "In part for its ridge, or for fewer dimensions: without a ridge, TRAK weakens as its dimensions come near the "
        f"number of training images. On Fashion-MNIST, n = {grey['n'].iloc[0]}, ours less TRAK (10) is {at[0]} at 0.1 "
        f"dimensions per image, {at[1]} at the paper's {ridge.PAPER_SHARE} and {at[2]} at 0.9. But not for these "
        f"alone: undamped too, TRAK (10) flips {stats.said_of(flipped, 'ours')} of {flipped['n']} targets of "
        f"{IMAGES[50_000]} by removing up to a quarter of the class, the paper's TRAK (20) {flipped['paper']} "
        f"(p = {flipped['p']:.2g}). The paper names neither a ridge nor the classes whose images TRAK ranks. {by_lds()}"
    )


def by_lds() -> str:
    """TRAK's LDS with a ridge and undamped, beside the paper's; a sentence."""
    full = committed.table(PROFILES["cifar10_full"], "table1", "summary").set_index("method")
    grey = committed.table(PROFILES["fashion"], "ridge", "rows")
    stated = paper.FIGURES["table1"].select({"method": "trak", "models": 10}).value
    damped, free = (ridge.said(grey, ridge.PAPER_SHARE, damping, "lds") for damping in (1.0, 0.0))
    return (
        f"TRAK's LDS does not tell which the paper ran: there TRAK (10) has {stated}; here it has, undamped, {free} on "
        f"Fashion-MNIST and {stats.said_of(full.loc[UNDAMPED], 'lds')} on {IMAGES[50_000]}, with a ridge {damped} and "
        f"{stats.said_of(full.loc['trak:10'], 'lds')}."
    )


def _swept(rows: pd.DataFrame, damping: float, share: float = ridge.PAPER_SHARE) -> dict:
    """Ours less TRAK (10) of the target's class, by united tests, as of `stats.paired`. rows: of `ridge.table`."""
    row = ridge.setting(rows, share, damping)
    pair = {"difference": row["against_removal"], "n": rows["n"].iloc[0]}
    pair |= {bound: row[f"against_removal_{bound}"] for bound in ("low", "high")}
    return pair | {"verdict": "agrees" if pair["low"] > 0 else "disagrees" if pair["high"] < 0 else "undecided"}


def comparisons() -> list[tuple]:
    """Ours less TRAK by removal, by data and tests: in words, then with a ridge and undamped; None: not measured."""
    grey, colour = (committed.table(PROFILES[name], "ridge", "rows") for name in ("fashion", "cifar10"))
    rows = [
        ("Fashion-MNIST, each target alone, TRAK (20)", pair("trak:20", "Fashion-MNIST"), None),
        ("Fashion-MNIST, united tests, TRAK (10)", _swept(grey, 1.0), _swept(grey, 0.0)),
    ]
    united = {"cifar10": _swept(colour, 0.0), "cifar10_full": pair(UNDAMPED, IMAGES[50_000])}
    for profile, undamped in united.items():
        if profile in ALONE:
            of, (own, every) = tested_alone(profile), crossed.CLASSES
            heads = {own: f"{ALONE[profile]}, TRAK (10)", every: "the same, TRAK ranking the images of all classes"}
            rows += [(head, *(of.loc[(r, classes)] for r in crossed.RIDGE)) for classes, head in heads.items()]
        rows.append((f"{DATA[profile]}, united tests, TRAK (10)", pair("trak:10", DATA[profile]), undamped))
    return rows


def differences() -> str:
    """The numbers behind the answer, as a table in Markdown, and how to read it."""
    head = ("Ours less TRAK, difference of AUC by removal", "TRAK with a ridge", "undamped, 0.41 dimensions per image")
    rows = [(words, *("–" if of is None else ridge.in_words(of) for of in pair)) for words, *pair in comparisons()]
    lines = "".join(f"| {' | '.join(cells)} |\n" for cells in (head, ("---",) * 3, *rows))
    return (
        f"{lines}\n*Ours*: the paper's method, an exemplar SVM on MoCo's features; below zero TRAK finds smaller "
        "supports. *AUC*: area under the curve of flipped targets, 0 to 1; in brackets 95 % intervals over the *n* "
        "targets; verdicts follow *p* and written rules, not the intervals. *Ridge*: a multiple of the identity, added "
        "to the matrix that TRAK inverts. *TRAK (10)*: with ten networks. *United test*: one training that tests a "
        "target of every class; *alone*: trainings for each target by itself, as in the paper.\n"
    )


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
