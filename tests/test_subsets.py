"""Models on random subsets: what they see, what is kept of them, and what is not trained twice."""

import numpy as np
import pytest

from lib.engine import Subsets, subsets
from lib.engine.subsets import Store, train
from lib.retrain import margins, retrain


@pytest.fixture
def half(tiny, quick):
    return Subsets(tiny, quick, alpha=0.5, seed=3)


def test_masks_are_random_shares_that_depend_on_seed_and_number_alone(half, tiny, quick):
    masks = subsets.masks(half, range(200))
    assert masks.shape == (200, 120) and (masks.sum(axis=1) == 60).all()
    assert abs(masks.mean(axis=0) - 0.5).max() < 0.15  # a standard error is sqrt(0.25 / 200) = 0.035
    np.testing.assert_array_equal(masks[7], Subsets(tiny, quick, 0.5, 3).mask(7))
    assert (masks[7] != masks[8]).any() and (masks[7] != Subsets(tiny, quick, 0.5, 4).mask(7)).any()
    assert half.retraining(7).removed == tuple(np.flatnonzero(~masks[7]))


def test_margins_are_those_of_the_retrainings_and_are_read_back(half, tiny, tmp_path, monkeypatch):
    rows = train(half, range(2, 5), tmp_path, n_jobs=1)
    expected = margins(retrain(tiny, half.retraining(4)).logits, tiny.test_labels)
    assert rows.shape == (3, 30) and rows.dtype == np.float32
    np.testing.assert_allclose(rows[2], expected, rtol=2e-3, atol=1e-4)
    monkeypatch.setattr(subsets, "retrain", None)  # nothing is trained again
    np.testing.assert_array_equal(train(half, range(3, 5), tmp_path, n_jobs=1), rows[1:])


def test_a_repeat_sees_the_same_with_another_seed(half, tiny, quick, tmp_path):
    again = Subsets(tiny, quick, alpha=0.5, seed=3, repeat=1)
    one, other = half.retraining(4), again.retraining(4)
    assert one.removed == other.removed and one.seed != other.seed and again.path(tmp_path) != half.path(tmp_path)


def test_processes_give_the_same(half, tmp_path):
    one, two = (train(half, range(3), tmp_path / str(n), n_jobs=n) for n in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_a_torn_record_is_cut_off_and_a_damaged_one_is_an_error(tmp_path):
    folder = tmp_path / "deep"
    store, path = Store(folder, 4), folder / "0000.bin"
    store.append(5, np.arange(4.0))
    whole = path.stat().st_size
    with open(path, "ab") as file:
        file.write(b"torn")
    again = Store(folder, 4)
    assert list(again.known) == [5]
    again.append(6, -np.arange(4.0))
    again.append(subsets.SHARD, np.arange(4.0))
    assert path.stat().st_size == 2 * whole and (folder / "0001.bin").stat().st_size == whole
    np.testing.assert_array_equal(Store(folder, 4).known[6], [0, -1, -2, -3])
    assert set(Store(folder, 4).known) == {5, 6, subsets.SHARD}
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"0000\.bin, record 1 is damaged; restore the file, or delete it"):
        Store(folder, 4)


@pytest.mark.parametrize("alpha", [0, 0.1, 1, 2, float("nan")])
def test_a_share_that_is_none(tiny, quick, alpha):
    with pytest.raises(ValueError, match=r"alpha=.* must be at least 0\.167, one batch, and less than 1"):
        Subsets(tiny, quick, alpha)


@pytest.fixture
def files(tmp_path, tiny):
    """Published masks and margins of five models, in TRAK's layout."""
    rng = np.random.default_rng(0)
    masks, of_test = rng.random((5, 120)) < 0.5, rng.normal(size=(5, 30)).astype(np.float32)
    np.save(tmp_path / "mask.npy", masks)
    np.save(tmp_path / "val_margins.npy", of_test)
    return tmp_path / "mask.npy", tmp_path / "val_margins.npy", masks, of_test


def test_published_masks_and_margins_are_read_as_they_are(files, tiny):
    *paths, masks, of_test = files
    seen, said = subsets.published(*paths, tiny)
    assert seen.dtype == bool
    np.testing.assert_array_equal(seen, masks)
    np.testing.assert_array_equal(said, of_test)


@pytest.mark.parametrize(
    ("which", "content", "message"),
    [
        (0, np.ones((5, 121), bool), r"mask.npy has shape \(5, 121\); tiny has 120 training images: \(models, 120\)"),
        (1, np.ones((5, 29)), r"val_margins.npy has shape \(5, 29\); tiny has 30 test images"),
        (1, np.ones((4, 30)), "mask.npy is of 5 models, .*val_margins.npy of 4"),
        (0, np.array([{}]), "mask.npy is no array of numbers"),
    ],
)
def test_published_files_that_do_not_fit_are_refused(files, tiny, which, content, message):
    np.save(files[which], content, allow_pickle=True)
    with pytest.raises(ValueError, match=message):
        subsets.published(files[0], files[1], tiny)
