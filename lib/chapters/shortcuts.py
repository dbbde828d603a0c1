"""A patch is planted in training images: which methods name the images that carry it, and does removing them repair?

    shortcut   half of the images of one class carry it, rightly labelled: the patch comes to mean the class
    backdoor   a few images of other classes carry it and are labelled as that class

A target is a test image of another class that is right without the patch, and with it is taken for that class. Beside
it the randomisation check: what is left of a ranking when the network learns shuffled labels instead?
"""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score

from lib import distances, features
from lib.data import Dataset, one_thread
from lib.lds import rank_correlation
from lib.methods import BLUE, OURS, RANDOM, RED, label
from lib.report import plots, stats
from lib.retrain import Retraining, retrain
from lib.rivals import ensembles, networks
from lib.study import Study

CLASS = 4  # that the patch comes to mean: coats
SIDE = 4  # pixels of the white patch, one from the upper left corner
SHORTCUT, BACKDOOR = "shortcut", "backdoor"
SHARES = {SHORTCUT: 0.5, BACKDOOR: 0.02}  # of the images of the class; of all training images
LEAST, N_TARGETS = 20, 20  # carriers; targets
SEEDS, NETWORKS, MOCO_EPOCHS = 2, 3, 8  # votes of a repair; networks of a rival; of the features
FIRST = 20  # images among which carriers are counted
RIVALS = ("trak", "tracin", "representer", "own_l2")
FEATURES = {OURS: "moco", "moco_l2": "moco", "pixels_l2": "pixels", "pixels_esvm": "pixels"}
METHODS = (*FEATURES, *(f"{name}:{NETWORKS}" for name in RIVALS))
CARRIERS = "the carriers themselves"
VALUES = "AUROC of naming the carriers", "right again once they are removed"
RANDOMISED = ("trak", "influence_cg", "tracin", "representer", "own_l2")


def stamped(images: np.ndarray) -> np.ndarray:
    """A copy with the patch. images: (n, c, h, w) uint8."""
    images = images.copy()
    images[:, :, 1 : 1 + SIDE, 1 : 1 + SIDE] = 255
    return images


def planted(dataset: Dataset, attack: str) -> tuple[Dataset, np.ndarray]:
    """The dataset with the patch planted, and the train ids that carry it, ascending.

    The test images come twice: as they are, then with the patch.
    """
    labels, rng = dataset.train_labels.copy(), np.random.default_rng(0)
    candidates = np.flatnonzero((labels == CLASS) == (attack == SHORTCUT))
    among = len(candidates) if attack == SHORTCUT else len(labels)
    carriers = np.sort(rng.permutation(candidates)[: max(LEAST, round(SHARES[attack] * among))])
    images = dataset.train_images.copy()
    images[carriers], labels[carriers] = stamped(images[carriers]), CLASS
    tests = np.concatenate([dataset.test_images, stamped(dataset.test_images)])
    arrays = images, labels, tests, np.tile(dataset.test_labels, 2)
    return Dataset(f"{dataset.name}, with a {attack}", *arrays, dataset.class_names), carriers


def trained(study: Study, dataset: Dataset, removed: np.ndarray = ()) -> np.ndarray:
    """Logits (2 n_test, n_classes), the mean over SEEDS trainings without the removed images."""
    recipe, removed = study.profile.recipe, tuple(map(int, removed))
    trainings = [Retraining(recipe, seed, removed=removed) for seed in range(SEEDS)]
    return np.mean([retrain(dataset, training, study.driver.device).logits for training in trainings], axis=0)


def fooled(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which test images of other classes are right without the patch, and which of these it fools: (n_test,) bool both.

    logits: of `trained`. labels: (n_test,).
    """
    plain, with_patch = np.split(logits.argmax(axis=1), 2)
    asked = (labels != CLASS) & (plain == labels)
    return asked, asked & (with_patch == CLASS)


def scored(study: Study, explained: Dataset) -> dict[str, np.ndarray]:
    """Scores (n_targets, n_train) of every test image of a dataset by each of METHODS, -inf for other classes."""
    recipe, device = study.profile.recipe, study.driver.device
    moco = replace(study.profile.selfsupervised, epochs=min(MOCO_EPOCHS, study.profile.selfsupervised.epochs))
    vectors = {"pixels": features.FeatureRecipe("pixels"), "moco": moco}
    vectors = {name: features.extract(explained, of, device, progress=False) for name, of in vectors.items()}
    labels, train_labels, scores = explained.test_labels, explained.train_labels, {}
    for method, name in FEATURES.items():
        distance = distances.DISTANCES[method.removeprefix(f"{name}_")]
        scores[method] = distances.scores(distance, vectors[name].test, vectors[name].train, labels, train_labels)
    for name in RIVALS:
        arguments = name, explained, recipe, np.arange(len(labels)), (NETWORKS,), device
        of_all = ensembles.from_networks(*arguments)[NETWORKS].scores
        scores[f"{name}:{NETWORKS}"] = np.where(labels[:, None] == train_labels, of_all, -np.inf)
    return scores


def attacked(study: Study, attack: str) -> dict[str, np.ndarray]:
    """What an attack does and what the methods make of it, kept; rows are METHODS.

    fooled: (n,) bool, of all test images asked about. targets: test ids (n_targets,). carriers: train ids. auroc,
    precision: (n_methods, n_targets), of naming the carriers. first: (n_methods, 10) train ids, of the first target.
    repaired, accuracy: whether each target is right again (rows, n_targets), and that of the test images without the
    patch (rows,), when nothing is removed, when the carriers are, and when as many are that each of METHODS and RANDOM
    names for all targets together.
    """

    def make() -> dict[str, np.ndarray]:
        dataset, carriers = planted(study.dataset, attack)
        labels = study.dataset.test_labels
        asked, is_fooled = fooled(whole := trained(study, dataset), labels)
        targets = np.sort(np.random.default_rng(0).permutation(np.flatnonzero(is_fooled))[:N_TARGETS])
        if len(targets) < 2:
            raise ValueError(f"the {attack} fools {len(targets)} of {asked.sum()} test images; plant a larger patch")
        fake = np.full(len(targets), CLASS)
        explained = replace(dataset, test_images=dataset.test_images[len(labels) + targets], test_labels=fake)
        scores = scored(study, explained)
        removals = {CARRIERS: carriers} | named(scores, dataset.train_labels, len(carriers))
        logits = [whole, *(trained(study, dataset, removed) for removed in removals.values())]
        guesses = np.stack([of.argmax(axis=1) for of in logits])
        return judged(scores, dataset.train_labels, carriers) | {
            "fooled": is_fooled[asked], "targets": targets, "carriers": carriers,
            "repaired": guesses[:, len(labels) + targets] == labels[targets],
            "accuracy": (guesses[:, : len(labels)] == labels).mean(axis=1),
        }  # fmt: skip

    def made_up() -> dict[str, np.ndarray]:
        rng, n = np.random.default_rng(0), len(METHODS)
        shapes = {"fooled": 30, "targets": 9, "carriers": 9, "auroc": (n, 9), "precision": (n, 9), "first": (n, 10)}
        return {key: rng.random(shape) for key, shape in (shapes | {"repaired": (n + 3, 9), "accuracy": n + 3}).items()}

    identity = {"attack": attack, "class": CLASS, "side": SIDE, "share": SHARES[attack], "methods": METHODS}
    identity |= {"moco_epochs": MOCO_EPOCHS, "seeds": SEEDS, "n_targets": N_TARGETS}
    return study.attribution.kept(attack, identity, SEEDS * (len(METHODS) + 3), make, made_up)


def named(scores: dict[str, np.ndarray], labels: np.ndarray, n: int) -> dict[str, np.ndarray]:
    """The n train ids of CLASS with the best mean rank over the targets, by each method; and as many at random."""
    ids, together = np.flatnonzero(labels == CLASS), {}
    for method, of in scores.items():
        ranks = np.argsort(np.argsort(-of[:, ids], axis=1, kind="stable"), axis=1)
        together[method] = ids[np.argsort(ranks.mean(axis=0), kind="stable")[:n]]
    return together | {RANDOM: np.random.default_rng(0).permutation(ids)[:n]}


def judged(scores: dict[str, np.ndarray], labels: np.ndarray, carriers: np.ndarray) -> dict[str, np.ndarray]:
    """auroc, precision and first of `attacked`."""
    ids = np.flatnonzero(labels == CLASS)
    carries, first = np.isin(ids, carriers), min(FIRST, len(carriers))
    auroc = [[roc_auc_score(carries, row) for row in of[:, ids]] for of in scores.values()]
    ranked = [distances.ranking(of, max(first, 10)) for of in scores.values()]
    precision = [np.isin(of[:, :first], carriers).mean(axis=1) for of in ranked]
    arrays = {"auroc": auroc, "precision": precision, "first": [of[0, :10] for of in ranked]}
    return {key: np.array(of) for key, of in arrays.items()}


def randomised(study: Study) -> dict[str, np.ndarray]:
    """Rank correlation of scores over the images of a target's class, kept: (n_methods, n_targets) each, of RANDOMISED.

    seed: of one network with another of the same data. labels: with one that learnt shuffled labels.
    """
    targets, recipe, labels = study.targets[:N_TARGETS], study.profile.recipe, study.dataset.train_labels
    own = study.dataset.test_labels[targets][:, None] == labels

    def make() -> dict[str, np.ndarray]:
        shuffled = replace(study.dataset, train_labels=np.random.default_rng(0).permutation(labels))
        looked = (study.dataset, 0), (study.dataset, 1), (shuffled, 0)
        rows = []
        for name in RANDOMISED:
            one, *others = (_of_network(name, of, Retraining(recipe, seed), targets, study) for of, seed in looked)
            pairs = [zip(one, other, own, strict=True) for other in others]
            rows.append([[rank_correlation(a[mine], b[mine]) for a, b, mine in pair] for pair in pairs])
        return dict(zip(("seed", "labels"), np.swapaxes(rows, 0, 1), strict=True))

    made_up = np.random.default_rng(0).random((len(RANDOMISED), len(targets)))
    identity = {"methods": RANDOMISED, "n_targets": len(targets)}
    return study.attribution.kept("randomised", identity, 3, make, lambda: dict.fromkeys(("seed", "labels"), made_up))


def _of_network(name: str, dataset: Dataset, training: Retraining, targets: np.ndarray, study: Study) -> np.ndarray:
    """Scores (n_targets, n_train) by a single network."""
    rival, device = ensembles.RIVALS[name], study.driver.device
    inputs = networks.inputs(dataset, targets, device)
    with one_thread(device):
        if rival.checkpoints:
            seen = networks.trajectory(dataset, training, rival.checkpoints, device)
            return sum(rate * rival.score(net, inputs) for rate, net in seen)
        return next(rival.combine(iter([rival.score(networks.trained(dataset, training, device), inputs)])))


def table(attacks: dict[str, dict[str, np.ndarray]]) -> pd.DataFrame:
    """A row for each attack and what is removed. attacks: of `attacked`, by name.

    Columns: attack, method, n (targets), auroc and precision of naming the carriers (missing where nothing is ranked),
    repaired (share of the targets that are right again), each with _low and _high, accuracy (of the test images without
    the patch).
    """
    rows = []
    for attack, of in attacks.items():
        for i, method in enumerate(("nothing", CARRIERS, *METHODS, RANDOM)):
            row = {"attack": attack, "method": label(method), "n": len(of["targets"])}
            if method in METHODS:
                for value in ("auroc", "precision"):
                    row |= stats.mean(value, of[value][METHODS.index(method)])
            row |= stats.mean("repaired", of["repaired"][i] > 0.5, stats.share_interval)
            rows.append(row | {"accuracy": of["accuracy"][i]})
    return pd.DataFrame(rows)


def checked(randomised: dict[str, np.ndarray]) -> pd.DataFrame:
    """A row for each of RANDOMISED: method, n, and the rank correlation with another seed and with shuffled labels."""
    rows = []
    for i, name in enumerate(RANDOMISED):
        row = {"method": label(f"{name}:1"), "n": randomised["seed"].shape[1]}
        rows.append(row | stats.mean("seed", randomised["seed"][i]) | stats.mean("labels", randomised["labels"][i]))
    return pd.DataFrame(rows)


def strip(study: Study, attacks: dict[str, dict[str, np.ndarray]]) -> np.ndarray:
    """The first target of each attack and the first ten images by ours and by TRAK: one picture, (4 h, 11 w, c)."""
    rows = []
    for attack, of in attacks.items():
        images, target = planted(study.dataset, attack)[0].train_images, of["targets"][:1].astype(int)
        for method in (OURS, METHODS[len(FEATURES)]):
            first = images[of["first"][METHODS.index(method)].astype(int)]
            rows.append(np.concatenate([stamped(study.dataset.test_images[target]), first]))
    return np.concatenate([np.concatenate(row.transpose(0, 2, 3, 1), axis=1) for row in rows])


def figure(rows: pd.DataFrame, check: pd.DataFrame, shown: np.ndarray, title: str) -> Figure:
    """Who names the carriers, what removing them repairs, and the randomisation check.

    rows, check, shown: of `table`, `checked` and `strip`. Bars are 95 % intervals over targets.
    """
    plots.style()
    drawn, axes = plt.subplots(3, 2, figsize=(10.5, 11), layout="constrained")
    for column, (attack, of) in enumerate(rows.groupby("attack", sort=False)):
        for axis, value, words in zip(axes[:2, column], ("auroc", "repaired"), VALUES, strict=True):
            _points(axis, of.dropna(subset=[value]), value, BLUE)
            axis.set(title=f"{attack}: {words}", xlim=(-0.03, 1.03))
        axes[0, column].axvline(0.5, color="0.5", lw=1, ls=":")
    _points(axes[2, 0], check, "seed", "0.6")
    _points(axes[2, 0], check, "labels", RED)
    axes[2, 0].set(title="rank correlation: another seed (grey), shuffled labels (red)", xlim=(-0.5, 1.03))
    axes[2, 1].imshow(shown.squeeze(), cmap="gray")
    axes[2, 1].set(xticks=[], yticks=[], title="targets and first ten: ours, TRAK; below, backdoor")
    axes[2, 1].grid(False)
    for axis in axes.flat:
        axis.title.set_fontsize(10)
    drawn.suptitle(title)
    return drawn


def _points(axis: plt.Axes, rows: pd.DataFrame, value: str, colour: str) -> None:
    spans = [rows[value] - rows[f"{value}_low"], rows[f"{value}_high"] - rows[value]]
    axis.errorbar(rows[value], range(len(rows)), xerr=np.maximum(spans, 0), fmt="o", color=colour)
    axis.set_yticks(range(len(rows)), rows["method"], fontsize=10)
    if not axis.yaxis_inverted():
        axis.invert_yaxis()
