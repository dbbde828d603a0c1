"""The chapter on shortcuts: what is planted, who is fooled, and how a method that knows the carriers is judged."""

from types import SimpleNamespace

import numpy as np
import pytest

from lib.chapters import carriers, randomised, shortcuts
from lib.data import Dataset
from lib.methods import OURS, RANDOM, label
from lib.report import stats


@pytest.fixture(scope="module")
def five() -> Dataset:
    """Five classes of 60 training and 10 test images in noise."""
    rng, labels = np.random.default_rng(0), [np.repeat(np.arange(5), n) for n in (60, 10)]
    train, test = (rng.integers(0, 200, (len(of), 1, 28, 28)).astype(np.uint8) for of in labels)
    return Dataset("five", train, labels[0], test, labels[1], tuple("abcde"))


def has_patch(images: np.ndarray) -> np.ndarray:
    return (images[:, :, 1 : 1 + shortcuts.SIDE, 1 : 1 + shortcuts.SIDE] == 255).all(axis=(1, 2, 3))


def test_a_shortcut_is_in_half_of_the_class_and_changes_no_label(five):
    dataset, carriers = shortcuts.planted(five, shortcuts.SHORTCUT)
    assert (np.flatnonzero(has_patch(dataset.train_images)) == carriers).all() and len(carriers) == 30
    assert (dataset.train_labels == five.train_labels).all() and (five.train_labels[carriers] == shortcuts.CLASS).all()
    plain, with_patch = np.split(dataset.test_images, 2)
    assert (plain == five.test_images).all() and has_patch(with_patch).all() and not has_patch(plain).any()


def test_a_backdoor_is_in_a_few_images_of_other_classes_labelled_as_the_class(five):
    dataset, carriers = shortcuts.planted(five, shortcuts.BACKDOOR)
    assert (np.flatnonzero(has_patch(dataset.train_images)) == carriers).all() and len(carriers) == shortcuts.LEAST
    assert (five.train_labels[carriers] != shortcuts.CLASS).all()
    assert (np.flatnonzero(dataset.train_labels != five.train_labels) == carriers).all()
    assert (dataset.train_labels[carriers] == shortcuts.CLASS).all() and not has_patch(five.train_images).any()


def test_only_images_that_were_right_can_be_fooled():
    labels = np.array([0, 1, 4, 2])
    logits = np.eye(5)[[0, 3, 4, 2, 4, 4, 4, 2]]  # without the patch, then with it
    asked, fooled = shortcuts.fooled(logits, labels)
    assert asked.tolist() == [True, False, False, True] and fooled.tolist() == [True, False, False, False]


def test_a_method_that_knows_the_carriers_names_them(five):
    dataset, carriers = shortcuts.planted(five, shortcuts.SHORTCUT)
    knows = np.where(dataset.train_labels == shortcuts.CLASS, np.isin(np.arange(300), carriers) * 1.0, -np.inf)
    scores = {"knows": np.stack([knows] * 3), "opposite": np.stack([1 - knows] * 3)}
    scores["opposite"][:, dataset.train_labels != shortcuts.CLASS] = -np.inf
    result = shortcuts.judged(scores, dataset.train_labels, carriers)
    assert result["auroc"].tolist() == [[1] * 3, [0] * 3] and result["precision"].tolist() == [[1] * 3, [0] * 3]
    together = shortcuts.named(scores, dataset.train_labels, len(carriers))
    assert np.sort(together["knows"]).tolist() == carriers.tolist() and list(together)[-1] == RANDOM
    assert not np.isin(together["opposite"], carriers).any()


@pytest.fixture
def kept(monkeypatch) -> tuple[dict, dict]:
    """Arrays of both attacks and of their controls, on four targets."""
    monkeypatch.setattr(stats, "RESAMPLES", 50)
    rng, n = np.random.default_rng(0), len(shortcuts.METHODS)
    one = {"targets": np.arange(4), "first": rng.integers(0, 150, (n, 10)), "accuracy": rng.random(n + 3)}
    one |= {key: rng.random((n, 4)) for key in ("auroc", "precision")} | {"repaired": rng.random((n + 3, 4)) > 0.5}
    one["precision"][:2], one["repaired"][0] = [[0.1], [0.9]], False
    check = {"repaired": np.arange(4) == 0, "accuracy": np.array(0.5), "chance": np.array(0.4)}
    check["auroc"] = np.full((len(shortcuts.FEATURES), 4), 0.6)
    return dict.fromkeys(shortcuts.SHARES, one), dict.fromkeys(shortcuts.SHARES, check)


def test_the_tables_and_the_figure_of_what_is_kept(kept):
    rows, n = carriers.table(*kept), len(shortcuts.METHODS)
    assert len(rows) == 2 * (n + 4) and rows["auroc"].notna().sum() == 2 * (n + 1) and rows["repaired"].notna().all()
    by = rows[rows["attack"] == shortcuts.BACKDOOR].set_index("method")
    assert by.index[0] == carriers.NOTHING and by.loc[carriers.AGAIN, ["repaired", "accuracy"]].tolist() == [0.25, 0.5]
    assert by.loc[label(RANDOM), ["auroc", "precision"]].tolist() == [0.5, 0.4]
    assert by.loc[label(OURS), "unpatched"] == pytest.approx(0.6) and by["unpatched"].notna().sum() == 4
    made_up = np.random.default_rng(0).random((len(randomised.METHODS), 4))
    check = randomised.table({"seed": made_up, "labels": made_up})
    drawn = carriers.figure(rows, check, np.zeros((4 * 28, 11 * 28, 1)), "title")
    assert drawn.get_suptitle() == "title" and check["seed"].tolist() == check["labels"].tolist()


def test_sentences_take_their_numbers_from_the_table(kept):
    rows = carriers.table(*kept)
    assert "in the backdoor own last layer, L2 (3) 0." in carriers.finding(rows) and "n = 4" in carriers.finding(rows)
    below = carriers.below_chance(rows)
    assert "in the shortcut (chance 0.40) ours 0.10 [0.10, 0.10]" in below and "MoCo, L2" not in below
    assert "a share of 0.25 [0.01, 0.81] of the shortcut's targets" in carriers.of_nothing(rows)
    assert "in the backdoor is ours 0.60 [0.60, 0.60], raw pixels, exemplar SVM 0.60" in carriers.of_unpatched(rows)


def test_controls_are_of_other_seeds_and_of_images_without_a_patch(five, monkeypatch):
    asked = {}
    monkeypatch.setattr(
        shortcuts,
        "trained",
        lambda study, dataset, first_seed: asked.update(seed=first_seed) or np.eye(5)[dataset.test_labels],
    )
    monkeypatch.setattr(
        shortcuts, "by_features", lambda study, explained: asked.update(of=explained) or {"x": np.zeros((2, 300))}
    )
    study = SimpleNamespace(
        dataset=five, attribution=SimpleNamespace(kept=lambda name, identity, n, make, made_up: make())
    )
    control = shortcuts.controls(study, shortcuts.BACKDOOR, {"targets": np.array([3, 12])})
    assert asked["seed"] == shortcuts.SEEDS and control["repaired"].all() and control["accuracy"] == 1
    assert not has_patch(asked["of"].train_images).any() and not has_patch(asked["of"].test_images).any()
    assert (asked["of"].train_labels == shortcuts.CLASS).sum() == 60 + shortcuts.LEAST
    assert control["chance"] == shortcuts.LEAST / (60 + shortcuts.LEAST) and control["auroc"].shape == (1, 2)
