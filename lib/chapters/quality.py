"""What must features have, to rank well? Sets of many kinds, what is known of each, and the supports that they lead to.

Of each set the exemplar SVM ranks the target's class. Beside MoCo as the other pages have it: the same after fewer
epochs, a classifier's features, those of a network trained on ImageNet, raw pixels, all these reduced to a few
dimensions too, and other ways to learn without labels.
"""

from dataclasses import replace
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib import distances, esvm, features
from lib.chapters import spaces
from lib.data import Dataset
from lib.features import FeatureRecipe, Features
from lib.lds import rank_correlation
from lib.methods import BLUE, FEATURES, RED
from lib.report import committed, plots, stats
from lib.rivals import largest
from lib.study import MISLABEL, REMOVAL, Study

EPOCHS = (2, 5, 15)  # of MoCo that is trained for less
IMAGENET, SIDE = "efficientnet_lite0", 112  # trained on ImageNet with labels; pixels a side that images get for it
STORED = ("moco", "byol", "simclr", "dino")  # taken as the other pages have them: whole, and without copies
FEW = 16  # dimensions that features are reduced to
SHIFT, CONTRAST = 2, 0.7  # pixels, and share of the contrast, of a copy
LABELLED = ("supervised", "EfficientNet")  # how the names of sets begin that were learnt with labels
ALL, UNLABELLED = "all", "learnt without labels"  # sets that a correlation is over
MEASURED = ("scores", "knn", "copies", "dimensions")
CANDIDATES = {  # column: what is known of a set without any support
    "knn": "kNN accuracy",
    "copies": "copies named, share",
    "trak": "agreement with TRAK",
    "pixels": "agreement with pixels",
    "dimensions": "effective dimensions",
}


def recipes(study: Study, pretrained: bool) -> dict[str, FeatureRecipe]:
    """How each set is made, by the name that the page has for it. pretrained: whether IMAGENET is among them."""
    profile, moco = study.profile, study.profile.selfsupervised
    fewer = {f"MoCo, {n} epochs": replace(moco, epochs=n) for n in EPOCHS if n < moco.epochs}
    others = {FEATURES[name][0]: profile.features(name) for name in ("supervised", "pixels", *STORED)}
    foreign = {"EfficientNet-lite0, ImageNet": FeatureRecipe(IMAGENET)} if pretrained else {}
    return fewer | others | foreign


def copied(dataset: Dataset) -> Dataset:
    """The dataset with a copy of each test image behind the test images: shifted, and paler."""
    moved = np.roll(dataset.test_images, (SHIFT, -SHIFT), axis=(2, 3)).astype(np.float32)
    mean = moved.mean(axis=(1, 2, 3), keepdims=True)
    copies = (mean + CONTRAST * (moved - mean)).round().astype(np.uint8)
    images, labels = np.concatenate([dataset.test_images, copies]), np.tile(dataset.test_labels, 2)
    return replace(dataset, test_images=images, test_labels=labels)


def measured(study: Study, recipe: FeatureRecipe) -> dict[str, dict[str, np.ndarray]]:
    """Of a set's "whole" features and of the same "reduced" to FEW dimensions, where they are not STORED; kept.

    Each: scores (n_targets, n_train) of the exemplar SVM, knn, copies, dimensions.
    """
    attribution, dataset, parts = study.attribution, study.dataset, ("whole", "reduced")
    identity = {"features": recipe.identity, "few": FEW, "copies": [SHIFT, CONTRAST], "C": esvm.C}
    parts = parts[: 1 if recipe.method in STORED and recipe == study.profile.features(recipe.method) else 2]

    def make() -> dict[str, np.ndarray]:
        if len(parts) == 1:
            sets = [attribution.features(recipe.method)]
        else:
            whole = extracted(copied(dataset), recipe, study.driver.device)
            sets = [whole, reduced(whole, FEW)]
        return joined([_measured(vectors, dataset, study.targets) for vectors in sets])

    def stand_in() -> dict[str, np.ndarray]:
        own = dataset.test_labels[study.targets][:, None] == dataset.train_labels
        one = {"scores": np.where(own, np.random.default_rng(0).random(own.shape), -np.inf)}
        return joined([one | dict.fromkeys(("knn", "copies", "dimensions"), np.array(0.5))] * len(parts))

    def joined(values: list[dict]) -> dict[str, np.ndarray]:
        return {f"{part} {key}": value for part, one in zip(parts, values, strict=True) for key, value in one.items()}

    arrays = attribution.kept(f"features_{recipe.method}", identity, 1, make, stand_in)
    return {part: {key: arrays[f"{part} {key}"] for key in MEASURED} for part in parts}


def extracted(dataset: Dataset, recipe: FeatureRecipe, device: str) -> Features:
    """As `features.extract`, for IMAGENET too."""
    if recipe.method == IMAGENET:
        return features.published(dataset, spaces.efficientnet_lite0(), device, SIDE)
    return features.extract(dataset, recipe, device)


def _measured(vectors: Features, dataset: Dataset, targets: np.ndarray) -> dict[str, np.ndarray]:
    labels, n_test = dataset.test_labels, len(dataset.test_labels)
    own, copies = vectors.test[:n_test], vectors.test[n_test:]
    pair = own[targets], vectors.train
    return {
        "scores": distances.scores(distances.DISTANCES["esvm"], *pair, labels[targets], dataset.train_labels),
        "knn": np.array(features.knn_accuracy(Features(vectors.train, own), dataset)),
        "copies": np.array(copies_named(own, copies, labels) if len(copies) else np.nan),
        "dimensions": np.array(effective_dimensions(vectors.train)),
    }


def reduced(vectors: Features, n: int) -> Features:
    """The first n principal components of the training features; as they are, where there are no more."""
    mean = vectors.train.mean(axis=0)
    _, directions = np.linalg.eigh(np.cov(vectors.train.T))  # in ascending order
    few = directions[:, ::-1][:, :n].astype(np.float32)
    return Features((vectors.train - mean) @ few, (vectors.test - mean) @ few)


def effective_dimensions(vectors: np.ndarray) -> float:
    """How many directions the features (n, d) vary in: (sum of variances)² / sum of squares; 1 to d."""
    variances = np.linalg.eigvalsh(np.cov(vectors.T)).clip(min=0)
    return float(variances.sum() ** 2 / np.square(variances).sum())


def copies_named(images: np.ndarray, copies: np.ndarray, labels: np.ndarray) -> float:
    """Share of the images whose own copy is the nearest of all copies of their class. Features (n, d), labels (n,)."""
    right = []
    for label in np.unique(labels):
        ids = np.flatnonzero(labels == label)
        right.append(distances.cosine(images[ids], copies[ids]).argmax(axis=1) == np.arange(len(ids)))
    return float(np.concatenate(right).mean())


def all_sets(study: Study, pretrained: bool) -> dict[str, dict[str, np.ndarray]]:
    """scores, knn, copies and dimensions of each set by name, whole and reduced."""
    sets = {}
    for name, recipe in recipes(study, pretrained).items():
        for part, values in measured(study, recipe).items():
            sets[name if part == "whole" else f"{name}, {FEW} dimensions"] = values
    return sets


def rankings(study: Study, sets: dict[str, dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The ranking (n_targets, k_max) of each set."""
    return {name: distances.ranking(values["scores"], study.profile.k_max) for name, values in sets.items()}


def agreement(study: Study, scores: np.ndarray, reference: np.ndarray) -> float:
    """Spearman's correlation of two methods' scores within the target's class, mean over targets."""
    own = study.dataset.test_labels[study.targets][:, None] == study.dataset.train_labels
    pairs = zip(scores, reference, own, strict=True)
    return float(np.mean([rank_correlation(one[of_class], other[of_class]) for one, other, of_class in pairs]))


def table(study: Study, sets: dict[str, dict[str, np.ndarray]], supports: pd.DataFrame) -> pd.DataFrame:
    """A row for each set: CANDIDATES, then for each kind of support its AUC with interval, auc_KIND, and n."""
    (rival,), k_max = largest(study.profile, "trak"), study.profile.k_max
    trak, pixels = study.attribution.scores(rival), study.attribution.scores("pixels_l2")
    areas, rows = stats.summary(supports, k_max).set_index(["kind", "method"]), []
    for name, values in sets.items():
        row = {"features": name} | {key: float(values[key]) for key in MEASURED[1:]}
        row |= {"trak": agreement(study, values["scores"], trak), "pixels": agreement(study, values["scores"], pixels)}
        for kind in supports["kind"].unique():
            this = areas.loc[kind, name]
            row |= {f"auc_{kind}{end}": this[f"auc{end}"] for end in ("", "_low", "_high")} | {"n": this["n"]}
        rows.append(row)
    return pd.DataFrame(rows)


def order(rows: pd.DataFrame) -> pd.DataFrame:
    """How well each candidate orders the sets: Spearman's correlation with the AUC over sets. rows: of `table`.

    A row for each kind, candidate and `sets`: ALL, and the UNLABELLED ones alone. p_holm: corrected for the candidates.
    """
    groups = {ALL: rows, UNLABELLED: rows[~rows["features"].str.startswith(LABELLED)]}
    kinds = [kind for kind in (REMOVAL, MISLABEL) if f"auc_{kind}" in rows]
    tables = []
    for kind, (name, group) in product(kinds, groups.items()):
        of = pd.DataFrame([correlated(group, key, f"auc_{kind}") for key in CANDIDATES])
        of.insert(0, "candidate", CANDIDATES.values())
        tables.append(of.assign(kind=kind, sets=name, p_holm=stats.holm(of["p"])))
    first = ["kind", "sets", "candidate"]
    table = pd.concat(tables, ignore_index=True)
    return table[[*first, *table.columns.drop([*first, "p"])]]


def correlated(rows: pd.DataFrame, key: str, column: str) -> dict:
    """`stats.correlated` of two columns, where both are known; of fewer than three rows nothing."""
    of_both = rows[[key, column]].dropna().to_numpy().T
    unknown = dict.fromkeys(("ours", "low", "high", "p"), np.nan) | {"n": of_both.shape[1]}
    return stats.correlated(*of_both) if of_both.shape[1] > 2 else unknown


def finding(rows: pd.DataFrame, correlations: pd.DataFrame, kind: str) -> str:
    """What goes with a large AUC, in Markdown. rows, correlations: of `table` and `order`."""
    every, others = (of for _, of in correlations[correlations["kind"] == kind].groupby("sets", sort=False))
    certain, left = (of[of["p_holm"] < stats.LEVEL] for of in (every, others))
    up, down = (strongest(certain[sign * certain["ours"] > 0]) or "nothing" for sign in (1, -1))
    learnt = rows["features"].str.startswith(LABELLED)
    areas = ["{:.2f} to {:.2f}".format(*of[f"auc_{kind}"].agg(["min", "max"])) for of in (rows[learnt], rows[~learnt])]
    return (
        f"**Over {len(rows)} sets of features, a larger AUC of {kind} goes with more of: {up}; and with less of: "
        f"{down} (rank correlations, those that survive Holm's correction). Without the {learnt.sum()} sets learnt "
        f"with labels {'these survive it: ' + strongest(left) if len(left) else 'none survives it'}.** The strongest "
        f"there: {strongest(others, 2) or 'none'}, over {(~learnt).sum()} sets. Sets learnt with labels have "
        f"an AUC of {areas[0]}, the others of {areas[1]}, each over {rows['n'].max():.0f} targets."
    )


def strongest(of: pd.DataFrame, n: int | None = None) -> str:
    """The n strongest correlations, all if None, for a sentence. of: rows of `order`."""
    of = of.dropna(subset=["ours"]).sort_values("ours", key=lambda rho: -rho.abs(), kind="stable")[:n]
    return "; ".join(f"{row.candidate} {stats.said(row.ours, row.low, row.high)}" for row in of.itertuples())


def shown(correlations: pd.DataFrame) -> pd.DataFrame:
    """The table of `order` as the page shows it."""
    names = dict(zip(("ours", "low", "high"), (f"rank correlation{end}" for end in ("", "_low", "_high")), strict=True))
    return correlations.rename(columns=names).assign(test="permutations of sets")


def placed(study: Study, name: str, vectors: Features, supports: pd.DataFrame) -> tuple[pd.DataFrame, Figure]:
    """Features of one's own among the sets of the book: their row of `table`, and the `figure` with them in it.

    name: of their ranking by the exemplar SVM in supports, of `Study.supports`. Raises FileNotFoundError where the
    profile has no sets.
    """
    rows, correlations = (committed.table(study.profile, "quality", table) for table in ("rows", "correlations"))
    of_own = supports[(supports["method"] == name) & (supports["kind"] == REMOVAL)]
    own = table(study, {name: _measured(vectors, study.dataset, study.targets)}, of_own)
    title = f"Profile {study.profile.name}: {name} (star) among the features of the book"
    return own, figure(pd.concat([rows, own], ignore_index=True), correlations, REMOVAL, title, own=name)


def figure(rows: pd.DataFrame, correlations: pd.DataFrame, kind: str, title: str, own: str | None = None) -> Figure:
    """AUC of a kind of support against each candidate, a point a set, with its interval; hollow where reduced.

    own: the set that is drawn as a star.
    """
    plots.style()
    drawn, axes = plt.subplots(2, 3, figsize=(10, 6.4), layout="constrained", sharey=True)
    axes[1, 2].set_visible(False)
    ordered = correlations[(correlations["kind"] == kind) & (correlations["sets"] == ALL)].set_index("candidate")
    for axis, (key, shown) in zip(axes.flat, CANDIDATES.items(), strict=False):
        few = rows["features"].str.endswith(" dimensions")
        is_own = rows["features"] == own
        for group, shape in (
            (rows[~few & ~is_own], {"fmt": "o"}),
            (rows[few & ~is_own], {"fmt": "o", "mfc": "white"}),
            (rows[is_own], {"fmt": "*", "color": RED, "ms": 14}),
        ):
            area = group[f"auc_{kind}"]
            span = [area - group[f"auc_{kind}_low"], group[f"auc_{kind}_high"] - area]
            axis.errorbar(group[key], area, span, **{"color": BLUE, "lw": 1} | shape)
        ours, low, high, n = ordered.loc[shown, ["ours", "low", "high", "n"]]
        axis.set_title(f"{shown}\n{stats.said(ours, low, high)}, {n:.0f} sets", fontsize=11)
        if key == "dimensions":
            axis.set(xscale="log", xticks=(ticks := [3, 10, 30]), xticklabels=ticks)
            axis.minorticks_off()
    drawn.supylabel(f"AUC, {kind}")
    drawn.suptitle(f"{title}; bars: 95 % over n = {rows['n'].max():.0f} targets")
    return drawn
