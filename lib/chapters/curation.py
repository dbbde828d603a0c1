"""Curation: is a training set better without the images that a method values least?

    validation half of the test images -> value of each training image -> the least valued of each label removed
    -> networks trained on the rest -> accuracy on the other half, against removing as many at random

On the labels as they are, and with some planted that are wrong, where a method that can curate has something to find.
"""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.special import log_softmax

from lib import distances
from lib.chapters import labels as wrong_labels
from lib.data import Dataset
from lib.methods import BLUE, OURS, RANDOM, RED, label
from lib.report import plots, stats
from lib.retrain import Retraining, retrain
from lib.rivals import ensembles
from lib.study import Study

CLEAN, NOISY = "labels as they are", "one label in ten wrong"
SETTINGS = {CLEAN: "clean", NOISY: "noisy"}  # in names of files
WRONG = 0.1  # of the labels, planted
SHARES = (0.0, 0.1, 0.5)  # of the images of each label, removed
NETWORKS = {"trak": 3, "tracin": 1}  # that a method looks into
DENSITY, LOSS, LOSS_SEED = "moco_density", "loss", 2000
METHODS = (OURS, DENSITY, *(f"{name}:{n}" for name, n in NETWORKS.items()), LOSS)
ADDED = "none removed, the validation images added"  # with their labels: what they are worth when trained on


def n_seeds(study: Study) -> int:
    """Trainings each, and draws of random removal: one more than the profile has base models, five on Fashion-MNIST."""
    return study.profile.n_base + 1


def halves(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Test ids of the validation images and of those that accuracy is measured on: every other of each class."""
    by_class = np.argsort(labels, kind="stable")
    return np.sort(by_class[::2]), np.sort(by_class[1::2])


def labelled(study: Study, setting: str) -> Dataset:
    """The study's dataset, with its labels or the planted ones."""
    own, n_classes = study.dataset.train_labels, len(study.dataset.class_names)
    if setting == CLEAN:
        return study.dataset
    planted = wrong_labels.uniform(own, round(WRONG * len(own)), n_classes, np.random.default_rng(0))
    return replace(study.dataset, train_labels=planted)


def values(study: Study, setting: str) -> dict[str, np.ndarray]:
    """What each of METHODS thinks a training image is worth, (n_train,) float32, larger for what is to be kept; kept.

    Scores are averaged over the validation images; ours over those of the image's label, the only ones it has scores
    for. density: mean cosine to the nearest images of the label. loss: minus that of a network trained on them all.
    """
    dataset, recipe, device = labelled(study, setting), study.profile.recipe, study.driver.device
    validation, given = halves(dataset.test_labels)[0], dataset.train_labels

    def make() -> dict[str, np.ndarray]:
        vectors, worth = study.attribution.features("moco"), {}
        pair = vectors.test[validation], vectors.train
        scores = distances.scores(distances.DISTANCES["esvm"], *pair, dataset.test_labels[validation], given)
        worth[OURS] = np.where(np.isfinite(scores), scores, 0).mean(axis=0)
        worth[DENSITY] = density(vectors.train, given)
        for name, n in NETWORKS.items():
            worth[f"{name}:{n}"] = ensembles.from_networks(name, dataset, recipe, validation, (n,), device)[n].scores
            worth[f"{name}:{n}"] = worth[f"{name}:{n}"].mean(axis=0)
        own = replace(dataset, test_images=dataset.train_images, test_labels=given)
        logits = retrain(own, Retraining(recipe, LOSS_SEED), device).logits
        worth[LOSS] = log_softmax(logits, axis=1)[np.arange(len(given)), given]
        return {method: np.asarray(of, np.float32) for method, of in worth.items()}

    identity, shapes = {"labels": setting, "methods": METHODS}, dict.fromkeys(METHODS, given.shape)
    name = f"curation_{SETTINGS[setting]}_values"
    return study.attribution.kept(name, identity, sum(NETWORKS.values()) + 1, make, shapes)


def density(vectors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean cosine, up to a factor, of each image to its nearest ones of the same label, (n,). vectors: (n, d)."""
    result = np.empty(len(labels))
    for one in np.unique(labels):
        ids = np.flatnonzero(labels == one)
        result[ids] = np.log(wrong_labels.neighbours(vectors[ids])[1]).mean(axis=1)
    return result


def least(worth: np.ndarray, labels: np.ndarray, share: float) -> np.ndarray:
    """The train ids of that share of each label's images that are worth least, ascending. worth, labels: (n_train,)."""
    ids = []
    for one in np.unique(labels):
        of_label = np.flatnonzero(labels == one)
        ids.append(of_label[np.argsort(worth[of_label], kind="stable")[: round(share * len(of_label))]])
    return np.sort(np.concatenate(ids))


def at_random(n_train: int, seed: int) -> np.ndarray:
    """A worth (n_train,) that says nothing."""
    return np.random.default_rng([7, seed]).random(n_train)


def accuracies(study: Study, setting: str, share: float) -> dict[str, np.ndarray]:
    """Accuracy on the half that no method saw, (n_seeds,), when that share goes by each of METHODS and RANDOM; kept.

    The training seed is the same for all; RANDOM draws anew with each. Where nothing is removed, RANDOM alone.
    """
    dataset, n = labelled(study, setting), n_seeds(study)
    methods, n_train = (*METHODS, RANDOM) if share else (RANDOM,), len(dataset.train_labels)

    def make() -> dict[str, np.ndarray]:
        worth, rows = values(study, setting), {}
        for method in methods:
            of = [worth.get(method, at_random(n_train, seed)) for seed in range(n)]
            gone = [least(one, dataset.train_labels, share) for one in of]
            rows[method] = np.array([accuracy(study, dataset, seed, ids) for seed, ids in enumerate(gone)])
        return rows

    identity = {"labels": setting, "methods": methods, "share": share, "seeds": n}
    name, shapes = f"curation_{SETTINGS[setting]}_{share:g}", dict.fromkeys(methods, (n,))
    return study.attribution.kept(name, identity, n * len(methods), make, shapes)


def accuracy(study: Study, dataset: Dataset, seed: int, removed: np.ndarray) -> float:
    """On the half of the test images that no method saw, of a training without some training images, by their ids."""
    outcome = retrain(dataset, Retraining(study.profile.recipe, seed, tuple(removed.tolist())), study.driver.device)
    return float((outcome.logits.argmax(axis=1) == dataset.test_labels)[halves(dataset.test_labels)[1]].mean())


def added(study: Study, setting: str) -> np.ndarray:
    """Accuracy, (n_seeds,), when nothing is removed and the validation images are trained on too; kept."""
    dataset, n = labelled(study, setting), n_seeds(study)
    ids = halves(dataset.test_labels)[0]
    images = np.concatenate([dataset.train_images, dataset.test_images[ids]])
    more = replace(dataset, train_images=images, train_labels=np.append(dataset.train_labels, dataset.test_labels[ids]))

    def make() -> dict[str, np.ndarray]:
        return {ADDED: np.array([accuracy(study, more, seed, np.arange(0)) for seed in range(n)])}

    name, identity = f"curation_{SETTINGS[setting]}_added", {"labels": setting, "seeds": n}
    return study.attribution.kept(name, identity, n, make, {ADDED: (n,)})[ADDED]


def table(study: Study) -> pd.DataFrame:
    """A row for each setting, share and method, and for ADDED.

    Columns: labels, removed, method, n (trainings), accuracy; difference to RANDOM with low and high, and gain over all
    images, with gain_low and gain_high, paired by training; wrong: share of wrong labels among the images removed, of
    RANDOM on average.
    """
    rows, own = [], study.dataset.train_labels
    for setting in SETTINGS:
        given, worth = labelled(study, setting).train_labels, values(study, setting)
        whole = accuracies(study, setting, 0.0)[RANDOM]
        for share in SHARES:
            by_method = accuracies(study, setting, share) | ({} if share else {ADDED: added(study, setting)})
            for method, of in by_method.items():
                row = {"labels": setting, "removed": share, "method": method, "n": len(of), "accuracy": of.mean()}
                paired = stats.mean("difference", of - by_method[RANDOM], stats.over_seeds)
                low, high = paired.pop("difference_low"), paired.pop("difference_high")
                row |= paired | {"low": low, "high": high} if share and method != RANDOM else {}
                row |= stats.mean("gain", of - whole, stats.over_seeds) if share or method == ADDED else {}
                if setting == NOISY and share:
                    draws = [worth.get(method, at_random(len(given), seed)) for seed in range(len(of))]
                    gone = [least(one, given, share) for one in draws]
                    row["wrong"] = np.mean([(given != own)[ids].mean() for ids in gone])
                rows.append(row)
    return pd.DataFrame(rows)


def judged(rows: pd.DataFrame) -> dict[tuple[str, float], list[int]]:
    """By setting and share, how many methods are better than random, cannot be told apart, are worse; by intervals."""
    compared = rows.dropna(subset=["difference"])
    counts = {}
    for (setting, share), of in compared.groupby(["labels", "removed"], sort=False):
        better, worse = (of["low"] > 0).sum(), (of["high"] < 0).sum()
        counts[setting, share] = [better, len(of) - better - worse, worse]
    return counts


def finding(rows: pd.DataFrame) -> str:
    """The page's first line, in Markdown: is a removal better than none, and than one at random? rows: of `table`."""
    tenth, half = SHARES[1:]
    removed, parts, counts = rows[rows["method"].isin(METHODS)], [], judged(rows)
    clean, noisy = (removed[removed["labels"] == of] for of in SETTINGS)
    of_tenth = noisy[noisy["removed"] == tenth].set_index("method")
    named = dict.fromkeys((of_tenth["gain"].idxmax(), LOSS, OURS))
    gains = "; ".join(f"{label(m)} {stats.said_of(of_tenth.loc[m], 'gain', 3)}" for m in named)
    for share, words in ((half, "half"), (tenth, "a tenth")):
        (right, _, less), (better, _, worse) = counts[CLEAN, share], counts[NOISY, share]
        parts.append(
            f"Without {words}, {right} of {len(METHODS)} methods choose better than chance with right labels and "
            f"{less} worse; with {NOISY}, {better} better and {worse} worse."
        )
    added = rows[rows["method"] == ADDED].set_index("labels")
    more = [stats.said_of(added.loc[of], "gain", 3) for of in SETTINGS]
    return (
        f"**Removing images beats training on all in {gaining(clean)} cases with right labels, in {gaining(noisy)} "
        f"with {NOISY} (n = {rows['n'].iloc[0]} trainings each; 95 % intervals).** {' '.join(parts)} "
        f"Gain over all images of removing a tenth with {NOISY}: {gains}. "
        f"Training on the validation images too gains {more[1]} with wrong labels, {more[0]} with right ones."
    )


def gaining(removed: pd.DataFrame) -> str:
    """How many removals are better than none, for a sentence. removed: rows of `table`."""
    gained = removed[removed["gain_low"] > 0]
    named = "; ".join(f"{label(row.method)}, {row.removed:.0%} removed" for row in gained.itertuples())
    return f"{len(gained)} of {len(removed)}{named and f' ({named})'}"


def against_all(rows: pd.DataFrame) -> str:
    """Is a removal better than none? Of the best of each setting; and who names the wrong labels. rows: of `table`."""
    parts = []
    for setting in SETTINGS:
        of = rows[rows["labels"] == setting]
        whole, best = of["accuracy"].iloc[0], of[of["removed"] > 0].nlargest(1, "accuracy").iloc[0]
        name = f"{label(best['method'])}, {best['removed']:.0%} removed, gain {stats.said_of(best, 'gain', 3)}"
        parts.append(f"with {setting} {whole:.3f}, and {best['accuracy']:.3f} by the best of the others ({name})")
    tenth = rows.dropna(subset=["wrong"]).query("removed == @SHARES[1]")
    names = ", ".join(f"{label(row.method)} {row.wrong:.2f}" for row in tenth.itertuples())
    return (
        f"Accuracy with all images: {'; '.join(parts)}. The best of many flatters itself. Share of wrong labels among "
        f"the tenth that each removes: {names}."
    )


def figure(rows: pd.DataFrame, title: str) -> Figure:
    """Accuracy less that of random removal, a panel for each setting, a colour for each share. rows: of `table`."""
    plots.style()
    drawn, axes = plt.subplots(1, 2, figsize=(10.5, 3.6), sharex=True, sharey=True, layout="constrained")
    for axis, (setting, of) in zip(axes, rows.dropna(subset=["difference"]).groupby("labels", sort=False), strict=True):
        for share, colour, shift in zip(SHARES[1:], (BLUE, RED), (-0.12, 0.12), strict=True):
            points = of[of["removed"] == share]
            spans = [points["difference"] - points["low"], points["high"] - points["difference"]]
            heights, name = np.arange(len(points)) + shift, f"{share:.0%} removed"
            axis.errorbar(points["difference"], heights, xerr=spans, fmt="o", color=colour, label=name)
        axis.axvline(0, color="0.5", lw=1, ls=":")
        axis.set_title(setting, fontsize=11)
        axis.set_yticks(range(len(METHODS)), map(label, METHODS))
    axes[0].invert_yaxis()
    axes[0].legend(fontsize=9, loc="lower left")
    drawn.supxlabel("accuracy less that of random removal", fontsize=11)
    drawn.suptitle(f"{title}\nn = {rows['n'].iloc[0]} trainings, bars: 95 % intervals over them", fontsize=11)
    return drawn
