"""The study the figures share, on a few images: targets, wrong labels, rankings, supports, what is kept and reused."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lib import profiles
from lib.bisection import FOUND, LARGER, WRONG_AT_ZERO
from lib.features import FeatureRecipe
from lib.retrain import Recipe
from lib.study import MISLABEL, REMOVAL, Study


@pytest.fixture(scope="module")
def small() -> profiles.Profile:
    """Smoke, with features that cost nothing and two methods' worth of trainings."""
    return replace(profiles.load("smoke", k_max=32, budget=1), selfsupervised=FeatureRecipe("pixels"))


@pytest.fixture(scope="module")
def opened(small, tmp_path_factory):
    return Study(small, "cpu", n_jobs=1, results=tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def supports(opened):
    return opened.supports([(REMOVAL, "pixels_l2"), (MISLABEL, "random")])


def test_targets_are_balanced_and_right_in_the_base_models(opened):
    labels = opened.dataset.test_labels
    assert np.bincount(labels[opened.targets]).tolist() == [1] * 5
    assert (opened.base_logits[opened.targets].argmax(1) == labels[opened.targets]).all()


def test_fewer_targets_than_classes_are_each_of_their_own(opened, small):
    few = replace(opened, profile=replace(small, n_targets=4))
    labels = few.dataset.test_labels[few.targets]
    assert len(set(labels)) == len(labels) == 4 and sorted(few.groups(united=True)[0]) == [0, 1, 2, 3]
    assert set(few.targets) != set(opened.targets[:4])  # the classes are drawn too


def test_wrong_labels_are_the_strongest_wrong_class(opened):
    labels = opened.dataset.test_labels[opened.targets]
    for logits, label, wrong in zip(opened.base_logits[opened.targets], labels, opened.wrong_labels, strict=True):
        assert wrong != label and logits[wrong] == np.delete(logits, label).max()


def test_the_table_of_supports(opened, supports):
    assert len(supports) == 10 and supports["target"].tolist() == 2 * opened.targets.tolist()
    assert set(supports["kind"]) == {REMOVAL, MISLABEL}
    for row in supports.itertuples():
        votes = [map(int, re.split("[:-]", vote)) for vote in row.votes.split()]
        is_right = {k: right > wrong for k, right, wrong in votes}
        high = min((k for k, right in is_right.items() if not right), default=None)
        low = max((k for k, right in is_right.items() if right and k < (high or np.inf)), default=None)
        assert list(is_right)[:2] == [0, 32][: 1 if high == 0 else 2]  # none, then all
        reason = WRONG_AT_ZERO if high == 0 else LARGER if high is None else FOUND
        size = high if reason == FOUND else None
        assert (row.reason, [None if pd.isna(n) else n for n in (row.size, row.low, row.high)]) == (
            reason,
            [size, low, high],
        )
    assert FOUND in set(supports["reason"])


def test_everything_is_read_back_and_nothing_is_trained_again(opened, supports):
    before = {path: path.stat().st_mtime_ns for path in opened.folder.rglob("*") if path.is_file()}
    again = replace(opened, n_jobs=1).supports([(REMOVAL, "pixels_l2"), (MISLABEL, "random")])
    assert again.equals(supports)
    after = {path: path.stat().st_mtime_ns for path in opened.folder.rglob("*") if path.is_file()}
    assert {p: t for p, t in after.items() if p.suffix != ".lock"} == {
        p: t for p, t in before.items() if p.suffix != ".lock"
    }


def test_retrainings_behind_a_table(opened, supports):
    records = opened.retrainings(supports)
    assert records["key"].is_unique
    keys = {record["key"] for record in opened.driver.ledger.records}
    base = opened.profile.n_base
    assert len(records) == len(keys) - base  # all that was trained, but for the base models


def test_what_another_study_of_the_folder_trained_counts(opened):
    ranking = opened.attribution.ranking("random")[:, ::-1]
    table = replace(opened, given={"mine": ranking}).supports([(REMOVAL, "mine")])
    assert set(opened.retrainings(table)["key"]) == set().union(*table["keys"])


def test_overridden_values_have_outputs_of_their_own(opened, small):
    plain = Study(profiles.load("smoke")).outputs("fig03")
    changed = Study(profiles.load("smoke", k_max=8)).outputs("fig03")
    assert plain.name == "fig03" and changed.name.startswith("fig03-") and plain.parent == changed.parent


def test_another_recipe_is_tested_on_the_same_questions(opened, supports):
    recipe = opened.profile.network("vit")
    table = opened.supports([(REMOVAL, "pixels_l2")], recipe=recipe)
    same = ["kind", "method", "target", "label", "wrong_label"]
    assert table[same].equals(supports.loc[:4, same])
    assert opened.retrainings(table)["recipe"].unique().tolist() == [recipe.hash]
    fixed = opened.margins([[(REMOVAL, "pixels_l2", 0)]], [0, 32], 1, recipe)
    assert set(opened.retrainings(fixed)["recipe"]) == {recipe.hash}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_targets": 12}, "n_targets=12 must be a multiple of the 5 classes, at most 100"),
        ({"n_targets": 500}, "n_targets=500 must be a multiple of the 5 classes, at most 100"),
        ({"k_max": 41}, "k_max=41 exceeds the 40 training images of a class"),
        ({"train_per_class": 501}, "501 training images a class are not in fashion_mnist; give 1 to 500"),
        ({"selfsupervised": FeatureRecipe("moco", crop=2.0)}, "crop=2.0 must be a number above 0 and at most 1"),
        ({"recipe": Recipe(width=0)}, "width=0 must be at least 1"),
    ],
)
def test_values_that_do_not_fit_are_refused_before_anything_is_trained(small, changes, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        Study(replace(small, **changes), results=tmp_path)
    assert not list(tmp_path.iterdir())


def test_unknown_methods_devices_and_too_many_targets(opened, small):
    with pytest.raises(ValueError, match="unknown method 'trak'"):
        opened.supports([(REMOVAL, "trak")])
    with pytest.raises(ValueError, match="unknown device 'tpu'"):
        Study(small, device="tpu")
    with pytest.raises(ValueError, match="loader='disk' must be memory, ffcv"):
        Study(small, loader="disk")
    with pytest.raises(ValueError, match="n_jobs=0 must be 1 or more processes"):
        Study(small, n_jobs=0)
    with pytest.raises(ValueError, match="n_targets=100 is too many: of one class the base models get only"):
        _ = replace(opened, profile=replace(small, n_targets=100)).targets


def test_some_targets_alone_are_as_in_the_whole_table(opened, supports):
    two = opened.supports([(REMOVAL, "pixels_l2")], among=[[4], [2]])
    whole = supports[supports["kind"] == REMOVAL].iloc[[2, 4]]
    assert two.drop(columns="keys").equals(whole.drop(columns="keys").reset_index(drop=True))


def test_the_retrainings_behind_supports_are_known_again_from_the_ledger(opened, supports):
    curves = [(REMOVAL, "pixels_l2"), (MISLABEL, "random")]
    asked = opened.asked(curves, united=False)
    assert {retraining.key(opened.dataset) for retraining, *_ in asked} == set().union(*supports["keys"])
    assert all(logits.shape == (len(targets), 5) for _, targets, logits in asked)
    with pytest.raises(ValueError, match="lacks .*; run the figure to its end first"):
        opened.asked([(REMOVAL, "random")], united=True)
