"""A driver that trains nothing: it answers from an assumed outcome and counts the retrainings that this would take.

Expected: the votes of a probe agree, and every target flips at a support that is drawn for it, so that its search goes
to the end. At most: the last vote decides every probe, and searches share the unmodified training set alone.
"""

from collections import Counter, defaultdict
from collections.abc import Generator, Hashable
from dataclasses import dataclass
from math import ceil, log2

import numpy as np

from lib.bisection import Support, UnitedProbe
from lib.engine.driver import Driver, Group, retrainings
from lib.retrain import Recipe, Retraining

UNMODIFIED = "unmodified, k = 0"
PAPER, AT_MOST, EXPECTED = "paper's protocol", "at most", "expected"


class Tally:
    """In the place of a ledger. records: of the expected retrainings, made up. reads: entries of the manifest.

    counts: of retrainings by purpose and recipe: EXPECTED, AT_MOST, and by the PAPER's protocol, which casts every vote
    of every step (Paper App. A.4).
    """

    def __init__(self):
        self.counts: dict[tuple[str, Recipe | None], Counter] = defaultdict(Counter)
        self.records: list[dict] = []
        self.reads: dict[str, None] = {}
        self._asked: set[Hashable] = set()

    def refresh(self) -> None:
        """There are no files to take in."""

    def is_new(self, name: Hashable) -> bool:
        """Whether this is the first time that it is asked for."""
        known = name in self._asked
        self._asked.add(name)
        return not known


@dataclass(frozen=True)
class CountingDriver(Driver):
    """As Driver, whose ledger is a Tally. k_max: the largest support to assume."""

    k_max: int = 1

    def key(self, retraining: Retraining) -> tuple[Recipe, int, Hashable]:
        return retraining.recipe, retraining.seed, hash((retraining.removed, retraining.relabelled))

    def logits(self, readings: list[tuple[Retraining, list[int]]]) -> list[np.ndarray]:
        for retraining, targets in readings:
            purpose = _purpose(retraining, len(targets), "margins at fixed k")
            purpose = "base models" if len(targets) == len(self.dataset.test_labels) else purpose
            is_first = self.ledger.is_new((purpose, self.key(retraining)))
            is_expected = self._is_expected(purpose, retraining)
            if is_first and (is_expected or purpose != UNMODIFIED):
                self.ledger.counts[purpose, retraining.recipe][AT_MOST] += 1
        return super().logits(readings)

    def supports(self, groups: list[Group], budget: int, n_votes: int) -> list[tuple[Support, tuple]]:
        answers = super().supports(groups, budget, n_votes)
        for group in groups:
            (changed,) = retrainings(group, self.recipe, UnitedProbe((1,) * len(group), (0,), 1))
            count = self.ledger.counts[_purpose(changed, len(group)), self.recipe]
            if self.ledger.is_new((UNMODIFIED, self.recipe)):
                self.ledger.counts[UNMODIFIED, self.recipe][AT_MOST] += n_votes
            if self.ledger.is_new((hash(group), self.recipe)):
                count[AT_MOST] += (1 + min(budget, ceil(log2(len(group[0].ranking))))) * n_votes
                count[PAPER] += budget * n_votes if len(group) == 1 else 0
        return answers

    def _answer(self, inquiries: list[Generator]) -> list:
        return [self._ended(inquiry) for inquiry in inquiries]

    def _ended(self, inquiry: Generator):
        while True:
            try:
                next(inquiry)
            except StopIteration as stop:
                return stop.value

    def _is_expected(self, purpose: str, retraining: Retraining) -> bool:
        """Count it unless it was; returns whether it was not."""
        key = self.key(retraining)
        if new := self.ledger.is_new(key):
            self.ledger.counts[purpose, retraining.recipe][EXPECTED] += 1
            self.ledger.records.append({"key": key, "test_accuracy": 1.0, "seconds": 1.0, "machine": "none"})
        return new

    def _logits(self, retraining: Retraining, targets: list[int]) -> np.ndarray:
        """Made up, the same every time: a margin falls as more of its class is changed, to 0 at the assumed support."""
        self._is_expected(_purpose(retraining, len(targets)), retraining)
        changed = np.array([*retraining.removed, *(i for i, _ in retraining.relabelled)], dtype=int)
        classes, labels = self.dataset.train_labels[changed], self.dataset.test_labels[targets]
        logits = np.zeros((len(targets), len(self.dataset.class_names)), np.float32)
        logits[np.arange(len(targets)), labels] = 1
        for row, target, label in zip(logits, targets, labels, strict=True) if len(changed) else ():
            own = changed if len(targets) == 1 else changed[classes == label]
            support = np.random.default_rng([target, *own[:1]]).integers(1, self.k_max + 1)
            row[label] = support - len(own)
        return logits


def _purpose(retraining: Retraining, n_targets: int, of_change: str = "") -> str:
    kinds = {"mislabelling": retraining.relabelled, "removal": retraining.removed}
    changes = ", ".join(kind for kind, images in kinds.items() if images)
    return f"{of_change or changes}, {'united' if n_targets > 1 else 'separate'}" if changes else UNMODIFIED
