"""Data: what the manifest declares, how files are fetched and verified, and what the readers make of them.

Nothing here leaves the machine: downloads come from a server on the loopback address.
"""

import bz2
import csv
import functools
import hashlib
import http.server
import io
import os
import pickle
import runpy
import shutil
import socket
import struct
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from lib import data
from lib.data import ROOT, manifest

EMBEDDED = ROOT / "data" / "fashion_mnist"
ORIGINALS = Path("/usr/share/datasets/fashion-mnist")  # of Debian's package dataset-fashion-mnist
MIRROR = os.environ.get("DATA_MIRROR")  # as set outside the tests: where the real archives may be
PUBLISHED = {
    "title": "a file",
    "kind": "artefact",
    "file": "thing.bin",
    "urls": [],
    "sha256": None,
    "bytes": None,
    "licence": "none",
    "citation": "none",
    "used_by": [],
    "manual": "Ask the authors.",
}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """No mirror and an empty cache, whatever the environment says."""
    monkeypatch.delenv("DATA_MIRROR", raising=False)
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def serve():
    """A function that serves a folder on the loopback address, with a handler if asked, and returns the address."""
    servers = []

    def start(folder, handler=http.server.SimpleHTTPRequestHandler):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(folder)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def declare(folder: Path, **entries) -> Path:
    path = folder / "manifest.yaml"
    path.write_text(yaml.safe_dump(entries, sort_keys=False))
    return path


def sha256(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def closed_port() -> str:
    """An address on this machine at which nobody answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def draw(path: Path, colour, size=(6, 4), mode="RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)


@pytest.fixture
def pictures(tmp_path) -> Path:
    """Two classes whose names sort differently as paths and as names; colours tell the images apart."""
    folder = tmp_path / "pictures"
    for red, name in enumerate(
        ["train/a/9.png", "train/a/10.png", "train/a-b/1.png", "test/a/1.png", "test/a-b/1.png"]
    ):
        draw(folder / name, (10 * red, 0, 0))
    (folder / "train" / "a" / ".DS_Store").write_bytes(b"hidden")
    (folder / "classes.txt").write_text("not read")
    return folder


def load_folder(path: Path, **keys) -> data.Dataset:
    return data.load("mine", manifest=declare(path.parent, mine={"kind": "folder", "path": path.name, **keys}))


def zipped(folder: Path) -> Path:
    return Path(shutil.make_archive(str(folder), "zip", root_dir=folder))


# The shipped manifest


def test_every_shipped_entry_says_all_that_a_reader_needs():
    for name, entry in manifest.entries().items():
        assert entry.title and entry.licence and entry.citation and entry.used_by and entry.manual, name
        if not (entry.sha256 or entry.md5):
            assert "on first fetch" in entry.manual, name


def test_manifest_table_has_one_row_an_entry():
    table = manifest.manifest_table().set_index("name")
    assert list(table.index) == list(manifest.entries())
    assert table.loc["fashion_mnist", "size"] == f"{(EMBEDDED / 'images.npy.bz2').stat().st_size / 1e6:.1f} MB"
    assert table.loc["cifar10", "checksum"] == "sha256 6d958be07457"
    assert table.loc["moco_v2_rn50_800ep", "checksum"] == "md5 a04e12f8"
    assert table.loc["trak_cifar10_masks", "checksum"] == "none published"
    assert not table.isna().any(axis=None)


# The embedded subset


def test_embedded_shapes_and_balance():
    dataset = data.load("fashion_mnist")
    assert dataset.train_images.shape == (5000, 1, 28, 28) and dataset.test_images.shape == (2000, 1, 28, 28)
    assert dataset.train_images.dtype == dataset.test_images.dtype == np.uint8
    assert dataset.train_labels.dtype == dataset.test_labels.dtype == np.int64
    assert np.bincount(dataset.train_labels).tolist() == [500] * 10
    assert np.bincount(dataset.test_labels).tolist() == [200] * 10
    assert len(set(dataset.class_names)) == 10


def test_embedded_checksum_by_which_results_are_keyed():
    dataset = data.load("fashion_mnist")
    images = np.concatenate([dataset.train_images, dataset.test_images])
    labels = np.concatenate([dataset.train_labels, dataset.test_labels])
    assert dataset.checksum == sha256(images.tobytes() + labels.tobytes())
    assert dataset.checksum == "040f277d08ff1a7028574f3e30f803640e0e58d1baa77248591b87d65e8cfc32"


def test_embedded_labels_are_those_of_ids_csv_and_no_image_is_listed_twice():
    with (EMBEDDED / "ids.csv").open() as file:
        rows = list(csv.DictReader(file))
    dataset = data.load("fashion_mnist")
    assert [int(r["label"]) for r in rows if r["split"] == "train"] == dataset.train_labels.tolist()
    assert [int(r["label"]) for r in rows if r["split"] == "test"] == dataset.test_labels.tolist()
    assert len({(r["split"], r["original_id"]) for r in rows}) == len(rows) == 7000


def test_embedded_training_images_are_not_test_images():
    dataset = data.load("fashion_mnist")
    assert not {x.tobytes() for x in dataset.train_images} & {x.tobytes() for x in dataset.test_images}


@pytest.mark.skipif(not ORIGINALS.is_dir(), reason=f"no {ORIGINALS}: install Debian's dataset-fashion-mnist")
def test_embedded_subset_is_rebuilt_bit_for_bit(tmp_path):
    subprocess.run([sys.executable, EMBEDDED / "build.py", ORIGINALS, tmp_path], check=True)
    for name in ("images.npy.bz2", "ids.csv"):
        assert (tmp_path / name).read_bytes() == (EMBEDDED / name).read_bytes(), name


def embedded_copy(folder: Path, raw: bytes) -> Path:
    (folder / "images.npy.bz2").write_bytes(raw)
    shutil.copy(EMBEDDED / "ids.csv", folder)
    return declare(folder, mine={"kind": "embedded", "path": "images.npy.bz2", "classes": ["a", "b"]})


def test_damaged_bz2(tmp_path):
    whole = (EMBEDDED / "images.npy.bz2").read_bytes()
    for raw in (whole[:-1000], whole[:5000] + b"\0" * 100 + whole[5100:], b"", bz2.compress(b"no array")):
        with pytest.raises(ValueError, match="images.npy.bz2 is damaged"):
            data.load("mine", manifest=embedded_copy(tmp_path, raw))


def test_ids_that_do_not_fit_the_images(tmp_path):
    path = embedded_copy(tmp_path, (EMBEDDED / "images.npy.bz2").read_bytes())
    lines = (tmp_path / "ids.csv").read_text().splitlines()
    (tmp_path / "ids.csv").write_text("\n".join(lines[:-1]))
    with pytest.raises(ValueError, match="has to list the 7000 images"):
        data.load("mine", manifest=path)
    (tmp_path / "ids.csv").write_text("\n".join([lines[0], lines[-1], *lines[1:-1]]))
    with pytest.raises(ValueError, match="training first"):
        data.load("mine", manifest=path)


# Folders and zips of images


def test_folder_is_read_in_canonical_order(pictures):
    dataset = load_folder(pictures)
    assert dataset.class_names == ("a", "a-b")
    assert dataset.train_images.shape == (3, 3, 4, 6) and dataset.test_images.shape == (2, 3, 4, 6)
    assert dataset.train_images[:, 0, 0, 0].tolist() == [10, 0, 20]  # 10.png precedes 9.png, a precedes a-b
    assert dataset.train_labels.tolist() == [0, 0, 1] and dataset.test_labels.tolist() == [0, 1]
    assert dataset.test_images[:, 0, 0, 0].tolist() == [30, 40]


@pytest.mark.parametrize(
    ("declared", "found"),
    [
        ({"images": [3, 3]}, r"images \(3, 2\)"),
        ({"shape": [1, 4, 6]}, r"shape \(3, 4, 6\)"),
        ({"n_classes": 3}, "n_classes 2"),
    ],
)
def test_what_the_manifest_counts_is_compared_with_what_is_there(pictures, declared, found):
    load_folder(pictures, images=[3, 2], shape=[3, 4, 6], n_classes=2)
    with pytest.raises(ValueError, match=f"mine has {found}, the manifest expects .*; correct the entry"):
        load_folder(pictures, **declared)


def test_zip_of_a_folder_is_the_same_dataset(pictures):
    folder, archive = load_folder(pictures), load_folder(zipped(pictures))
    assert folder.checksum == archive.checksum and folder.class_names == archive.class_names
    assert np.array_equal(folder.train_images, archive.train_images)
    assert np.array_equal(folder.test_labels, archive.test_labels)


def test_checksum_tells_a_pixel_and_a_label(pictures):
    before = load_folder(pictures).checksum
    shutil.move(pictures / "train/a/9.png", pictures / "train/a-b/0.png")
    moved = load_folder(pictures).checksum
    draw(pictures / "test/a/1.png", (30, 0, 1))
    assert len({before, moved, load_folder(pictures).checksum}) == 3


def test_images_that_are_too_many_for_memory_are_kept_in_a_file_that_goes_with_them(pictures, cache, monkeypatch):
    in_memory = load_folder(pictures)
    monkeypatch.setattr(data.datasets, "IN_MEMORY", 1)
    mapped = load_folder(pictures)
    assert isinstance(mapped.train_images, np.memmap) and not isinstance(in_memory.train_images, np.memmap)
    assert mapped.checksum == in_memory.checksum
    assert [path for path in cache.rglob("*") if path.is_file()] == [], "the file has no name"


def test_a_dataset_without_its_training_images_is_known_by_the_same_checksum(pictures):
    dataset = load_folder(pictures)
    rest = dataset.without_training_images()
    assert len(rest.train_images) == 0 and rest.checksum == dataset.checksum
    assert pickle.loads(pickle.dumps(rest)).checksum == dataset.checksum, "in another process too"
    assert (rest.train_labels == dataset.train_labels).all() and (rest.test_images == dataset.test_images).all()


def test_val_takes_the_place_of_test(pictures):
    with_test = load_folder(pictures)
    (pictures / "test").rename(pictures / "val")
    assert load_folder(pictures).checksum == with_test.checksum


def test_grey_stays_grey_and_one_colour_image_makes_all_rgb(tmp_path):
    folder = tmp_path / "grey"
    for split in ("train", "test"):
        for grey, c in enumerate("ab"):
            draw(folder / split / c / "1.png", 50 * grey, mode="L")
    assert load_folder(folder).train_images.shape == (2, 1, 4, 6)
    assert load_folder(folder).train_images[:, 0, 0, 0].tolist() == [0, 50]
    draw(folder / "test/a/1.jpeg", (0, 0, 0))
    assert load_folder(folder).train_images.shape == (2, 3, 4, 6)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_photographs_stand_upright(pictures, orientation, suffix):
    upright, exif = np.zeros((4, 6, 3), np.uint8), Image.Exif()
    upright[:2, :3] = 255  # the corner above, to the left, of what the photographer saw
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's transpositions: mirrored, turned, or both
    stored = Image.fromarray(upright)
    if orientation > 1:
        stored = stored.transpose(Image.Transpose(undo[orientation]))
    exif[0x0112] = orientation
    (pictures / "train/a/9.png").unlink()
    stored.save(pictures / f"train/a/9.{suffix}", exif=exif)
    for path in (pictures, zipped(pictures)):
        image = load_folder(path).train_images[1].transpose(1, 2, 0)
        assert ((image > 127) == (upright > 127)).all()


def test_a_channel_that_hardly_varies_is_0_and_changes_no_other(tiny):
    images = np.repeat(tiny.train_images, 3, axis=1)
    images[:, 2] = 7
    images[0, 2, 0, 0] = 8  # hardly less constant
    coloured = data.resident(replace(tiny, train_images=images, test_images=images))
    normalised, grey = coloured.normalised(coloured.train), data.resident(tiny)
    assert normalised[:, 2].abs().max() <= 1 and (normalised[1:, 2].abs() < 1e-4).all()
    assert (normalised[:, :1] == grey.normalised(grey.train)).all()


def test_images_of_one_colour_are_refused(tiny):
    with pytest.raises(ValueError, match="all training images are of one colour: there is nothing to learn"):
        data.resident(replace(tiny, train_images=np.full_like(tiny.train_images, 7)))


def test_a_path_is_meant_from_where_the_user_stands(tmp_path, monkeypatch):
    monkeypatch.delenv(data.STANDING, raising=False)  # a command of another test has set it
    monkeypatch.chdir(tmp_path)
    assert data.given("pics") == tmp_path / "pics" and data.given("/pics") == Path("/pics")
    monkeypatch.setenv(data.STANDING, "/home/user")
    assert data.given("pics") == Path("/home/user/pics") and data.given("~") == Path.home()


def test_size_resizes_and_says_so(pictures, capsys):
    draw(pictures / "train/a/wide.png", (7, 0, 0), size=(12, 4))
    message = r"1 not of the 4 x 6 pixels of train/a/10.png; .* `-p size 6`; .* `size: \[4, 6\]`\) \(train/a/wide.png\)"
    with pytest.raises(ValueError, match=message):
        load_folder(pictures)
    dataset = load_folder(pictures, size=[4, 6])
    assert dataset.train_images.shape == (4, 3, 4, 6) and (dataset.train_images[2, 0] == 7).all()
    assert "1 of 6 images were resized to 4 x 6 pixels" in capsys.readouterr().out


def test_class_in_one_split_only(pictures):
    draw(pictures / "train/c/1.png", (0, 0, 0))
    with pytest.raises(ValueError, match="class c is in train/ but not in test/"):
        load_folder(pictures)
    shutil.move(pictures / "train/c", pictures / "test/c")
    with pytest.raises(ValueError, match="class c is in test/ but not in train/"):
        load_folder(pictures)


def test_empty_class(pictures):
    (pictures / "train/c").mkdir()
    draw(pictures / "test/c/1.png", (0, 0, 0))
    for path in (pictures, zipped(pictures)):
        with pytest.raises(ValueError, match="train/c has no images"):
            load_folder(path)


@pytest.mark.parametrize("gone", ["test", "train", "train/a"])
def test_missing_split_or_single_class(pictures, gone):
    shutil.rmtree(pictures / gone)
    with pytest.raises(ValueError, match="needs train/<class>"):
        load_folder(pictures)


@pytest.mark.parametrize("stray", ["train/1.png", "train/a/deeper/1.png", "train/a/notes.txt"])
def test_stray_file(pictures, stray):
    draw(pictures / "x.png", (0, 0, 0))
    (pictures / stray).parent.mkdir(exist_ok=True)
    shutil.move(pictures / "x.png", pictures / stray)
    for path in (pictures, zipped(pictures)):
        with pytest.raises(ValueError, match="is not train/<class>/<file>"):
            load_folder(path)


def as_format(name: str) -> bytes:
    raw = io.BytesIO()
    Image.new("RGB", (6, 4)).save(raw, name)
    return raw.getvalue()


def test_all_that_cannot_be_used_are_named_at_once(pictures):
    for i in range(5):
        (pictures / f"train/a/{i}.png").write_bytes(b"")
    draw(pictures / "test/a/wide.png", 0, size=(9, 4))
    (pictures / "test/a/1.png").write_bytes(as_format("WEBP"))
    message = (
        r"these of 11 images: 5 empty \(train/a/0.png, .*, train/a/4.png\); 1 no PNG or JPEG but "
        r"WebP \(test/a/1.png\); 1 not of the 4 x 6 pixels of train/a/10.png; or give `size`"
    )
    with pytest.raises(ValueError, match=message):
        load_folder(pictures)


def test_transparent_colour(pictures):
    Image.new("RGB", (6, 4)).save(pictures / "train/a/9.png", transparency=(0, 0, 0))
    with pytest.raises(ValueError, match=r"of mode RGB, .* not transparent \(train/a/9.png\)"):
        load_folder(pictures)


def test_damaged_zip(pictures):
    archive = zipped(pictures)
    whole = archive.read_bytes()
    for raw in (whole[:-30], b"", b"no zip"):
        archive.write_bytes(raw)
        with pytest.raises(ValueError, match="pictures.zip is not a zip or is damaged"):
            load_folder(archive)
    at = whole.index(b"train/a/9.png") + 20  # inside one image: the directory is intact, the member is not
    archive.write_bytes(whole[:at] + b"XXXX" + whole[at + 4 :])
    with pytest.raises(ValueError, match=r"1 unreadable: .* \(train/a/9.png\)"):
        load_folder(archive)


@pytest.mark.parametrize("renamed", ["pictures/{}", "{}", "__MACOSX"])
def test_zips_as_other_programs_make_them(pictures, renamed):
    """With one outer folder, with the other slashes, with what macOS adds."""
    expected, path = load_folder(pictures).checksum, pictures.with_name("other.zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in pictures.rglob("*.png"):
            name = file.relative_to(pictures).as_posix()
            archive.writestr(
                name if renamed == "__MACOSX" else renamed.format(name).replace("/", "\\"), file.read_bytes()
            )
        if renamed != "{}":
            archive.writestr("__MACOSX/train/a/._9.png", b"")
    assert load_folder(path).checksum == expected


def test_what_a_folder_without_splits_has_is_said(pictures):
    (pictures / "test").rename(pictures / "tests")
    for path in (pictures, zipped(pictures)):
        with pytest.raises(ValueError, match="two classes; it has classes.txt, tests, train there"):
            load_folder(path)


@pytest.mark.parametrize(
    "member", ["../train/a/0.png", "/train/a/0.png", "train/../../0.png", "C:0.png", "a\\..\\0.png"]
)
def test_unsafe_member_of_a_zip(pictures, member):
    archive = zipped(pictures)
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(member, b"")
    before = sorted(archive.parent.rglob("*"))
    with pytest.raises(ValueError, match="points outside the archive"):
        load_folder(archive)
    assert set(archive.parent.rglob("*")) - set(before) == {archive.parent / "manifest.yaml"}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name(pictures):
    archive = zipped(pictures)
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("train/a/9.png", b"")
    with pytest.raises(ValueError, match="two members of one name"):
        load_folder(archive)


# The original archive of CIFAR-10


class Python2Pickler(pickle._Pickler):
    """Writes text and bytes alike as the strings of Python 2, in which the original batches are written."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_string(self, text):
        raw = text.encode() if isinstance(text, str) else text
        self.write(pickle.BINSTRING + struct.pack("<i", len(raw)) + raw)
        self.memoize(text)

    dispatch[str] = dispatch[bytes] = save_string


def python2_pickle(content) -> bytes:
    buffer = io.BytesIO()
    Python2Pickler(buffer, protocol=2).dump(content)
    return buffer.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def cifar_archive(folder: Path, **changed: bytes | None) -> Path:
    """An archive in the original layout, two images a batch; pixel values count the images. Returns its manifest."""
    files = {"batches.meta": python2_pickle({"label_names": ["cat", "dog"], "num_vis": 3072})}
    for i, name in enumerate(data.datasets.CIFAR_BATCHES):
        pixels = np.array([[2 * i] * 3072, [2 * i + 1] * 3072], dtype=np.uint8)
        files[name] = python2_pickle({"data": pixels, "labels": [0, 1], "filenames": ["x.png", "y.png"]})
    path = folder / "cifar.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, raw in (files | changed).items():
            if raw is not None:
                member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
                member.size = len(raw)
                archive.addfile(member, io.BytesIO(raw))
    return declare_cifar(path)


def declare_cifar(path: Path) -> Path:
    entry = {"kind": "cifar-python", "path": path.name, "sha256": sha256(path.read_bytes())}
    return declare(path.parent, cifar=entry)


def test_cifar_is_read_in_the_order_of_its_batches(tmp_path):
    dataset = data.load("cifar", manifest=cifar_archive(tmp_path))
    assert dataset.train_images.shape == (10, 3, 32, 32) and dataset.train_images.dtype == np.uint8
    assert dataset.train_images[:, 0, 0, 0].tolist() == list(range(10))
    assert dataset.test_images[:, 2, 31, 31].tolist() == [10, 11]
    assert dataset.train_labels.tolist() == [0, 1] * 5 and dataset.test_labels.tolist() == [0, 1]
    assert dataset.class_names == ("cat", "dog") and dataset.train_labels.dtype == np.int64


def test_cifar_pixels_are_channel_first(tmp_path):
    pixels = np.repeat(np.uint8([1, 2, 3]), 1024)[None]
    batch = python2_pickle({"data": pixels, "labels": [1]})
    dataset = data.load("cifar", manifest=cifar_archive(tmp_path, data_batch_1=batch))
    assert dataset.train_images[0].reshape(3, -1).mean(axis=1).tolist() == [1, 2, 3]


class Intruder:
    def __init__(self, trace: Path):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


def test_pickle_that_asks_for_code_is_refused_and_not_run(tmp_path):
    trace = tmp_path / "was_here"
    path = cifar_archive(tmp_path, data_batch_3=pickle.dumps(Intruder(trace), protocol=2))
    with pytest.raises(ValueError, match="asks for posix.mkdir|asks for nt.mkdir"):
        data.load("cifar", manifest=path)
    assert not trace.exists()


def test_cifar_checksum_comes_before_the_pickles(tmp_path, monkeypatch):
    path = cifar_archive(tmp_path)
    raw = (tmp_path / "cifar.tar.gz").read_bytes()
    (tmp_path / "cifar.tar.gz").write_bytes(raw + b"\0")
    monkeypatch.setattr(data.datasets, "ArrayUnpickler", lambda file: pytest.fail("unpickled an unverified file"))
    with pytest.raises(ValueError, match=f"has sha256 {sha256(raw + bytes(1))}, the manifest expects {sha256(raw)}"):
        data.load("cifar", manifest=path)


def test_cifar_needs_a_sha256(tmp_path):
    path = declare(tmp_path, cifar={"kind": "cifar-python", "path": "x.tar.gz", "md5": "0" * 32})
    with pytest.raises(ValueError, match="lacks sha256"):
        data.load("cifar", manifest=path)


def test_damaged_cifar_archive(tmp_path):
    cifar_archive(tmp_path)
    path = tmp_path / "cifar.tar.gz"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match="is damaged or not the original archive"):
        data.load("cifar", manifest=declare_cifar(path))
    with pytest.raises(ValueError, match="KeyError.*data_batch_2"):
        data.load("cifar", manifest=cifar_archive(tmp_path, data_batch_2=None))


# Fetching


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="'cifar11' is not in data_manifest.yaml, which has fashion_mnist, cifar10, "):
        data.load("cifar11")


def test_weights_are_not_a_dataset():
    with pytest.raises(ValueError, match="is of kind weights; datasets are"):
        data.load("moco_v2_rn50_800ep")


def test_mirror_by_parameter_and_by_variable(tmp_path, monkeypatch):
    (tmp_path / "thing.bin").write_bytes(b"right")
    path = declare(tmp_path, thing={**PUBLISHED, "sha256": sha256(b"right"), "urls": [closed_port()]})
    assert manifest.fetch("thing", mirror=tmp_path, manifest=path) == tmp_path / "thing.bin"
    monkeypatch.setenv("DATA_MIRROR", str(tmp_path))
    assert manifest.fetch("thing", manifest=path) == tmp_path / "thing.bin"
    monkeypatch.setenv("DATA_MIRROR", str(tmp_path / "elsewhere"))
    with pytest.raises(FileNotFoundError, match="elsewhere is not a folder; correct DATA_MIRROR"):
        manifest.fetch("thing", manifest=path)


def test_dataset_from_a_mirror(pictures, tmp_path):
    raw = zipped(pictures).read_bytes()
    entry = {**PUBLISHED, "kind": "folder", "file": "pictures.zip", "sha256": sha256(raw)}
    path = declare(tmp_path, published=entry)
    assert data.load("published", mirror=tmp_path, manifest=path).checksum == load_folder(pictures).checksum


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_wrong_checksum_in_a_mirror_loses_nothing(tmp_path, algorithm):
    (tmp_path / "thing.bin").write_bytes(b"wrong")
    expected, found = (hashlib.new(algorithm, raw).hexdigest() for raw in (b"right", b"wrong"))
    path = declare(tmp_path, thing={**PUBLISHED, algorithm: expected})
    with pytest.raises(ValueError, match=f"thing.bin has {algorithm} {found}, the manifest expects {expected}.*Delete"):
        manifest.fetch("thing", mirror=tmp_path, manifest=path)
    assert (tmp_path / "thing.bin").read_bytes() == b"wrong"


def test_download_is_kept_in_the_cache(tmp_path, cache, serve):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "origin").write_bytes(b"right")
    url = serve(tmp_path / "far") + "/origin"
    path = declare(tmp_path, thing={**PUBLISHED, "sha256": sha256(b"right"), "urls": [closed_port(), url]})
    assert manifest.fetch("thing", manifest=path) == cache / "thing.bin"
    (tmp_path / "far" / "origin").unlink()
    assert manifest.fetch("thing", manifest=path).read_bytes() == b"right"


def test_download_with_a_wrong_checksum_is_not_kept(tmp_path, cache, serve):
    (tmp_path / "origin").write_bytes(b"wrong")
    url = serve(tmp_path) + "/origin"
    path = declare(tmp_path, thing={**PUBLISHED, "sha256": sha256(b"right"), "urls": [url]})
    with pytest.raises(
        ValueError, match=f"{url} has sha256 {sha256(b'wrong')}, the manifest expects {sha256(b'right')}"
    ):
        manifest.fetch("thing", manifest=path)
    assert list(cache.iterdir()) == []


class Interrupted(http.server.SimpleHTTPRequestHandler):
    """Promises ten bytes and sends five."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "10")
        self.end_headers()
        self.wfile.write(b"right")


def test_interrupted_download_does_not_count(tmp_path, cache, serve):
    path = declare(tmp_path, thing={**PUBLISHED, "urls": [serve(tmp_path, Interrupted)]})
    with pytest.raises(FileNotFoundError, match="thing.bin could not be downloaded"):
        manifest.fetch("thing", manifest=path)
    assert list(cache.iterdir()) == []


def test_no_network_fails_at_once_and_says_what_to_do(tmp_path):
    path = declare(tmp_path, thing={**PUBLISHED, "urls": [closed_port()]})
    start = time.monotonic()
    with pytest.raises(FileNotFoundError, match=r"thing.bin could not be .*DATA_MIRROR\. Ask the authors\."):
        manifest.fetch("thing", manifest=path)
    assert time.monotonic() - start < manifest.TIMEOUT


@pytest.mark.parametrize("name, why", [("cifar10_jpeg", "it has no address"), ("paper_rankings", "is several files")])
def test_what_no_program_can_download(name, why):
    with pytest.raises(FileNotFoundError, match=why) as caught:
        manifest.fetch(name)
    assert manifest.find(name).manual in str(caught.value)


def test_pin_on_first_fetch(tmp_path, cache, serve):
    (tmp_path / "origin").write_bytes(b"right")
    entry = {**PUBLISHED, "urls": [serve(tmp_path) + "/origin"]}
    with pytest.raises(ValueError, match=f'no checksum is pinned.*write `sha256: "{sha256(b"right")}"`'):
        manifest.fetch("thing", manifest=declare(tmp_path, thing=entry))
    (tmp_path / "origin").unlink()  # what was fetched is waiting in the cache
    path = declare(tmp_path, thing={**entry, "sha256": sha256(b"right")})
    assert manifest.fetch("thing", manifest=path) == cache / "thing.bin"


def test_first_digits_of_an_md5(tmp_path):
    (tmp_path / "thing.bin").write_bytes(b"right")
    digits = hashlib.md5(b"right").hexdigest()[:8]
    path = declare(tmp_path, thing={**PUBLISHED, "md5": digits})
    assert manifest.fetch("thing", mirror=tmp_path, manifest=path) == tmp_path / "thing.bin"


def test_own_path_that_does_not_exist(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere does not exist. Put it where the manifest's `path` says"):
        load_folder(tmp_path / "nowhere")


# Manifests that cannot be meant


# The real archives, where a mirror has them


@pytest.mark.parametrize(
    "name, n_train, n_test, n_classes, side, checksum",
    [
        ("cifar10_jpeg", 5000, 1000, 10, 32, "921b60412eff3519eee4f9b192f8d0eb489a6e62bb1fbf27ae7e1483fe9b6dfb"),
        ("tiny_imagenet_40", 500, 50, 40, 64, "ac6c16053e7af4074fb2fa46da168abdaecbd2a86d903b583343df05bc122ff5"),
    ],
)
def test_real_archive(name, n_train, n_test, n_classes, side, checksum):
    entry = manifest.find(name)
    if not MIRROR or not (Path(MIRROR) / entry.file).is_file():
        pytest.skip(f"{entry.file} is not in the folder that DATA_MIRROR names")
    dataset = data.load(name, mirror=MIRROR)
    assert (Path(MIRROR) / entry.file).stat().st_size == entry.bytes
    assert dataset.train_images.shape == (n_train * n_classes, 3, side, side)
    assert np.bincount(dataset.train_labels).tolist() == [n_train] * n_classes
    assert np.bincount(dataset.test_labels).tolist() == [n_test] * n_classes
    assert len(dataset.class_names) == n_classes and list(dataset.class_names) == sorted(dataset.class_names)
    assert dataset.checksum == checksum


def test_subset_is_the_first_images_of_each_class_and_a_dataset_of_its_own(tiny):
    part = data.subset(tiny, 5, 2)
    np.testing.assert_array_equal(part.train_labels, np.repeat([0, 1, 2], 5))
    np.testing.assert_array_equal(part.train_images[5:10], tiny.train_images[40:45])
    np.testing.assert_array_equal(part.test_images[2:4], tiny.test_images[10:12])
    assert part.checksum not in (tiny.checksum, data.subset(tiny, 5, 3).checksum)
    assert part.checksum == data.subset(tiny, 5, 2).checksum
    assert len(data.subset(tiny, None, 2).train_labels) == len(tiny.train_labels)


@pytest.mark.parametrize(("train", "test", "split"), [(41, 2, "training"), (5, 11, "test"), (0, 2, "training")])
def test_subset_larger_than_a_class_is_refused(tiny, train, test, split):
    with pytest.raises(ValueError, match=f"{split} images a class are not in tiny; give 1 to"):
        data.subset(tiny, train, test)


def test_subset_of_the_first_classes(tiny):
    part = data.subset(tiny, None, 2, 2)
    assert part.class_names == tiny.class_names[:2]
    assert np.bincount(part.train_labels).tolist() == [40, 40] and np.bincount(part.test_labels).tolist() == [2, 2]
    np.testing.assert_array_equal(part.train_images, tiny.train_images[:80])
    with pytest.raises(ValueError, match="4 classes are not in tiny; give 2 to 3"):
        data.subset(tiny, None, None, 4)


def test_results_can_be_kept_elsewhere_while_those_that_came_with_the_repository_are_read_from_there(monkeypatch):
    file = data.ROOT / "lib" / "data" / "files.py"
    monkeypatch.setenv("COMPANION_RESULTS", "/somewhere/else")
    there = runpy.run_path(str(file))
    assert there["WRITTEN"] == Path("/somewhere/else") and there["RESULTS"] == data.ROOT / "results"
    monkeypatch.delenv("COMPANION_RESULTS")
    assert runpy.run_path(str(file))["WRITTEN"] == data.ROOT / "results"
