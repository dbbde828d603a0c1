"""The study that the figures share: targets, wrong labels, supports.

    profile -> base models -> targets and wrong labels -> ranking of each method (`lib.rivals.attribution`) -> supports

A notebook opens a study and asks it for supports; what was computed before is read, not repeated.
"""

import itertools
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from lib import data, features, nets
from lib.base import check
from lib.bisection import UnitedProbe
from lib.data import WRITTEN, pick_device
from lib.engine import FIELDS, Driver, Group, Ledger, Question, check_loader, retrainings
from lib.profiles import Profile, check_k_max, check_n_targets
from lib.retrain import Recipe, Retraining, margins
from lib.rivals import Attribution

REMOVAL, MISLABEL = "removal", "mislabel"
Curve = tuple[str, str]  # kind and method
Groups = list[list[int]]  # positions in `Study.targets` that are tested together
Changed = tuple[str, str, int]  # kind, method and the position in `Study.targets` of what is changed for
BASE_SEED = 1000  # base models' seeds start here; votes use 0, 1, ...: targets are not chosen by their own votes


@dataclass(frozen=True)
class Study:
    """One profile, opened.

    device: "cpu", "cuda" or "auto". n_jobs: processes; -1: one per core. scheduler: address of a Dask scheduler whose
    workers train instead. loader: "memory", or "ffcv" to train from a file. results: the folder that results go to.
    given: rankings (n_targets, k_max) train ids by a name of one's own, which is then a method's.

    Raises ValueError at once where the profile's values do not fit its dataset, ImportError where there is no FFCV.
    """

    profile: Profile
    device: str = "auto"
    n_jobs: int = -1
    scheduler: str | None = None
    loader: str = "memory"
    results: Path = WRITTEN
    given: Mapping[str, np.ndarray] = field(default_factory=dict, compare=False)

    def __post_init__(self):
        profile, dataset = self.profile, self.dataset
        check_k_max(profile, np.bincount(dataset.train_labels))
        self.check_targets()
        for option in ("n_jobs", "scheduler", "loader"):
            check(option, getattr(self, option))
        pick_device(self.device)
        check_loader(self.loader, self.scheduler)
        nets.check(profile.recipe)
        features.check(dataset, profile.selfsupervised)

    def check_targets(self) -> None:
        """Refuse a number of targets that cannot be drawn."""
        check_n_targets(self.profile, np.bincount(self.dataset.test_labels))

    @property
    def folder(self) -> Path:
        """Where the profile's ledger, features and rankings are kept, whatever is overridden: their names tell."""
        return self.results / self.profile.name

    def outputs(self, figure: str) -> Path:
        """Where the tables of a figure go; see `Profile.folder`."""
        return self.folder / self.profile.folder(figure)

    @cached_property
    def dataset(self) -> data.Dataset:
        whole, profile = data.load(self.profile.dataset), self.profile
        if profile.train_per_class is profile.test_per_class is profile.n_classes is None:
            return whole
        return data.subset(whole, profile.train_per_class, profile.test_per_class, profile.n_classes)

    @cached_property
    def driver(self) -> Driver:
        ledger = Ledger(self.folder / "ledger")
        device = pick_device(self.device)
        return Driver(self.dataset, self.profile.recipe, ledger, device, self.n_jobs, self.scheduler, self.loader)

    @cached_property
    def base_logits(self) -> np.ndarray:
        """Logits (n_test, n_classes) of the unmodified training set, averaged over the base models."""
        base = [Retraining(self.profile.recipe, BASE_SEED + i) for i in range(self.profile.n_base)]
        everything = list(range(len(self.dataset.test_labels)))
        return np.mean(self.driver.logits([(retraining, everything) for retraining in base]), axis=0)

    @cached_property
    def targets(self) -> np.ndarray:
        """Test ids (n_targets,), ascending: at random and balanced among those that the base models get right.

        Fewer targets than classes are each of a class of its own, at random among those with k_max training images.

        DEPARTURE: the paper draws its CIFAR-10 targets from all test images. Its rule for ImageNet (Paper §4.1), used
        here throughout, spends no training on targets that are wrong before anything is removed.
        """
        labels, n_classes = self.dataset.test_labels, len(self.dataset.class_names)
        right, rng = margins(self.base_logits, labels) > 0, np.random.default_rng(self.profile.seed)
        of_class = [np.flatnonzero(right & (labels == c)) for c in range(n_classes)]
        n, fewest = self.profile.n_targets, min(map(len, of_class))
        if n < n_classes:
            large = np.bincount(self.dataset.train_labels) >= self.profile.k_max
            classes = rng.permutation([c for c in range(n_classes) if large[c] and len(of_class[c])])[:n]
            of_class = [of_class[c] for c in classes]
        per_class = max(1, n // n_classes)
        most = len(of_class) * min([per_class, *map(len, of_class)])
        if n > most:
            few = f"of one class the base models get only {fewest} test images right"
            raise ValueError(f"n_targets={n} is too many: {few}; lower n_targets or train better models")
        return np.sort(np.concatenate([rng.permutation(ids)[:per_class] for ids in of_class]))

    @cached_property
    def wrong_labels(self) -> np.ndarray:
        """For each target the wrong class with the highest logit, averaged over the base models. Source: App. A.4."""
        logits = self.base_logits[self.targets]
        logits[np.arange(len(logits)), self.dataset.test_labels[self.targets]] = -np.inf
        return logits.argmax(axis=1)

    @cached_property
    def attribution(self) -> Attribution:
        """The methods, their scores and rankings."""
        return Attribution(self.profile, self.dataset, self.targets, self.folder, self.driver, self.given)

    def groups(self, united: bool) -> Groups:
        """Positions in `targets` that are tested together: each alone, or united: one of every class."""
        labels = self.dataset.test_labels[self.targets]
        if not united:
            return [[i] for i in range(len(labels))]
        return np.stack([np.flatnonzero(labels == label) for label in np.unique(labels)]).T.tolist()

    def supports(
        self, curves: list[Curve], united: bool = False, recipe: Recipe | None = None, among: Groups | None = None
    ) -> pd.DataFrame:
        """The support of every target for each (kind, method), one row each, from one campaign.

        united: test one target of every class with the same trainings (see `lib.bisection.united`). recipe: of the
        models that are tested, the profile's by default; targets and wrong labels are the profile's in any case. among:
        positions in `targets` that are tested together, where these are not all. Columns: kind ("removal", "mislabel"),
        method, target (test id), label, wrong_label, size (missing if not found), reason, low, high, votes
        ("k:right-wrong", in the order of the search), trainings, keys (the ledger's).
        """
        tests = _tests(curves, among or self.groups(united))
        profile, driver = self.profile, replace(self.driver, recipe=recipe or self.profile.recipe)
        answers, rows = driver.supports(self.questions(tests), profile.budget, profile.n_votes), {}
        for changed, (support, keys) in zip(itertools.chain(*tests), answers, strict=True):
            votes = " ".join(f"{vote.k}:{vote.right}-{vote.wrong}" for vote in support.votes)
            rows[changed] = self._row(*changed) | asdict(support) | {"votes": votes}
            rows[changed] |= {"trainings": support.trainings, "keys": keys}
        ordered = sorted(rows, key=lambda changed: (curves.index(changed[:2]), changed[2]))
        return pd.DataFrame(map(rows.get, ordered)).astype({"size": "Int64", "low": "Int64", "high": "Int64"})

    def asked(self, curves: list[Curve], united: bool) -> list[tuple[Retraining, list[int], np.ndarray]]:
        """The retrainings behind `supports` of the same arguments; see `lib.engine.driver.Driver.asked`."""
        questions = self.questions(_tests(curves, self.groups(united)))
        return self.driver.asked(questions, self.profile.budget, self.profile.n_votes)

    def margins(
        self, tests: list[list[Changed]], ks: list[int], n_seeds: int, recipe: Recipe | None = None
    ) -> pd.DataFrame:
        """Margins at fixed k: of every target of every test, when the first k of all of the test's rankings change.

        recipe: as in `supports`.
        Columns: test (its number), kind, method, target, label, wrong_label, k, seed, margin, keys (the ledger's).
        """
        groups, recipe = self.questions(tests), recipe or self.profile.recipe
        probes = [
            (number, k, retraining)
            for number, group in enumerate(groups)
            for k in ks
            for retraining in retrainings(group, recipe, UnitedProbe((k,) * len(group), range(n_seeds), 1))
        ]
        readings = [(retraining, [question.target for question in groups[number]]) for number, _, retraining in probes]
        rows = []
        for (number, k, retraining), logits in zip(probes, self.driver.logits(readings), strict=True):
            for changed, of_target in zip(tests[number], logits, strict=True):
                row = self._row(*changed)
                margin = margins(of_target[None], row["label"][None])[0]
                row |= {"k": k, "seed": retraining.seed, "margin": margin, "keys": (self.driver.key(retraining),)}
                rows.append({"test": number} | row)
        return pd.DataFrame(rows)

    def _row(self, kind: str, method: str, i: int) -> dict:
        target = self.targets[i]
        label, wrong = self.dataset.test_labels[target], self.wrong_labels[i]
        return {"kind": kind, "method": method, "target": target, "label": label, "wrong_label": wrong}

    def questions(self, tests: list[list[Changed]]) -> list[Group]:
        if unknown := {kind for kind, _, _ in itertools.chain(*tests)} - {REMOVAL, MISLABEL}:
            raise ValueError(f"unknown kind {min(unknown)!r}; choose {REMOVAL} or {MISLABEL}")
        rankings = {}
        for kind, method in {(kind, method) for kind, method, _ in itertools.chain(*tests)}:
            without = self.wrong_labels if kind == MISLABEL else None
            rankings[kind, method] = self.attribution.ranking(method, without).tolist()

        def question(kind: str, method: str, i: int) -> Question:
            label = int(self.wrong_labels[i]) if kind == MISLABEL else None
            return Question(int(self.targets[i]), tuple(rankings[kind, method][i]), label)

        return [tuple(question(*changed) for changed in test) for test in tests]

    def retrainings(self, table: pd.DataFrame) -> pd.DataFrame:
        """The ledger's records that a table of supports or margins rests on, each retraining once."""
        keys = set().union(*table["keys"])
        self.driver.ledger.refresh()  # another study of the same folder may have trained them
        records = [record for record in self.driver.ledger.records if record["key"] in keys]
        return pd.DataFrame(records, columns=FIELDS).drop_duplicates("key")


def _tests(curves: list[Curve], groups: Groups) -> list[list[Changed]]:
    """For each curve and group, what is changed together."""
    return [[(kind, method, i) for i in group] for kind, method in curves for group in groups]
