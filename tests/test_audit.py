"""Stored votes are compared with votes of trainings done now."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from lib import profiles
from lib.data import RESULTS
from lib.engine import seal
from lib.engine.driver import machine_name
from lib.features import FeatureRecipe
from lib.report import audit
from lib.study import REMOVAL, Study

CURVES = [(REMOVAL, "pixels_l2")]


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    smoke = profiles.load("smoke", k_max=8, budget=1)
    pixels = Study(
        replace(smoke, selfsupervised=FeatureRecipe("pixels")),
        "cpu",
        n_jobs=2,
        results=tmp_path_factory.mktemp("results"),
    )
    pixels.supports(CURVES)
    return pixels


def test_the_ledger_of_this_machine_is_true(opened):
    found = audit.compare(opened, CURVES, united=False, n=2)
    assert len(found) == 2 and (found["same_votes"] == found["votes"]).all()
    assert (found["largest_difference"] <= 0.5e-4).all(), "the ledger has four decimals"


def test_a_forged_vote_is_found(opened, tmp_path):
    shutil.copytree(opened.folder, tmp_path / opened.folder.name)
    (path,) = (tmp_path / opened.folder.name / "ledger").glob("*.jsonl")
    forged = []
    for record in map(json.loads, path.read_text().splitlines()):
        record["logits"] = (-np.array(record["logits"])).tolist()
        del record["crc32"]
        forged.append(json.dumps(record))
    path.write_text("\n".join(forged) + "\n")
    seal(path.parent)  # the forger's last step
    again = Study(opened.profile, "cpu", n_jobs=1, results=tmp_path)
    again.__dict__.update({key: opened.__dict__[key] for key in ("base_logits", "targets", "wrong_labels")})
    n = len(again.asked(CURVES, united=False))
    found = audit.compare(again, CURVES, united=False, n=n)
    assert (found["same_votes"] < found["votes"]).any() and found["largest_difference"].max() > 0.1


@pytest.mark.parametrize("n", [0, 10_000])
def test_a_number_that_cannot_be_drawn_is_refused(opened, n):
    with pytest.raises(ValueError, match=rf"n={n} retrainings cannot be drawn; give 1 to \d+"):
        audit.compare(opened, CURVES, united=False, n=n)


def test_the_command_line_says_what_is_not_there(capsys):
    assert audit.main(["fig07"]) == 2
    assert "there are no supports of fig07 in profile fashion to audit" in capsys.readouterr().err


def test_committed_votes_are_what_training_gives(capsys):
    """Three of the default profile's, live. On a machine of another kind a vote may differ, its margin near zero."""
    status, said = audit.main(["fig03", "-n", "3"]), capsys.readouterr().out
    machines = json.loads((RESULTS / "fashion" / "fig03" / "record.json").read_text())["machines"]
    if f"{machine_name()}, cpu" in machines:
        assert status == 0 and "votes of 3 retrainings are the same" in said
    else:
        assert "votes of 3 retrainings are the same" in said
