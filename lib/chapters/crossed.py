"""The ridge and the classes, crossed: TRAK as this book runs it, as the paper does, and with one of the two changed.

The same targets and networks in all four, each target tested alone, since rankings of all classes cannot be united.
"""

from itertools import product

import pandas as pd
from matplotlib.figure import Figure

from lib.chapters import ridge
from lib.chapters.united import against_ours
from lib.methods import OURS
from lib.profiles import Profile
from lib.report import committed, plots, stats
from lib.study import REMOVAL, Groups, Study

RIDGE, CLASSES = ("with a ridge", "undamped"), ("own class", "all classes")  # first as in this book, then the paper's
ENDS = tuple(zip(RIDGE, CLASSES, strict=True))  # two cells: as in this book, and as by default in its authors' code
Cell = tuple[str, str]  # one of RIDGE and one of CLASSES
ADDED = "the second ten targets of all of CIFAR-10 were added when the first ten were known"
LOOKS = f"Of those tested alone, {ADDED}: at two looks, *p* counts as small up to .029 instead of .05 (Pocock 1977)."


def names(profile: Profile) -> dict[Cell, str]:
    """The four, by their names as methods, with the most networks of the profile."""
    stems, networks = ("trak", "trak_undamped"), profile.ensembles[-1]
    methods = [f"{stem}:{networks}{classes}" for stem, classes in product(stems, ("", ":all"))]
    return dict(zip(product(RIDGE, CLASSES), methods, strict=True))


def groups(study: Study) -> Groups:
    """The targets that ours and TRAK are tested on one by one, where other tests are united."""
    return [[i] for group in study.groups(united=True)[: study.profile.alone] for i in group]


def against(alone: pd.DataFrame, profile: Profile) -> pd.DataFrame:
    """Ours less TRAK: rows of `stats.paired`, by `Cell`. alone: supports of `groups`."""
    rows = {of: stats.paired(alone, REMOVAL, OURS, name, profile.k_max) for of, name in names(profile).items()}
    return pd.DataFrame(rows.values(), index=pd.MultiIndex.from_tuples(rows, names=["ridge", "classes"]))


def finding(alone: pd.DataFrame, profile: Profile) -> str:
    """Ours less TRAK as a table of RIDGE by CLASSES, what each moves it by, and whether they add up; in Markdown."""
    rows, method, k_max = against(alone, profile), names(profile), profile.k_max
    cells = [[r, *(ridge.in_words(rows.loc[(r, c)]) for c in CLASSES)] for r in RIDGE]

    def moved(*ends: Cell) -> str:
        return stats.said_of(stats.paired(alone, REMOVAL, *map(method.get, ends), k_max), "difference")

    of_ridge = [moved(*product(RIDGE, [c])) for c in CLASSES]
    of_classes = [moved(*product([r], CLASSES)) for r in RIDGE]
    areas = 1 - stats.sizes(alone).clip(upper=k_max) / k_max
    falls = {c: areas[method[RIDGE[0], c]] - areas[method[RIDGE[1], c]] for c in CLASSES}
    more = stats.differences(pd.DataFrame(falls), CLASSES[0]).iloc[0]
    return plots.markdown(["ours less TRAK", *CLASSES], cells) + (
        f"\nUndamped, the difference moves by {of_ridge[0]} within the target's class and by {of_ridge[1]} "
        f"over all classes; with all classes, by {of_classes[0]} with the ridge and by {of_classes[1]} undamped; with "
        f"both, by {moved((RIDGE[0], CLASSES[0]), (RIDGE[1], CLASSES[1]))}. Undamping moves it by "
        f"{stats.said_of(more, 'difference')} more over all classes than within one (p = {more['p']:.2g})."
    )


def figure(alone: pd.DataFrame, profile: Profile, title: str) -> Figure:
    """Ours less TRAK with each of RIDGE and each of CLASSES; bars are 95 % intervals over targets."""
    rows = against(alone, profile)
    drawn, [axis] = plots.grid(1, 1, 8, 3)
    plots.points(axis, rows, "difference", [f"{damped}, {classes}" for damped, classes in rows.index])
    axis.axvline(0, color="0.5", lw=1)
    axis.set_xlabel(f"AUC of removal, ours less TRAK; n = {rows['n'].min()} targets, each alone")
    return plots.titled(drawn, title)


def united_supports(profile: Profile) -> pd.DataFrame:
    """Committed supports by united tests, with those of TRAK undamped from the page on the ridge where need be."""
    supports, undamped = committed.table(profile, "fig03", "supports"), names(profile)[RIDGE[1], CLASSES[0]]
    if undamped in set(supports["method"]):
        return supports
    here = committed.table(profile, "ridge", "supports").replace(
        {"method": {ridge.name(ridge.PAPER_SHARE, 0.0): undamped}}
    )
    return pd.concat([supports, here[here["method"] == undamped]])


def by_tests(alone: pd.DataFrame, united: pd.DataFrame, profile: Profile) -> pd.DataFrame:
    """How much more united tests raise the AUC of TRAK within the class than that of ours: of `united.against_ours`.

    By the names of the methods. united: supports by united tests, of any targets; of both, those of `alone` are taken.
    """
    own = [OURS, *(name for (_, classes), name in names(profile).items() if classes == CLASSES[0])]
    tests = {"separate": alone, "united": united[united["target"].isin(alone["target"])]}
    tests = {name: table[table["method"].isin(own)] for name, table in tests.items()}
    return against_ours(tests, REMOVAL, profile.k_max).set_index("method").loc[own[1:]]


def united_finding(alone: pd.DataFrame, united: pd.DataFrame, profile: Profile) -> str:
    """The same by united tests of the same targets, and whether these favour TRAK; in Markdown. See `by_tests`."""
    moved = by_tests(alone, united, profile)
    same = united[united["target"].isin(alone["target"])]
    pairs = [stats.paired(same, REMOVAL, OURS, name, profile.k_max) for name in moved.index]
    more = [f"{stats.said_of(row, 'difference')} (p = {row['p']:.2g})" for _, row in moved.iterrows()]
    return (
        f"By [united tests](united) of the same targets, within the target's class, ours less TRAK is "
        f"{ridge.in_words(pairs[0])} with the ridge and {ridge.in_words(pairs[1])} undamped. United tests raise the "
        f"AUC of TRAK more than that of ours by {more[0]} and {more[1]}."
    )
