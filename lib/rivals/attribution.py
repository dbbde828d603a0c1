"""Every attribution method of `lib.methods` at work: what it scores, how it ranks, what that cost; kept under results/.

DEPARTURE: the competing methods rank the target's class alone too, so that all methods choose from the same images; the
paper says that of its own method alone, and presumably ranks all classes for the others.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import pandas as pd

from lib import distances, esvm, features, lds, methods
from lib.data import Dataset, clock, fetch
from lib.engine import Driver, Subsets, cache, subsets
from lib.methods import FEATURES, SUBSET_METHODS, Method
from lib.profiles import Profile
from lib.retrain import short_hash

HALF = 0.5  # of the training images: what the models on random subsets see that methods are fitted to


def ensembles():
    """The module of that name: imported here, since it brings libraries that take seconds."""
    from lib.rivals import ensembles

    return ensembles


def on_subsets(competitor: str) -> bool:
    """Whether a competing method is read from models on random subsets."""
    if competitor in methods.RIVALS:
        return competitor in SUBSET_METHODS
    return ensembles().RIVALS[competitor].trained_on == ensembles().SUBSETS


def sizes(profile: Profile, competitor: str) -> tuple[int, ...]:
    """The numbers of models that a competing method is computed for."""
    if on_subsets(competitor):
        return profile.subset_models
    return profile.ensembles if competitor in ("trak", "trak_undamped") else profile.ensembles[-1:]


def largest(profile: Profile, *competitors: str) -> list[str]:
    """The names of competing methods with the most models that the profile has for them; left out where it has none."""
    return [f"{name}:{sizes(profile, name)[-1]}" for name in competitors if sizes(profile, name)]


@dataclass(frozen=True)
class Attribution:
    """What the methods need to know. targets: test ids (n_targets,). folder: the profile's, under results/.

    given: rankings (n_targets, k_max) by names of their own.
    """

    profile: Profile
    dataset: Dataset
    targets: np.ndarray
    folder: Path
    driver: Driver
    given: Mapping[str, np.ndarray] = field(default_factory=dict)
    networks: list[int] = field(default_factory=list, init=False, compare=False)  # behind what `kept` has given so far

    def parse(self, name: str) -> Method:
        """ValueError where there is no such method, or not with that number of models or that network."""
        method = methods.parse(name)
        part, known = (method.stem, "RIVALS") if method.models else (method.distance, "DISTANCES")
        if part is not None and part not in getattr(methods, known) and part not in getattr(ensembles(), known):
            further = ensembles().DISTANCES, ensembles().RIVALS
            raise methods.unknown(name, methods.DISTANCES | further[0], methods.RIVALS | further[1])
        if method.models and method.models not in (known := sizes(self.profile.on(method.network), method.stem)):
            raise ValueError(
                f"unknown method {name!r}: profile {self.profile.name} has {method.stem} with "
                f"{', '.join(map(str, known)) or 'no'} models; name one of these"
            )
        return method

    def ranking(self, name: str, without: np.ndarray | None = None) -> np.ndarray:
        """The k_max most supportive train ids (n_targets, k_max) of each target.

        without: for each target a class whose images are left out: those mislabelled as it carry that label already.
        """
        return self._given(name, without) if name in self.given else self._ranking(name, without)

    def kept(self, name: str, identity: dict, n_models: int, make: Callable, stand_in: Callable | dict) -> dict:
        """Arrays that a chapter makes from so many networks, kept among the scores; see `lib.engine.cache`.

        identity: what they depend on beside the dataset, the targets and the recipe. stand_in: the shapes of the
        arrays, by name, or a function that makes some of these shapes, which a dry run takes instead.
        """
        self.networks.append(n_models)
        profile, targets = self.profile, self.targets.tolist()
        identity |= {"dataset": self.dataset.checksum, "recipe": profile.recipe.identity, "targets": targets}
        return cache.arrays(self.folder / "scores", name, identity | {"n_networks": n_models}, make)

    def _ranking(self, name: str, without: np.ndarray | None) -> np.ndarray:
        method = self.parse(name)
        if method.features and (without is None or method.same_class):
            return self._compared(method)["ranking"]
        scores = self._scores(method)
        if without is not None:
            scores = np.where(without[:, None] == self.dataset.train_labels, -np.inf, scores)
        return distances.ranking(scores, self.profile.k_max)

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
        training = self.on(method.network).subset_seconds if on_subsets(method.stem) else 0
        return float(self._competing(method)[f"{method.models}_seconds"]) + method.models * training

    def stored_bytes(self, name: str) -> int:
        """What has to be kept to attribute further targets."""
        method = self.parse(name)
        if method.features:
            return features.stored_bytes(self.dataset, self.profile.features(method.features))
        if not method.models:
            return 0
        recipe, settings = self.profile.network(method.network), self._settings(method.stem)
        return ensembles().stored_bytes(method.stem, self.dataset, recipe, method.models, **settings)

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

    def subset_margins(self, models: range, alpha: float = HALF, repeat: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Of models on random subsets: masks (n_models, n_train) bool, margins (n_models, n_test) float32.

        alpha: the share of the training images that each sees. repeat: of the same subsets with other seeds.
        """
        family, driver = Subsets(self.dataset, self.profile.recipe, alpha, repeat=repeat), self.driver
        where = self.folder / "subsets", driver.device, driver.n_jobs, driver.scheduler
        return subsets.masks(family, models), subsets.train(family, models, *where)

    @cached_property
    def subset_seconds(self) -> float:
        """Mean seconds of training one model on a random half: of ten of them, trained through the ledger."""
        family = Subsets(self.dataset, self.profile.recipe, HALF)
        retrainings = [family.retraining(i) for i in self.held_out[:10]]
        self.driver.logits([(retraining, self.targets.tolist()) for retraining in retrainings])
        keys = {retraining.key(self.dataset) for retraining in retrainings}
        return float(np.mean([record["seconds"] for record in self.driver.ledger.records if record["key"] in keys]))

    def lds(self, names: list[str], alpha: float = HALF, n_trainings: int = 1) -> pd.DataFrame:
        """The linear datamodeling score of each method for each target, a row each: method, target, lds.

        Over held-out models, each trained on its own random share alpha of the training images; of halves the
        profile may name published ones. A model's margins are the mean over n_trainings of it, of other seeds.

        names: feature sets ("moco", by the paper's signed inverse L2) or names, of which competing methods score the
        images of all classes; an image that is not ranked counts as 0.
        """
        if self.profile.published_lds and alpha == HALF:
            masks, margins = subsets.published(*map(fetch, self.profile.published_lds), self.dataset)
        else:
            of_each = [self.subset_margins(self.held_out, alpha, repeat) for repeat in range(n_trainings)]
            masks, margins = of_each[0][0], np.mean([margins for _, margins in of_each], axis=0)
        tables = []
        for name in names:
            values = lds.lds(self._linear_scores(name), masks, margins[:, self.targets])
            tables.append(pd.DataFrame({"method": name, "target": self.targets, "lds": values}))
        return pd.concat(tables, ignore_index=True)

    def knn_accuracies(self, names: list[str]) -> pd.DataFrame:
        """kNN accuracy on the test images of each feature set, a row each: features, size, knn_accuracy, n."""
        of = ((name, self.features(name)) for name in names)
        rows = [(name, v.train.shape[1], features.knn_accuracy(v, self.dataset), len(v.test)) for name, v in of]
        return pd.DataFrame(rows, columns=["features", "size", "knn_accuracy", "n"])

    @property
    def _labels(self) -> tuple[np.ndarray, np.ndarray]:
        """Those of the targets (n_targets,) and of the training images (n_train,)."""
        return self.dataset.test_labels[self.targets], self.dataset.train_labels

    def _given(self, name: str, without: np.ndarray | None) -> np.ndarray:
        ranking, shape = np.asarray(self.given[name]), (len(self.targets), self.profile.k_max)
        if ranking.shape != shape:
            raise ValueError(f"the ranking of {name} has shape {ranking.shape}; expected (targets, k_max) = {shape}")
        if without is not None and (self.dataset.train_labels[ranking] == without[:, None]).any():
            raise ValueError(f"{name} ranks images that carry the wrong label already; rank the target's class alone")
        return ranking

    def _settings(self, competitor: str) -> dict:
        return self.profile.trak if competitor == "trak" else {}

    def _features(self, name: str) -> dict[str, np.ndarray]:
        """train (n_train, d), test (n_test, d), and the seconds that they took."""
        recipe, device = self.profile.features(name), self.driver.device
        identity = {"dataset": self.dataset.checksum, "recipe": recipe.identity}
        checkpoint = self.folder / "features" / f"{name}-{short_hash(identity)}.checkpoint"

        def extract() -> dict[str, np.ndarray]:
            return vars(features.extract(self.dataset, recipe, device, checkpoint=checkpoint))

        if recipe.method == "pixels":  # nothing is learnt: not worth a file, and costs next to nothing
            return extract() | {"seconds": np.array(0.0)}
        return cache.arrays(self.folder / "features", name, identity, lambda: self._timed(extract))

    def _scores(self, method: Method) -> np.ndarray:
        labels, train_labels = self._labels
        if method.features:
            vectors = self.features(method.features)
            distance = distances.DISTANCES.get(method.distance) or ensembles().DISTANCES[method.distance]
            pair = vectors.test[self.targets], vectors.train
            return distances.scores(distance, *pair, labels, train_labels, method.same_class)
        if method.models:
            scores = self._competing(method)[str(method.models)]
        else:
            scores = np.random.default_rng(self.profile.seed).random((len(labels), len(train_labels)), dtype=np.float32)
            if not method.same_class:  # one order for all targets: what does not depend on them can share its trainings
                scores[:] = scores[0]
        return np.where(labels[:, None] == train_labels, scores, -np.inf) if method.same_class else scores

    def _linear_scores(self, name: str) -> np.ndarray:
        """Scores (n_targets, n_train) of all classes' images that can be added up, for the LDS; see `lds`."""
        if name in FEATURES:
            vectors = self.features(name)
            return lds.signed_inverse_l2(vectors.test[self.targets], vectors.train, *self._labels)
        method = self.parse(name)
        scores = self._scores(replace(method, same_class=method.same_class and not method.models))
        return np.where(np.isfinite(scores), scores, 0)

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

        def compare() -> dict[str, np.ndarray]:
            return {"targets": self.targets, "ranking": distances.ranking(self._scores(method), self.profile.k_max)}

        return cache.arrays(self.folder / "rankings", name, identity, lambda: self._timed(compare))

    def _competing(self, method: Method) -> dict[str, np.ndarray]:
        """Scores (n_targets, n_train) of all classes for each number of models, "20", and the seconds, "20_seconds"."""
        if method.network:
            return self.on(method.network)._competing(replace(method, network=None))
        profile, name, settings = self.profile, method.stem, self._settings(method.stem)
        identity = {
            "dataset": self.dataset.checksum,
            "method": name,
            "recipe": profile.recipe.identity,
            "sizes": sizes(profile, name),
            "targets": self.targets.tolist(),
        }
        if settings:
            identity["settings"] = settings
        if version := ensembles().RIVALS[name].version:
            identity["version"] = version
        if on_subsets(name) and profile.published_subsets:
            identity["published"] = [*profile.published_subsets, profile.published_datamodels]

        checkpoint = self.folder / "scores" / f"{name}-{short_hash(identity)}.checkpoint"

        def score() -> dict[str, np.ndarray]:
            scored = self._from_subsets(name) if on_subsets(name) else self._from_networks(name, checkpoint)
            seconds = {f"{size}_seconds": np.array(one.seconds) for size, one in scored.items()}
            return {str(size): one.scores for size, one in scored.items()} | seconds

        scores = cache.arrays(self.folder / "scores", name, identity, score)
        shutil.rmtree(checkpoint, ignore_errors=True)
        return scores

    def _from_networks(self, name: str, checkpoint: Path) -> dict:
        arguments = name, self.dataset, self.profile.recipe, self.targets, sizes(self.profile, name)
        return ensembles().from_networks(*arguments, self.driver.device, checkpoint, **self._settings(name))

    def _from_subsets(self, name: str) -> dict:
        """From published models where the profile names some, and others' Datamodels of the most of them."""
        profile, models = self.profile, sizes(self.profile, name)

        def observe(n: int) -> tuple[np.ndarray, np.ndarray]:
            if profile.published_subsets:
                return subsets.published(*map(fetch, profile.published_subsets), self.dataset)
            return self.subset_margins(range(n))

        where = {"observe": observe, "device": self.driver.device}
        read = partial(ensembles().from_subsets, name, self.dataset, self.targets, **where)
        if name != "datamodels" or not profile.published_datamodels:
            return read(sizes=models)
        from lib.rivals.datamodels import published_weights

        weights = published_weights(fetch(profile.published_datamodels), self.dataset)
        fewer = read(sizes=models[:-1]) if models[1:] else {}
        return fewer | read(sizes=models[-1:], weights=weights[:, self.targets].T)

    def _timed(self, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """What it makes, and the seconds that it took."""
        now = clock(self.driver.device)
        start = now()
        return make() | {"seconds": np.array(now() - start)}
