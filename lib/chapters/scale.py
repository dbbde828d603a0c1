"""From a few training images of a class to all: how do supports move with the size of the training set?

Removal, united tests of one training per probe, up to the same share of a class at every size. Up to the profile's own
size one thing changes, the number of training images: the recipe stays, and so do the features, which were learnt from
all images of the profile. Profile `cifar10_full` is all of CIFAR-10, with features and a recipe of its own.
"""

from collections.abc import Iterator
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib import distances
from lib.chapters import network
from lib.chapters.mislabelled import at_few, learnt
from lib.chapters.mislabelled import table as of_labels
from lib.engine import Ledger
from lib.features import FeatureRecipe
from lib.methods import OURS, RANDOM, label, look, marker
from lib.profiles import PROFILES
from lib.report import Page, paper, plots, stats
from lib.retrain import Recipe
from lib.rivals import largest, trak
from lib.study import MISLABEL, REMOVAL, Study

SHARES, FEWEST = (0.1, 0.25), 20  # of the profile's images of a class; images of a class
N_TARGETS = 40  # at the sizes below the profile's own
WHOLE, ALL = "cifar10", "cifar10_full"  # the profile that all images are compared with, and theirs
FIGURE_3 = paper.FIGURE_3
FEW, MANY = (FIGURE_3.select({"kind": REMOVAL, "method": "ours", "k": k}) for k in (500, 1280))
LONGER_GROUPS = 3  # of ten targets, that networks of more epochs are tested on


def methods(study: Study) -> list[str]:
    """That are compared: ours, the profile's largest TRAK, raw pixels and the control."""
    return [OURS, *largest(study.profile, "trak"), "pixels_l2", RANDOM]


def fewer(study: Study, per_class: int) -> Study:
    """The same study of the first so many images of each class, on features of all of the study's images.

    TRAK projects to the same share of dimensions.
    """
    whole, n_classes = study.profile, len(study.dataset.class_names)
    labels = study.dataset.train_labels
    k_max = max(1, round(whole.k_max * per_class * n_classes / len(labels)))
    dim = max(1, round(trak.PROJECTION_DIM * per_class * n_classes / len(labels)))
    profile = replace(whole, train_per_class=per_class, k_max=k_max, n_targets=min(N_TARGETS, whole.n_targets))
    unused = FeatureRecipe("pixels")  # in place of MoCo's, whose batches may not fit so few images
    profile, given = replace(profile, trak={"projection_dim": dim}, selfsupervised=unused), {}
    small = replace(study, profile=profile, given=given)
    kept = np.sort(np.concatenate([np.flatnonzero(labels == c)[:per_class] for c in range(n_classes)]))
    vectors, targets = study.attribution.features("moco"), small.targets
    pair = vectors.test[targets], vectors.train[kept], small.dataset.test_labels[targets], small.dataset.train_labels
    given[OURS] = distances.ranking(distances.scores(distances.DISTANCES["esvm"], *pair), k_max)
    return small


def studies(study: Study) -> Iterator[Study]:
    """Of each size, fewest images first."""
    own = len(study.dataset.train_labels) // len(study.dataset.class_names)
    for per_class in sorted({max(FEWEST, round(share * own)) for share in SHARES}):
        yield fewer(study, per_class)
    yield from largest_sizes(study)


def largest_sizes(study: Study) -> Iterator[Study]:
    """The last of `studies`: the profile's own size, and all images where they were tested."""
    yield study
    if (whole := largest_size(study)) is not study:
        yield whole


def largest_size(study: Study) -> Study:
    """The study itself, or that of all images."""
    return replace(study, profile=PROFILES[ALL]) if study.profile == PROFILES[WHOLE] else study


def supports(page: Page) -> pd.DataFrame:
    """Of `Study.supports` at every size, with columns images (of training), per_class, k_max, accuracy (of the base
    models, on the test images).
    """
    return pd.concat([_of_size(REMOVAL, study, methods(study)) for study in studies(page.study)], ignore_index=True)


def mislabelled(page: Page) -> pd.DataFrame:
    """The same by mislabelling, from the profile's own size on, without raw pixels."""
    tables = []
    for study in largest_sizes(page.study):
        names = [name for name in methods(study) if name != "pixels_l2"]
        tables.append(_of_size(MISLABEL, study, names))
    return pd.concat(tables, ignore_index=True)


def _of_size(kind: str, study: Study, names: list[str]) -> pd.DataFrame:
    supports = study.supports([(kind, name) for name in names], united=True)
    right = study.base_logits.argmax(axis=1) == study.dataset.test_labels
    images, n_classes = len(study.dataset.train_labels), len(study.dataset.class_names)
    size = {"images": images, "per_class": images // n_classes, "k_max": study.profile.k_max}
    return supports.assign(**size, accuracy=right.mean())


def longest(study: Study) -> tuple[Study, list[Recipe]]:
    """The study of the largest size, with its recipe and the same with the paper's epochs."""
    whole = largest_size(study)
    return whole, network.longer(whole.profile.recipe, (1,))


def by_epochs(page: Page) -> pd.DataFrame:
    """Of `mislabelled.at_few` at the largest size, by united tests."""
    study, recipes = longest(page.study)
    return at_few(study, recipes, study.groups(united=True)[:LONGER_GROUPS])


def learnt_by_network(page: Page) -> pd.DataFrame:
    """Of `mislabelled.learnt` at the largest size, by one group of targets.

    Where all images were tested, also with the paper's whole recipe but its width, and with the paper's width and mixed
    precision beside its epochs.
    """
    study, recipes = longest(page.study)
    if study is not page.study:
        papers, last = PROFILES["paper"].recipe, recipes[-1]
        wide = replace(last, width=papers.width, precision=papers.precision)
        recipes = [*recipes, replace(papers, width=last.width), wide]
    return learnt(study, recipes, study.groups(united=True)[:1])


def few_labels(supports: pd.DataFrame) -> pd.DataFrame:
    """A row for each size and ranking, of `lib.chapters.mislabelled.table`. supports: of `mislabelled`."""
    sizes = [
        of_labels(group, ["images", "method"], *group[["k_max", "per_class"]].iloc[0])
        for _, group in supports.groupby("images", sort=False)
    ]
    return pd.concat(sizes, ignore_index=True)


def table(supports: pd.DataFrame) -> pd.DataFrame:
    """A row for each size and ranking. supports: of `supports`.

    Columns: images, accuracy, method, n (targets), auc; few and many, the shares of targets that flip at the paper's
    two k, of FEW and MANY; each with _low and _high.
    """
    rows = []
    for (images, method), group in supports.groupby(["images", "method"], sort=False):
        targets, of = stats.usable(group), group.iloc[0]
        row = {"images": images, "accuracy": of["accuracy"], "method": method, "n": len(targets)}
        row |= stats.mean("auc", stats.area(targets, of["k_max"]))
        row |= dict.fromkeys((f"{name}{end}" for name in ("few", "many") for end in network.ENDS), np.nan)
        for share in paper.beside(group, method, of["per_class"], of["k_max"]).itertuples():
            name = "few" if share.k.startswith("<") else "many"
            row |= {name: share.here, f"{name}_low": share.low, f"{name}_high": share.high}
        rows.append(row)
    return pd.DataFrame(rows)


def against(supports: pd.DataFrame) -> pd.DataFrame:
    """Ours less every other ranking at every size, paired by target: images, and the row of `stats.paired`.

    supports: of one kind.
    """
    rows, kind = [], supports["kind"].iloc[0]
    for images, group in supports.groupby("images"):
        names = [name for name in group["method"].unique() if name != OURS]
        rows += [{"images": images} | stats.paired(group, kind, OURS, n, group["k_max"].iloc[0]) for n in names]
    return pd.DataFrame(rows)


def finding(rows: pd.DataFrame, pairs: pd.DataFrame) -> str:
    """What the page says first, in Markdown. rows, pairs: of `table` and `against`."""
    rivals = pairs[pairs["worse"].str.startswith("trak")]
    each = "; ".join(
        f"{row.images} images {stats.said(row.difference, row.low, row.high)} (n = {row.n})"
        for row in rivals.itertuples()
    )
    excluded = ((rivals["low"] > 0) | (rivals["high"] < 0)).all()
    certain = f"The interval {'excludes' if excluded else 'does not exclude'} zero at every size"
    by = stats.said(*moved(rivals.iloc[0], rivals.iloc[-1]))
    ours = rows[rows["method"] == OURS].iloc[-1]
    many = stats.said_of(ours, "many")
    return (
        f"**Ours less {label(rivals['worse'].iloc[0])}, difference of AUC: {each}.** {certain}; from the fewest images "
        f"to the most it moves by {by}. With the most images, {ours['images']}, removing at most a share of "
        f"{MANY.k / FIGURE_3.class_size:.3f} of a class by ours flips {many} of {ours['n']} targets; the paper has "
        f"{MANY.value / FIGURE_3.n:.2f} of {FIGURE_3.n} at 50 000."
    )


def moved(first: pd.Series, last: pd.Series) -> tuple[float, float, float]:
    """By how much a difference of other targets is larger, and its 95 % interval from theirs, by normal errors."""
    error = np.hypot(*((row["high"] - row["low"]) / 2 for row in (first, last)))
    value = last["difference"] - first["difference"]
    return value, value - error, value + error


def behind(page: Page, tables: list[pd.DataFrame]) -> str:
    """What the part on all images took, in a ledger of its own, in Markdown; "" where it was not done here.

    tables: of `supports`, `mislabelled` and `by_epochs`.
    """
    if page.values != PROFILES[WHOLE] or not all("keys" in table for table in tables):
        return ""
    keys = set().union(*(keys for table in tables for keys in table["keys"]))
    seconds = {row["key"]: row["seconds"] for row in Ledger(page.study.results / ALL / "ledger").records}
    seconds = [value for key, value in seconds.items() if key in keys]
    return (
        f"**On all images**, by profile `{ALL}` and in its ledger: {len(seconds)} distinct retrainings more, "
        f"{sum(seconds) / 3600:.2f} core-hours. The accuracy above is a mean over all sizes; the table has "
        "that of each."
    )


def figure(rows: pd.DataFrame, title: str) -> Figure:
    """AUC, and the share flipped at the paper's larger k with the paper's values (stars), against training images."""
    plots.style()
    drawn, axes = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
    for i, (method, of) in enumerate(rows.groupby("method", sort=False)):
        _, colour, dash = look(method)
        for axis, value in zip(axes, ("auc", "many"), strict=True):
            drawing = {"color": colour, "linestyle": dash, "marker": marker(method), "label": label(method)}
            axis.errorbar(of["images"] * 1.02**i, of[value], plots.span(of, value), **drawing)
    star = {"label": "ours, in the paper", "linestyle": "", "marker": "*", "ms": 14, "mec": "black"}
    axes[1].plot([10 * FIGURE_3.class_size], [MANY.value / FIGURE_3.n], color=look(OURS)[1], **star)
    words = "AUC", f"share flipped, k up to {MANY.k / FIGURE_3.class_size:.1%} of a class"
    for axis, value in zip(axes, words, strict=True):
        axis.set(xscale="log", xlabel="training images", title=value)
    drawn.legend(*axes[1].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=10)
    drawn.suptitle(f"{title}; bars: 95 % over targets, n = {rows['n'].min()} to {rows['n'].max()}")
    return drawn
