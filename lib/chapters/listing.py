"""Your own images by a list: a CSV of paths and labels, as the zip of train/<class>/* and test/<class>/* that it means.

    path,label[,split] -> every row checked -> a zip beside the results -> an Entry, as of any other zip

The list may come from anyone: what lies outside its folder is refused. The zip is written again where anything differs.
"""

import csv
import hashlib
import zipfile
from collections import Counter
from os.path import isfile
from pathlib import Path

from lib.data import WRITTEN, replacing

COLUMNS, SPLITS = ("path", "label"), ("train", "test")
TEST = 5  # where no split is given, one image in so many of each class is a test image
NAMED = 20  # files or rows of one kind that a message names


def zipped(path: Path) -> Path:
    """The zip that a list means. Raises FileNotFoundError, and ValueError that names what cannot be used."""
    rows, folder = read(path), path.parent.resolve()
    files = {row["path"]: (folder / row["path"]).resolve() for row in rows}
    refuse(path, "outside its folder", [name for name, file in files.items() if not file.is_relative_to(folder)])
    missing = [name for name, file in files.items() if not isfile(file)]
    refuse(path, "not there", missing, FileNotFoundError)
    members = [f"{split}/{row['label']}/{flat(row['path'])}" for row, split in zip(rows, splits(rows), strict=True)]
    refuse(path, "twice", [name for name, n in Counter(members).items() if n > 1])
    times = Counter(files[row["path"]] for row in rows)
    refuse(path, "the same file as another row's", [row["path"] for row in rows if times[files[row["path"]]] > 1])
    made = WRITTEN / "own" / "lists" / f"{path.stem}.zip"
    with replacing(made) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for row, name in zip(rows, members, strict=True):
            archive.writestr(zipfile.ZipInfo(name), files[row["path"]].read_bytes())  # without the time: the same bytes
    return made


def read(path: Path) -> list[dict[str, str]]:
    """Rows of path, label and, where there is one, split, without spaces around them."""
    form = "give a CSV in UTF-8 with the columns path, label and, if you like, split"
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True, strict=True)
            rows, header = list(reader), [(name or "").strip() for name in reader.fieldnames or []]
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path} does not exist; {form}") from error
    except (ValueError, csv.Error, OSError) as error:
        raise ValueError(f"{path} cannot be read ({error}); {form}") from error
    if not {*COLUMNS} <= {*header} or len({*header}) < len(header):
        raise ValueError(f"{path} has the columns {', '.join(header)}; {form}")
    if not rows:
        raise ValueError(f"{path} lists no image; {form}")
    uneven = [f"row {i}" for i, row in enumerate(rows, start=2) if None in row or None in row.values()]
    refuse(path, "of another number of columns", uneven)
    rows = [{key.strip(): value.strip() for key, value in row.items()} for row in rows]
    checks = {
        "without a path": lambda row: row["path"] and "\0" not in row["path"],
        "with a label that is empty, begins with a dot or has a slash": lambda row: is_label(row["label"]),
        "with a split that is neither train nor test": lambda row: row.get("split", "train") in SPLITS,
        "with a path that begins with a dot": lambda row: not Path(row["path"]).name.startswith("."),
    }
    for problem, passes in checks.items():
        wrong = [f"row {i}: {', '.join(row.values())}" for i, row in enumerate(rows, start=2) if not passes(row)]
        refuse(path, problem, wrong)
    return rows


def is_label(text: str) -> bool:
    """Whether it can be the name of a class, and so of a folder."""
    return bool(text) and not text.startswith(".") and not {*"/\\\0"} & {*text}


def splits(rows: list[dict[str, str]]) -> list[str]:
    """The split of every row: its own; where there is none, "test" for one in TEST of a class, by its path's hash."""
    if "split" in rows[0]:
        return [row["split"] for row in rows]
    order = sorted(range(len(rows)), key=lambda i: hashlib.sha256(rows[i]["path"].encode()).digest())
    of_class, split = Counter(), ["train"] * len(rows)
    for i in order:
        of_class[rows[i]["label"]] += 1
        if of_class[rows[i]["label"]] % TEST == 0:
            split[i] = "test"
    return split


def flat(path: str) -> str:
    """A path as the name of one file: of folders inside it, two underscores are left."""
    return path.removeprefix("./").replace("/", "__")


def refuse(path: Path, problem: str, names: list[str], error: type[Exception] = ValueError) -> None:
    """Raise an error where there are any."""
    if names:
        more = ", …" * (len(names) > NAMED)
        raise error(f"{path}: {len(names)} {problem} ({', '.join(names[:NAMED])}{more}); correct the list")
