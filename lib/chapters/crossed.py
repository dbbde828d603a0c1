"""The ridge and the classes, crossed: TRAK as this book runs it, as the paper does, and with one of the two changed.

The same targets and networks in all four, each target tested alone, since rankings of all classes cannot be united.
"""

from dataclasses import replace
from itertools import product

import pandas as pd
from matplotlib.figure import Figure

from lib.chapters import ridge
from lib.chapters.united import against_ours
from lib.methods import OURS
from lib.report import committed, plots, stats
from lib.study import REMOVAL, Groups, Study

RIDGE, CLASSES = ("with a ridge", "undamped"), ("own class", "all classes")  # first as in this book, then the paper's
ALONE = {"cifar10": 3}  # profiles and how many targets of each class are tested one by one


def cell(damped: str, classes: str) -> str:
    """Of TRAK with one of RIDGE and one of CLASSES, in tables."""
    return f"trak {damped}, {classes}"


def groups(study: Study) -> Groups:
    """The targets that ours and TRAK are tested on one by one, where other tests are united."""
    return [[i] for group in study.groups(united=True)[: ALONE.get(study.profile.name, 0)] for i in group]


def supports(study: Study, n_networks: int) -> pd.DataFrame:
    """Removal supports of ours and of TRAK with each of RIDGE and each of CLASSES; as of `Study.supports`.

    Of `groups`, since rankings of all classes cannot be united; no row on grey images.
    """
    if ridge.compared(study) is not ridge.COLOUR:
        return pd.DataFrame(columns=[*committed.COLUMNS, "keys"])
    names = dict(zip(RIDGE, ("trak", "trak_undamped"), strict=True)), dict(zip(CLASSES, ("", ":all"), strict=True))
    asked = {pair: f"{names[0][pair[0]]}:{n_networks}{names[1][pair[1]]}" for pair in product(RIDGE, CLASSES)}
    rankings = {cell(*pair): study.attribution.ranking(name) for pair, name in asked.items()}
    curves = [(REMOVAL, method) for method in (OURS, *rankings)]
    return replace(study, given=rankings).supports(curves, among=groups(study))


def against(alone: pd.DataFrame, k_max: int) -> pd.DataFrame:
    """Ours less TRAK: rows of `stats.paired`, by the one of RIDGE and the one of CLASSES. alone: of `supports`."""
    rows = {of: stats.paired(alone, REMOVAL, OURS, cell(*of), k_max) for of in product(RIDGE, CLASSES)}
    return pd.DataFrame(rows.values(), index=pd.MultiIndex.from_tuples(rows, names=["ridge", "classes"]))


def finding(alone: pd.DataFrame, k_max: int) -> str:
    """Ours less TRAK as a table of RIDGE by CLASSES, what each moves it by, and whether they add up; in Markdown."""
    rows = against(alone, k_max)
    lines = ["| ours less TRAK | " + " | ".join(CLASSES) + " |", "| --- " * (1 + len(CLASSES)) + "|"]
    lines += [f"| {r} | " + " | ".join(ridge.in_words(rows.loc[(r, c)]) for c in CLASSES) + " |" for r in RIDGE]

    def moved(*ends: tuple[str, str]) -> str:
        return stats.said_of(stats.paired(alone, REMOVAL, *(cell(*end) for end in ends), k_max), "difference")

    of_ridge = [moved(*product(RIDGE, [c])) for c in CLASSES]
    of_classes = [moved(*product([r], CLASSES)) for r in RIDGE]
    areas = 1 - stats.sizes(alone).clip(upper=k_max) / k_max
    falls = {c: areas[cell(RIDGE[0], c)] - areas[cell(RIDGE[1], c)] for c in CLASSES}
    more = stats.differences(pd.DataFrame(falls), CLASSES[0]).iloc[0]
    return "\n".join(lines) + (
        f"\n\nUndamped, the difference moves by {of_ridge[0]} within the target's class and by {of_ridge[1]} "
        f"over all classes; with all classes, by {of_classes[0]} with the ridge and by {of_classes[1]} undamped; with "
        f"both, by {moved((RIDGE[0], CLASSES[0]), (RIDGE[1], CLASSES[1]))}. Undamping moves it by "
        f"{stats.said_of(more, 'difference')} more over all classes than within one (p = {more['p']:.2g})."
    )


def figure(alone: pd.DataFrame, k_max: int, title: str) -> Figure:
    """Ours less TRAK with each of RIDGE and each of CLASSES; bars are 95 % intervals over targets."""
    rows = against(alone, k_max)
    drawn, [axis] = plots.grid(1, 1, 8, 3)
    plots.points(axis, rows, "difference", [f"{damped}, {classes}" for damped, classes in rows.index])
    axis.axvline(0, color="0.5", lw=1)
    axis.set_xlabel(f"AUC of removal, ours less TRAK; n = {rows['n'].min()} targets, each alone")
    return plots.titled(drawn, title)


def united_finding(alone: pd.DataFrame, united: pd.DataFrame, k_max: int) -> str:
    """The same within the target's class by united tests of the same targets, and whether these favour TRAK; Markdown.

    united: supports of ours, of TRAK as in this book and at the paper's setting, by their names there.
    """
    own, here = CLASSES[0], next(name for name in united["method"] if name.startswith("trak:"))
    names = {here: cell(RIDGE[0], own), ridge.name(ridge.PAPER_SHARE, 0.0): cell(RIDGE[1], own)}
    same = united["target"].isin(alone["target"]) & (united["kind"] == REMOVAL)
    tests = {"separate": alone, "united": united[same].replace({"method": names})}
    tests = {name: table[table["method"].isin([OURS, *names.values()])] for name, table in tests.items()}
    moved = against_ours(tests, REMOVAL, k_max).set_index("method")
    pairs = [stats.paired(tests["united"], REMOVAL, OURS, name, k_max) for name in names.values()]
    more = [
        f"{stats.said_of(row, 'difference')} (p = {row['p']:.2g})" for _, row in moved.loc[names.values()].iterrows()
    ]
    return (
        f"By [united tests](united) of the same targets, within the target's class, ours less TRAK is "
        f"{ridge.in_words(pairs[0])} with the ridge and {ridge.in_words(pairs[1])} undamped, by a projection that "
        f"is not sparse. United tests raise the AUC of TRAK more than that of ours by {more[0]} and {more[1]}."
    )
