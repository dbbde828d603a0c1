"""Images read through FFCV: the batches, and so the trained weights, of the images in memory, bit for bit."""

import importlib
import io
import itertools
import multiprocessing
import os
import signal
import sys
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("NUMBA_OPT", "0")  # before numba: to compile FFCV takes longer than all that is read through it

import numpy as np
import pytest
import torch
from joblib.externals.loky import get_reusable_executor
from PIL import Image
from test_driver import campaign, make_tiny, serial  # noqa: F401  (a fixture)

from lib import data
from lib.data import resident
from lib.engine import Ledger, check_loader
from lib.retrain import Retraining, fit, retrain

ARCHIVE = Path(os.environ.get("DATA_MIRROR", "nowhere")) / "cifar10_jpeg.zip"


@pytest.fixture(scope="module")
def beton():
    try:
        return importlib.import_module("lib.data.beton")
    except ImportError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"no FFCV in CI: .ci/run installs it ({error})")
        pytest.skip(str(error))


def fashion() -> data.Dataset:
    return data.subset(data.load("fashion_mnist"), 15, 4)


def cifar() -> data.Dataset:
    if not ARCHIVE.exists():
        pytest.skip(f"no {ARCHIVE.name}: DATA_MIRROR names no folder with it")
    with zipfile.ZipFile(ARCHIVE) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        classes = sorted({name.split("/")[1] for name in names})

        def split(folder: str, per_class: int) -> tuple[np.ndarray, np.ndarray]:
            chosen = [n for c in classes for n in [n for n in names if n.startswith(f"{folder}/{c}/")][:per_class]]
            images = [np.asarray(Image.open(io.BytesIO(archive.read(name)))).transpose(2, 0, 1) for name in chosen]
            return np.stack(images), np.repeat(np.arange(len(classes)), per_class)

        return data.Dataset("a little CIFAR-10", *split("train", 15), *split("test", 4), tuple(classes))


@pytest.fixture(scope="module", params=[fashion, cifar])
def real(request, beton, tmp_path_factory):
    """A dataset of real images, grey or in colour, and its file, opened."""
    dataset, path = request.param(), tmp_path_factory.mktemp("real") / "images.beton"
    beton.write(dataset, path)
    return dataset, beton.opened(dataset, path)


@pytest.fixture
def tiny_file(beton, tiny, tmp_path) -> Path:
    beton.write(tiny, tmp_path / "tiny.beton")
    return tmp_path / "tiny.beton"


@pytest.mark.parametrize("relabelled", [False, True])
def test_the_batches_of_images_in_memory(real, relabelled):
    dataset, opened = real
    labels = torch.from_numpy(dataset.train_labels)
    given = (labels + 1) % 10 if relabelled else None
    for seed in (0, 1):  # two epochs of one file: half of the ids, each time others in another order
        ids = torch.randperm(150, generator=torch.Generator().manual_seed(seed))[:75]
        found = list(opened.batches(ids, 16, given))  # kept, while later ones are read
        expected = list(resident(dataset).batches(ids, 16, given if relabelled else labels))
        assert [len(x) for x, _, _ in found] == [16, 16, 16, 16, 11]
        for here, there in zip(found, expected, strict=True):
            assert all(a.dtype == b.dtype and torch.equal(a, b) for a, b in zip(here, there, strict=True))


@pytest.mark.parametrize("augmentation", [{"flip": False, "translate": 0, "cutout": 0}, {}], ids=["plain", "augmented"])
def test_a_training_has_the_same_weights(real, quick, augmentation):
    dataset, opened = real
    recipe = replace(quick, batch_size=32, **augmentation)
    what = Retraining(recipe, 5, removed=(0, 9, 77), relabelled=((3, 4), (149, 0)))
    here, there = fit(dataset, what, images=opened).state_dict(), fit(dataset, what).state_dict()
    assert all(torch.equal(here[name], there[name]) for name in there)
    assert any((there[name] != other).any() for name, other in fit(dataset, Retraining(recipe, 5)).state_dict().items())
    np.testing.assert_array_equal(retrain(dataset, what, images=opened).logits, retrain(dataset, what).logits)


def test_leaves_no_global_state(beton, tiny, tiny_file, quick):
    states = (torch.get_num_threads, lambda: torch.random.get_rng_state().sum(), lambda: np.random.get_state()[2])  # noqa: NPY002
    before = [state() for state in states], threading.active_count()
    retrain(tiny, Retraining(quick, 0), images=beton.opened(tiny, tiny_file))
    assert ([state() for state in states], threading.active_count()) == before


def test_images_are_written_once(beton, tiny, tiny_file):
    before = tiny_file.stat()
    beton.write(tiny, tiny_file)
    assert tiny_file.stat() == before
    assert sorted(os.listdir(tiny_file.parent)) == ["tiny.beton", "tiny.beton.json"]


def test_jpeg_is_close(beton, tiny, tmp_path):
    smooth = np.broadcast_to(np.arange(24, dtype=np.uint8) * 8, tiny.train_images.shape)
    dataset = replace(tiny, train_images=smooth)
    beton.write(dataset, tmp_path / "x.beton", jpeg=90)
    images, _, _ = next(beton.opened(dataset, tmp_path / "x.beton").batches(torch.arange(20), 20))
    assert images.shape == (20, 1, 24, 24)
    assert 0 < np.abs(images.numpy().astype(int) - smooth[:20]).max() < 8


def test_another_file(beton, tiny, tiny_file):
    other = replace(tiny, name="other", train_labels=tiny.train_labels[::-1].copy())
    for use in (beton.write, beton.opened):
        with pytest.raises(
            ValueError, match=r"tiny.beton holds the dataset of checksum \w+…, not other of \w+…; choose"
        ):
            use(other, tiny_file)
    with pytest.raises(ValueError, match="was written with jpeg=None, not jpeg=90; choose another path"):
        beton.write(tiny, tiny_file, jpeg=90)
    with pytest.raises(ValueError, match="101 is no quality of a JPEG; give 1 to 100"):
        beton.write(tiny, tiny_file, jpeg=101)


def test_damaged_files(beton, tiny, tiny_file):
    whole, about = tiny_file.read_bytes(), tiny_file.with_name("tiny.beton.json")
    for damaged in (whole[:-1], whole[:100], b"", whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:]):
        tiny_file.write_bytes(damaged)
        for use in (beton.write, beton.opened):
            with pytest.raises(ValueError, match="tiny.beton is damaged: its SHA-256 is not that of tiny.beton.json"):
                use(tiny, tiny_file)
    for damaged in ("", "[]", "{}", '{"sha256": "0"}'):
        about.write_text(damaged)
        with pytest.raises(ValueError, match="tiny.beton.json is damaged"):
            beton.opened(tiny, tiny_file)
    about.unlink()
    with pytest.raises(FileNotFoundError, match=r"are not both there; write them with lib\.data\.beton\.write"):
        beton.opened(tiny, tiny_file)
    beton.write(tiny, tiny_file)
    assert tiny_file.read_bytes() == whole


def write_until_killed(beton, dataset: data.Dataset, path: Path, function: str, call: int) -> None:
    """Write the file, as far as the first call of a function of `lib.data.beton`, or the second, …: kill -9 then."""
    calls, original = itertools.count(1), getattr(beton, function)

    def until_killed(*arguments):
        if next(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments)

    setattr(beton, function, until_killed)
    beton.write(dataset, path)


@pytest.mark.parametrize(("function", "call"), [("handle_sample", 50), ("file_hash", 1)])
def test_killed_while_writing(beton, tiny, tmp_path, function, call):
    path = tmp_path / "tiny.beton"
    writing = multiprocessing.get_context("fork").Process(
        target=write_until_killed, args=(beton, tiny, path, function, call)
    )
    writing.start()
    writing.join()
    assert writing.exitcode == -signal.SIGKILL
    with pytest.raises(FileNotFoundError, match="are not both there"):
        beton.opened(tiny, path)
    beton.write(tiny, path)
    images, _, _ = next(beton.opened(tiny, path).batches(torch.arange(120), 120))
    np.testing.assert_array_equal(images, tiny.train_images)


def test_ids_that_do_not_exist(beton, tiny, tiny_file):
    opened = beton.opened(tiny, tiny_file)
    for ids in ([0, 120], [-1, 5]):
        with pytest.raises(ValueError, match=r"ids .* are asked for; .*tiny.beton has 0 to 119"):
            next(opened.batches(torch.tensor(ids), 2))
    assert list(opened.batches(torch.arange(0), 2)) == []


def test_reading_stops_early_or_fails(beton, tiny, tiny_file):
    opened, before = beton.opened(tiny, tiny_file), threading.active_count()
    batches = opened.batches(torch.arange(120), 5)
    next(batches)
    batches.close()
    assert threading.active_count() == before
    opened.train.code = None
    with pytest.raises(RuntimeError, match="FFCV cannot read .*tiny.beton"):
        next(opened.batches(torch.arange(120), 5))
    assert threading.active_count() == before


def test_a_campaign_has_the_same_ledger(beton, serial, tmp_path, monkeypatch):  # noqa: F811
    # Processes that have worked without FFCV take its size for a leak and end, with a warning, which is an error here.
    get_reusable_executor().shutdown(kill_workers=True)
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path / "cache"))
    monkeypatch.delattr("lib.retrain.resident")  # nothing is read from memory, at least in this process
    supports, path = serial
    assert campaign(tmp_path / "ledger", 2, loader="ffcv") == supports
    one, two = (
        {record["key"]: record | {"seconds": 0} for record in Ledger(folder).records}
        for folder in (path, tmp_path / "ledger")
    )
    assert one == two
    (file,) = (tmp_path / "cache").glob("*.beton")
    assert file.stem == make_tiny()[0].checksum[:16]


def test_without_ffcv_a_campaign_with_it_is_refused_at_once(monkeypatch):
    monkeypatch.delitem(sys.modules, "lib.data.beton", raising=False)
    monkeypatch.delattr("lib.data.beton", raising=False)
    monkeypatch.setitem(sys.modules, "ffcv.fields", None)
    with pytest.raises(ImportError, match=r"FFCV does not load .*pip install -e.* Or train from memory"):
        check_loader("ffcv", None)


def test_without_ffcv_one_clear_error(monkeypatch):
    monkeypatch.delitem(sys.modules, "lib.data.beton", raising=False)
    monkeypatch.setitem(sys.modules, "ffcv.fields", None)
    with pytest.raises(ImportError, match=r"FFCV does not load .* apt install g\+\+ libopencv-dev .*pip install -e"):
        importlib.import_module("lib.data.beton")
