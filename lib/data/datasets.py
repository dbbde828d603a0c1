"""Datasets as arrays in memory.

`load` is the one way in. `lib.data.manifest` says what there is and fetches it; here it is read. The order of the
images, and so their ids, is the dataset's canonical order: by class name, then file name, for folders and zips (as
strings, so 10.png precedes 9.png); the order of the batches for CIFAR-10; the order of ids.csv for the embedded subset.
"""

import bz2
import csv
import hashlib
import io
import math
import pickle
import tarfile
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path, PureWindowsPath
from tempfile import TemporaryFile

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from lib.data.manifest import MANIFEST, Entry, cache_folder, fetch, find

SPLITS = ("train", "test", "val")
SUFFIXES = (".png", ".jpg", ".jpeg")
IN_MEMORY = 2**34  # bytes of images
GREY, MODES = ("1", "L"), ("1", "L", "P", "RGB")  # what Pillow calls the 8-bit images that lose nothing as grey or RGB
UNREADABLE = (OSError, EOFError, SyntaxError, ValueError, RuntimeError, zlib.error, zipfile.BadZipFile)
OTHERS = (
    (0, b"RIFF", "WebP"),
    (4, b"ftyp", "HEIC or AVIF"),
    (0, b"GIF8", "GIF"),
    (0, b"BM", "BMP"),
    (0, b"II*", "TIFF"),
)
RESIZED = "or give `size` to have all resized (own images: `-p size {w}`; in the manifest: `size: [{h}, {w}]`)"
NAMED = 20  # of the images that cannot be used for one reason
CIFAR_BATCHES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images (n, c, h, w) uint8, which may be mapped from a file, and labels (n,) int64. Equal to itself alone."""

    name: str
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    class_names: tuple[str, ...]

    @cached_property
    def checksum(self) -> str:
        """SHA-256 (hex) of the images and then the labels, the training split's before the test's."""
        digest = hashlib.sha256()
        for array in (self.train_images, self.test_images, self.train_labels, self.test_labels):
            digest.update(np.ascontiguousarray(array))
        return digest.hexdigest()

    def without_training_images(self) -> "Dataset":
        """The same, by its checksum too, for work that reads the training images from elsewhere."""
        rest = replace(self, train_images=self.train_images[:0])
        rest.__dict__["checksum"] = self.checksum
        return rest


def load(name: str | Entry, mirror: Path | str | None = None, manifest: Path | str = MANIFEST) -> Dataset:
    """A dataset of the manifest, by its name or by an entry.

    Raises what `fetch` raises, and ValueError where the content is no dataset or not the declared one.
    """
    entry = find(name, manifest)
    if entry.kind not in READERS:
        raise ValueError(f"{entry.name} is of kind {entry.kind}; datasets are of one of the kinds {', '.join(READERS)}")
    read = read_pinned if entry.sha256 else READERS[entry.kind]
    images, labels, n_train, class_names = read(fetch(entry, mirror, manifest), entry)
    counts = {"images": (n_train, len(images) - n_train), "shape": images.shape[1:], "n_classes": len(class_names)}
    for key, value in counts.items():
        if (declared := getattr(entry, key)) not in (None, value):
            raise ValueError(f"{entry.name} has {key} {value}, the manifest expects {declared}; correct the entry")
    return Dataset(entry.name, images[:n_train], labels[:n_train], images[n_train:], labels[n_train:], class_names)


def subset(
    dataset: Dataset, train_per_class: int | None, test_per_class: int | None, n_classes: int | None = None
) -> Dataset:
    """The first images of each of the first classes, in their order: a dataset with ids and a checksum of its own.

    None takes all images of a split, or all classes. Raises ValueError where there are fewer.
    """
    class_names = dataset.class_names[:n_classes]
    if n_classes is not None and not 2 <= n_classes == len(class_names):
        raise ValueError(f"{n_classes} classes are not in {dataset.name}; give 2 to {len(dataset.class_names)}")

    def first(labels: np.ndarray, per_class: int | None, split: str) -> np.ndarray:
        of_class = [np.flatnonzero(labels == c) for c in range(len(class_names))]
        fewest = min(map(len, of_class))
        if per_class is not None and not 1 <= per_class <= fewest:
            raise ValueError(f"{per_class} {split} images a class are not in {dataset.name}; give 1 to {fewest}")
        return np.sort(np.concatenate([ids[:per_class] for ids in of_class]))

    train = first(dataset.train_labels, train_per_class, "training")
    test = first(dataset.test_labels, test_per_class, "test")
    name = f"{dataset.name} ({len(train)} + {len(test)} images)"
    arrays = dataset.train_images[train], dataset.train_labels[train], dataset.test_images[test]
    return Dataset(name, *arrays, dataset.test_labels[test], class_names)


# What a reader returns: images (n, c, h, w) uint8 and labels (n,) int64 of both splits, training first; the number of
# training images; the names of the classes.
Content = tuple[np.ndarray, np.ndarray, int, tuple[str, ...]]


def read_embedded(path: Path, entry: Entry) -> Content:
    """The grey images of images.npy.bz2, with the labels and splits in ids.csv beside it."""
    try:
        images = np.load(io.BytesIO(bz2.decompress(path.read_bytes())), allow_pickle=False)
    except UNREADABLE as problem:
        raise ValueError(f"{path} is damaged ({problem}). {entry.manual}") from problem
    with (path.parent / "ids.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    n_train = sum(row["split"] == "train" for row in rows)
    if len(rows) != len(images) or any(row["split"] == "train" for row in rows[n_train:]):
        raise ValueError(f"ids.csv has to list the {len(images)} images of {path}, training first. {entry.manual}")
    return images[:, None], np.array([int(row["label"]) for row in rows], dtype=np.int64), n_train, entry.classes


def read_folder(path: Path, entry: Entry) -> Content:
    """A folder or a zip of train/<class>/*, and test/<class>/* or, where there is no test/, val/<class>/*.

    Grey when every image is grey, else RGB. All of one size, or resized to the entry's `size` (bilinear), saying so.
    """
    with opened(path, entry) as (names, read):
        train, test = splits(names, entry)
        classes = tuple(train)
        members = [member for split in (train, test) for images in split.values() for member in images]
        images = read_images(members, read, entry)
    labels = [label for split in (train, test) for label, c in enumerate(classes) for _ in split[c]]
    return images, np.array(labels, dtype=np.int64), sum(map(len, train.values())), classes


@contextmanager
def opened(path: Path, entry: Entry) -> Iterator[tuple[list[str], Callable[[str], bytes]]]:
    """Names in a folder or zip, those of folders ending in "/", and a function that reads one. Nothing is extracted."""
    if path.is_dir():
        inside = [*path.glob("*"), *(p for split in SPLITS for deep in ("*", "*/*") for p in (path / split).glob(deep))]
        names = [p.relative_to(path).as_posix() + "/" * p.is_dir() for p in inside]
        yield names, lambda name: (path / name).read_bytes()
        return
    try:
        archive = zipfile.ZipFile(path)
    except UNREADABLE as problem:
        raise ValueError(f"{path} is not a zip or is damaged ({problem}). {entry.manual}") from problem
    with archive:
        names = archive.namelist()
        for name in names:
            if PureWindowsPath(name).anchor or ".." in PureWindowsPath(name).parts:  # as strict as any system
                raise ValueError(f"{path}: member {name!r} points outside the archive; do not trust this zip")
        members = {name.replace("\\", "/"): name for name in names}  # as some programs on Windows write them
        if len(members) < len(names):
            raise ValueError(f"{path} has two members of one name; make the zip anew")
        outer = {name.split("/")[0] for name in members} - {"__MACOSX"}
        if len(outer) == 1 and not outer & set(SPLITS):  # a folder was put in whole
            members = {name.removeprefix(f"{min(outer)}/"): member for name, member in members.items()}
        yield list(members), lambda name: archive.read(members[name])


def splits(names: list[str], entry: Entry) -> list[dict[str, list[str]]]:
    """{class: its images}, in canonical order, of the training and of the test split. Hidden files do not count."""
    tree = {}
    for name in sorted(names, key=lambda name: name.split("/")):
        split, *rest = name.split("/")
        if split not in SPLITS or rest in ([], [""]) or any(part.startswith(".") for part in rest):
            continue
        if len(rest) != 2 or not (rest[1] == "" or rest[1].lower().endswith(SUFFIXES)):
            raise ValueError(f"{entry.name}: {name} is not {split}/<class>/<file>, PNG or JPEG; move or remove it")
        images = tree.setdefault(split, {}).setdefault(rest[0], [])
        if rest[1]:
            images.append(name)
    test = "test" if "test" in tree else "val"
    if not {"train", test} <= set(tree) or len(tree["train"]) < 2:
        tops, n = ", ".join(sorted({name.split("/")[0] for name in names})[:10]), len(tree.get("train", {}))
        raise ValueError(
            f"{entry.name} needs train/<class>/* and test/<class>/* (or val/) at its top, and two classes; it has "
            f"{tops or 'nothing'} there" + (f", and {n} class{'es' * (n != 1)} in train/" if "train" in tree else "")
        )
    for here, there in (("train", test), (test, "train")):
        for c, images in tree[here].items():
            if c not in tree[there]:
                raise ValueError(f"{entry.name}: class {c} is in {here}/ but not in {there}/; add or remove it")
            if not images:
                raise ValueError(f"{entry.name}: {here}/{c} has no images; add some, or remove the class everywhere")
    return [tree["train"], tree[test]]


def read_images(members: list[str], read: Callable[[str], bytes], entry: Entry) -> np.ndarray:
    """Decode all images: (n, 1, h, w) uint8 when every one is grey, else (n, 3, h, w).

    Raises ValueError that names those which cannot be used, by reason.
    """
    images, all_grey, n_resized, unusable = None, True, 0, defaultdict(list)
    progress = tqdm(members, desc=f"reading {entry.name}", unit=" images", delay=2, mininterval=1, leave=False)
    for i, member in enumerate(progress):
        try:
            image = decode(member, read)
        except ValueError as reason:
            unusable[str(reason)].append(member)
            continue
        if images is None:
            h, w = entry.size or image.size[::-1]
            images, first = room((len(members), 3, h, w)), member
        all_grey &= image.mode in GREY
        image = image.convert("RGB")
        if image.size != (w, h):
            if not entry.size:
                unusable[f"not of the {h} x {w} pixels of {first}; {RESIZED.format(h=h, w=w)}"].append(member)
                continue
            image = image.resize((w, h), Image.Resampling.BILINEAR)
            n_resized += 1
        images[i] = np.asarray(image).transpose(2, 0, 1)
    if unusable:
        named = {reason: ", ".join(names[:NAMED]) + ", …" * (len(names) > NAMED) for reason, names in unusable.items()}
        reasons = [f"{len(unusable[reason])} {reason} ({names})" for reason, names in named.items()]
        raise ValueError(f"{entry.name}: replace or remove these of {len(members)} images: {'; '.join(reasons)}")
    if n_resized:
        print(f"{entry.name}: {n_resized} of {len(members)} images were resized to {h} x {w} pixels")
    return images[:, :1].copy() if all_grey else images


def room(shape: tuple[int, ...]) -> np.ndarray:
    """Where images are decoded to, uint8: memory, or from IN_MEMORY on a file in the cache folder, gone at the end."""
    if math.prod(shape) < IN_MEMORY:
        return np.empty(shape, np.uint8)
    cache_folder().mkdir(parents=True, exist_ok=True)
    with TemporaryFile(dir=cache_folder()) as file:  # without a name; the mapping keeps it
        return np.memmap(file, np.uint8, "w+", shape=shape)


def decode(member: str, read: Callable[[str], bytes]) -> Image.Image:
    """One PNG or JPEG image of 8 bits per channel, not transparent, upright by its EXIF; ValueError says what it is."""
    try:
        raw = read(member)
        image = Image.open(io.BytesIO(raw), formats=("PNG", "JPEG"))
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
    except UnidentifiedImageError as problem:
        kinds = [f"no PNG or JPEG but {name}" for start, magic, name in OTHERS if raw.startswith(magic, start)]
        raise ValueError(kinds[0] if kinds else "unreadable" if raw else "empty") from problem
    except (*UNREADABLE, Image.DecompressionBombError) as problem:
        raise ValueError(f"unreadable: {problem}") from problem
    if image.mode not in MODES or "transparency" in image.info:
        raise ValueError(f"of mode {image.mode}, to be saved as 8-bit grey or RGB, not transparent")
    return image


def read_cifar(path: Path, entry: Entry) -> Content:
    """The original archive of CIFAR-10: batches 1 to 5, then the test batch. `fetch` has verified its sha256."""
    try:
        with tarfile.open(path, "r:gz") as archive:
            wanted = (m for m in archive if Path(m.name).name in (*CIFAR_BATCHES, "batches.meta"))
            parts = {Path(m.name).name: ArrayUnpickler(archive.extractfile(m)).load() for m in wanted}  # in one pass
        batches = [parts[name] for name in CIFAR_BATCHES]
        images = np.concatenate([batch[b"data"] for batch in batches]).reshape(-1, 3, 32, 32)
        labels = np.concatenate([batch[b"labels"] for batch in batches]).astype(np.int64)
        classes = tuple(name.decode() for name in parts["batches.meta"][b"label_names"])
    except (*UNREADABLE, tarfile.TarError, pickle.UnpicklingError, KeyError) as problem:
        raise ValueError(f"{path} is damaged or not the original archive ({problem!r}). {entry.manual}") from problem
    return images, labels, len(labels) - len(batches[-1][b"labels"]), classes


class ArrayUnpickler(pickle.Unpickler):
    """Reads arrays, bytes, numbers and containers of them. A pickle that names anything else is refused, not run."""

    allowed = {
        ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],  # wherever this NumPy keeps it
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    }

    def __init__(self, file):
        super().__init__(file, encoding="bytes")  # as which text comes, since Python 2 wrote it

    def find_class(self, module: str, name: str):
        if (module, name) not in self.allowed:
            raise ValueError(f"the pickle asks for {module}.{name}, which no image needs")
        return self.allowed[module, name]


READERS = {"embedded": read_embedded, "folder": read_folder, "cifar-python": read_cifar}
# Of known checksum: once, however many studies a page opens.
read_pinned = lru_cache(maxsize=1)(lambda path, entry: READERS[entry.kind](path, entry))
