"""Which predictions hang on a handful of training images, what such targets have in common, and who names the images.

Everything is read from supports, rankings and features that other chapters made: nothing is trained for it.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib import distances
from lib.lds import lds, rank_correlation, signed_inverse_l2
from lib.methods import BLUE, GREY, OURS, RANDOM, RED, label
from lib.profiles import Profile
from lib.report import plots, stats
from lib.retrain import margins
from lib.rivals import largest
from lib.study import Study

FEW = (8, 16, 32, 64, 128)  # training images
NEIGHBOURS = 20  # among which classes are counted, and to which distances are averaged
SHOWN = 4  # targets in the gallery
TRAITS = {
    "margin": "margin of the unmodified networks",
    "density": "density: less distance to the nearest images of its class, MoCo",
    "agreement": "share of its nearest images that are of its class, MoCo",
    "copy": "likeness to the nearest image of its class, pixels",
}
SETS = {  # of features whose ensemble is looked at, by profile: where they are kept
    "fashion": ("moco", "simclr", "byol", "dino", "simsiam", "barlow_twins", "swav", "supervised", "pixels"),
    "smoke": ("moco", "pixels"),
}
TOGETHER, ALONE = "mean of all", "a single set, on average"


def compared(profile: Profile) -> list[str]:
    """The methods whose supports Figure 3 has, or Figure 5, and at last images at random."""
    rivals = ("trak", "datamodels") if profile.paper == "paper" else ("trak",)  # the paper's, on ImageNet TRAK alone
    return [OURS, *largest(profile, *rivals), "pixels_l2", RANDOM]


def smallest(supports: pd.DataFrame) -> pd.DataFrame:
    """The smallest removal support of each target that any method but RANDOM found: target, method, size (inf: none).

    supports: of `Study.supports`. Targets that are wrong before anything is removed are left out. An upper bound of the
    smallest there is.
    """
    by_method = stats.sizes(supports[(supports["kind"] == "removal") & (supports["method"] != RANDOM)])
    found_by = by_method.idxmin(axis=1).where(np.isfinite(by_method.min(axis=1)), "")
    return pd.DataFrame({"method": found_by, "size": by_method.min(axis=1)}).reset_index()


def shares(supports: pd.DataFrame, n_train: int) -> pd.DataFrame:
    """How many targets flip when so FEW images go: at_most, of_all (of the training images); share, low, high, n, by
    `smallest`; then the number by each method's ranking alone, under its label. supports: as there.
    """
    least, rows = smallest(supports), []
    by_method = stats.sizes(supports[supports["kind"] == "removal"])[list(supports["method"].unique())]
    for k in FEW:
        row = {"at_most": k, "of_all": k / n_train} | stats.share(least["size"] <= k)
        rows.append(row | {label(method): (of <= k).sum() for method, of in by_method.items()})
    return pd.DataFrame(rows)


def tests(profile: Profile) -> str:
    """How a profile's supports were found, in words."""
    votes = "one vote" if profile.n_votes == 1 else f"up to {profile.n_votes} votes"
    return f"{'united' if profile.united else 'separate'}, {votes}"


def finding(shares: pd.DataFrame, traits: pd.DataFrame, data: str) -> str:
    """The page's first line, in Markdown. shares, traits: of `shares` and `correlations`. data: its name."""
    few, (margin, *_, nearest) = shares.set_index("at_most").loc[32], traits.to_dict("records")
    alone = few[5:].drop(label(RANDOM))
    rho = [stats.said_of(row, "rho") for row in (margin, nearest)]
    return (
        f"**On {data}, {few['share']:.0%} [{few['low']:.0%}, {few['high']:.0%}] of {few['n']:.0f} right predictions "
        f"flip when at most 32 training images go ({few['of_all']:.1%} of all), by the best of {len(alone)} rankings "
        f"for each; with {alone.idxmax()} as the only ranking {alone.max() / few['n']:.0%}, at random "
        f"{few[label(RANDOM)] / few['n']:.0%}. The margin's rank correlation with the support is {rho[0]}; likeness to "
        f"the nearest image correlates {rho[1]}.**"
    )


def described(study: Study, least: pd.DataFrame) -> pd.DataFrame:
    """The table of `smallest` with the label and TRAITS of each target; larger is nearer to its class."""
    targets, dataset = least["target"].to_numpy(), study.dataset
    labels, train_labels = dataset.test_labels[targets], dataset.train_labels
    every = study.attribution.features("moco")
    near = distances.scores(distances.l2, every.test[targets], every.train, labels, train_labels, same_class=False)
    own = np.where(labels[:, None] == train_labels, near, -np.inf)
    first = np.argsort(-near, axis=1)[:, :NEIGHBOURS]
    pixels = study.attribution.features("pixels")
    likeness = distances.scores(distances.l2, pixels.test[targets], pixels.train, labels, train_labels)
    return least.assign(
        label=labels,
        margin=margins(study.base_logits[targets], labels),
        density=np.sort(own, axis=1)[:, -NEIGHBOURS:].mean(axis=1),
        agreement=(train_labels[first] == labels[:, None]).mean(axis=1),
        copy=likeness.max(axis=1),
    )


def correlations(described: pd.DataFrame, k_max: int) -> pd.DataFrame:
    """Rank correlation of each of TRAITS with the support over targets: trait, rho, low, high, n, p.

    Supports that are larger than k_max are tied.
    """
    size, rows = described["size"].clip(upper=k_max + 1).to_numpy(), []
    for trait, words in TRAITS.items():
        row = stats.correlated(described[trait].to_numpy(), size)
        rows.append({"trait": words} | {key: row[key] for key in ("ours", "low", "high", "n", "p")})
    return pd.DataFrame(rows).rename(columns={"ours": "rho"})


def overlaps(study: Study, least: pd.DataFrame) -> pd.DataFrame:
    """How alike are the sets that two methods would remove? A row for each pair: row, column, value, low, high, n.

    Of each target with a support of k images, the first k of both rankings; Jaccard's index, over targets.
    """
    with_support = least[np.isfinite(least["size"])]
    rows = np.searchsorted(study.targets, with_support["target"])
    names, sizes = [*compared(study.profile), "moco_l2"], with_support["size"].astype(int)
    ranked = {name: study.attribution.ranking(name)[rows] for name in names}
    sets = {name: [set(ids[:k]) for ids, k in zip(of, sizes, strict=True)] for name, of in ranked.items()}
    pairs = [(one, other) for i, one in enumerate(names) for other in names[i + 1 :]]
    table = []
    for one, other in pairs:
        index = np.array([len(a & b) / len(a | b) for a, b in zip(sets[one], sets[other], strict=True)])
        value = stats.mean("value", index)
        ends = {"low": value.pop("value_low"), "high": value.pop("value_high"), "n": len(index)}
        table.append({"row": label(one), "column": label(other)} | value | ends)
    return pd.DataFrame(table)


def ensemble(study: Study) -> pd.DataFrame:
    """LDS of each of SETS, of the mean of their scores, of ALONE (their LDS averaged), and of TRAK: features, n, lds.

    with_others: over targets, rank correlation of its LDS with the mean of the sets', itself left out: do they err on
    the same ones? gain: what TOGETHER has more, paired by target. Intervals over targets. Nothing where the profile
    keeps no such features.
    """
    sets, attribution, labels = SETS.get(study.profile.name, ()), study.attribution, study.dataset.test_labels
    if not sets:
        return pd.DataFrame()

    def make() -> dict[str, np.ndarray]:
        masks, observed = attribution.subset_margins(attribution.held_out)
        scores = []
        for vectors in map(attribution.features, sets):
            arguments = vectors.test[study.targets], vectors.train, labels[study.targets], study.dataset.train_labels
            of = signed_inverse_l2(*arguments)
            scores.append(of / np.abs(of).max(axis=1, keepdims=True))
        scores.append(np.mean(scores, axis=0))
        return {"lds": np.stack([lds(of, masks, observed[:, study.targets]) for of in scores])}

    identity, shape = {"sets": sets, "lds_models": study.profile.lds_models}, (len(sets) + 1, len(study.targets))
    values = attribution.kept("feature_ensemble", identity, 0, make, {"lds": shape})["lds"]
    others = {name: attribution.lds([name])["lds"].to_numpy() for name in largest(study.profile, "trak")}
    return together(dict(zip(sets, values[:-1], strict=True)), values[-1], others)


def together(sets: dict[str, np.ndarray], whole: np.ndarray, others: dict[str, np.ndarray]) -> pd.DataFrame:
    """The table of `ensemble`, from the LDS (n_targets,) of each set, of TOGETHER, and of methods that are no set."""
    every = np.stack(list(sets.values()))
    rows = [(label(name), of, np.delete(every, i, axis=0)) for i, (name, of) in enumerate(sets.items())]
    rows += [(TOGETHER, whole, every), (ALONE, every.mean(axis=0), None)]
    table = []
    for name, of, beside in rows + [(label(name), of, every) for name, of in others.items()]:
        row = {"features": name, "n": len(of)} | stats.mean("lds", of)
        if beside is not None:
            row["with_others"] = float(rank_correlation(of, beside.mean(axis=0)))
        if name in (ALONE, *map(label, sets)):
            row |= stats.mean("gain", whole - of)
        table.append(row)
    return pd.DataFrame(table)


def said_of_ensemble(table: pd.DataFrame) -> str:
    """The table of `together` in sentences, Markdown."""
    if table.empty:
        return "On this profile one set of features is kept; the question was asked of Fashion-MNIST."
    place = table.index[table["features"] == TOGETHER][0]
    sets, whole, alone = table[:place], table.loc[place], table.loc[place + 1]
    best = sets.loc[sets["lds"].idxmax()]
    more = [stats.said_of(row, "gain", 3) for row in (alone, best)]
    further = [f"{row['features']} {row['with_others']:.2f}" for _, row in table[place + 2 :].iterrows()]
    return (
        f"The mean of {len(sets)} sets reaches an LDS of {stats.said_of(whole, 'lds', 3)} "
        f"(n = {whole['n']} targets): {more[0]} more than a single set has on average, and {more[1]} more than the "
        f"best of them, {best['features']}, which was chosen afterwards. The sets fail on the same targets: each one's "
        f"LDS has a rank correlation of at least {sets['with_others'].min():.2f} with that of the others. A method "
        f"that is no likeness follows them as well ({', '.join(further)}): targets differ in how far anything predicts "
        "them."
    )


def figure(described: pd.DataFrame, overlaps: pd.DataFrame, k_max: int, title: str) -> Figure:
    """Support against margin and against density, and how alike the sets of two methods are, in grey beside RANDOM.

    described, overlaps: of the functions of these names. Targets without a support are drawn above k_max.
    """
    plots.style()
    drawn, axes = plt.subplot_mosaic([["margin", "density"], ["pairs", "pairs"]], figsize=(10, 8), layout="constrained")
    size, over = described["size"].clip(upper=1.4 * k_max), ~np.isfinite(described["size"])
    ticks = [2**p for p in range(20) if 2**p <= k_max]
    for trait in ("margin", "density"):
        axes[trait].scatter(described[trait], size, c=np.where(over, "0.7", BLUE), s=22)
        axes[trait].axhline(k_max, color=RED, lw=1, ls=":")
        axes[trait].set(xlabel=TRAITS[trait].split(",")[0].split(":")[0], ylabel="smallest support found")
        axes[trait].set_yscale("log", base=2)
        axes[trait].set_yticks(ticks, ticks)
        axes[trait].set_title(f"n = {len(described)} targets; grey: no flip up to {k_max}", fontsize=10)
    pairs = [f"{row} and {column}" for row, column in zip(overlaps["row"], overlaps["column"], strict=True)]
    control = (overlaps[["row", "column"]] == label(RANDOM)).any(axis=1)
    plots.points(axes["pairs"], overlaps, "value", pairs, np.where(control, GREY, BLUE))
    axes["pairs"].set(xlabel="Jaccard's index at the support", xlim=(0, 1))
    words = f"n = {overlaps['n'].iloc[0]} targets with a support; bars: 95 % intervals over targets; grey: with random"
    axes["pairs"].set_title(words, fontsize=10)
    drawn.suptitle(title)
    return drawn


def gallery(study: Study, least: pd.DataFrame) -> Figure:
    """The most brittle targets, and the first images of the ranking that flips them; those removed are framed."""
    names, shown, removed = study.dataset.class_names, {}, {}
    for target, method, size in least.nsmallest(SHOWN, "size")[["target", "method", "size"]].itertuples(index=False):
        if np.isfinite(size):
            of_class = names[study.dataset.test_labels[target]]
            title = f"test image {target}, {of_class}: {size:.0f} images flip it"
            row = np.searchsorted(study.targets, target)
            shown[title] = study.dataset.test_images[target], {method: study.attribution.ranking(method)[row]}
            removed[title, method] = min(10, int(size))
    return plots.most_similar(study.dataset.train_images, shown, removed)
