"""Why is TRAK ahead here, and not in the paper? What was changed alone, and what that did to the difference.

From the tables of the chapters that changed it. Each number is ours less TRAK, difference of AUC by removal: below zero
TRAK finds smaller supports. Tests are united but where it says otherwise.
"""

from lib.chapters import front, network, ridge, seeds
from lib.methods import OURS
from lib.profiles import PROFILES
from lib.report import committed, stats
from lib.rivals import largest
from lib.study import REMOVAL

GREY, COLOUR = PROFILES["fashion"], PROFILES["cifar10"]
HEAD = ("Changed, and nothing else", "From", "To", "Data", "Ours less TRAK, from", "to", "Page")


def table() -> str:
    """The causes that were looked for, a row each, as a table in Markdown."""
    causes = [*_ridge(), *_choice(), _together(), _images(), *map(_network, network.AXES), _features()]
    rows = [(*cells, f"[{page}]({page})") for *cells, page in causes]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (HEAD, ("---",) * len(HEAD), *rows))


def _ridge() -> list[tuple[str, ...]]:
    grey, colour = (committed.table(profile, "ridge", "rows") for profile in (GREY, COLOUR))
    with_ridge, without = (ridge.said(grey, ridge.PAPER_SHARE, damping, "against_removal") for damping in (1.0, 0.0))
    fifth = front.pair("trak:10", front.IMAGES[10_000])
    undamped = ridge.said(colour, ridge.PAPER_SHARE, 0.0, "against_removal")
    changed = "TRAK's ridge", "as chosen", "none, as in the paper"
    return [
        (*changed, f"Fashion-MNIST, n = {grey['n'].max()}", with_ridge, without, "ridge"),
        (*changed, f"{front.IMAGES[10_000]}, n = {fifth['n']}", _said(fifth), undamped, "ridge"),
    ]


def _choice() -> list[tuple[str, ...]]:
    changed = "images that TRAK ranks", "the target's class", "all"
    grey = committed.table(GREY, "fig10", "rivals")
    (trak,) = largest(GREY, "trak")
    own, every = (stats.paired(grey, REMOVAL, OURS, worse, GREY.k_max) for worse in (trak, f"{trak}:all"))
    there, every_there = (front.pair(name, front.ALONE) for name in ("trak:10", "trak:10:all"))
    where = f"Fashion-MNIST, each target alone, n = {own['n']}"
    return [
        (*changed, where, _said(own), _said(every), "fig10"),
        (*changed, _alone(there["n"]), _said(there), _said(every_there), "fig03"),
    ]


def _together() -> tuple[str, ...]:
    here, there = front.as_run()
    return "both of these", "as here", "as in the paper", _alone(here["n"]), _said(here), _said(there), "ridge"


def _alone(n: int) -> str:
    return f"{front.IMAGES[10_000]}, each target alone, n = {n}"


def _images() -> tuple[str, ...]:
    fewest, most = min(front.IMAGES), max(front.IMAGES)
    few, many = (front.pair("trak:10", front.IMAGES[n]) for n in (fewest, most))
    where = f"CIFAR-10, n = {few['n']} and {many['n']}"
    return "training images", f"{fewest}", f"{most}", where, _said(few), _said(many), "scale"


def _network(axis: str) -> tuple[str, ...]:
    rows = committed.table(GREY, "network", "rows").astype({"networks": "Int64"})
    of_axis = network.along(rows[rows["networks"].notna()], GREY.recipe, axis)
    first, last = of_axis.iloc[0], of_axis.iloc[-1]
    where = f"Fashion-MNIST, n = {first['n']} and {last['n']}"
    return network.AXES[axis], f"{first[axis]}", f"{last[axis]}", where, _said(first), _said(last), "network"


def _features() -> tuple[str, ...]:
    rows = committed.table(GREY, "seeds", "rows").query("kind == 'removal'").set_index("features")
    one, averaged = (stats.said_of(rows.loc[name], "against_rival") for name in (seeds.name(0), seeds.AVERAGED))
    where, several = f"Fashion-MNIST, n = {rows['n'].max()}", f"{len(rows) - 1} averaged"
    return "our features", "the book's MoCo", several, where, one, averaged, "seeds"


def _said(pair) -> str:
    return stats.said_of(pair, "difference")
