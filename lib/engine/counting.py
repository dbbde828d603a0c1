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

BASE, UNMODIFIED = "base models", "unmodified, k = 0"
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

    def key(self, retraining: Retraining) -> tuple[Recipe, int, Hashable]:
        return retraining.recipe, retraining.seed, _changes(retraining)

    def logits(self, readings: list[tuple[Retraining, list[int]]]) -> list[np.ndarray]:
        """Made-up logits (n_targets, n_classes): every target is right, by a margin that falls as more is changed."""
        for retraining, targets in readings:
            purpose = f"margins at fixed k, {'united' if len(targets) > 1 else 'separate'}"
            if len(targets) == len(self.dataset.test_labels):
                purpose = BASE
            name = self.key(retraining)
            for case in (EXPECTED, WORST):
                self._note(case, purpose, name, len(targets))
        return [self._made_up(*reading) for reading in readings]

    def supports(self, groups: list[Group], budget: int, n_votes: int) -> list[tuple[Support, tuple]]:
        """As Driver's, of the expected case; the keys are names in the tally."""
        answers = []
        for group in groups:
            check_group(group)
            supports = list(map(_assumed_support, group))
            self._search(WORST, group, budget, n_votes, partial(_split, len(group[0].ranking), n_votes))
            found, names = self._search(EXPECTED, group, budget, n_votes, partial(_agreed, supports))
            answers += [(support, names) for support in found]
            if len(group) == 1:
                self.ledger.note(BY_PAPER, _purpose(group), self.recipe, (hash(group), self.recipe), budget * n_votes)
        return answers

    def _search(
        self, case: str, group: Group, budget: int, n_votes: int, right: Callable[[int, int, int], bool]
    ) -> tuple[list[Support], tuple]:
        """One search; its retrainings are noted. right: the vote on question i of the group at k, by a seed."""
        names, search = [], bisection.united(len(group), len(group[0].ranking), budget, n_votes)
        probe, own = next(search), hash(group)
        while True:
            changes, purpose = (own, probe.ks), _purpose(group)
            if case == EXPECTED or not any(probe.ks):
                changes = _changes(retrainings(group, self.recipe, probe)[0])
            for seed in probe.seeds:
                names.append((self.recipe, seed, changes))
                self._note(case, purpose, names[-1], len(group))
            votes = [[right(i, k, seed) for i, k in enumerate(probe.ks)] for seed in probe.seeds]
            try:
                probe = search.send(votes)
            except StopIteration as stop:
                return stop.value, tuple(names)

    def _note(self, case: str, purpose: str, name: tuple[Recipe, int, Hashable], n_targets: int) -> None:
        recipe, _, changes = name
        if changes == NOTHING and purpose != BASE:
            purpose = UNMODIFIED
        if self.ledger.note(case, purpose, recipe, name) and case == WORST:
            self.ledger.parts[purpose, recipe][LOGITS] += n_targets * len(self.dataset.class_names)

    def _made_up(self, retraining: Retraining, targets: list[int]) -> np.ndarray:
        n_changed = len(retraining.removed) + len(retraining.relabelled)
        rng = np.random.default_rng([retraining.seed, n_changed])
        logits = np.tile(rng.random(len(self.dataset.class_names), dtype=np.float32), (len(targets), 1))
        own = 1 + rng.random(len(targets)) + 9 / (1 + n_changed / len(self.dataset.train_labels))
        logits[np.arange(len(targets)), self.dataset.test_labels[targets]] += own
        return logits


def _changes(retraining: Retraining) -> int:
    return hash((frozenset(retraining.removed), frozenset(retraining.relabelled)))


def _purpose(group: Group) -> str:
    kinds = {"removal" if question.label is None else "mislabelling" for question in group}
    return f"{', '.join(sorted(kinds))}, {'united' if len(group) > 1 else 'separate'}"


def _assumed_support(question: Question) -> int:
    """Between 1 and k_max; the same whenever the question is asked."""
    rng = np.random.default_rng([question.target, question.ranking[0], question.label or 0])
    return int(rng.integers(1, len(question.ranking) + 1))


def _agreed(supports: list[int], i: int, k: int, seed: int) -> bool:
    """The expected case: every seed says the same."""
    return k < supports[i]


def _split(k_max: int, n_votes: int, i: int, k: int, seed: int) -> bool:
    """The worst case: right but at k_max, by votes of which the last one decides."""
    if k < k_max:
        return seed >= n_votes - (n_votes // 2 + 1)
    return seed < n_votes - (n_votes + 1) // 2


NOTHING = hash((frozenset(), frozenset()))  # `_changes` of the unmodified training set
