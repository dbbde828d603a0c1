"""Repairs: the search with its votes turned finds how many images must change until a wrong target is right."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lib import profiles
from lib.chapters import repair
from lib.features import FeatureRecipe
from lib.methods import OURS, RANDOM
from lib.retrain import Retraining, margins
from lib.study import MISLABEL, REMOVAL, Study


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> repair.RepairStudy:
    quick = replace(profiles.load("smoke", n_targets=5), selfsupervised=FeatureRecipe("pixels"))
    return repair.study_of(Study(quick, "cpu", n_jobs=1, results=tmp_path_factory.mktemp("results")))


def test_targets_are_wrong_and_rankings_are_of_the_class_that_they_are_taken_for(study):
    labels = study.dataset.test_labels[study.targets]
    assert (margins(study.base_logits, study.dataset.test_labels)[study.targets] < 0).all()
    assert (study.taken_for != labels).all() and (study.wrong_labels == labels).all()
    for name in (OURS, RANDOM):
        ranking = study.given[name]
        assert ranking.shape == (5, 30) and all(len(set(row)) == 30 for row in ranking.tolist())
        assert (study.dataset.train_labels[ranking] == study.taken_for[:, None]).all()
    same = study.taken_for[:, None] == study.taken_for
    shared = [(row == other).all() for row in study.given[RANDOM] for other in study.given[RANDOM]]
    assert (np.reshape(shared, same.shape) == same).all()
    with pytest.raises(ValueError, match=r"n_targets=100 exceeds the \d+ test images that are wrong"):
        _ = replace(study, profile=replace(study.profile, n_targets=100)).targets


def test_a_repair_makes_right_what_was_wrong(study):
    table = study.supports([(REMOVAL, OURS), (MISLABEL, OURS)])
    assert len(table) == 10 and table["size"].notna().any()
    for row in table[table["size"].notna()].head(2).to_dict("records"):
        i = study.targets.tolist().index(row["target"])
        ids, label = study.given[OURS][i][: row["size"]].tolist(), int(row["label"])
        change = {"removed": tuple(ids)} if row["kind"] == REMOVAL else {"relabelled": tuple((j, label) for j in ids)}
        for changes, right in (({}, False), (change, True)):
            logits = study.driver.logits([(Retraining(study.profile.recipe, 0, **changes), [row["target"]])])[0]
            assert (logits.argmax() == label) == right
    random = table.assign(method=RANDOM)
    rows = repair.summary(table, 30)
    assert rows["kind"].tolist() == ["removal", "relabelling"] and (rows["n"] + rows["right at once"] == 5).all()
    pairs = repair.against_random(pd.concat([table, random]), 30)
    assert (pairs["difference"] == 0).all() and "relabelling repairs a share of" in repair.finding(rows, pairs, 30)
