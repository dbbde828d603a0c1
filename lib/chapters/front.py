"""The first page of README and book, from results/: `python -m lib.chapters.front`.

What came out, in short, and the table of figures replace what stands between their markers in both; a test fails while
they are out of date. The command makes the pictures of both too.
"""

import pandas as pd
from PIL import Image, ImageOps

from lib.chapters import ridge, versus
from lib.chapters.versus import DATA, IMAGES, UNDAMPED
from lib.data import BOOK, RESULTS, ROOT, replacing
from lib.profiles import FASHION, PROFILES, Profile, class_sizes
from lib.report import claims, committed, paper, plots, stats

BEGIN, END = "<!-- figures -->\n", "<!-- /figures -->\n"
ANSWER, ANSWERED = "<!-- answer -->\n", "<!-- /answer -->\n"
LIKE = "removing images like the target flips more than removing random images of its class"
FEATURES = "MoCo's features find smaller removal supports than supervised ones"
DATAMODELS = "ours finds smaller removal supports than Datamodels (10k)"
FLIPPED = "by TRAK (20), undamped, removing up to 25.6 % of the class flips"
HEADER = ["Figure", "Its claims", "The first of them", "Paper", "Here", "Verdict"]
README, INTRO = "README.md", "book/intro.md"
VERSUS = "_static/versus.png"  # under book/
THUMBNAIL = "_static/thumbnails/{}.webp"  # likewise
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


def answer() -> str:
    """What reproduces, whether ours beats TRAK, why not, how far all is from the paper, and its claims; in Markdown."""
    why = f"**Why is TRAK stronger here than in the paper?** {_why()}"
    far = f"{left()} [Figure 3](fig03) has what each is known to change."
    return "\n\n".join((reproduces(), beats(), why, far, counted()))


def brief(file: str) -> str:
    """The same in short, as a list, and the picture behind it. file: README or INTRO."""
    end = "" if file == INTRO else ".ipynb"
    why = (
        f"**Why is TRAK stronger here than in the paper?** In part because of its settings. {versus.defaults()} "
        f"[Does the paper hold?](notebooks/holds{end}) has the other causes that were tested, and what is open."
    )
    far = f"{left()} [Figure 3](notebooks/fig03{end}) has what each is known to change."
    items = reproduces(), beats(), why, far, counted()
    picture = f"![{versus.TITLE}]({VERSUS if file == INTRO else f'book/{VERSUS}'})"
    return "".join(f"- {item}\n" for item in items) + f"\n{picture}\n"


def reproduces() -> str:
    """What does, in Markdown."""
    table = _claims()
    return (
        f"**What reproduces**, by removal, on {IMAGES[50_000]}: images like the target carry its prediction (ours "
        f"less random images of its class: {claims.said(table, LIKE, 'cifar10_full')}), and self-supervised "
        f"features serve better than supervised ones ({claims.said(table, FEATURES, 'cifar10_full')})."
    )


def beats() -> str:
    """Whether ours beats TRAK and Datamodels, in Markdown."""
    (ridge_here, free), table = versus.standings(), _claims()
    models, papers = (_per_image(PROFILES[name], i) for name, i in (("fashion", -1), ("paper", 0)))
    return (
        f"**Does the paper's method beat TRAK?** With a ridge, as in this book, TRAK is {ridge_here} comparisons "
        f"below. Without one, as by its authors' defaults, at the paper's {ridge.PAPER_SHARE} dimensions per training "
        f"image, it is {free}. **And Datamodels?** Ours less Datamodels, on Fashion-MNIST, with {models} models "
        f"per training image (the paper's (10k): {papers}): {claims.said(table, DATAMODELS, 'fashion')}."
    )


def counted() -> str:
    """How many of the paper's claims agree, in Markdown."""
    table = _claims()
    tested, damped = table[table["confirmatory"]], table["note"].str.contains("TRAK is damped", na=False)
    disagree = table["verdict"] == "disagrees"
    return (
        f"**The paper's claims, one by one.** Of its {len(tested)} main ones, chosen when results were known and "
        f"tested together: {claims.counted(tested['verdict'])}. Of all, on every data set: "
        f"{claims.counted(table['verdict'])}; {(disagree & damped).sum()} of those that disagree are about TRAK "
        f"with a ridge."
    )


def _claims() -> pd.DataFrame:
    return pd.read_csv(RESULTS / "claims.csv").astype({"n": "Int64"})


def _per_image(profile: Profile, i: int) -> str:
    """The profile's numbers of models for Datamodels, the one at i, per training image."""
    n_classes, per_class, _ = class_sizes(profile)
    return f"{profile.subset_models[i] / (n_classes * per_class):g}"


def left() -> str:
    """How far all of CIFAR-10 is from the paper, in Markdown; more in `lib.chapters.causes`."""
    here, there = PROFILES["cifar10_full"], PROFILES["paper"]
    accuracy = committed.table(PROFILES["cifar10"], "scale", "rows").set_index("images")["accuracy"].loc[[50_000]]
    moco, papers = here.selfsupervised, there.selfsupervised
    return (
        f"**How far from the paper?** On {IMAGES[50_000]}, the number of images and *k* are the paper's. The images "
        f"are JPEGs, {here.n_targets} targets (paper: {there.n_targets}) are drawn among those that unmodified models "
        f"get right, and ten share a retraining; votes per probe {here.n_votes} ({there.n_votes}); a ResNet-9 of width "
        f"{here.recipe.width} ({there.recipe.width}) that trains for {here.recipe.epochs} epochs "
        f"({there.recipe.epochs}) and is right on {accuracy.iloc[0]:.0%} of test images ({paper.SETUPS['paper'][1]}); "
        f"MoCo with a ResNet-9 of width {moco.width} (a ResNet-18 of {papers.width}) for {moco.epochs} epochs "
        f"({papers.epochs})."
    )


def _why() -> str:
    """The ridge and the dimensions, and what they do not explain; sentences."""
    grey, table = committed.table(PROFILES["fashion"], "ridge", "rows"), _claims()
    flipped = table.query("claim == @FLIPPED and profile == 'cifar10_full'").iloc[0]
    assert flipped["verdict"] == "disagrees"  # else "not of these alone" is wrong
    at = [stats.said_of(versus.swept(grey, 0.0, share), "difference") for share in (0.1, ridge.PAPER_SHARE, 0.9)]
    return (
        f"In part because of its settings. {versus.defaults()} Without a ridge, TRAK weakens as its dimensions come "
        f"near the number of training images. On Fashion-MNIST, n = {grey['n'].iloc[0]}, ours less TRAK (10) is "
        f"{at[0]} at 0.1 dimensions per image, {at[1]} at the paper's {ridge.PAPER_SHARE} and {at[2]} at 0.9. But not "
        f"of these alone: undamped too, TRAK (10) flips {stats.said_of(flipped, 'ours')} of {flipped['n']} targets of "
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
