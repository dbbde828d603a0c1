"""The authors' files: both layouts of rows give the same rankings, and what is in another order is refused."""

import numpy as np
import pytest
import torch

from lib import authors
from lib.data import Dataset

N_TRAIN, N_TEST, K = 200, 40, 8
TARGETS = np.array([31, 4, 17])


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """Labels in no order, as in the original batches; images do not matter here."""
    rng = np.random.default_rng(0)
    train, test = rng.permutation(np.arange(N_TRAIN) % 5), rng.permutation(np.arange(N_TEST) % 5)
    images = np.zeros((N_TRAIN, 1, 2, 2), np.uint8)
    return Dataset("shuffled", images, train, images[:N_TEST], test, tuple("abcde"))


@pytest.fixture(scope="module")
def ranked(dataset) -> np.ndarray:
    """Images of each target's class, (3, K)."""
    rng = np.random.default_rng(1)
    return np.array(
        [rng.permutation(np.flatnonzero(dataset.train_labels == dataset.test_labels[t]))[:K] for t in TARGETS]
    )


def saved(folder, name: str, array: np.ndarray):
    np.save(folder / name, array)
    return folder / name


def by_test_id(ranked: np.ndarray) -> np.ndarray:
    every = np.zeros((N_TEST, K), dtype=np.int64)
    every[TARGETS] = ranked
    return every


def test_both_layouts_give_each_target_its_row(dataset, ranked, tmp_path):
    ids = authors.targets(saved(tmp_path, "test_3.npy", TARGETS.astype(np.int32)), dataset)
    np.testing.assert_array_equal(ids, TARGETS)
    for name, content in (("rows.npy", ranked), ("all.npy", by_test_id(ranked))):
        np.testing.assert_array_equal(authors.rankings(saved(tmp_path, name, content), ids, dataset), ranked)
    torch.save(torch.tensor(ranked), tmp_path / "rows.pt")
    np.testing.assert_array_equal(authors.rankings(tmp_path / "rows.pt", ids, dataset), ranked)


def folder_order(dataset: Dataset, ids: np.ndarray) -> np.ndarray:
    """The same images, counted by class and then in their order, as in a folder."""
    return np.argsort(np.argsort(dataset.train_labels, kind="stable"))[ids]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d, r: r[:2], r"has 2 rows; expected 3, one a target, or 40, one a test image"),
        (lambda d, r: by_test_id(r)[::-1].copy(), "has no ranking of test image"),
        (lambda d, r: r[[1, 2, 0]], r"% of its ranked images are of their target's class.*in another order"),
        (folder_order, r"% of its ranked images are of their target's class, in shuffled's order.*original batches"),
        (lambda d, r: np.where(r == r[0, 0], N_TRAIN, r), "names train image 200; the dataset has 0 to 199"),
        (lambda d, r: np.where(r == r[0, 0], r[0, 1], r), "ranks a training image twice for test image 31"),
        (lambda d, r: r.astype(float), "float64; expected integers of 2"),
        (lambda d, r: r[0], r"has shape \(8,\).*expected integers of 2"),
    ],
)
def test_rankings_that_do_not_fit_are_refused(dataset, ranked, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        authors.rankings(saved(tmp_path, "rows.npy", change(dataset, ranked)), TARGETS, dataset)


@pytest.mark.parametrize(("ids", "message"), [([3, 40], "names test image 40"), ([3, 5, 3], "names 1 test ids twice")])
def test_targets_that_do_not_fit_are_refused(dataset, tmp_path, ids, message):
    with pytest.raises(ValueError, match=message):
        authors.targets(saved(tmp_path, "ids.npy", np.array(ids)), dataset)


@pytest.fixture(scope="module")
def logits(dataset) -> np.ndarray:
    """Mostly right, as those of trained models; those of the targets are wrong."""
    rng = np.random.default_rng(2)
    found = rng.normal(size=(N_TEST, 5))
    found[np.arange(N_TEST), dataset.test_labels] += 6
    found[TARGETS, dataset.test_labels[TARGETS]] -= 20
    return found


def test_outputs_and_ranks_give_the_same_wrong_labels(dataset, logits, tmp_path):
    ranks = np.argsort(np.argsort(-logits, axis=1), axis=1)  # 0: likeliest
    expected = [np.argsort(logits[t])[-1] for t in TARGETS]
    for name, content in (("logits.npy", logits), ("average_rank.npy", ranks)):
        found = authors.wrong_labels(saved(tmp_path, name, content), TARGETS, dataset)
        np.testing.assert_array_equal(found, expected)
    assert (expected != dataset.test_labels[TARGETS]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: np.roll(x, 1, axis=0), r"% of its predictions are right, in shuffled's order"),
        (lambda x: x[:, :4], r"has shape \(40, 4\) or gaps; expected finite \(40, 5\)"),
        (lambda x: np.where(x > 6, np.nan, x), "or gaps"),
    ],
)
def test_predictions_that_do_not_fit_are_refused(dataset, logits, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        authors.wrong_labels(saved(tmp_path, "logits.npy", change(logits)), TARGETS, dataset)


@pytest.mark.parametrize("name", ["objects.npy", "objects.pt", "torn.npy"])
def test_files_that_are_no_numbers_are_refused(dataset, tmp_path, name):
    path = tmp_path / name
    if name == "objects.npy":
        np.save(path, np.array([{}]), allow_pickle=True)
    elif name == "objects.pt":
        torch.save({"rows": np.array([{}])}, path)
    else:
        path.write_bytes(b"\x93NUMPY")
    with pytest.raises(ValueError, match=f"{name} is no array or tensor of numbers: .*fetch it again"):
        authors.targets(path, dataset)
