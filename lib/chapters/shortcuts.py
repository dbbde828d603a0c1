"""A patch is planted in training images: which methods name the images that carry it, and does removing them repair?

    shortcut   half of the images of one class carry it, rightly labelled: the patch comes to mean the class
    backdoor   a few images of other classes carry it and are labelled as that class

A target is a test image of another class that is right without the patch, and with it is taken for that class. Two
controls: nothing is removed, but the network trained from seeds that did not choose the targets; and no image carries
the patch, the labels staying as the attack left them.
"""

from dataclasses import replace

import numpy as np
from sklearn.metrics import roc_auc_score

from lib import distances, features
from lib.data import Dataset
from lib.methods import OURS, RANDOM
from lib.retrain import Retraining, retrain
from lib.rivals import ensembles
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


def trained(study: Study, dataset: Dataset, removed: np.ndarray = (), first_seed: int = 0) -> np.ndarray:
    """Logits (2 n_test, n_classes), the mean over SEEDS trainings without the removed images."""
    recipe, removed = study.profile.recipe, tuple(map(int, removed))
    trainings = [Retraining(recipe, first_seed + i, removed=removed) for i in range(SEEDS)]
    return np.mean([retrain(dataset, training, study.driver.device).logits for training in trainings], axis=0)


def fooled(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which test images of other classes are right without the patch, and which of these it fools: (n_test,) bool both.

    logits: of `trained`. labels: (n_test,).
    """
    plain, with_patch = np.split(logits.argmax(axis=1), 2)
    asked = (labels != CLASS) & (plain == labels)
    return asked, asked & (with_patch == CLASS)


def by_features(study: Study, explained: Dataset) -> dict[str, np.ndarray]:
    """Scores (n_targets, n_train) of every test image of a dataset by each of FEATURES, -inf for other classes."""
    moco = replace(study.profile.selfsupervised, epochs=min(MOCO_EPOCHS, study.profile.selfsupervised.epochs))
    vectors = {"pixels": features.FeatureRecipe("pixels"), "moco": moco}
    options = {"device": study.driver.device, "progress": False}
    vectors = {name: features.extract(explained, of, **options) for name, of in vectors.items()}
    labels, train_labels, scores = explained.test_labels, explained.train_labels, {}
    for method, name in FEATURES.items():
        distance = distances.DISTANCES[method.removeprefix(f"{name}_")]
        scores[method] = distances.scores(distance, vectors[name].test, vectors[name].train, labels, train_labels)
    return scores


def scored(study: Study, explained: Dataset) -> dict[str, np.ndarray]:
    """The same by each of METHODS."""
    labels, train_labels, scores = explained.test_labels, explained.train_labels, by_features(study, explained)
    for name in RIVALS:
        arguments = name, explained, study.profile.recipe, np.arange(len(labels)), (NETWORKS,), study.driver.device
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

    n, shapes = len(METHODS), {"fooled": 30, "targets": 9, "carriers": 9}
    shapes |= {"auroc": (n, 9), "precision": (n, 9), "first": (n, 10), "repaired": (n + 3, 9), "accuracy": n + 3}
    identity = {"attack": attack, "class": CLASS, "side": SIDE, "share": SHARES[attack], "methods": METHODS}
    identity |= {"moco_epochs": MOCO_EPOCHS, "seeds": SEEDS, "n_targets": N_TARGETS}
    return study.attribution.kept(attack, identity, SEEDS * (n + 3), make, shapes)


def controls(study: Study, attack: str, of: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What tells nothing of a method, kept. of: of `attacked`.

    repaired (n_targets,), accuracy (): as there, when nothing is removed, but by seeds that did not choose the targets.
    chance (): share of carriers in the class. auroc (n_features, n_targets): of naming the same training images by
    FEATURES where they, and the targets, are without the patch.
    """
    targets, labels = of["targets"].astype(int), study.dataset.test_labels

    def make() -> dict[str, np.ndarray]:
        dataset, carriers = planted(study.dataset, attack)
        guesses = trained(study, dataset, first_seed=SEEDS).argmax(axis=1)
        tests = {"test_images": study.dataset.test_images[targets], "test_labels": np.full(len(targets), CLASS)}
        bare = replace(dataset, train_images=study.dataset.train_images, **tests)
        return {
            "repaired": guesses[len(labels) + targets] == labels[targets],
            "accuracy": (guesses[: len(labels)] == labels).mean(),
            "chance": np.array(len(carriers) / (dataset.train_labels == CLASS).sum()),
            "auroc": judged(by_features(study, bare), dataset.train_labels, carriers)["auroc"],
        }

    n = len(targets)
    shapes = {"repaired": n, "accuracy": (), "chance": (), "auroc": (len(FEATURES), n)}
    identity = {"attack": attack, "class": CLASS, "side": SIDE, "share": SHARES[attack], "features": FEATURES}
    identity |= {"moco_epochs": MOCO_EPOCHS, "first_seed": SEEDS, "seeds": SEEDS, "attacked": targets.tolist()}
    return study.attribution.kept(f"{attack}_controls", identity, SEEDS, make, shapes)


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
