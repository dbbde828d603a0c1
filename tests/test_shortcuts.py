"""The chapter on shortcuts: what is planted, who is fooled, and how a method that knows the carriers is judged."""

import numpy as np
import pytest

from lib.chapters import shortcuts
from lib.data import Dataset
from lib.methods import RANDOM


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


def test_the_tables_and_the_figure_of_what_is_kept(five):
    rng, n = np.random.default_rng(0), len(shortcuts.METHODS)
    one = {"targets": np.arange(4), "first": rng.integers(0, 150, (n, 10)), "accuracy": rng.random(n + 3)}
    one |= {key: rng.random((n, 4)) for key in ("auroc", "precision")} | {"repaired": rng.random((n + 3, 4)) > 0.5}
    attacks = dict.fromkeys(shortcuts.SHARES, one)
    rows = shortcuts.table(attacks)
    assert len(rows) == 2 * (n + 3) and rows["auroc"].notna().sum() == 2 * n and rows["repaired"].notna().all()
    made_up = rng.random((len(shortcuts.RANDOMISED), 4))
    check = shortcuts.checked({"seed": made_up, "labels": made_up})
    drawn = shortcuts.figure(rows, check, np.zeros((4 * 28, 11 * 28, 1)), "title")
    assert drawn.get_suptitle() == "title" and check["seed"].tolist() == check["labels"].tolist()
