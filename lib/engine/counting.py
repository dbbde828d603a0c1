"""A driver that trains nothing: it answers from an assumed outcome and counts the retrainings that this would take.

Two outcomes are counted for every search. Expected: the votes of a probe agree, and every target flips at a support
that is drawn for it, so that its search goes to the end. Worst: the votes of a probe are split until the last one, and
the larger half of the bracket is searched each time; of what two searches share, the unmodified training set alone is
then counted once, so that no run takes more.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial

import numpy as np

from lib import bisection
from lib.bisection import Support
from lib.engine.driver import Driver, Group, Question, check_group, retrainings
from lib.retrain import Recipe, Retraining

UNMODIFIED = "unmodified, k = 0"
EXPECTED, WORST, LOGITS = "expected", "worst", "logits"
BY_PAPER = "paper"  # by the paper's protocol, which casts every vote of every step (Paper App. A.4)


class Tally:
    """In the place of a ledger: how many distinct retrainings were asked for.

    parts: by purpose and recipe, the numbers of EXPECTED and WORST retrainings, BY_PAPER for separate tests, and of the
    LOGITS that the ledger would keep at most. records: as a ledger's, of the expected retrainings, made up.
    """

    def __init__(self):
        self.parts: dict[tuple[str, Recipe], Counter] = defaultdict(Counter)
        self.records: list[dict] = []
        self._noted: set[tuple[str, Hashable]] = set()

    def note(self, count: str, purpose: str, recipe: Recipe, name: Hashable, amount: int = 1) -> bool:
        """Add to a count, unless the name was noted under it before; returns whether it was new."""
        new = (count, name) not in self._noted
        if new:
            self._noted.add((count, name))
            self.parts[purpose, recipe][count] += amount
            if count == EXPECTED:
                self.records.append({"key": name, "test_accuracy": 1.0, "seconds": 1.0, "machine": "none"})
        return new


@dataclass(frozen=True)
class CountingDriver(Driver):
    """As Driver, whose ledger is a Tally."""

    def logits(self, readings: list[tuple[Retraining, list[int]]]) -> list[np.ndarray]:
        """Made-up logits (n_targets, n_classes): every target is right, by a margin that falls as more is changed."""
        for retraining, targets in readings:
            purpose = f"margins at fixed k, {'united' if len(targets) > 1 else 'separate'}"
            if len(targets) == len(self.dataset.test_labels):
                purpose = "base models"
            self._note(EXPECTED, purpose, retraining, len(targets))
            self._note(WORST, purpose, retraining, len(targets))
        return [self._made_up(*reading) for reading in readings]

    def supports(self, groups: list[Group], budget: int, n_votes: int) -> list[tuple[Support, tuple]]:
        """As Driver's, of the expected case."""
        answers = []
        for group in groups:
            check_group(group)
            self._search(WORST, group, budget, n_votes, partial(_split, n_votes))
            supports, names = self._search(EXPECTED, group, budget, n_votes, _agreed)
            answers += [(support, names) for support in supports]
            if len(group) == 1:
                self.ledger.note(BY_PAPER, _purpose(group), self.recipe, (group, self.recipe), budget * n_votes)
        return answers

    def _search(
        self, case: str, group: Group, budget: int, n_votes: int, right: Callable[[Question, int, int], bool]
    ) -> tuple[list[Support], tuple]:
        """One united search of which `right` tells each vote, by question, k and seed; its retrainings are noted."""
        names, search = [], bisection.united(len(group), len(group[0].ranking), budget, n_votes)
        probe, apart = next(search), hash(group) if case == WORST else None
        while True:
            asked = retrainings(group, self.recipe, probe)
            names += [self._note(case, _purpose(group), retraining, len(group), apart) for retraining in asked]
            votes = [[right(q, k, seed) for q, k in zip(group, probe.ks, strict=True)] for seed in probe.seeds]
            try:
                probe = search.send(votes)
            except StopIteration as stop:
                return stop.value, tuple(names)

    def _note(self, case: str, purpose: str, retraining: Retraining, n_targets: int, apart: int | None = None) -> tuple:
        """Note a retraining; returns its name. apart: of its search, where it shares with none but this."""
        changes = retraining.removed, retraining.relabelled
        if not any(changes):
            purpose, apart = purpose if purpose == "base models" else UNMODIFIED, None
        shared = hash(tuple(map(frozenset, changes))) if apart is None else sum(map(len, changes))
        name = retraining.recipe, retraining.seed, shared, apart
        if self.ledger.note(case, purpose, retraining.recipe, name) and case == WORST:
            self.ledger.parts[purpose, retraining.recipe][LOGITS] += n_targets * len(self.dataset.class_names)
        return name

    def _made_up(self, retraining: Retraining, targets: list[int]) -> np.ndarray:
        labels, n_changed = self.dataset.test_labels[targets], len(retraining.removed) + len(retraining.relabelled)
        rng = np.random.default_rng([retraining.seed, n_changed])
        logits = rng.random((len(targets), len(self.dataset.class_names)), dtype=np.float32)
        logits[np.arange(len(labels)), labels] += 1 + 9 / (1 + n_changed / len(self.dataset.train_labels))
        return logits


def _purpose(group: Group) -> str:
    kinds = {"removal" if question.label is None else "mislabelling" for question in group}
    return f"{', '.join(sorted(kinds))}, {'united' if len(group) > 1 else 'separate'}"


def _agreed(question: Question, k: int, seed: int) -> bool:
    """The expected case: every seed says the same, by a support between 1 and k_max."""
    rng = np.random.default_rng([question.target, question.ranking[0], question.label or 0])
    return k < rng.integers(1, len(question.ranking) + 1)


def _split(n_votes: int, question: Question, k: int, seed: int) -> bool:
    """The worst case: right but at k_max, by votes of which the last one decides."""
    if k < len(question.ranking):
        return seed >= n_votes - (n_votes // 2 + 1)
    return seed < n_votes - (n_votes + 1) // 2
