"""Every attribution method of `lib.methods` at work: what it scores, how it ranks, what that cost; kept under results/.

DEPARTURE: the competing methods rank the target's class alone too, so that all methods choose from the same images; the
paper lets TRAK and Datamodels choose from all classes of CIFAR-10.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from lib import distances, esvm, features, lds, methods
from lib.data import Dataset, clock, fetch
from lib.engine import Driver, cache, subsets
from lib.methods import FEATURES, SUBSET_METHODS, Method
from lib.profiles import Profile

HALF = 0.5  # of the training images: what the models on random subsets see that methods are fitted to


def sizes(profile: Profile, competitor: str) -> tuple[int, ...]:
    """The numbers of models that a competing method is computed for."""
    if competitor in SUBSET_METHODS:
        return profile.subset_models
    return profile.ensembles if competitor == "trak" else profile.ensembles[-1:]


def largest(profile: Profile, *competitors: str) -> list[str]:
    """The names of competing methods with the most models that the profile has for them; left out where it has none."""
    return [f"{name}:{sizes(profile, name)[-1]}" for name in competitors if sizes(profile, name)]


@dataclass(frozen=True)
class Attribution:
    """What the methods need to know. targets: test ids (n_targets,). folder: the profile's, under results/."""

    profile: Profile
    dataset: Dataset
    targets: np.ndarray
    folder: Path
    driver: Driver

    def parse(self, name: str) -> Method:
        """ValueError where there is no such method, or not with that number of models or that network."""
        method = methods.parse(name)
        if method.models and method.models not in (known := self.on(method.network).sizes(method.stem)):
            raise ValueError(
                f"unknown method {name!r}: profile {self.profile.name} has {method.stem} with "
                f"{', '.join(map(str, known)) or 'no'} models; name one of these"
            )
        return method

    def sizes(self, competitor: str) -> tuple[int, ...]:
        """See the function `sizes`."""
        return sizes(self.profile, competitor)

    def ranking(self, name: str, without: np.ndarray | None = None) -> np.ndarray:
        """The k_max most supportive train ids (n_targets, k_max) of each target.

        without: for each target a class whose images are left out: those mislabelled as it carry that label already.
        """
        method = self.parse(name)
        if without is not None and not method.same_class:
            left_out = without[:, None] == self.dataset.train_labels
            return distances.ranking(np.where(left_out, -np.inf, self._scores(method)), self.profile.k_max)
        return self._compared(method)["ranking"] if method.features else self._ranking(method)

    def scores(self, name: str) -> np.ndarray:
        """Scores (n_targets, n_train) float32, higher = more supportive; -inf where the method does not rank."""
        return self._scores(self.parse(name))

    def seconds(self, name: str) -> float:
        """What the method costs before any support is looked for: core-seconds on a CPU, seconds on CUDA.

        Features and their comparison with the targets; or the models, and what is read from them.
        """
        method = self.parse(name)
        if method.features:
            return float(self._features(method.features)["seconds"] + self._compared(method)["seconds"])
        if not method.models:
            return 0.0
        reading = float(self._competing(method)[f"{method.models}_seconds"])
        training = self.on(method.network).subset_seconds if method.stem in SUBSET_METHODS else 0
        return reading + method.models * training

    def stored_bytes(self, name: str) -> int:
        """What has to be kept to attribute further targets; see `lib.self._rivals.stored_bytes`."""
        method = self.parse(name)
        if method.features:
            return features.stored_bytes(self.dataset, self.profile.features(method.features))
        recipe, settings = self.profile.network(method.network), self.profile.trak if method.stem == "trak" else {}
        return self._rivals.stored_bytes(method.stem, self.dataset, recipe, method.models or 0, **settings)

    def on(self, network: str | None) -> "Attribution":
        """The same, where the competing methods look into another network of the profile; None: the one under study."""
        return self if network is None else replace(self, profile=self.profile.on(network))

    def features(self, name: str) -> features.Features:
        """Features of the whole dataset, by one of FEATURES."""
        stored = self._features(name)
        return features.Features(stored["train"], stored["test"])

    @property
    def held_out(self) -> range:
        """Numbers of the models on random halves that no method is fitted to."""
        fitted = max(self.profile.subset_models, default=0)
        return range(fitted, fitted + self.profile.lds_models)

    def subset_margins(self, models: range, alpha: float = HALF) -> tuple[np.ndarray, np.ndarray]:
        """Of models on random subsets: masks (n_models, n_train) bool, margins (n_models, n_test) float32.

        alpha: the share of the training images that each sees.
        """
        family, driver = self._subsets(alpha), self.driver
        where = self.folder / "subsets", driver.device, driver.n_jobs, driver.scheduler
        return subsets.masks(family, models), subsets.train(family, models, *where)

    @cached_property
    def subset_seconds(self) -> float:
        """Mean seconds of training one model on a random half: of ten of them, trained through the ledger."""
        whats = [self._subsets(HALF).retraining(i) for i in self.held_out[:10]]
        self.driver.logits([(what, self.targets.tolist()) for what in whats])
        keys = {what.key(self.dataset) for what in whats}
        return float(np.mean([record["seconds"] for record in self.driver.ledger.records if record["key"] in keys]))

    def lds(self, names: list[str], alpha: float = HALF) -> pd.DataFrame:
        """The linear datamodeling score of each method for each target, a row each: method, target, lds.

        Over held-out models, each trained on its own random share alpha of the training images; of halves the
        profile may name published ones.

        names: feature sets ("moco", by the paper's signed inverse L2) or names, of which competing methods score the
        images of all classes; an image that is not ranked counts as 0.
        """
        labels, train_labels = self.dataset.test_labels[self.targets], self.dataset.train_labels
        if self.profile.published_lds and alpha == HALF:
            masks, margins = subsets.published(*map(fetch, self.profile.published_lds), self.dataset)
        else:
            masks, margins = self.subset_margins(self.held_out, alpha)
        tables = []
        for method in names:
            if method in FEATURES:
                both = self.features(method)
                scores = lds.signed_inverse_l2(both.test[self.targets], both.train, labels, train_labels)
            else:
                parsed = self.parse(method)
                scores = self._scores(replace(parsed, same_class=False) if parsed.models else parsed)
                scores = np.where(np.isfinite(scores), scores, 0)
            found = lds.lds(scores, masks, margins[:, self.targets])
            tables.append(pd.DataFrame({"method": method, "target": self.targets, "lds": found}))
        return pd.concat(tables, ignore_index=True)

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

    @property
    def _rivals(self):
        from lib import rivals  # here, since it brings libraries that take seconds to import

        return rivals

    def _subsets(self, alpha: float) -> subsets.Subsets:
        return subsets.Subsets(self.dataset, self.profile.recipe, alpha)

    def _features(self, name: str) -> dict[str, np.ndarray]:
        recipe = self.profile.features(name)

        def extract() -> dict[str, np.ndarray]:
            return asdict(features.extract(self.dataset, recipe, self.driver.device))

        if recipe.method == "pixels":  # nothing is learnt: not worth a file, and costs next to nothing
            return extract() | {"seconds": np.array(0.0)}
        identity = {"dataset": self.dataset.checksum, "recipe": recipe.identity}
        return cache.arrays(self.folder / "features", name, identity, self._timed(extract))

    def _ranking(self, method: Method) -> np.ndarray:
        return distances.ranking(self._scores(method), self.profile.k_max)

    def _scores(self, method: Method) -> np.ndarray:
        labels, train_labels = self.dataset.test_labels[self.targets], self.dataset.train_labels
        if method.features:
            both = self.features(method.features)
            test = both.test[self.targets]
            distance = distances.DISTANCES.get(method.distance) or self._rivals.DISTANCES[method.distance]
            return distances.scores(distance, test, both.train, labels, train_labels, method.same_class)
        if method.models:
            found = self._competing(method)[str(method.models)]
        else:
            found = np.random.default_rng(self.profile.seed).random((len(labels), len(train_labels)), dtype=np.float32)
            if not method.same_class:  # one order for all targets: what does not depend on them can share its trainings
                found[:] = found[0]
        return np.where(labels[:, None] == train_labels, found, -np.inf) if method.same_class else found

    def _compared(self, method: Method) -> dict[str, np.ndarray]:
        """The ranking (n_targets, k_max) by features, its targets and the seconds that comparing took."""
        name = method.stem if method.same_class else f"{method.stem}-all"
        identity = {
            "dataset": self.dataset.checksum,
            "method": name,
            "settings": {"C": esvm.C} if method.distance == "esvm" else None,
            "features": self.profile.features(method.features).identity,
            "targets": self.targets.tolist(),
            "k_max": self.profile.k_max,
        }
        self.features(method.features)  # not in the time of the comparison
        rank = self._timed(lambda: {"targets": self.targets, "ranking": self._ranking(method)})
        return cache.arrays(self.folder / "rankings", name, identity, rank)

    def _competing(self, method: Method) -> dict[str, np.ndarray]:
        """Scores (n_targets, n_train) of all classes for each number of models, "20", and the seconds, "20_seconds"."""
        if method.network:
            return self.on(method.network)._competing(replace(method, network=None))
        profile, name, sizes, device = self.profile, method.stem, self.sizes(method.stem), self.driver.device
        published = profile.published_subsets if name in SUBSET_METHODS else None
        identity = {
            "dataset": self.dataset.checksum,
            "method": name,
            "recipe": profile.recipe.identity,
            "sizes": sizes,
            "targets": self.targets.tolist(),
        }
        if name == "trak" and profile.trak:
            identity["settings"] = profile.trak
        if published:
            identity["published"] = [*published, profile.published_datamodels]

        def score() -> dict[str, np.ndarray]:
            arguments = name, self.dataset, profile.recipe, self.targets
            if published:
                settings = {"published": tuple(map(fetch, published)), "device": device}
                found = {n: self._rivals.scored(*arguments, n_models=n, **settings) for n in sizes[:-1]}
                if name == "datamodels" and profile.published_datamodels:
                    settings["weights"] = fetch(profile.published_datamodels)
                found[sizes[-1]] = self._rivals.scored(*arguments, n_models=sizes[-1], **settings)
            elif name in SUBSET_METHODS:
                self.subset_margins(range(max(sizes)))  # trained here, where the processes or the cluster are known
                settings = {"folder": self.folder / "subsets", "device": device}
                found = {n: self._rivals.scored(*arguments, n_models=n, **settings) for n in sizes}
            else:
                settings = profile.trak if name == "trak" else {}
                found = self._rivals.ensembles(*arguments, sizes=sizes, device=device, **settings)
            seconds = {f"{size}_seconds": np.array(scored.seconds) for size, scored in found.items()}
            return {str(size): scored.scores for size, scored in found.items()} | seconds

        return cache.arrays(self.folder / "scores", name, identity, score)

    def _timed(self, make: Callable[[], dict[str, np.ndarray]]) -> Callable[[], dict[str, np.ndarray]]:
        """`make`, with the seconds that it took among what it returns."""

        def timed() -> dict[str, np.ndarray]:
            now = clock(self.driver.device)
            start = now()
            return make() | {"seconds": np.array(now() - start)}

        return timed
