"""The leaderboard: each row that others handed in comes out of its scores and retrainings again, on any machine."""

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yaml

from lib import profiles
from lib.chapters import leaderboard
from lib.chapters.leaderboard import Entry, entries
from lib.data import RESULTS
from lib.engine import Driver
from lib.features import FeatureRecipe
from lib.study import Study

SAID = {"method": "Mine", "profile": "smoke", "by": "A. Author", "source": "examples/mine.py", "seconds": 1.5}
SAID |= {"bytes": 800, "machine": "a processor"}


@pytest.fixture
def study(tmp_path) -> Study:
    smoke = profiles.load("smoke", k_max=8, lds_models=4, budget=1)
    quick = replace(smoke, selfsupervised=FeatureRecipe("pixels"), ensembles=())
    return Study(quick, "cpu", n_jobs=1, results=tmp_path / "results")


def handed_in(folder, scores: np.ndarray, **said):
    folder.mkdir(parents=True)
    np.save(folder / "scores.npy", scores)
    (folder / "method.yaml").write_text(yaml.safe_dump(SAID | said))


def test_a_row_is_what_the_same_scores_reach_and_its_retrainings_stay_beside_them(study, tmp_path, monkeypatch):
    scores = np.random.default_rng(1).random((5, 200))
    handed_in(tmp_path / "board" / "mine", scores)
    handed_in(tmp_path / "board" / "other", scores, profile="fashion")
    [entry] = entries("smoke", tmp_path / "board")
    row = leaderboard.row(study, entry)
    assert row["n_targets"] <= 5 and row["seconds"] == 1.5 and row["by"] == "A. Author"
    assert row["removal_auc_low"] <= row["removal_auc"] <= row["removal_auc_high"] and -1 <= row["lds"] <= 1
    assert (entry.folder / "ledger" / "0000.jsonl").exists()
    monkeypatch.setattr(Driver, "_train", lambda *_: pytest.fail("its ledger has every retraining"))
    pd.testing.assert_series_equal(pd.Series(leaderboard.row(replace(study), entry)), pd.Series(row))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"seconds": "fast"}, "seconds='fast' must be a number from 0 on"),
        ({"seconds": -1}, "seconds=-1 must be a number from 0 on"),
        ({"by": ""}, "by='' must be text"),
        ({"rank": 1}, "must say method, profile, by, source, seconds, bytes, machine, and nothing else"),
    ],
)
def test_what_an_entry_must_say(tmp_path, said, message):
    handed_in(tmp_path / "mine", np.zeros((2, 2)), **said)
    with pytest.raises(ValueError, match=message):
        entries("smoke", tmp_path)


def test_undominated_is_what_nothing_beats_at_its_cost():
    rows = pd.DataFrame({"removal_auc": [0.5, 0.4, 0.4, 0.1], "seconds": [10, 1, 2, 0]})
    assert leaderboard.undominated(rows, "seconds").tolist() == [True, True, False, True]


@pytest.mark.parametrize("entry", [e for name in profiles.NAMES for e in entries(name)], ids=lambda e: e.folder.name)
def test_every_committed_row_is_recomputed_from_its_scores_and_the_ledgers(entry: Entry, monkeypatch):
    monkeypatch.setattr(Driver, "_train", lambda *_: pytest.fail("commit the ledger beside the scores"))
    committed = pd.read_csv(RESULTS / entry.profile / "leaderboard" / "leaderboard.csv").set_index("method")
    row = leaderboard.row(Study(profiles.load(entry.profile), "cpu", n_jobs=1), entry)
    shown = pd.read_csv(io.StringIO(pd.DataFrame([row]).to_csv(index=False, float_format="%.6g"))).iloc[0]
    for column in (column for column in committed if column in shown):
        assert committed.loc[entry.method, column] == shown[column], column
