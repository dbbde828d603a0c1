"""Why is TRAK ahead here, and not in the paper? What was changed, and what that did to the difference.

From the tables of the chapters that changed it. Each number is ours less TRAK, difference of AUC by removal: below zero
TRAK finds smaller supports. Tests are united but where it says otherwise.
"""

import pandas as pd

from lib.chapters import crossed, front, network, ridge, scale, seeds
from lib.methods import OURS
from lib.profiles import PROFILES, Profile
from lib.report import committed, stats
from lib.rivals import largest, trak
from lib.study import REMOVAL

GREY, COLOUR = PROFILES["fashion"], PROFILES["cifar10"]
SETTINGS = f"as chosen, {trak.PROJECTION_DIM / 10_000:.2f}", f"none, {ridge.PAPER_SHARE}"  # on a fifth of CIFAR-10
HEAD = ("Changed", "From", "To", "Data", "Ours less TRAK, from", "to", "moved by", "Page")


def table() -> str:
    """The causes that were looked for, a row each, as a table in Markdown."""
    causes = [*_ridge(), _choice(), *_crossed(), _images(), *map(_network, network.AXES), _features()]
    rows = [(*cells, f"[{page}]({page})") for *cells, page in causes]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (HEAD, ("---",) * len(HEAD), *rows))


def _between(supports: pd.DataFrame, profile: Profile, before: str, after: str) -> tuple[str, str, str, int]:
    """Ours less TRAK before and after it was changed, and by how much that moved, paired by target; and n.

    supports: of ours and of both, by the names of their rankings.
    """
    of = supports[supports["method"].isin([OURS, before, after]) & (supports["kind"] == REMOVAL)]
    of = of[of["target"].isin(stats.usable(of).groupby("target").filter(lambda rows: len(rows) == 3)["target"])]
    pairs = (OURS, before), (OURS, after), (before, after)
    rows = [stats.paired(of, REMOVAL, *pair, profile.k_max) for pair in pairs]
    return (*map(_said, rows), rows[0]["n"])


def _ridge() -> list[tuple[str, ...]]:
    grey, colour = (committed.table(profile, "ridge", "supports") for profile in (GREY, COLOUR))
    with_ridge, without = (ridge.name(ridge.PAPER_SHARE, damping) for damping in (1.0, 0.0))
    fifth = pd.concat([committed.table(COLOUR, "fig03", "supports").query("method == 'trak:10'"), colour])
    *of_grey, n = _between(grey, GREY, with_ridge, without)
    *of_fifth, n_fifth = _between(fifth, COLOUR, "trak:10", without)
    return [
        ("TRAK's ridge", "as chosen", "none", f"Fashion-MNIST, n = {n}", *of_grey, "ridge"),
        (
            "TRAK's ridge, and its dimensions per image",
            *SETTINGS,
            f"{front.IMAGES[10_000]}, n = {n_fifth}",
            *of_fifth,
            "ridge",
        ),
    ]


def _choice() -> tuple[str, ...]:
    (one,) = largest(GREY, "trak")
    *of, n = _between(committed.table(GREY, "fig10", "rivals"), GREY, one, f"{one}:all")
    return "images that TRAK ranks", *crossed.CLASSES, f"Fashion-MNIST, each target alone, n = {n}", *of, "fig10"


def _crossed() -> list[tuple[str, ...]]:
    """The ridge and the classes, each with the other as here and as in the paper, then together."""
    alone, (damped, free), (own, every) = committed.table(COLOUR, "ridge", "alone"), crossed.RIDGE, crossed.CLASSES
    both = "TRAK's ridge, and its dimensions per image", *SETTINGS
    ends = {both: [((damped, c), (free, c)) for c in (own, every)]}
    ends |= {("images that TRAK ranks", own, every): [((r, own), (r, every)) for r in (damped, free)]}
    ends |= {("all of these", "as here", "TRAK's defaults"): [((damped, own), (free, every))]}
    return [(*changed, *_alone(alone, *pair)) for changed, pairs in ends.items() for pair in pairs]


def _alone(supports: pd.DataFrame, before: tuple[str, str], after: tuple[str, str]) -> tuple[str, ...]:
    """before, after: of `crossed.cell`; what they have in common stays."""
    *of, n = _between(supports, COLOUR, crossed.cell(*before), crossed.cell(*after))
    stays = "".join(f", {one}" for one, other in zip(before, after, strict=True) if one == other)
    return f"{front.IMAGES[10_000]}{stays}, each target alone, n = {n}", *of, "ridge"


def _images() -> tuple[str, ...]:
    fewest, most = min(front.IMAGES), max(front.IMAGES)
    few, many = (front.pair("trak:10", front.IMAGES[n]) for n in (fewest, most))
    where = f"CIFAR-10, n = {few['n']} and {many['n']}"
    moved = stats.said(*scale.moved(few, many))
    changed = "training images; for the most, epochs and MoCo too"
    return changed, f"{fewest}", f"{most}", where, _said(few), _said(many), moved, "scale"


def _network(axis: str) -> tuple[str, ...]:
    rows = committed.table(GREY, "network", "rows").astype({"networks": "Int64"})
    of_axis = network.along(rows[rows["networks"].notna()], GREY.recipe, axis)
    first, last = of_axis.iloc[0], of_axis.iloc[-1]
    where = f"Fashion-MNIST, n = {first['n']} and {last['n']}"
    gaps = network.gaps(committed.table(GREY, "network", "supports"), GREY.k_max)
    before, after = (gaps[row["width"], row["epochs"], row["method"]] for row in (first, last))
    moved = stats.said(*stats.differences(pd.DataFrame({"to": after, "from": before}).dropna(), "from").iloc[0, 3:6])
    return network.AXES[axis], f"{first[axis]}", f"{last[axis]}", where, _said(first), _said(last), moved, "network"


def _features() -> tuple[str, ...]:
    rows = committed.table(GREY, "seeds", "rows").query("kind == 'removal'").set_index("features")
    one, averaged = (stats.said_of(rows.loc[name], "against_rival") for name in (seeds.name(0), seeds.AVERAGED))
    supports = committed.table(GREY, "seeds", "supports")
    moved = _said(stats.paired(supports, REMOVAL, seeds.AVERAGED, seeds.name(0), GREY.k_max))
    where, several = f"Fashion-MNIST, n = {rows['n'].max()}", f"{len(rows) - 1} averaged"
    return "our features", "the book's MoCo", several, where, one, averaged, moved, "seeds"


def _said(pair) -> str:
    return stats.said_of(pair, "difference")
