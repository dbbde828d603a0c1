"""Find many supports at once: one driver, many workers, every retraining through the ledger.

Each search asks for retrainings. Those that the ledger does not know are trained, each distinct one once, those first
for which most searches wait; whenever one is done, the searches that waited for it go on. So all workers are busy until
the last few trainings. Only the driver writes. Killed at any instant, it loses the retrainings in flight; run again, it
finds the others in the ledger.
"""

import platform
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import repeat
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from tqdm import tqdm

from lib import bisection
from lib.bisection import Support
from lib.data import Dataset, Images, cache_folder
from lib.engine import workers
from lib.engine.ledger import Ledger
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


Group = tuple[Question, ...]  # questions that are answered by the same trainings: one, or united, one of each class


def retrainings(group: Group, recipe: Recipe, probe: bisection.UnitedProbe) -> list[Retraining]:
    """The trainings that answer a probe of a group, one per seed: the changes of all its questions together."""
    removed, relabelled = [], []
    for question, k in zip(group, probe.ks, strict=True):
        first = question.ranking[:k]
        if question.label is None:
            removed += first
        else:
            relabelled += zip(first, repeat(question.label))
    return [Retraining(recipe, seed, tuple(removed), tuple(relabelled)) for seed in probe.seeds]


@dataclass(frozen=True)
class Need:
    """What an inquiry waits for: logits of targets under retrainings. left: trainings until its end, at most."""

    retrainings: list[Retraining]
    targets: list[int]
    left: int


@dataclass
class Job:
    """A retraining that is not done yet, the targets to read off it, and the inquiries that wait for it."""

    retraining: Retraining
    targets: set[int] = field(default_factory=set)
    waiting: set[int] = field(default_factory=set)
    under_way: bool = False


class Schedule:
    """What is still to be trained, and for which inquiries: generators that yield a Need and return their result."""

    def __init__(self, inquiries: list[Generator], dataset: Dataset, ledger: Ledger):
        self.jobs: dict[str, Job] = {}  # by the ledger's key
        self.results: dict[int, object] = {}
        self._inquiries, self._dataset, self._ledger = inquiries, dataset, ledger
        self._needs: dict[int, Need] = {}  # of the inquiries that wait
        for i in range(len(inquiries)):
            self._advance(i)

    def most_wanted(self, n: int) -> list[Job]:
        """The n jobs not under way for which most inquiries wait; they are under way then."""
        waiting = [job for job in self.jobs.values() if not job.under_way]
        chosen = sorted(waiting, key=lambda job: -len(job.waiting))[:n]
        for job in chosen:
            job.under_way = True
        return chosen

    def left(self) -> int:
        """Trainings until all inquiries have ended, at most."""
        return sum(need.left for need in self._needs.values())

    def done(self, key: str) -> None:
        """The ledger knows this one now: let those that waited for nothing else go on.

        Some may have gone on before, where another run on the same ledger was faster.
        """
        for i in self.jobs.pop(key).waiting & self._needs.keys():
            self._advance(i)

    def _advance(self, i: int) -> None:
        try:
            while i not in self._needs or not self._waits(i):
                self._needs[i] = next(self._inquiries[i])
        except StopIteration as stop:
            self._needs.pop(i, None)
            self.results[i] = stop.value

    def _waits(self, i: int) -> bool:
        """Whether the ledger lacks something that inquiry i needs; it is put down as a job."""
        need, waits = self._needs[i], False
        for retraining in need.retrainings:
            key = retraining.key(self._dataset)
            missing = {target for target in need.targets if self._ledger.logits(key, target) is None}
            if missing:
                job = self.jobs.setdefault(key, Job(retraining))
                job.targets |= missing
                job.waiting.add(i)
                waits = True
        return waits


@dataclass(frozen=True)
class Driver:
    """What all retrainings of a campaign share. device: "cpu" or "cuda". n_jobs, scheduler: see `workers.pool`.

    loader: "memory", or "ffcv" to read the training images from a file in the cache folder (`lib.data.beton`): the
    results are the same bits, so the ledger does not tell them apart. `check_loader` says which can be meant.
    """

    dataset: Dataset
    recipe: Recipe
    ledger: Ledger
    device: str = "cpu"
    n_jobs: int = -1
    scheduler: str | None = None
    loader: str = "memory"
    first_seed: int = 0  # of a support's votes

    def key(self, retraining: Retraining) -> str:
        """Its name in the ledger."""
        return retraining.key(self.dataset)

    def logits(self, readings: list[tuple[Retraining, list[int]]]) -> list[np.ndarray]:
        """For each retraining and the targets (test ids) to read off it: their logits (n_targets, n_classes)."""

        def inquiry(retraining: Retraining, targets: list[int]) -> Generator[Need, None, np.ndarray]:
            yield Need([retraining], targets, left=1)
            return self._logits(retraining, targets)

        return self._answer([inquiry(retraining, targets) for retraining, targets in readings])

    def supports(self, groups: list[Group], budget: int, n_votes: int) -> list[tuple[Support, tuple[str, ...]]]:
        """For every question of every group, in order: its support, and the ledger's keys of the trainings behind it.

        budget, n_votes: as for `lib.bisection.search`. Errors: those of `check_group`.
        """
        for group in groups:
            check_group(group)
        answers = self._answer([self._inquiry(group, budget, n_votes) for group in groups])
        return [(support, keys) for supports, keys in answers for support in supports]

    def asked(self, groups: list[Group], budget: int, n_votes: int) -> list[tuple[Retraining, list[int], np.ndarray]]:
        """Behind the supports of these groups: each retraining, its targets, and their logits in the ledger.

        Trains nothing; raises ValueError where the ledger lacks one.
        """
        asked = {}
        for need in (need for group in groups for need in self._inquiry(group, budget, n_votes)):
            for retraining in need.retrainings:
                key = self.key(retraining)
                if any(self.ledger.logits(key, target) is None for target in need.targets):
                    raise ValueError(f"{self.ledger.folder} lacks {key}; run the figure to its end first")
                asked[key, tuple(need.targets)] = retraining, need.targets, self._logits(retraining, need.targets)
        return list(asked.values())

    def _inquiry(self, group: Group, budget: int, n_votes: int) -> Generator[Need, None, tuple[list, tuple[str, ...]]]:
        targets, keys = [question.target for question in group], []
        search = bisection.united(len(group), len(group[0].ranking), budget, n_votes)
        probe = next(search)
        while True:
            probe = replace(probe, seeds=tuple(self.first_seed + seed for seed in probe.seeds))
            asked = retrainings(group, self.recipe, probe)
            yield Need(asked, targets, probe.probes_left * (n_votes // 2 + 1))
            keys += map(self.key, asked)
            try:
                probe = search.send([self._are_right(retraining, targets) for retraining in asked])
            except StopIteration as stop:
                return stop.value, tuple(keys)

    def _answer(self, inquiries: list[Generator]) -> list:
        """Run every inquiry to its end, training what the ledger does not know; returns what they return."""
        schedule = Schedule(inquiries, self.dataset, self.ledger)
        if schedule.jobs:
            file = written(self.dataset) if self.loader == "ffcv" else None
            shared = self.dataset if file is None else self.dataset.without_training_images()
            with workers.pool(shared, self.n_jobs, self.scheduler, self.device) as pool:
                self._train(schedule, pool, file)
        return [schedule.results[i] for i in range(len(inquiries))]

    def _train(self, schedule: Schedule, pool: workers.Pool, file: Path | None) -> None:
        def calls(n: int) -> list[tuple]:
            common = pool.shared, self.device, file
            return [(job.retraining, sorted(job.targets), *common) for job in schedule.most_wanted(n)]

        with tqdm(desc=f"into {self.ledger.folder}", unit=" trainings", delay=5, mininterval=5, leave=False) as bar:
            for record in workers.stream(pool, _record, calls):
                self.ledger.append(record)
                schedule.done(record["key"])
                bar.total = bar.n + 1 + schedule.left()
                bar.update()

    def _logits(self, retraining: Retraining, targets: list[int]) -> np.ndarray:
        key = self.key(retraining)
        return np.array([self.ledger.logits(key, target) for target in targets])

    def _are_right(self, retraining: Retraining, targets: list[int]) -> list[bool]:
        return (margins(self._logits(retraining, targets), self.dataset.test_labels[targets]) > 0).tolist()


def check_loader(loader: str, scheduler: str | None) -> None:
    """ValueError for FFCV on a cluster, ImportError where it is not installed."""
    if loader == "ffcv":
        if scheduler is not None:
            raise ValueError("loader 'ffcv' reads a file of this machine, not of a cluster's workers; choose memory")
        from lib.data import beton  # noqa: F401  (here, since it needs an extra)


def written(dataset: Dataset) -> Path:
    """The dataset's file for FFCV in the cache folder, written unless it is there."""
    from lib.data import beton

    path = cache_folder() / f"{dataset.checksum[:16]}.beton"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):  # another run may be writing it
        beton.write(dataset, path)
    return path


def check_group(group: Group) -> None:
    """ValueError where the questions of a group cannot be answered together."""
    lengths = {len(question.ranking) for question in group}
    if len(lengths) > 1:
        raise ValueError(f"united rankings have {min(lengths)} to {max(lengths)} training images; give them one length")
    images = [i for question in group for i in question.ranking]
    if len(set(images)) < len(images):
        raise ValueError(
            f"{len(images) - len(set(images))} training images are in two of the rankings that are tested together; "
            f"unite targets of different classes, ranked within their class"
        )


def _record(retraining: Retraining, targets: list[int], shared: Dataset | Path, device: str, file: Path | None) -> dict:
    """Train and return the ledger's record. Runs in a worker; small, so that sending it never blocks.

    file: where FFCV reads the training images from; None: they are in memory.
    """
    dataset = workers.opened(shared)
    outcome = retrain(dataset, retraining, device, images=file and _opened(dataset, file, device))
    return {
        "key": retraining.key(dataset),
        "recipe": retraining.recipe.hash,
        "seed": retraining.seed,
        "removed": len(retraining.removed),
        "relabelled": len(retraining.relabelled),
        "targets": targets,
        "logits": np.round(outcome.logits[targets].astype(float), LOGIT_DECIMALS).tolist(),
        "test_accuracy": round(outcome.test_accuracy, 6),
        "seconds": round(outcome.seconds, 3),
        "machine": processor(device),
    }


@lru_cache(maxsize=2)
def _opened(dataset: Dataset, file: Path, device: str) -> Images:
    """The file, opened once a process and read once: the first batch compiles, which is no part of a training."""
    from lib.data import beton

    images = beton.opened(dataset, file, device)
    list(images.batches(torch.arange(1), 1))
    return images


def processor(device: str) -> str:
    """What a training's bits depend on: processor or GPU, the instructions in use, torch, the device."""
    if device == "cuda":
        return f"{torch.cuda.get_device_name()}, torch {torch.__version__}, cuda"
    numbers = f"family {_of_cpu('cpu family')}, model {_of_cpu('model')}"  # those of one name differ by them
    in_use = torch.backends.cpu.get_cpu_capability()
    return f"{machine_name()}, {numbers}, {in_use}, torch {torch.__version__}, {device}"


def machine_name() -> str:
    """The processor's name, as far as the system tells."""
    return _of_cpu("model name") or platform.processor() or platform.machine()


def _of_cpu(key: str) -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = [line.partition(":") for line in cpuinfo.read_text().splitlines()] if cpuinfo.exists() else []
    return next((value.strip() for name, _, value in lines if name.strip() == key), "")
