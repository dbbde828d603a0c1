"""The study that the figures share: targets, wrong labels, rankings, supports.

    profile -> base models -> targets and wrong labels -> ranking of each method -> supports

A notebook opens a study and asks it for supports; what was computed before is read, not repeated.
"""

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from lib import data, distances, esvm, features, models, record
from lib.campaign import Driver, Question
from lib.ledger import Ledger
from lib.paths import RESULTS
from lib.profiles import PROFILES, Profile
from lib.retrain import Retraining, margins, pick_device, short_hash

REMOVAL, MISLABEL = "removal", "mislabel"
METHODS = {  # name: (features, distance)
    "moco_esvm": ("moco", "esvm"),
    "moco_l2": ("moco", "l2"),
    "supervised_l2": ("supervised", "l2"),
    "pixels_l2": ("pixels", "l2"),
    "random": (None, "random within the class"),
}
BASE_SEED = 1000  # base models' seeds start here; votes use 0, 1, ...: targets are not chosen by their own votes


@dataclass(frozen=True)
class Study:
    """One profile, opened. device: "cpu", "cuda" or "auto". n_jobs: processes; -1: one a core. scheduler: address of a
    Dask scheduler whose workers train instead.

    Raises ValueError at once where the profile's values do not fit its dataset.
    """

    profile: Profile
    device: str = "auto"
    n_jobs: int = -1
    scheduler: str | None = None

    def __post_init__(self):
        profile, dataset = self.profile, self.dataset
        n_classes = len(dataset.class_names)
        train, test = (np.bincount(labels).min() for labels in (dataset.train_labels, dataset.test_labels))
        if profile.k_max > train:
            raise ValueError(f"k_max={profile.k_max} exceeds the {train} training images of a class; lower k_max")
        if profile.n_targets % n_classes or profile.n_targets > test * n_classes:
            raise ValueError(
                f"n_targets={profile.n_targets} must be a multiple of the {n_classes} classes, "
                f"at most {test * n_classes}"
            )
        if self.n_jobs == 0:
            raise ValueError("n_jobs=0 is no number of processes; give 1 or more, or -1 for one a core")
        pick_device(self.device)
        models.check(profile.recipe)
        features.check(dataset, profile.moco)

    @property
    def folder(self) -> Path:
        """Where the profile's ledger, features and rankings are kept, whatever is overridden: their names tell."""
        return RESULTS / self.profile.name

    def outputs(self, name: str) -> Path:
        """Where the tables of figure `name` go: a folder of its own where values of the profile are overridden."""
        changed = self.profile != PROFILES[self.profile.name]
        return self.folder / (f"{name}-{short_hash(asdict(self.profile))}" if changed else name)

    @cached_property
    def dataset(self) -> data.Dataset:
        whole, profile = data.load(self.profile.dataset), self.profile
        if profile.train_per_class is None and profile.test_per_class is None:
            return whole
        return data.subset(whole, profile.train_per_class, profile.test_per_class)

    @cached_property
    def driver(self) -> Driver:
        ledger = Ledger(self.folder / "ledger.jsonl")
        device = pick_device(self.device)
        return Driver(self.dataset, self.profile.recipe, ledger, device, self.n_jobs, self.scheduler)

    @cached_property
    def base_logits(self) -> np.ndarray:
        """Logits (n_test, n_classes) of the unmodified training set, averaged over the base models."""
        base = [Retraining(self.profile.recipe, BASE_SEED + i) for i in range(self.profile.n_base)]
        return self.driver.logits(base, range(len(self.dataset.test_labels))).mean(axis=0)

    @cached_property
    def targets(self) -> np.ndarray:
        """Test ids (n_targets,), ascending: at random and balanced among those that the base models get right.

        DEPARTURE: the paper draws its CIFAR-10 targets from all test images. Its rule for ImageNet (Paper §4.1), used
        here throughout, spends no training on targets that are wrong before anything is removed.
        """
        labels, n_classes = self.dataset.test_labels, len(self.dataset.class_names)
        right = margins(self.base_logits, labels) > 0
        per_class = self.profile.n_targets // n_classes
        available = np.bincount(labels[right], minlength=n_classes).min()
        if per_class > available:
            raise ValueError(
                f"n_targets={self.profile.n_targets} is too many: of one class the base models get only {available} "
                f"test images right; lower n_targets to {available * n_classes} or train better models"
            )
        rng = np.random.default_rng(self.profile.seed)
        chosen = [rng.permutation(np.flatnonzero(right & (labels == c)))[:per_class] for c in range(n_classes)]
        return np.sort(np.concatenate(chosen))

    @cached_property
    def wrong_labels(self) -> np.ndarray:
        """For each target the wrong class with the highest logit, averaged over the base models. Source: App. A.4."""
        logits = self.base_logits[self.targets]
        logits[np.arange(len(logits)), self.dataset.test_labels[self.targets]] = -np.inf
        return logits.argmax(axis=1)

    def features(self, name: str) -> features.Features:
        """Features of the whole dataset: "moco", "supervised" or "pixels"; those learnt are kept under results/."""
        recipe = getattr(self.profile, name)
        if recipe.method == "pixels":  # nothing is learnt: not worth a file
            return features.extract(self.dataset, recipe)
        identity = {"dataset": self.dataset.checksum, "recipe": asdict(recipe)}

        def extract() -> dict[str, np.ndarray]:
            return asdict(features.extract(self.dataset, recipe, self.driver.device))

        return features.Features(**record.arrays(self.folder / "features", name, identity, extract))

    def ranking(self, method: str) -> np.ndarray:
        """The k_max most supportive train ids (n_targets, k_max) of each target; kept under results/."""
        feature, distance = METHODS[method]
        profile, labels = self.profile, self.dataset.test_labels[self.targets]
        identity = {
            "dataset": self.dataset.checksum,
            "method": method,
            "settings": {"C": esvm.C} if distance == "esvm" else None,
            "features": asdict(getattr(profile, feature)) if feature else profile.seed,
            "targets": self.targets.tolist(),
            "k_max": profile.k_max,
        }

        def rank() -> dict[str, np.ndarray]:
            if feature is None:
                scores = distances.random_scores(labels, self.dataset.train_labels, profile.seed)
            else:
                both = self.features(feature)
                test = both.test[self.targets]
                scores = distances.scores(distance, test, both.train, labels, self.dataset.train_labels)
            return {"targets": self.targets, "ranking": distances.ranking(scores, profile.k_max)}

        return record.arrays(self.folder / "rankings", method, identity, rank)["ranking"]

    def supports(self, curves: list[tuple[str, str]], united: bool = False) -> pd.DataFrame:
        """The support of every target for each (kind, method), one row each, from one campaign.

        united: test one target of every class with the same trainings (see `lib.support.united`).
        Columns: kind ("removal", "mislabel"), method, target (test id), label, wrong_label, size (missing if not
        found), reason, low, high, votes ("k:right-wrong", in the order of the search), trainings, keys (the ledger's).
        """
        for kind, method in curves:
            if kind not in (REMOVAL, MISLABEL) or method not in METHODS:
                raise ValueError(
                    f"unknown kind or method {kind!r}, {method!r}; choose {REMOVAL} or {MISLABEL}, and one of "
                    f"{', '.join(METHODS)}"
                )
        labels = self.dataset.test_labels[self.targets]
        groups = _one_of_each_class(labels) if united else [[i] for i in range(len(labels))]
        tests = [(kind, method, group) for kind, method in curves for group in groups]
        rankings = {method: self.ranking(method).tolist() for _, method in curves}
        answers = self.driver.supports(
            [tuple(self._question(kind, rankings[method], i) for i in group) for kind, method, group in tests],
            self.profile.budget,
            self.profile.n_votes,
        )
        members = [(kind, method, i) for kind, method, group in tests for i in group]
        rows = [
            {"kind": kind, "method": method, "target": self.targets[i], "label": labels[i]}
            | {"wrong_label": self.wrong_labels[i]}
            | asdict(found)
            | {"votes": " ".join(f"{vote.k}:{vote.right}-{vote.wrong}" for vote in found.votes)}
            | {"trainings": found.trainings, "keys": keys}
            for (kind, method, i), (found, keys) in zip(members, answers, strict=True)
        ]
        order = [(curves.index((kind, method)), i) for kind, method, i in members]
        rows = [row for _, row in sorted(zip(order, rows, strict=True), key=lambda pair: pair[0])]
        return pd.DataFrame(rows).astype({"size": "Int64", "low": "Int64", "high": "Int64"})

    def _question(self, kind: str, rankings: list[list[int]], i: int) -> Question:
        """Target number i under a method's rankings."""
        wrong_label = None if kind == REMOVAL else int(self.wrong_labels[i])
        return Question(int(self.targets[i]), tuple(rankings[i]), wrong_label)

    def retrainings(self, supports: pd.DataFrame) -> pd.DataFrame:
        """The ledger's records that a table of supports rests on, each retraining once."""
        keys = set().union(*supports["keys"])
        return pd.DataFrame(r for r in self.driver.ledger.records if r["key"] in keys).drop_duplicates("key")

    def knn_accuracies(self, names: list[str]) -> pd.DataFrame:
        """kNN accuracy on the test images of each feature set, a row each: features, size, knn_accuracy, n."""
        sets = {name: self.features(name) for name in names}
        rows = [
            {
                "features": name,
                "size": both.train.shape[1],
                "knn_accuracy": features.knn_accuracy(both, self.dataset),
                "n": len(both.test),
            }
            for name, both in sets.items()
        ]
        return pd.DataFrame(rows)


def _one_of_each_class(labels: np.ndarray) -> list[np.ndarray]:
    """Positions of balanced labels (n,) in groups: the first of every class, the second of every class, and so on."""
    return list(np.stack([np.flatnonzero(labels == label) for label in np.unique(labels)]).T)
