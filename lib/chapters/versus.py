"""Ours against TRAK by removal, on all data and by all tests: as a picture, a table and sentences, from results/.

With a ridge, as TRAK is in this book, and undamped, as by default in its authors' code. Each number is ours less the
other ranking, a difference of AUC: below zero the other finds smaller supports.
"""

import pandas as pd
from matplotlib.figure import Figure

from lib.chapters import crossed, ridge
from lib.data import RESULTS
from lib.methods import OURS, look
from lib.profiles import PROFILES
from lib.report import committed, plots, stats
from lib.study import REMOVAL

IMAGES = {1000: "a thousand images of CIFAR-10", 10_000: "a fifth of CIFAR-10", 50_000: "all of CIFAR-10"}
DATA = {"cifar10_full": IMAGES[50_000], "cifar10": IMAGES[10_000], "fashion": "Fashion-MNIST"}  # by profile
ALONE = {name: f"{data}, each target alone" for name, data in DATA.items() if PROFILES[name].alone}  # by profile
TINY = "ten classes of Tiny ImageNet"
UNDAMPED = "trak_undamped:10"
HEADS = "TRAK with a ridge", f"undamped, {ridge.PAPER_SHARE} dimensions per image"
TITLE = "Ours less TRAK, difference of AUC by removal; bars: 95 % intervals over targets"


def pairs() -> pd.DataFrame:
    """Ours less each other ranking by removal, paired by target: the columns of `stats.paired`, and data."""
    grey = pd.read_csv(RESULTS / "fashion" / "fig03" / "claims.csv").query("kind == 'removal'")
    colour = pd.read_csv(RESULTS / "cifar10" / "scale" / "pairs.csv")
    undamped = pd.read_csv(RESULTS / "cifar10_full" / "fig03" / "claims.csv")
    undamped = undamped.query("tests == 'united' and kind == 'removal' and worse == @UNDAMPED")
    tiny = pd.read_csv(RESULTS / "imagenet" / "fig05" / "claims.csv")
    named = {"Fashion-MNIST": grey, IMAGES[50_000]: undamped, TINY: tiny}
    for name, data in ALONE.items():
        named[data] = pd.read_csv(RESULTS / name / "fig03" / "claims.csv").query("tests == 'separate'")
    return pd.concat([*(t.assign(data=d) for d, t in named.items()), colour.assign(data=colour["images"].map(IMAGES))])


def pair(worse: str, data: str) -> pd.Series:
    """One of `pairs`, by its other ranking and its data."""
    return pairs().set_index(["worse", "data"]).loc[(worse, data)]


def against(worse: str, data: str) -> str:
    """One of `pairs`, for a sentence: by its other ranking and its data."""
    row = pair(worse, data)
    return f"{stats.said_of(row, 'difference')} on {data} (n = {row['n']}, p = {row['p']:.2g})"


def tested_alone(profile: str) -> pd.DataFrame:
    """Ours less TRAK with a ridge and without, of the target's class and of all; see `crossed.against`."""
    return crossed.against(committed.table(PROFILES[profile], "fig03", "separate"), PROFILES[profile])


def defaults() -> str:
    """What TRAK as the paper presumably ran it does to ours less TRAK, where targets were tested alone; a sentence."""
    parts = []
    for name in ALONE:
        of, profile = tested_alone(name), PROFILES[name]
        alone, methods = committed.table(profile, "fig03", "separate"), crossed.names(profile)
        here, there = (stats.said_of(of.loc[cell], "difference") for cell in crossed.ENDS)
        moved = stats.paired(alone, REMOVAL, *map(methods.get, crossed.ENDS), profile.k_max)
        by = f"by {stats.said_of(moved, 'difference')}, p = {moved['p']:.2g}, n = {moved['n']}"
        parts.append(f"from {here} to {there} on {DATA[name]} ({by})")
    return (
        "Without a ridge and over all classes, both as by default in its authors' code, and with the paper's "
        f"{ridge.PAPER_SHARE} dimensions per training image instead of 0.1, ours less TRAK (10) moves "
        f"{' and '.join(parts)}, each target alone."
    )


def swept(profile: str, damping: float, share: float = ridge.PAPER_SHARE) -> dict:
    """Ours less TRAK (10) of the target's class, by united tests of the page on the ridge: of `stats.paired`."""
    of = PROFILES[profile]
    supports = committed.table(of, "ridge", "supports")
    return stats.paired(supports, REMOVAL, OURS, ridge.name(share, damping), of.k_max)


def comparisons() -> list[tuple]:
    """Ours less TRAK, nearest to the paper first: data and tests, with a ridge, undamped (None: not measured)."""
    rows, united = [], {"cifar10_full": pair(UNDAMPED, IMAGES[50_000]), "cifar10": swept("cifar10", 0.0)}
    for profile, undamped in united.items():
        if profile in ALONE:
            of, (own, every) = tested_alone(profile), crossed.CLASSES
            heads = {own: f"{ALONE[profile]}, TRAK (10)", every: "the same, TRAK ranking the images of all classes"}
            rows += [(head, *(of.loc[(r, classes)] for r in crossed.RIDGE)) for classes, head in heads.items()]
        rows.append((f"{DATA[profile]}, united tests, TRAK (10)", pair("trak:10", DATA[profile]), undamped))
    rows.append(("Fashion-MNIST, each target alone, TRAK (20)", pair("trak:20", "Fashion-MNIST"), None))
    return [*rows, ("Fashion-MNIST, united tests, TRAK (10)", swept("fashion", 1.0), swept("fashion", 0.0))]


def table() -> str:
    """All `comparisons` in Markdown, and how to read them."""
    head = ("Ours less TRAK, difference of AUC by removal", *HEADS)
    rows = [(words, *("–" if of is None else ridge.in_words(of) for of in pair)) for words, *pair in comparisons()]
    return (
        f"{plots.markdown(head, rows)}\n*Ours*: the paper's method, an exemplar SVM on MoCo's features; below zero "
        "TRAK finds smaller supports. *AUC*: area under the curve of flipped targets, 0 to 1; in brackets 95 % "
        "intervals over the *n* targets; verdicts follow *p* and written rules, not the intervals. *Ridge*: a multiple "
        "of the identity, added to the matrix that TRAK inverts. *TRAK (10)*: with ten networks. *United test*: one "
        "training that tests a target of every class; *alone*: trainings for each target by itself, as in the paper. "
        f"{crossed.LOOKS}\n"
    )


def figure() -> Figure:
    """All `comparisons`, a row each, with the bars of their intervals."""
    rows, drawn_as = comparisons(), ("trak:10", UNDAMPED)
    drawn, [axis] = plots.grid(1, 1, 10.5, 0.55 * len(rows) + 1.6)
    for i, (name, head) in enumerate(zip(drawn_as, HEADS, strict=True)):
        of = [(y, pair[i]) for y, (_, *pair) in enumerate(rows) if pair[i] is not None]
        heights, colour = [y + 0.3 * i - 0.15 for y, _ in of], look(name)[1]
        axis.hlines(heights, *([row[end] for _, row in of] for end in ("low", "high")), color=colour, linewidth=2)
        points = {"color": colour, "marker": "os"[i], "s": 48, "zorder": 3, "label": head}
        axis.scatter([row["difference"] for _, row in of], heights, **points)
    axis.axvline(0, color="0.3", lw=1)
    axis.set_yticks(range(len(rows)), [f"{words}, n = {of['n']}" for words, of, _ in rows], fontsize=10)
    axis.set(ylim=(len(rows) - 0.5, -0.5), xlabel="below zero TRAK finds smaller supports, above zero ours does")
    axis.legend(loc="lower center", bbox_to_anchor=(0.2, 1), ncols=2, frameon=False, fontsize=10)
    axis.grid(axis="y", visible=False)
    return plots.titled(drawn, TITLE)
