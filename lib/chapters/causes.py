"""Why is TRAK ahead here, and not in the paper? What was changed, and what that did to the difference.

From the tables of the chapters that changed it. Each number is ours less TRAK, difference of AUC by removal: below zero
TRAK finds smaller supports. Tests are united but where it says otherwise.
"""

import pandas as pd

from lib.chapters import crossed, network, ridge, scale, seeds, versus
from lib.chapters.united import against_ours
from lib.methods import OURS
from lib.profiles import PROFILES, Profile
from lib.report import committed, paper, plots, stats
from lib.rivals import largest, trak
from lib.study import REMOVAL

GREY, COLOUR, FULL = PROFILES["fashion"], PROFILES["cifar10"], PROFILES[scale.ALL]
ALONE = [profile for profile in (COLOUR, FULL) if profile.alone]  # where targets were tested alone, beside united tests
SETTINGS = f"as chosen, {trak.PROJECTION_DIM / 10_000:.2f}", f"none, {ridge.PAPER_SHARE}"  # on CIFAR-10
MOMENTUM = {True: "Nesterov", False: "plain"}
HEAD = ("Changed", "From", "To", "Data", "Ours less TRAK, from", "to", "moved by", "Page")


def table() -> str:
    """The causes that were looked for, a row each, as a table in Markdown."""
    causes = [*_ridge(), _choice(), *_crossed(), _images(), *map(_network, network.AXES), _features()]
    rows = [(*cells, f"[{page}]({page})") for *cells, page in causes]
    return plots.markdown(HEAD, rows)


def known() -> str:
    """All that differs there, and by how much ours less TRAK moved where it was changed: a table in Markdown."""
    here, there = FULL, PROFILES["paper"]
    moco, papers = here.selfsupervised, there.selfsupervised
    sizes = committed.table(COLOUR, "scale", "rows")
    accuracy = sizes.loc[sizes["images"] == sizes["images"].max(), "accuracy"].iloc[0]
    ridges, (own, every) = {row[3].partition(",")[0]: row[3:] for row in _ridge()}, crossed.CLASSES
    classes = (crossed.RIDGE[1], own), (crossed.RIDGE[1], every)
    dimensions = (f"{ridge}, {of.trak['projection_dim']}" for ridge, of in (("as chosen", here), ("none", there)))
    recipes = here.recipe, there.recipe
    rows = [
        ("width of the network", here.recipe.width, there.recipe.width, _network_moved(16, 3, 10)),
        ("its epochs", here.recipe.epochs, there.recipe.epochs, _network_moved(8, 24, 10)),
        ("its batches; momentum", *(f"{of.batch_size}; {MOMENTUM[of.nesterov]}" for of in recipes), "not measured"),
        ("its first layer; cutout", "strided; none", "not strided; cutout", "–"),
        ("its test accuracy", f"{accuracy:.0%}", paper.SETUPS["paper"][1], "–"),
        ("MoCo", f"width {moco.width}, {moco.epochs} epochs", f"ResNet-18, {papers.epochs}", "[features](quality)"),
        ("TRAK's ridge", "as chosen", "none by default", _moved(*ridges["Fashion-MNIST"])),
        ("its ridge and its dimensions", *dimensions, _moved(*ridges[versus.IMAGES[50_000]])),
        ("images that TRAK ranks", own, f"presumably {every}", _moved(*_alone(ALONE[-1], *classes))),
        ("all three", "as here", f"undamped, {ridge.PAPER_SHARE}, {every}", _moved(*_alone(ALONE[-1], *crossed.ENDS))),
        ("competing methods", "TRAK with a ridge and without", "TRAK, by default undamped; Datamodels", "–"),
        ("networks behind TRAK", here.ensembles[-1], f"up to {there.ensembles[-1]}", _network_moved(8, 3, 20)),
        ("tests", "united", "separate", _apart()),
        ("votes per probe", here.n_votes, there.n_votes, "not measured"),
        ("targets", f"{here.n_targets}, that models get right", f"{there.n_targets}, of all test images", "–"),
        ("models that the LDS is over", here.lds_models, "not stated", "–"),
        ("images", "a JPEG, slightly lossy", "the original ones", "not measured"),
    ]
    head = (f"On {versus.IMAGES[50_000]}", "here", "in the paper", "ours less TRAK moved, where this was changed, by")
    return plots.markdown(head, rows)


def _moved(where: str, before: str, after: str, moved: str, page: str) -> str:
    return f"{moved} ({where}); [{page}]({page})"


def _network_moved(width: int, epochs: int, networks: int) -> str:
    """From the book's network on Fashion-MNIST and TRAK with 10 networks, and p by Holm."""
    moved = committed.table(GREY, "network", "moved").set_index("setting")
    row = moved.loc[f"width {width}, {epochs} epochs, TRAK ({networks})"]
    own = f"width {GREY.recipe.width}, {GREY.recipe.epochs} epochs, TRAK ({network.N_NETWORKS})"
    to = ", ".join(b for a, b in zip(own.split(", "), row.name.split(", "), strict=True) if a != b)
    return f"{_said(row)} ({to}, Fashion-MNIST, corrected *p* = {row['corrected']:.2g}); [network](network)"


def _apart() -> str:
    """What separate instead of united tests move, on the same targets: on CIFAR-10, TRAK undamped, and elsewhere."""
    profile, rows = ALONE[-1], {}
    separate = committed.table(profile, "fig03", "separate")
    of_colour = crossed.by_tests(separate, crossed.united_supports(profile), profile)
    rows[f"{versus.DATA[profile.name]}, TRAK undamped"] = of_colour.loc[versus.UNDAMPED]
    tests = {name: committed.table(GREY, "united", f"supports_{name}") for name in ("separate", "united")}
    of_grey = against_ours(tests, REMOVAL, GREY.k_max).set_index("method")
    rows["Fashion-MNIST"] = of_grey.loc[largest(GREY, "trak")[0]]
    return "; ".join(f"{_said(row)} ({data}, n = {row['n']:.0f})" for data, row in rows.items()) + "; [united](united)"


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
    pages = (GREY, "ridge"), (COLOUR, "ridge"), (FULL, "fig03")
    grey, fifth, full = (committed.table(*page, "supports") for page in pages)
    fifth = pd.concat([committed.table(COLOUR, "fig03", "supports").query("method == 'trak:10'"), fifth])
    with_ridge, without = (ridge.name(ridge.PAPER_SHARE, damping) for damping in (1.0, 0.0))
    one, two = ("TRAK's ridge", "as chosen", "none"), ("TRAK's ridge, and its dimensions per image", *SETTINGS)
    changed = {
        "Fashion-MNIST": (one, grey, GREY, with_ridge, without),
        versus.IMAGES[10_000]: (two, fifth, COLOUR, "trak:10", without),
        versus.IMAGES[50_000]: (two, full, FULL, "trak:10", versus.UNDAMPED),
    }
    rows = {data: (setting, *_between(*of)) for data, (setting, *of) in changed.items()}
    return [(*setting, f"{data}, n = {n}", *of, "ridge") for data, (setting, *of, n) in rows.items()]


def _choice() -> tuple[str, ...]:
    (one,) = largest(GREY, "trak")
    *of, n = _between(committed.table(GREY, "fig10", "rivals"), GREY, one, f"{one}:all")
    return "images that TRAK ranks", *crossed.CLASSES, f"Fashion-MNIST, each target alone, n = {n}", *of, "fig10"


def _crossed() -> list[tuple[str, ...]]:
    """The ridge and the classes, each with the other as here and as in the paper, then together."""
    (damped, free), (own, every) = crossed.RIDGE, crossed.CLASSES
    two = "TRAK's ridge, and its dimensions per image", *SETTINGS
    ends = {two: [((damped, c), (free, c)) for c in (own, every)]}
    ends |= {("images that TRAK ranks", own, every): [((r, own), (r, every)) for r in (damped, free)]}
    ends |= {("all three", "as here", "none, 0.41, all classes"): [crossed.ENDS]}
    pairs = [(changed, pair) for changed, of in ends.items() for pair in of]
    return [(*changed, *_alone(profile, *pair)) for profile in ALONE for changed, pair in pairs]


def _alone(profile: Profile, before: crossed.Cell, after: crossed.Cell) -> tuple[str, ...]:
    """What they have in common stays."""
    names, supports = crossed.names(profile), committed.table(profile, "fig03", "separate")
    *of, n = _between(supports, profile, names[before], names[after])
    stays = "".join(f", {one}" for one, other in zip(before, after, strict=True) if one == other)
    return f"{versus.ALONE[profile.name]}{stays}, n = {n}", *of, "ridge"


def _images() -> tuple[str, ...]:
    fewest, most = min(versus.IMAGES), max(versus.IMAGES)
    few, many = (versus.pair("trak:10", versus.IMAGES[n]) for n in (fewest, most))
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
