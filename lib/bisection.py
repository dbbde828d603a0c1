"""Data support: how few training samples, in the order of a ranking, must change to flip a prediction?

Algorithm 1 of the paper as a generator: it yields probes and is sent their votes, so that one driver
(`lib.engine.driver`) can keep all workers busy with the probes of many targets. It trains nothing itself. `search` is
for one target; `united` runs the searches of several targets, one of each class, on the same trainings.

The search is exact if flipping is monotone in k; if not, it returns *a* flip with an unflipped k close below it.
"""

from collections.abc import Generator
from dataclasses import dataclass

FOUND = "found"
LARGER = "larger than k_max"
WRONG_AT_ZERO = "wrong at k = 0"


@dataclass(frozen=True)
class Probe:
    """Train with the first k samples changed, once a seed; answer for each whether the target is still right."""

    k: int
    seeds: tuple[int, ...]
    probes_left: int  # at most so many probes, this one included


@dataclass(frozen=True)
class UnitedProbe:
    """As Probe, for several targets at once: the first ks[i] samples of each target i are changed, all together."""

    ks: tuple[int, ...]
    seeds: tuple[int, ...]
    probes_left: int


@dataclass(frozen=True)
class Votes:
    """The outcome of one probe; voting stops as soon as the majority is decided."""

    k: int
    right: int
    wrong: int


@dataclass(frozen=True)
class Support:
    """size: the support, or None with the reason. low < size <= high: `low` is the largest k seen right below `high`,
    the smallest k seen flipped (None where unknown). trainings: votes that the search used.
    """

    size: int | None
    reason: str
    low: int | None
    high: int | None
    votes: tuple[Votes, ...]

    @property
    def trainings(self) -> int:
        return sum(vote.right + vote.wrong for vote in self.votes)


def search(k_max: int, budget: int, n_votes: int) -> Generator[Probe, list[bool], Support]:
    """Bisect for the smallest k that flips a target. Source: Paper App. A.4, Algorithm 1.

    k_max: length of the ranking. budget: bisection steps. n_votes: trainings per probe at most; the target counts as
    still right when more than half of them are right.
    DEPARTURE: k = 0 is measured first (a target that is wrong without any change has no support), voting stops once
    the majority is decided (the answer is the same), and the search stops when the bracket is one wide.
    """
    for name, value in (("k_max", k_max), ("budget", budget), ("n_votes", n_votes)):
        if value < 1:
            raise ValueError(f"{name}={value} must be at least 1")
    history: list[Votes] = []

    def still_right(k: int, probes_left: int) -> Generator[Probe, list[bool], bool]:
        right = wrong = 0
        while 2 * right <= n_votes and 2 * wrong < n_votes:
            enough = min(n_votes // 2 + 1 - right, (n_votes + 1) // 2 - wrong)  # votes that could decide it
            first = right + wrong
            answers = yield Probe(k, tuple(range(first, first + enough)), probes_left)
            right, wrong = right + sum(answers), wrong + len(answers) - sum(answers)
        history.append(Votes(k, right, wrong))
        return 2 * right > n_votes

    if not (yield from still_right(0, budget + 2)):
        return Support(None, WRONG_AT_ZERO, None, 0, tuple(history))
    if (yield from still_right(k_max, budget + 1)):
        return Support(None, LARGER, k_max, None, tuple(history))
    low, high = 0, k_max
    for steps_left in range(budget, 0, -1):
        if high - low == 1:
            break
        middle = (low + high) // 2
        if (yield from still_right(middle, steps_left)):
            low = middle
        else:
            high = middle
    return Support(high, FOUND, low, high, tuple(history))


def united(n_targets: int, k_max: int, budget: int, n_votes: int) -> Generator[UnitedProbe, list[list[bool]], list]:
    """The searches of several targets on the same trainings: each probe advances the search of every open target.

    Is sent one list a seed of one answer a target; returns the supports. With one target it is `search`. A target whose
    search has ended rests at its support, or at k_max if that is larger: the classes stay as thinned as they were.
    Source: our choice; it is exact where a target's prediction depends on the changes in its own class alone.
    """
    searches = [search(k_max, budget, n_votes) for _ in range(n_targets)]
    probes = dict(enumerate(map(next, searches)))  # of the open targets
    ended: dict[int, Support] = {}
    while probes:
        ks = tuple(probes[i].k if i in probes else ended[i].size or ended[i].low or 0 for i in range(n_targets))
        voting = list(probes)
        while voting:
            seeds = tuple(sorted({seed for i in voting for seed in probes[i].seeds}))
            answers = yield UnitedProbe(ks, seeds, max(probes[i].probes_left for i in voting))
            for i in voting:
                try:
                    probes[i] = searches[i].send([answers[seeds.index(seed)][i] for seed in probes[i].seeds])
                except StopIteration as stop:
                    ended[i] = stop.value
                    del probes[i]
            voting = [i for i in voting if i in probes and probes[i].k == ks[i]]  # undecided at this k
    return [ended[i] for i in range(n_targets)]
