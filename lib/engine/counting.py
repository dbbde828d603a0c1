"""A driver that trains nothing: it answers from an assumed outcome and counts the retrainings that this would take.

Expected: the votes of a probe agree, and every target flips at a support that is drawn for it, so that its search goes
to the end. At most: the last vote decides every probe. Of what two searches share, the unmodified training set alone is
counted once.
"""

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass
from math import ceil, log2

import numpy as np

from lib import bisection
from lib.bisection import Support
from lib.engine.driver import Driver, Group, Question, check_group
from lib.retrain import Recipe, Retraining

BASE, UNMODIFIED = "base models", "unmodified, k = 0"
RECORD, LOGIT = 300, 8  # bytes of a record in the ledger without its logits, and of a logit, about


@dataclass
class Count:
    """Retrainings of one purpose. paper: by its protocol, which casts every vote of every step (Paper App. A.4), or 0.

    bytes: on disk, at most. flops: of one of them.
    """

    expected: int = 0
    at_most: int = 0
    paper: int = 0
    bytes: int = 0
    flops: float = 0.0


class Tally:
    """In the place of a ledger. counts: by purpose and recipe. records: of the expected retrainings, made up."""

    def __init__(self):
        self.counts: dict[tuple[str, Recipe], Count] = defaultdict(Count)
        self.records: list[dict] = []
        self._asked: set[Hashable] = set()

    def is_new(self, name: Hashable) -> bool:
        """Whether this is the first time that it is asked for."""
        known = name in self._asked
        self._asked.add(name)
        return not known


@dataclass(frozen=True)
class CountingDriver(Driver):
    """As Driver, whose ledger is a Tally; made-up numbers are the same every time."""

    def key(self, retraining: Retraining) -> tuple[Recipe, int, Hashable]:
        return retraining.recipe, retraining.seed, hash((retraining.removed, retraining.relabelled))

    def logits(self, readings: list[tuple[Retraining, list[int]]]) -> list[np.ndarray]:
        """Made-up logits (n_targets, n_classes): every target is right, by a margin that falls as more is changed."""
        for retraining, targets in readings:
            purpose = f"margins at fixed k, {'united' if len(targets) > 1 else 'separate'}"
            if len(targets) == len(self.dataset.test_labels):
                purpose = BASE
            elif not (retraining.removed or retraining.relabelled):
                purpose = UNMODIFIED
            if self._expected(purpose, self.key(retraining)):
                self._at_most(purpose, retraining.recipe, 1, len(targets))
        return [self._made_up(*reading) for reading in readings]

    def supports(self, groups: list[Group], budget: int, n_votes: int) -> list[tuple[Support, tuple]]:
        """As Driver's, of what is expected; the keys are names in the tally."""
        answers = []
        for group in groups:
            check_group(group)
            name, purpose, steps = hash(group), _purpose(group), min(budget, ceil(log2(len(group[0].ranking))))
            supports, keys = self._search(group, name, purpose, budget, n_votes)
            answers += [(support, keys) for support in supports]
            if self.ledger.is_new((UNMODIFIED, self.recipe)):
                self._at_most(UNMODIFIED, self.recipe, n_votes, len(group))
            if self.ledger.is_new((name, self.recipe)):
                self._at_most(purpose, self.recipe, (1 + steps) * n_votes, len(group))
                self.ledger.counts[purpose, self.recipe].paper += budget * n_votes if len(group) == 1 else 0
        return answers

    def _search(self, group: Group, name: int, purpose: str, budget: int, n_votes: int) -> tuple[list[Support], tuple]:
        assumed, keys = list(map(_assumed_support, group)), []
        search = bisection.united(len(group), len(group[0].ranking), budget, n_votes)
        probe = next(search)
        while True:
            changed = any(probe.ks)
            for seed in probe.seeds:
                key = (self.recipe, seed, (name, probe.ks)) if changed else self.key(Retraining(self.recipe, seed))
                self._expected(purpose if changed else UNMODIFIED, key)
                keys.append(key)
            try:
                right = [k < support for k, support in zip(probe.ks, assumed, strict=True)]
                probe = search.send([right] * len(probe.seeds))
            except StopIteration as stop:
                return stop.value, tuple(keys)

    def _expected(self, purpose: str, key: tuple[Recipe, int, Hashable]) -> bool:
        """Count a retraining unless it was; returns whether it was not."""
        new = self.ledger.is_new(key)
        if new:
            self.ledger.counts[purpose, key[0]].expected += 1
            self.ledger.records.append({"key": key, "test_accuracy": 1.0, "seconds": 1.0, "machine": "none"})
        return new

    def _at_most(self, purpose: str, recipe: Recipe, n: int, n_targets: int) -> None:
        count = self.ledger.counts[purpose, recipe]
        count.at_most += n
        count.bytes += n * (RECORD + LOGIT * n_targets * len(self.dataset.class_names))

    def _made_up(self, retraining: Retraining, targets: list[int]) -> np.ndarray:
        n_changed = len(retraining.removed) + len(retraining.relabelled)
        rng = np.random.default_rng([retraining.seed, n_changed])
        logits = np.tile(rng.random(len(self.dataset.class_names), dtype=np.float32), (len(targets), 1))
        own = 1 + rng.random(len(targets)) + 9 / (1 + n_changed / len(self.dataset.train_labels))
        logits[np.arange(len(targets)), self.dataset.test_labels[targets]] += own
        return logits


def _purpose(group: Group) -> str:
    kinds = {"removal" if question.label is None else "mislabelling" for question in group}
    return f"{', '.join(sorted(kinds))}, {'united' if len(group) > 1 else 'separate'}"


def _assumed_support(question: Question) -> int:
    """Between 1 and k_max; the same whenever the question is asked."""
    rng = np.random.default_rng([question.target, question.ranking[0], question.label or 0])
    return int(rng.integers(1, len(question.ranking) + 1))
