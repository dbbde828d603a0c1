"""The driver: serial and parallel agree, order is irrelevant, nothing is trained twice, kill -9 loses nothing."""

import time
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from lib import bisection
from lib.base import forks
from lib.bisection import FOUND, WRONG_AT_ZERO
from lib.engine import FIELDS, Ledger, workers
from lib.engine import driver as campaigns
from lib.engine.driver import Driver, Need, Question, Schedule, retrainings
from lib.retrain import Retraining, margins, retrain


def questions(tiny) -> list[Question]:
    """Three targets, removal and mislabelling, rankings of their class in the order of the ids."""
    targets = [(0, 0), (10, 1), (25, 2)]
    rankings = {label: tuple(range(40 * label, 40 * label + 32)) for _, label in targets}
    removal = [Question(target, rankings[label]) for target, label in targets]
    return removal + [Question(target, rankings[label], (label + 1) % 3) for target, label in targets]


def make_tiny():
    import conftest

    return conftest.tiny.__wrapped__(), replace(conftest.quick.__wrapped__(), width=4, cutout=0, peak_lr=0.2)


def campaign(path, n_jobs=1, order=slice(None), scheduler=None, loader="memory"):
    tiny, recipe = make_tiny()
    driver = Driver(tiny, recipe, Ledger(path), n_jobs=n_jobs, scheduler=scheduler, loader=loader)
    groups = [(question,) for question in questions(tiny)[order]]
    return [found for found, _ in driver.supports(groups, budget=3, n_votes=3)]


@cache
def serially(path):
    return campaign(path), path


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    """Once per process, whichever files share it."""
    return serially(tmp_path_factory.getbasetemp() / "serial" / "ledger")


@cache
def by_hand(retraining: Retraining) -> np.ndarray:
    """Logits of a retraining of `make_tiny`; several questions ask for the same."""
    return retrain(make_tiny()[0], retraining).logits


def test_supports_match_retrainings_done_by_hand(serial):
    tiny, recipe = make_tiny()
    supports, _ = serial
    assert any(s.reason == FOUND for s in supports)
    for question, found in zip(questions(tiny), supports, strict=True):
        for votes in found.votes:
            right = 0
            for seed in range(votes.right + votes.wrong):
                changed = question.ranking[: votes.k]
                retraining = (
                    Retraining(recipe, seed, removed=changed)
                    if question.label is None
                    else Retraining(recipe, seed, relabelled=tuple((i, question.label) for i in changed))
                )
                logits = by_hand(retraining)[[question.target]]
                right += margins(logits, tiny.test_labels[[question.target]])[0] > 0
            assert right == votes.right


def fixed_procedure(question: Question, budget: int, n_votes: int) -> int | None:
    """The paper's Algorithm 1 to the letter: every vote of every probe is cast, and every step of the budget taken."""
    tiny, recipe = make_tiny()

    def still_right(k: int) -> bool:
        probe = bisection.UnitedProbe((k,), tuple(range(n_votes)), 1)
        logits = [by_hand(retraining)[[question.target]] for retraining in retrainings((question,), recipe, probe)]
        return 2 * sum(margins(of_seed, tiny.test_labels[[question.target]])[0] > 0 for of_seed in logits) > n_votes

    low, high = 0, len(question.ranking)
    if still_right(high):
        return None
    for _ in range(budget):
        middle = (low + high) // 2
        low, high = (middle, high) if still_right(middle) else (low, middle)
    return high


def test_supports_equal_those_of_the_fixed_procedure(serial):
    tiny, _ = make_tiny()
    supports, path = serial
    compared = [pair for pair in zip(questions(tiny), supports, strict=True) if pair[1].reason != WRONG_AT_ZERO]
    assert len(compared) >= 4
    for question, found in compared:
        assert found.size == fixed_procedure(question, budget=3, n_votes=3)
    assert len(Ledger(path).records) < len(supports) * 3 * (1 + 3)


def test_parallel_equals_serial(serial, tmp_path):
    assert campaign(tmp_path / "l", n_jobs=2) == serial[0]
    one, two = ({r["key"]: r["logits"] for r in Ledger(p).records} for p in (serial[1], tmp_path / "l"))
    assert one == two


def test_order_of_questions_is_irrelevant(serial, tmp_path):
    assert campaign(tmp_path / "l", order=slice(None, None, -1)) == serial[0][::-1]


def test_nothing_is_trained_twice(serial):
    supports, path = serial
    keys = [record["key"] for record in Ledger(path).records]
    assert len(keys) == len(set(keys)) <= sum(s.trainings for s in supports)
    before = [file.read_bytes() for file in path.iterdir()]
    assert campaign(path) == supports and [file.read_bytes() for file in path.iterdir()] == before


def test_logits_of_given_targets(tiny, quick, tmp_path):
    driver = Driver(tiny, quick, Ledger(tmp_path / "l"), n_jobs=1)
    base = [Retraining(quick, seed) for seed in (0, 1)]
    logits = np.array(driver.logits([(retraining, [5, 7]) for retraining in base]))
    assert logits.shape == (2, 2, 3)
    np.testing.assert_allclose(logits[1], retrain(tiny, base[1]).logits[[5, 7]], atol=1e-4)
    np.testing.assert_array_equal(driver.logits([(base[1], [7])]), logits[1:, 1:])
    assert len(driver.ledger.records) == 2


def test_the_device_reaches_the_training_and_the_pool(tiny, quick, tmp_path, monkeypatch):
    seen = []

    def on_cpu(dataset, retraining, device, images):
        seen.append(device)
        return retrain(dataset, retraining, "cpu", images)

    def pool(*arguments):
        seen.append(arguments[-1])
        return inline(*arguments[:-1])

    inline = workers.pool
    monkeypatch.setattr(campaigns, "retrain", on_cpu)
    monkeypatch.setattr(workers, "pool", pool)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "a GPU")
    driver = Driver(tiny, quick, Ledger(tmp_path / "l"), device="cuda", n_jobs=1)
    driver.logits([(Retraining(quick, 0), [5])])
    assert seen == ["cuda", "cuda"] and driver.ledger.records[0]["machine"].endswith(", cuda")


def test_a_file_of_this_machine_is_not_for_a_cluster():
    with pytest.raises(ValueError, match="'ffcv' reads a file of this machine.* choose memory"):
        campaigns.check_loader("ffcv", "tcp://127.0.0.1:9")


def test_killed_at_random_instants(serial, tmp_path):
    path = tmp_path / "ledger"
    file, rng = path / "0000.jsonl", np.random.default_rng(0)
    for _ in range(4):
        size = file.stat().st_size if file.exists() else 0
        run = forks.start(campaign, path)
        while run.is_alive() and (not file.exists() or file.stat().st_size == size):
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.06))
        run.kill()
        run.join()
    finished = [record["key"] for record in Ledger(path).records]
    assert 0 < len(finished) < len(Ledger(serial[1]).records)
    assert campaign(path) == serial[0]
    keys = [record["key"] for record in Ledger(path).records]
    assert keys[: len(finished)] == finished and len(keys) == len(set(keys))


def test_a_training_that_diverged_is_not_kept(tiny, quick, tmp_path):
    driver = Driver(tiny, quick, Ledger(tmp_path / "l"), n_jobs=1)
    with pytest.raises(ValueError, match="tiny: a retraining diverged, its logits are not finite; lower peak_lr"):
        driver.logits([(Retraining(replace(quick, peak_lr=1e30), 0), [5])])
    assert not (tmp_path / "l").exists()


def test_another_run_on_the_same_ledger_may_be_faster(tiny, quick, tmp_path):
    ledger, logits = Ledger(tmp_path / "l"), [[1.0, 0.0, 0.0]]
    both = [Retraining(quick, 0), Retraining(quick, 1)]

    def inquiry():
        yield Need(both, [0], left=2)
        return "answered"

    schedule = Schedule([inquiry()], tiny, ledger)
    first, second = (job.retraining.key(tiny) for job in schedule.most_wanted(5))
    record = dict.fromkeys(FIELDS, 0) | {"targets": [0], "logits": logits}
    for retraining in both:  # the other run trains both while the first is under way here
        Ledger(ledger.folder).append(record | {"key": retraining.key(tiny)})
    ledger.append(record | {"key": first})
    schedule.done(first)
    assert schedule.results == {0: "answered"}
    schedule.done(second)
    assert not schedule.jobs


def test_what_most_searches_wait_for_is_trained_first(serial):
    first = Ledger(serial[1]).records[:2]
    assert [record["removed"] + record["relabelled"] for record in first] == [0, 0]
    assert all(len(record["targets"]) == 3 for record in first)


def test_united_supports_rest_on_the_union_of_the_changes(tiny, quick, tmp_path):
    group = tuple(questions(tiny)[:3])
    probe = bisection.UnitedProbe((2, 0, 3), (0, 1), 1)
    united = retrainings(group, quick, probe)
    assert [retraining.seed for retraining in united] == [0, 1] and united[0].removed == (0, 1, 80, 81, 82)
    mislabelled = retrainings(tuple(questions(tiny)[3:]), quick, probe)
    assert mislabelled[1].relabelled == ((0, 1), (1, 1), (80, 0), (81, 0), (82, 0)) and not mislabelled[1].removed


def test_united_supports_match_retrainings_done_by_hand(tmp_path):
    tiny, recipe = make_tiny()
    driver = Driver(tiny, recipe, Ledger(tmp_path / "l"), n_jobs=1)
    group = tuple(questions(tiny)[:3])
    answers = driver.supports([group], budget=3, n_votes=1)
    assert len({keys for _, keys in answers}) == 1
    ks = [0, 32]  # of every target in the first two probes
    for probe, k in enumerate(ks):
        removed = tuple(i for question in group for i in question.ranking[:k])
        logits = retrain(tiny, Retraining(recipe, 0, removed)).logits
        for question, (found, _) in zip(group, answers, strict=True):
            right = margins(logits[[question.target]], tiny.test_labels[[question.target]])[0] > 0
            if probe < len(found.votes):
                assert (found.votes[probe].k, found.votes[probe].right) == (k, int(right))


def test_groups_that_cannot_be_tested_together_are_refused(tiny, quick, tmp_path):
    driver = Driver(tiny, quick, Ledger(tmp_path / "l"), n_jobs=1)
    first, second = questions(tiny)[:2]
    with pytest.raises(ValueError, match="32 training images are in two of the rankings that are tested together"):
        driver.supports([(first, replace(second, ranking=first.ranking))], 3, 1)
    with pytest.raises(ValueError, match="united rankings have 5 to 32 training images; give them one length"):
        driver.supports([(first, replace(second, ranking=second.ranking[:5]))], 3, 1)
    assert not (tmp_path / "l").exists()
