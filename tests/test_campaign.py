"""A campaign answers the first questions first, stops when its minutes are over, and goes on from there."""

import time
from dataclasses import replace

import pytest

from lib import profiles
from lib.chapters import campaign, merge
from lib.chapters.campaign import TimedStudy
from lib.engine import Ledger
from lib.features import FeatureRecipe
from lib.methods import OURS, RANDOM
from lib.profiles import PROFILES
from lib.study import MISLABEL, REMOVAL, Study


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> TimedStudy:
    smoke = profiles.load("smoke", k_max=8, budget=1, n_classes=3, n_targets=3)
    quick = replace(smoke, selfsupervised=FeatureRecipe("pixels"), ensembles=())
    return TimedStudy(quick, "cpu", n_jobs=1, results=tmp_path_factory.mktemp("results"))


@pytest.fixture
def short(monkeypatch) -> None:
    """Without the other features, which take a network: a ranking again that takes no further training."""
    monkeypatch.setattr(campaign, "FEATURES", (RANDOM,))


def test_what_tells_most_comes_first(study):
    asked = [(step.kind, step.methods) for step in campaign.steps(study)]
    assert asked[0] == (REMOVAL, (OURS, RANDOM)) and asked[-1] == (MISLABEL, campaign.FEATURES)
    with_trak = TimedStudy(PROFILES["smoke"], "cpu", n_jobs=1, results=study.results)
    assert [step.methods for step in campaign.steps(with_trak)][1] == ("trak:2",)


def test_groups_are_as_many_as_keep_all_processes_busy(study, monkeypatch):
    monkeypatch.setattr(TimedStudy, "groups", lambda self, united: [[i] for i in range(5)])
    sizes = {jobs: [len(step.groups) for step in campaign.steps(replace(study, n_jobs=jobs))] for jobs in (2, 6)}
    assert sizes[2][:5] == [1] * 5 and sizes[6][:2] == [3, 2]
    assert sizes[2][-3:] == [2, 2, 1], "three rankings by two processes: two groups make three full rounds"


def test_it_stops_when_the_minutes_are_over_and_goes_on_from_there(study, short, tmp_path):
    study = replace(study, results=tmp_path)
    over = replace(study, until=time.monotonic())
    assert next(campaign.run(over)).startswith("the base models are not done yet; ")
    assert len(Ledger(study.folder / "ledger").records) == 1, "what was in flight is kept"
    assert study.base_logits.any()
    (last,) = campaign.run(replace(over))
    assert last.startswith("0 of 4 steps are done; ") and last.endswith("; the same command goes on from there")
    *lines, last = campaign.run(study)
    assert len(lines) == 4 and lines[0].startswith("removal, ours and random, 3 targets: ")
    assert last == f"4 of 4 steps are done; what was trained is kept under {study.folder}"
    records = Ledger(study.folder / "ledger").records
    plain = Study(study.profile, "cpu", n_jobs=1, results=study.results)
    plain.supports([(kind, method) for kind in (REMOVAL, MISLABEL) for method in (OURS, RANDOM)], united=True)
    assert Ledger(study.folder / "ledger").records == records, "the figures ask for nothing else"


def test_the_command_line(tmp_path, capsys, monkeypatch, study, short):
    monkeypatch.setattr(campaign, "TimedStudy", lambda *of, until: replace(study, until=until, results=tmp_path))
    assert campaign.main(["smoke", "--minutes", "0.0001"]) == 0
    assert "the base models are not done yet" in capsys.readouterr().out
    assert merge.results(tmp_path, study.results)[0].startswith("smoke: 0 of 1 records")
    assert campaign.main(["smoke", "-p", "n_targets", "seven"]) == 2
    assert "n_targets" in capsys.readouterr().err
    for wrong in (["smoke", "--minutes", "0"], ["smoke", "--minutes", "nan"], ["huge"]):
        with pytest.raises(SystemExit, match="2"):
            campaign.main(wrong)
