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
    assert (study.taken_for != labels).all() and len(labels) == 5
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
    table = study.supports([(REMOVAL, OURS)])
    assert len(table) == 5 and table["size"].notna().any()
    for row in table[table["size"].notna()].head(2).to_dict("records"):
        ranking = study.given[OURS][study.targets.tolist().index(row["target"])]
        for k, right in ((0, False), (row["size"], True)):
            retraining = Retraining(study.profile.recipe, 0, removed=tuple(ranking[:k].tolist()))
            logits = study.driver.logits([(retraining, [row["target"]])])[0]
            assert (logits.argmax() == row["label"]) == right
    again = repair.unchanged(study)
    assert again["target"].tolist() == study.targets.tolist() and (again["right"] * len(repair.SEEDS) % 1 == 0).all()
    rows = repair.summary(table, again, 30)
    assert rows["n"][0] + rows["right at once"][0] == 5 and rows["change"].tolist() == ["removed", repair.NOTHING]


def test_relabelled_images_get_the_label_of_the_target(study):
    table = study.supports([(MISLABEL, OURS)])
    assert table["size"].notna().any()
    row = table[table["size"].notna()].iloc[0]
    ranking = study.given[OURS][study.targets.tolist().index(row["target"])][: row["size"]]
    changed = tuple((int(i), int(row["label"])) for i in ranking)
    retraining = Retraining(study.profile.recipe, 0, relabelled=changed)
    assert study.driver.key(retraining) in row["keys"]
    assert study.driver.logits([(retraining, [row["target"]])])[0].argmax() == row["label"]


def test_differences_are_of_each_change_and_between_them(study):
    columns = {"target": [1, 2, 3], "size": [8, 16, pd.NA], "reason": "found"}
    tables = [pd.DataFrame(columns).assign(kind=kind, method=method) for kind, method in repair.CURVES]
    tables[2] = tables[2].assign(size=[4, 8, 15])  # ours, relabelled
    supports = pd.concat(tables).astype({"size": "Int64"})
    differences = repair.pairs(supports, 30)
    assert differences["kind"].tolist() == ["removed", "relabelled", "ours"]
    assert differences["difference"].tolist() == pytest.approx([0, 0.3, 0.3])
    again = pd.DataFrame({"target": [1, 2, 3, 4], "right": [0.2, 0.4, 0.0, 1.0]})
    rows = repair.summary(supports, again, 30)
    assert rows["repaired"].iloc[-1] == pytest.approx(0.2) and rows["n"].eq(3).all()
    assert rows["n repaired"].tolist()[:3] == [2, 2, 3] and rows["median of those"].tolist()[:3] == [12, 12, 8]
    said = repair.finding(rows, differences, 30)
    assert "Of 3 wrong predictions, removing at most 30" in said and "ours, relabelled less removed 0.300" in said
    assert "with nothing changed, 0.200 [" in said and "(p = " in said


def test_people_s_labels_are_said_to_differ_only_where_they_do():
    rows = pd.DataFrame({"wrong": [0.1, 0.0, 0.2], "class": [0.1, 0.1, 0.1]})
    assert "no more than can be told from none" in repair.said_of_people(rows)
    assert "no more" not in repair.said_of_people(rows.assign(wrong=[0.3, 0.2, 0.4]))
