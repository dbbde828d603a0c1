"""Curation: the images that are worth least go, label by label, and a method that knows the wrong labels helps."""

from types import SimpleNamespace

import numpy as np
import pytest

from lib.chapters import curation
from lib.data import Dataset
from lib.features import Features
from lib.methods import OURS, RANDOM


@pytest.fixture
def study(tiny, quick) -> SimpleNamespace:
    """Of a tiny dataset with its pixels as features; nothing is kept."""
    flat = [images.reshape(len(images), -1) / 255 for images in (tiny.train_images, tiny.test_images)]
    vectors = Features(*(pixels.astype(np.float32) for pixels in flat))
    keep = {"kept": lambda name, identity, n, make, made_up: make(), "features": lambda name: vectors}
    profile, driver = SimpleNamespace(recipe=quick, n_base=1), SimpleNamespace(device="cpu")
    return SimpleNamespace(dataset=tiny, profile=profile, driver=driver, attribution=SimpleNamespace(**keep))


def test_halves_share_no_test_image_and_have_as_many_of_each_class(tiny):
    validation, measured = curation.halves(tiny.test_labels)
    assert sorted([*validation, *measured]) == list(range(30))
    assert np.bincount(tiny.test_labels[validation]).tolist() == np.bincount(tiny.test_labels[measured]).tolist()


def test_the_least_of_each_label_go():
    worth, labels = np.array([5.0, 1, 2, 0, 7, 6, 9, 8]), np.array([0, 0, 0, 0, 1, 1, 1, 1])
    assert curation.least(worth, labels, 0.5).tolist() == [1, 3, 4, 5]
    assert not len(curation.least(worth, labels, 0))


def labels_of(study, setting) -> tuple[Dataset, np.ndarray]:
    dataset = curation.labelled(study, setting)
    return dataset, dataset.train_labels != study.dataset.train_labels


def test_every_method_finds_plain_wrong_labels(study, monkeypatch):
    assert curation.labelled(study, curation.CLEAN) is study.dataset
    monkeypatch.setattr(curation, "NETWORKS", {"trak": 1, "tracin": 1})
    dataset, wrong = labels_of(study, curation.NOISY)
    assert wrong.sum() == 12
    worth = curation.values(study, curation.NOISY)
    for method in (OURS, curation.DENSITY, curation.LOSS, "trak:1"):
        gone = curation.least(worth[method], dataset.train_labels, 0.1)
        assert wrong[gone].mean() > 0.4, method


def test_the_table_compares_with_random_removal_of_the_same_seeds(study, monkeypatch):
    accuracy = {method: np.array([0.5, 0.7]) for method in (*curation.METHODS, RANDOM)}
    accuracy[OURS], accuracy[curation.LOSS] = np.array([0.6, 0.8]), np.array([0.4, 0.9])
    alone = {RANDOM: np.array([0.9, 0.9])}
    monkeypatch.setattr(curation, "accuracies", lambda study, setting, share: accuracy if share else alone)
    monkeypatch.setattr(curation, "added", lambda study, setting: np.array([0.9, 1.0]))
    of_all = dict.fromkeys(curation.METHODS, np.arange(120.0))
    monkeypatch.setattr(curation, "values", lambda study, setting: of_all)
    rows = curation.table(study)
    ours, loss = (rows[rows["method"] == method].iloc[0] for method in (OURS, curation.LOSS))
    assert ours["difference"] == pytest.approx(0.1) and ours["low"] == pytest.approx(0.1) == ours["high"]
    assert loss["low"] < 0 < loss["high"] and rows["difference"].isna().sum() == 8
    assert ours["gain"] == pytest.approx(-0.2) and rows["gain"].isna().sum() == 2
    assert rows[rows["method"] == curation.ADDED]["gain"].tolist() == pytest.approx([0.05, 0.05])
    assert curation.judged(rows)[curation.CLEAN, 0.1] == [1, 4, 0]
    said = curation.finding(rows)
    assert "ours -0.200 [-1.471, 1.071]" in said and "on all in 0 of 10 cases with right labels" in said
    assert "Without a tenth, 1 of 5 methods choose better than chance with right labels and 0 worse; with" in said
    assert f"that each removes: ours {rows['wrong'].dropna().iloc[0]:.2f}, MoCo" in curation.against_all(rows)
    assert "0.900, and 0.700 by the best of the others (ours, 10% removed, gain -0.200 [" in curation.against_all(rows)
    assert curation.figure(rows, "title").get_suptitle().startswith("title\nn = 2 trainings")


def test_removed_images_are_not_trained_on(study, monkeypatch):
    asked = []
    outcome = SimpleNamespace(logits=np.eye(3)[study.dataset.test_labels])
    monkeypatch.setattr(curation, "retrain", lambda dataset, training, device: asked.append(training) or outcome)
    monkeypatch.setattr(curation, "values", lambda *_: dict.fromkeys(curation.METHODS, np.arange(120.0)))
    by_method = curation.accuracies(study, curation.CLEAN, 0.5)
    assert all((of == 1).all() for of in by_method.values()) and len(asked) == 2 * (len(curation.METHODS) + 1)
    assert asked[0].removed == tuple([*range(20), *range(40, 60), *range(80, 100)])
    assert asked[0].removed == asked[1].removed and asked[-1].removed != asked[-2].removed
    assert [training.seed for training in asked[:2]] == [0, 1]


def test_validation_images_are_added_with_their_own_labels(study, monkeypatch):
    asked, outcome = [], SimpleNamespace(logits=np.eye(3)[study.dataset.test_labels])
    monkeypatch.setattr(
        curation, "retrain", lambda dataset, training, device: asked.append((dataset, training)) or outcome
    )
    assert curation.added(study, curation.CLEAN).tolist() == [1, 1]
    dataset, training = asked[0]
    ids = curation.halves(study.dataset.test_labels)[0]
    assert (dataset.train_labels[120:] == study.dataset.test_labels[ids]).all() and not training.removed
    assert (dataset.train_images[120:] == study.dataset.test_images[ids]).all() and len(asked) == 2
