"""Find many supports at once: one driver, many worker processes, every retraining through the ledger.

Each question's search yields probes; the driver collects the probes of all questions, trains what the ledger does not
know yet, each distinct retraining once, and sends the votes back. Only the driver writes. Killed at any instant, it
loses the retrainings in flight; run again, it finds the others in the ledger.
"""

import platform
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from tqdm import tqdm

from lib import support
from lib.data import Dataset
from lib.ledger import Ledger
from lib.retrain import Recipe, Retraining, margins, retrain

LOGIT_DECIMALS = 4


@dataclass(frozen=True)
class Question:
    """How few of the first training samples of `ranking` must be removed, or given `label`, to flip `target`?

    target: test id. ranking: (k_max,) train ids, most supportive first. label: None for removal.
    """

    target: int
    ranking: tuple[int, ...]
    label: int | None = None

    def retrainings(self, recipe: Recipe, probe: support.Probe) -> list[Retraining]:
        """The trainings that answer a probe, one a seed."""
        first = self.ranking[: probe.k]
        if self.label is None:
            return [Retraining(recipe, seed, removed=first) for seed in probe.seeds]
        changes = tuple((i, self.label) for i in first)
        return [Retraining(recipe, seed, relabelled=changes) for seed in probe.seeds]


@dataclass(frozen=True)
class Driver:
    """What all retrainings of a campaign share. device: "cpu" or "cuda". n_jobs: processes; -1: one a core."""

    dataset: Dataset
    recipe: Recipe
    ledger: Ledger
    device: str = "cpu"
    n_jobs: int = -1

    def logits(self, retrainings: list[Retraining], targets: list[int]) -> np.ndarray:
        """Logits (n_retrainings, n_targets, n_classes) of the targets (test ids) under every retraining."""
        with self._workers() as workers, _progress_bar() as bar:
            bar.total = len(retrainings)
            self._train_missing([(what, target) for what in retrainings for target in targets], workers, bar)
        return np.array([[self._known(what, target) for target in targets] for what in retrainings])

    def supports(self, questions: list[Question], budget: int, n_votes: int) -> list[support.Support]:
        """The support of every question, in their order. See `lib.support.search` for budget and n_votes."""
        searches = [support.search(len(question.ranking), budget, n_votes) for question in questions]
        probes = dict(enumerate(map(next, searches)))  # those of the searches still open
        found: dict[int, support.Support] = {}
        with self._workers() as workers, _progress_bar() as bar:
            while probes:
                asked = {i: questions[i].retrainings(self.recipe, probe) for i, probe in probes.items()}
                bar.total = bar.n + sum(probe.probes_left for probe in probes.values()) * (n_votes // 2 + 1)
                self._train_missing([(what, questions[i].target) for i in asked for what in asked[i]], workers, bar)
                for i, retrainings in asked.items():
                    try:
                        probes[i] = searches[i].send(
                            [self._is_right(what, questions[i].target) for what in retrainings]
                        )
                    except StopIteration as stop:
                        found[i] = stop.value
                        del probes[i]
        return [found[i] for i in range(len(questions))]

    def _workers(self) -> Parallel:
        return Parallel(n_jobs=self.n_jobs, return_as="generator_unordered")

    def _known(self, what: Retraining, target: int) -> np.ndarray | None:
        return self.ledger.logits(what.key(self.dataset), target)

    def _is_right(self, what: Retraining, target: int) -> bool:
        return bool(margins(self._known(what, target)[None], self.dataset.test_labels[[target]])[0] > 0)

    def _train_missing(self, pairs: list[tuple[Retraining, int]], workers: Parallel, bar: tqdm) -> None:
        """Train what the ledger does not know of the (retraining, target) pairs, each distinct retraining once."""
        targets = defaultdict(set)
        for what, target in pairs:
            if self._known(what, target) is None:
                targets[what].add(target)
        jobs = (delayed(_record)(what, sorted(asked), self.dataset, self.device) for what, asked in targets.items())
        for record in workers(jobs):
            self.ledger.append(record)
            bar.update()


def _record(what: Retraining, targets: list[int], dataset: Dataset, device: str) -> dict:
    """Train and return the ledger's record. Runs in a worker; small, so that sending it never blocks."""
    outcome = retrain(dataset, what, device)
    return {
        "key": what.key(dataset),
        "recipe": what.recipe.hash,
        "seed": what.seed,
        "removed": len(what.removed),
        "relabelled": len(what.relabelled),
        "targets": targets,
        "logits": np.round(outcome.logits[targets].astype(float), LOGIT_DECIMALS).tolist(),
        "test_accuracy": round(outcome.test_accuracy, 6),
        "seconds": round(outcome.seconds, 3),
        "machine": f"{machine_name()}, {device}",
    }


def _progress_bar() -> tqdm:
    """Trainings done, left at most, and the time that takes; silent where all is known already."""
    return tqdm(unit=" trainings", delay=5, mininterval=5, leave=False)


def machine_name() -> str:
    """The processor's name, as far as the system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
