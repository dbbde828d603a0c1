"""Kinds of wrong input, each with inputs that were tried and what they are met with; `test_faults` runs the table.

`python tests/faults.py` writes its page, book/faults.md.
"""

import io
import re
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from lib import bisection, distances, esvm, features, lds, methods, profiles, retrain
from lib.base.limits import AREA, COUNT, FROM_0, LIMITS, POSITIVE, SHARE, TEXT, TRUTH, WEIGHT, check
from lib.chapters import checks, judge
from lib.chapters import given as mine
from lib.data import BOOK, RESULTS, Dataset, as_entry, load, manifest, opened, resident, subset
from lib.engine import Ledger, Subsets, damaged
from lib.engine import cache as arrays
from lib.engine.driver import Question, check_group
from lib.engine.subsets import Store
from lib.features import FeatureRecipe, Features
from lib.report import execution
from lib.retrain import Recipe, Retraining

PAGE = BOOK / "faults.md"
HEAD = """# What was tried to break it

Wrong, damaged and hostile input, by kind: how many were tried, and one of each with its message. Each is met, before
any long work starts, with a message that names what is wrong.

"""


@dataclass(frozen=True)
class Kind:
    """meet(given, folder): raises, or returns the message. inputs: each with what its message matches."""

    name: str
    meet: Callable[[object, Path], object]
    inputs: list[tuple[object, str]]


def message(kind: Kind, given: object, folder: Path) -> str:
    """What the input is met with; "" where it passes unnoticed."""
    try:
        said = kind.meet(given, folder)
    except (ValueError, FileNotFoundError, TypeError) as error:
        said = error
    return str(said or "").replace(str(folder), "…")


@cache
def tiny() -> Dataset:
    """Three classes of 40 training and 10 test images of noise."""
    rng = np.random.default_rng(0)
    train, test = (rng.integers(0, 256, (n, 1, 24, 24), dtype=np.uint8) for n in (120, 30))
    return Dataset("tiny", train, np.repeat(range(3), 40), test, np.repeat(range(3), 10), ("high", "middle", "low"))


QUICK = Recipe(width=2, stem="conv5s2", epochs=2, warmup_epochs=0.5, batch_size=20, translate=1, cutout=4)
FILE = {"title": "a file", "kind": "artefact", "file": "thing.bin", "urls": [], "sha256": None, "bytes": None}
FILE |= {"licence": "none", "citation": "none", "used_by": [], "manual": "Fetch it."}
OWN = {"kind": "folder", "path": "x"}


def limits(kind: tuple, values: list) -> list[tuple]:
    """Every parameter of a kind, with a value that it cannot have: all parameters and all values come up."""
    names = [name for name, limit in LIMITS.items() if limit is kind]
    pairs = [(names[i % len(names)], values[i % len(values)]) for i in range(max(len(names), len(values)))]
    return [(pair, rf"^{pair[0]}=.* must be {re.escape(kind[2])}$") for pair in pairs]


def picture(form: str = "PNG", mode: str = "RGB", size: tuple[int, int] = (6, 4)) -> bytes:
    raw = io.BytesIO()
    Image.new(mode, size).save(raw, form)
    return raw.getvalue()


def folder_with(given: dict[str, bytes | None], folder: Path) -> None:
    """Read a folder of two classes in which files are replaced or added, or, where None, removed."""
    names = [f"{split}/{c}/{i}.png" for split in ("train", "test") for c in "ab" for i in range(2)]
    for name, raw in (dict.fromkeys(names, picture()) | given).items():
        if raw is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(raw)
    load(as_entry("mine", {"kind": "folder", "path": str(folder)}))


def zip_with(given: str | bytes, folder: Path) -> None:
    """Read a zip that is these bytes, or has a member of this name."""
    path = folder / "mine.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("train/a/0.png", "train/b/0.png", "test/a/0.png", "test/b/0.png"):
            archive.writestr(name, picture())
        if isinstance(given, str):
            archive.writestr(given, picture())
    path.write_bytes(given if isinstance(given, bytes) else path.read_bytes())
    with opened(path, as_entry("mine", {"kind": "folder", "path": str(path)})):
        pass


def with_manifest(text: str, folder: Path) -> None:
    (folder / "manifest.yaml").write_text(text)
    manifest.entries(folder / "manifest.yaml")


def record(key: str, value: float = 1.5) -> dict:
    of_key = {"key": key, "recipe": "r", "seed": 0, "removed": 2, "relabelled": 0, "targets": [3]}
    return of_key | {"logits": [[value, -value]], "test_accuracy": 0.5, "seconds": 0.1, "machine": "m"}


def ledger_with(change: Callable[[bytes], bytes], folder: Path) -> None:
    """Open a ledger of two records whose file was changed."""
    for key in "ab":
        Ledger(folder).append(record(key))
    path = folder / "0000.jsonl"
    path.write_bytes(change(path.read_bytes()))
    if path.stat().st_size:
        Ledger(folder)
    if said := damaged(path):
        raise ValueError(said[0])


def flipped(i: int, bit: int = 1) -> Callable[[bytes], bytes]:
    """A change of one bit of byte i; -1 is the last one."""
    return lambda content: content[:i] + bytes([content[i] ^ bit]) + content[i:][1:]


def store_with(change: Callable[[bytes], bytes], folder: Path) -> None:
    Store(folder, 4).append(0, np.arange(4))
    path = folder / "0000.bin"
    path.write_bytes(change(path.read_bytes()))
    Store(folder, 4)


def cache_with(change: Callable[[bytes], bytes], folder: Path) -> None:
    arrays.arrays(folder, "x", {"a": 1}, lambda: {"x": np.arange(50.0)})
    (path,) = folder.glob("*.npz")
    path.write_bytes(change(path.read_bytes()))
    arrays.arrays(folder, "x", {"a": 1}, dict)


def result_with(name: str, folder: Path) -> str:
    """A committed result of which the byte in its middle is another."""
    content = (RESULTS / name).read_bytes()
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(flipped(len(content) // 2)(content))
    return checks.file(name, checks.listed()[name], folder)[0]


def array_with(given: object, folder: Path) -> None:
    path = folder / "mine.npy"
    if isinstance(given, bytes):
        path.write_bytes(given)
    elif given is not None:
        np.save(path, given, allow_pickle=True)
    mine.read(str(path))


def parameter(given: tuple[str, str], _: Path) -> None:
    execution.asked("fig03", dict([given]))


def search(given: dict, _: Path) -> None:
    next(bisection.search(**{"k_max": 8, "budget": 3, "n_votes": 1} | given))


def of_moco(given: dict, _: Path) -> None:
    moco = {"method": "moco", "width": 4, "epochs": 1, "batch_size": 40, "memory_bank": 80, "output_dim": 16}
    features.extract(tiny(), FeatureRecipe(**moco | given), progress=False)


def compared(given: dict, _: Path) -> None:
    usual = {"target_features": np.ones((1, 2)), "train_features": np.ones((6, 2))}
    usual |= {"target_labels": np.array([0]), "train_labels": np.zeros(6, int)}
    distances.scores(distances.l2, **usual | given)


def scored(given: dict, _: Path) -> None:
    usual = {"scores": np.ones((2, 9)), "masks": np.ones((4, 9), bool), "margins": np.ones((4, 2))}
    lds.lds(**usual | given)


KINDS = [
    Kind("a count that is none", lambda given, _: check(*given), limits(COUNT, [0, -1, 2.5, True, "10", 1e3, [5]])),
    Kind("a number that must not be negative", lambda given, _: check(*given), limits(FROM_0, [-1, 0.5, False, "0"])),
    Kind(
        "a rate that is not above 0",
        lambda given, _: check(*given),
        limits(POSITIVE, [0, -0.1, float("nan"), float("inf"), "fast"]),
    ),
    Kind("a weight below 0", lambda given, _: check(*given), limits(WEIGHT, [-1e-9, float("nan"), float("inf"), True])),
    Kind("a share beyond 0 to 1", lambda given, _: check(*given), limits(SHARE, [1.01, -0.01, float("nan"), "half"])),
    Kind("an area of nothing", lambda given, _: check(*given), limits(AREA, [0, 1.5, -1, float("nan")])),
    Kind("a switch that is neither on nor off", lambda given, _: check(*given), limits(TRUTH, [1, "true", 0.0])),
    Kind("text that is none", lambda given, _: check(*given), limits(TEXT, ["", 2024, True])),
    Kind(
        "a machine that cannot be meant",
        lambda given, _: check(*given),
        [
            (("device", "gpu"), "device='gpu' must be auto, cpu, cuda"),
            (("device", "CPU"), "device='CPU' must be"),
            (("n_jobs", 0), "n_jobs=0 must be 1 or more processes, or -1"),
            (("n_jobs", -2), "n_jobs=-2 must be"),
            (("scheduler", "foo"), "scheduler='foo' must be an address like tcp"),
            (("loader", "disk"), "loader='disk' must be memory, ffcv"),
            (("n_classes", 1), "n_classes=1 must be a whole number of at least 2"),
        ],
    ),
    Kind(
        "a value that a profile does not have",
        lambda given, _: profiles.load(**{"name": "smoke"} | given),
        [
            ({"name": "huge"}, "unknown profile 'huge'; choose one of smoke, fashion, cifar10"),
            ({"n_target": 3}, "unknown value 'n_target' of a profile"),
            ({"moco_size": 3}, "unknown value 'moco_size'"),
            ({"k_max": 0}, "k_max=0 must be a whole number of at least 1"),
            ({"n_votes": 2.5}, "n_votes=2.5 must be a whole number"),
            ({"budget": True}, "budget=True must be a whole number"),
            ({"moco_epochs": 0}, "moco_epochs=0 must be a whole number of at least 1"),
            ({"epochs": 1}, "epochs=1 must exceed warmup_epochs=1.0"),
        ],
    ),
    Kind(
        "a parameter of a page",
        parameter,
        [
            (("n_target", "10"), "fig03 has no parameter 'n_target'; it has:"),
            (("n_targets", "ten"), "n_targets='ten' is not of type int"),
            (("n_targets", "1.5"), "is not of type int"),
            (("n_targets", ""), "is not of type int"),
            (("n_targets", "\udcff"), "is not UTF-8"),
            (("seed", "-1"), "seed=-1 must be a whole number of at least 0"),
            (("profile", "big"), "unknown profile 'big'"),
            (("dataset", "birds"), "'birds' is not in data_manifest.yaml, which has"),
            (("epochs", "2.5"), "is not of type int"),
            (("dry_run", "perhaps"), "is not of type bool"),
        ],
    ),
    Kind(
        "a page that does not exist",
        lambda given, _: execution.source(given),
        [(name, "there is no notebook") for name in ("fig99", "", "../fig03", "fig03.ipynb")],
    ),
    Kind(
        "an entry of the manifest",
        lambda given, _: as_entry("mine", given),
        [
            ({"kind": "folder"}, "lacks title, file, urls, sha256, bytes, licence, citation, used_by, manual"),
            ({key: value for key, value in FILE.items() if key != "licence"}, "lacks licence"),
            ({"path": "x"}, "kind is None; the kinds are embedded, folder"),
            (OWN | {"kind": "movie"}, "kind is 'movie'"),
            (OWN | {"sise": [1, 1]}, "key 'sise' is unknown; the keys are kind, title, path"),
            (OWN | {"kind": "embedded"}, "lacks classes"),
            (OWN | {"images": [5]}, r"images is \[5\]; it has to be \[training images, test images"),
            (OWN | {"shape": [3, 0, 8]}, r"it has to be \[channels, height, width\]"),
            (OWN | {"n_classes": 1}, "n_classes is 1; it has to be a whole number of at least 2"),
            (OWN | {"size": 32}, r"size is 32; it has to be \[height, width\]"),
            (OWN | {"size": [32, 0]}, r"size is \[32, 0\]"),
            (OWN | {"kind": "embedded", "classes": ["a"], "size": [1, 1]}, "size is for kind folder only"),
            (OWN | {"path": ["x"]}, "path is .* it has to be a string"),
            (FILE | {"sha256": "ab"}, "sha256 is 'ab'; it has to be 64 hexadecimal digits"),
            (FILE | {"md5": "ab"}, "md5 is 'ab'; it has to be 8 to 32"),
            (FILE | {"file": "../thing.bin"}, "it has to be a name without folders"),
            (FILE | {"urls": "one"}, "urls is 'one'; it has to be a list"),
        ],
    ),
    Kind(
        "a manifest that is none",
        with_manifest,
        [
            ("a: [", "is not YAML"),
            ("- a", "has to map"),
            ("a: b", "has to map"),
            ("", "has to map"),
            ("a: {kind: 5}", "kind is 5"),
        ],
    ),
    Kind(
        "a file that is no image",
        lambda given, folder: folder_with({"train/a/0.png": given}, folder),
        [
            (raw, rf"mine: replace or remove these of 8 images: 1 {reason} \(train/a/0.png\)$")
            for raw, reason in [
                (b"", "empty"),
                (b"no image", "unreadable"),
                (picture()[:40], "unreadable"),
                (picture("JPEG")[:-30], "unreadable: .+"),
                (picture("WEBP"), "no PNG or JPEG but WebP"),
                (picture("GIF"), "no PNG or JPEG but GIF"),
                (picture("BMP"), "no PNG or JPEG but BMP"),
                (picture("TIFF"), "no PNG or JPEG but TIFF"),
                (b"\0\0\0\x18ftypheic", "no PNG or JPEG but HEIC or AVIF"),
                (picture(mode="RGBA"), "of mode RGBA, to be saved as 8-bit .*"),
                (picture(mode="LA"), "of mode LA, to be saved as 8-bit .*"),
                (picture(mode="I;16"), "of mode I;16, to be saved as 8-bit .*"),
            ]
        ],
    ),
    Kind(
        "a folder that is no dataset",
        folder_with,
        [
            ({"train/1.png": picture()}, "train/1.png is not train/<class>/<file>"),
            ({"train/a/deeper/1.png": picture()}, "is not train/<class>/<file>"),
            ({"train/a/notes.txt": b"x"}, "notes.txt is not train/<class>/<file>"),
            ({f"train/b/{i}.png": None for i in range(2)}, "two classes"),
            ({f"test/{c}/{i}.png": None for c in "ab" for i in range(2)}, "needs train/<class>"),
            ({"train/c/0.png": picture()}, "class c is in train/ but not in test/"),
            ({"train/a/0.png": picture(size=(9, 4))}, "1 not of the|not of the . x . pixels"),
        ],
    ),
    Kind(
        "a zip that is damaged or hostile",
        zip_with,
        [
            (b"", "is not a zip or is damaged"),
            (b"no zip", "is not a zip or is damaged"),
            (b"PK\x05\x06", "is not a zip or is damaged"),
            *(
                (name, "points outside the archive; do not trust this zip")
                for name in ("../0.png", "/train/a/0.png", "train/../../0.png", "C:0.png", "a\\..\\0.png")
            ),
        ],
    ),
    Kind(
        "a name that is no method's",
        lambda given, _: methods.parse(given),
        [
            (name, f"unknown method '{name}'; give features and a distance .*esvm.*trak:20")
            for name in ("", "moco", "moko_l2", "trak", "trak:", "trak:x", "trak:0", "random@vit", "x:all")
        ],
    ),
    Kind(
        "a change of the training set that does not fit",
        lambda given, _: retrain.check(tiny(), Retraining(QUICK, 0, **given)),
        [
            ({"removed": (120,)}, "train id 120 does not exist: tiny has ids 0 to 119"),
            ({"removed": (-1,)}, "train id -1 does not exist"),
            ({"removed": (4, 4)}, "1 train ids are removed or relabelled twice"),
            ({"removed": (4,), "relabelled": ((4, 1),)}, "1 train ids are removed or relabelled twice"),
            ({"relabelled": ((4, 3),)}, "label 3 does not exist: tiny has labels 0 to 2"),
            ({"relabelled": ((4, 0),)}, "train id 4 has label 0 already"),
            ({"removed": tuple(range(101))}, "19 training images are left, fewer than one batch of 20"),
        ],
    ),
    Kind(
        "a recipe that cannot train",
        lambda given, _: retrain.check(tiny(), Retraining(replace(QUICK, **given), 0)),
        [
            ({"precision": "bf16"}, "precision='bf16' must be float32, bfloat16"),
            ({"smallest_crop": 0.0}, "smallest_crop=0.0 must be a number above 0 and at most 1"),
            ({"smallest_crop": 1.5}, "smallest_crop=1.5 must be a number above 0"),
            ({"batch_size": 121}, "120 training images are left, fewer than one batch of 121"),
        ],
    ),
    Kind(
        "self-supervised training that cannot be meant",
        of_moco,
        [
            ({"method": "clip"}, "unknown feature method 'clip'; choose one of moco, simclr, .*, supervised, pixels"),
            ({"method": "supervised"}, "need a classifier"),
            ({"arch": "vgg"}, "unknown network part 'vgg'"),
            ({"batch_size": 121}, "120 training images are fewer than one batch of 121"),
            ({"batch_size": 1}, "batch_size=1 leaves nothing to tell an image from"),
            ({"memory_bank": 39}, "a memory bank of 39 cannot hold the 80 keys of one batch"),
            ({"temperature": 0.0}, "temperature=0.0 must be a number above 0"),
            ({"output_dim": 0}, "output_dim=0 must be a whole number of at least 1"),
            ({"momentum": 1.1}, "momentum=1.1 must be a number from 0 to 1"),
            ({"crop": 0.0}, "crop=0.0 must be a number above 0"),
            ({"cutout": 25}, "cutout=25 exceeds the images' 24 x 24 pixels"),
        ],
    ),
    Kind(
        "images from which nothing can be learnt, or too few of them",
        lambda given, _: given(tiny()),
        [
            (
                lambda d: resident(replace(d, train_images=np.zeros_like(d.train_images))),
                "all training images are of one colour",
            ),
            (
                lambda d: resident(replace(d, train_images=np.full_like(d.train_images, 255))),
                "all training images are of one colour",
            ),
            (lambda d: subset(d, 41, 2), "41 training images a class are not in tiny; give 1 to 40"),
            (lambda d: subset(d, 5, 11), "11 test images a class are not in tiny; give 1 to 10"),
            (lambda d: subset(d, 0, 2), "0 training images a class are not in tiny"),
            (lambda d: subset(d, 5, 2, 4), "4 classes are not in tiny; give 2 to 3"),
            (lambda d: Subsets(d, QUICK, 0.1), "alpha=0.1 must be at least 0.167, one batch, and less than 1"),
            (lambda d: Subsets(d, QUICK, 1.0), "alpha=1.0 must be at least"),
        ],
    ),
    Kind(
        "features that do not fit",
        compared,
        [
            ({"train_features": np.full((6, 2), np.nan)}, "6 rows of the train features are not finite"),
            ({"target_features": np.full((1, 2), np.inf)}, "1 rows of the target features are not finite"),
            ({"target_features": np.zeros((1, 3))}, r"train features have shape \(6, 2\), but \(6, 3\) is needed"),
            ({"train_features": np.zeros((5, 2))}, "train features have shape"),
            ({"target_features": np.zeros(2)}, "target features have shape"),
            ({"target_labels": np.array([7])}, "class 7 has no training image"),
        ],
    ),
    Kind(
        "neighbours, rankings and exemplars that cannot be had",
        lambda given, _: given(),
        [
            (lambda: features.knn_accuracy(Features(np.ones((9, 2)), np.ones((30, 2))), tiny()), "extract again"),
            (
                lambda: features.knn_accuracy(Features(np.ones((120, 2)), np.ones((30, 2))), tiny(), 121),
                "k=121 neighbours of 120",
            ),
            (
                lambda: features.knn_accuracy(Features(np.ones((120, 2)), np.ones((30, 2))), tiny(), 0),
                "k=0 neighbours of 120",
            ),
            (
                lambda: distances.ranking(np.array([[1, -np.inf, 2]]), 3),
                "k_max=3 exceeds the 2 eligible training images",
            ),
            (lambda: esvm.decision_values(np.ones((1, 8)), np.full((50, 8), 1e9)), "features of norm .* exceed"),
        ],
    ),
    Kind(
        "scores and models that do not fit together",
        scored,
        [
            ({"scores": np.ones((2, 8))}, "do not fit; expected"),
            ({"margins": np.ones((2, 4))}, "do not fit; expected"),
            (
                {"masks": np.ones((2, 9), bool), "margins": np.ones((2, 2))},
                "2 models are too few for a rank correlation",
            ),
            ({"scores": np.full((2, 9), -np.inf)}, "some scores are not finite; give 0"),
            ({"scores": np.full((2, 9), np.nan)}, "some scores are not finite"),
        ],
    ),
    Kind(
        "a search that cannot end",
        search,
        [
            ({name: value}, f"{name}={value} must be at least 1")
            for name in ("k_max", "budget", "n_votes")
            for value in (0, -3)
        ],
    ),
    Kind(
        "targets that cannot be tested together",
        lambda given, _: check_group(given),
        [
            (
                (Question(0, (1, 2)), Question(1, (3,))),
                "united rankings have 1 to 2 training images; give them one length",
            ),
            ((Question(0, (1, 2)), Question(1, (2, 3))), "1 training images are in two of the rankings"),
            ((Question(0, (1, 1)),), "1 training images are in two of the rankings"),
        ],
    ),
    Kind(
        "a damaged ledger",
        ledger_with,
        [
            *(
                (flipped(i, bit), "0000.jsonl, line 1 is damaged .*; restore the file")
                for i in range(2, 42, 4)
                for bit in (1, 64)
            ),
            (flipped(-1), "it ends in half a record"),
            (lambda content: content[:-7], "it ends in half a record"),
            (lambda content: content + b'{"key":"x"}\n', "line 3 is damaged"),
            (
                lambda content: re.sub(rb',"crc32":"[0-9a-f]+"', b"", content),
                "it has no checksum",
            ),
        ],
    ),
    Kind(
        "a number that is not finite, for the ledger",
        lambda given, folder: Ledger(folder).append(record("a", given)),
        [(value, "not JSON compliant") for value in (float("nan"), float("inf"), float("-inf"))],
    ),
    Kind(
        "a damaged store of margins",
        store_with,
        [(flipped(i), "0000.bin, record 0 is damaged; restore the file") for i in (0, 3, 4, 7, 8, 11, 15)],
    ),
    Kind(
        "damaged features, rankings or scores",
        cache_with,
        [
            *(
                (flipped(i), r"x-\w+.npz is damaged .*; delete it to compute it again")
                for i in (0, 40, 80, 100, 120, 150, 250, -30)
            ),
            (lambda content: content[:-9], "is damaged"),
            (lambda content: b"", "is damaged"),
            (lambda content: b"no zip", "is damaged"),
        ],
    ),
    Kind(
        "a changed byte of a committed result",
        result_with,
        [
            (name, f"^results/{re.escape(name)} is not the file that came with the repository$")
            for name in list(checks.listed())[::30]
        ],
    ),
    Kind(
        "a file of scores that holds none",
        array_with,
        [
            (None, "there is no file .*mine.npy; give scores as numpy.save writes them"),
            (b"1 2 3", "mine.npy is not a .npy file"),
            (b"", "mine.npy is not a .npy file"),
            (np.array([{}, []], dtype=object), "mine.npy is not a .npy file"),
        ],
    ),
    Kind(
        "a kind of test that does not exist",
        lambda given, _: judge.kinds(given),
        [(text, "is none of removal, mislabel, lds") for text in ("speed", "removal, speed", "", "Removal")],
    ),
]


def in_short(text: str, most: int) -> str:
    """On one line, as code in a table."""
    text = " ".join(text.split()).replace("`", "'").replace("|", chr(92) + "|")
    return f"`{text if len(text) <= most else text[: most - 1] + '…'}`"


def page() -> str:
    """The page in Markdown: a row a kind, and in all."""
    lines = [HEAD + "| Kind | Tried | For example | Is met with |", "|---|--:|---|---|"]
    for kind in KINDS:
        given = kind.inputs[0][0]
        with tempfile.TemporaryDirectory() as folder:
            said = in_short(message(kind, given, Path(folder)), 110)
        example = "–" if callable(given) else in_short(repr(given), 50)
        lines.append(f"| {kind.name} | {len(kind.inputs)} | {example} | {said} |")
    n = sum(len(kind.inputs) for kind in KINDS)
    return "\n".join([*lines, "", f"In all {n} inputs of {len(KINDS)} kinds."]) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
