"""How far supports move: the same seeds on one machine give the same supports, and the numbers say what was put in."""

from dataclasses import replace

import pandas as pd
import pytest

from lib import profiles
from lib.chapters import moved
from lib.engine import Ledger
from lib.features import FeatureRecipe
from lib.methods import OURS
from lib.study import REMOVAL, Study


def test_the_same_seeds_here_give_the_same_supports_and_others_others(tmp_path):
    smoke = profiles.load("smoke", k_max=8, budget=2, n_votes=1, n_classes=3, n_targets=3)
    smoke = replace(smoke, selfsupervised=replace(FeatureRecipe("moco"), epochs=1, batch_size=60))
    study = Study(smoke, "cpu", n_jobs=1, results=tmp_path / "results")
    by_study = study.supports([(REMOVAL, OURS)], united=True)
    rows = moved.table(study, tmp_path / "again")
    ways = dict(tuple(rows.groupby("method")))
    for way in (moved.STORED, moved.AGAIN):
        here = ways[way].set_index("target").loc[by_study["target"]]
        assert here["size"].equals(by_study.set_index("target")["size"])
    keys = {record["key"] for record in Ledger(tmp_path / "again").records}
    known = {record["key"] for record in study.driver.ledger.records}
    assert keys & known and keys - known  # the same trainings once more, and those from other seeds


def test_compared_by_hand():
    sizes = {moved.STORED: [10, 20, None], moved.AGAIN: [10, 20, None], moved.OTHER: [20, 20, 50]}
    rows = pd.DataFrame(
        {"kind": REMOVAL, "method": way, "target": i, "size": size, "reason": ""}
        for way, of_way in sizes.items()
        for i, size in enumerate(of_way)
    )
    lines = moved.compared(rows, k_max=100)
    assert lines["equal"].tolist() == [1, pytest.approx(1 / 3)] and lines["factor"].tolist() == [1, 2]
    assert lines["difference"].tolist() == [0, pytest.approx((-10 + 0 + 50) / 100 / 3)]
