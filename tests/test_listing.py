"""A list of paths and labels is the dataset that it says, and what it must not reach is refused by name."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lib import data
from lib.chapters import listing, own


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch) -> Path:
    for module in (own, listing):
        monkeypatch.setattr(module, "WRITTEN", tmp_path / "results")
    return tmp_path / "results"


def listed(pictures: Path, splits: bool = True, **changes: str) -> Path:
    """A list of all pictures beside them. changes: the text of a column, in its first row."""
    paths = sorted(path.relative_to(pictures).as_posix() for path in pictures.glob("*/*/*.png"))
    rows = pd.DataFrame({"path": paths, "label": [f" {path.split('/')[1]} " for path in paths]})
    if splits:
        rows["split"] = ["train" if path.startswith("train") else "test" for path in paths]
    for column, text in changes.items():
        rows.loc[0, column] = text
    rows.to_csv(pictures / "labels.csv", index=False)
    return pictures / "labels.csv"


def test_a_list_is_the_same_dataset_as_its_folder(pictures):
    of_folder = data.load(own.entry(str(pictures)))
    entry = own.entry(str(listed(pictures)))
    of_list, names = data.load(entry), own.files(entry)
    assert of_list.checksum == of_folder.checksum and of_list.class_names == ("dark", "light")
    assert names.test[0] == "test/dark/val__dark__00.png"
    assert names.test_id("val/light/03.png") == names.test_id("test/light/val__light__03.png") == 9
    made = Path(entry.path)
    before = made.stat().st_mtime_ns
    assert own.entry(str(pictures / "labels.csv")).path == entry.path and made.stat().st_mtime_ns == before


def test_without_a_split_a_fifth_of_every_class_is_for_testing_and_stays_so(pictures):
    first = own.files(own.entry(str(listed(pictures, splits=False))))
    assert first.counts()[["training", "test"]].to_numpy().tolist() == [[24, 6], [24, 6]]
    assert len({name.split("__")[0].split("/")[2] for name in first.test}) == 2, "from both folders"
    again = own.files(own.entry(str(listed(pictures, splits=False))))
    assert again == first


def test_images_of_another_size_and_a_table_of_a_spreadsheet(pictures):
    path = listed(pictures)
    path.write_text("\ufeff" + path.read_text().replace(",", ", "), encoding="utf-8")
    Image.fromarray(np.zeros((30, 30, 3), np.uint8)).save(pictures / "train/dark/00.png")
    assert data.load(own.entry(str(path), 24)).train_images.shape == (48, 3, 24, 24)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"path": "../secret.png"}, ValueError, r"1 outside its folder \(\.\./secret.png\); correct the list"),
        ({"path": "/etc/hostname"}, ValueError, r"1 outside its folder \(/etc/hostname\)"),
        ({"path": "link.png"}, ValueError, r"1 outside its folder \(link.png\)"),
        ({"path": "train/none.png"}, FileNotFoundError, r"1 not there \(train/none.png\)"),
        ({"path": "train"}, FileNotFoundError, r"1 not there \(train\)"),
        ({"path": "x" * 400}, FileNotFoundError, "1 not there"),
        ({"path": ""}, ValueError, "1 without a path .row 2"),
        ({"path": ".hidden.png"}, ValueError, "1 with a path that begins with a dot .row 2"),
        ({"path": "train/dark/01.png"}, ValueError, r"1 twice \(train/dark/train__dark__01.png\)"),
        (
            {"label": "a/b"},
            ValueError,
            "1 with a label that is empty, begins with a dot or has a slash .row 2: train/dark",
        ),
        ({"label": ".."}, ValueError, "1 with a label that is empty, begins with a dot"),
        ({"split": "val"}, ValueError, "1 with a split that is neither train nor test .row 2"),
        ({"label": "grey"}, ValueError, "class grey is in train/ but not in test/"),
    ],
)
def test_rows_that_cannot_be_used(pictures, results, changes, error, message):
    (pictures.parent / "secret.png").write_bytes((pictures / "train/dark/00.png").read_bytes())
    (pictures / "link.png").symlink_to(pictures.parent / "secret.png")
    path = listed(pictures, **changes)
    with pytest.raises(error, match=message):
        own.files(own.entry(str(path)))
    assert not results.exists() or "class grey" in message


def test_a_file_under_two_paths_is_one_file(pictures):
    path = listed(pictures)
    path.write_text(path.read_text() + "train/../train//dark/00.png,light,test\n")
    with pytest.raises(ValueError, match="2 .*the same file as another row's"):
        own.entry(str(path))


def test_all_missing_files_are_named_at_once(pictures):
    path = listed(pictures)
    shutil.rmtree(pictures / "val" / "dark")
    with pytest.raises(FileNotFoundError, match="6 not there .val/dark/00.png, .*val/dark/05.png"):
        own.entry(str(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"path;label\na.png;cat\n", "has the columns path;label; give a CSV in UTF-8 with the columns path, label"),
        (b"path,label\n", "lists no image; give a CSV"),
        (b"", "has the columns ; give a CSV"),
        (b"path,label\na.png\n", "1 of another number of columns .row 2"),
        (b"path,label\na.png,cat,x\n", "1 of another number of columns .row 2"),
        (b"path,label\n\xff.png,cat\n", "cannot be read .*give a CSV in UTF-8"),
        (b'path,label\n"a.png,cat\n', "cannot be read"),
    ],
)
def test_files_that_are_no_list(tmp_path, text, message):
    (tmp_path / "labels.csv").write_bytes(text)
    with pytest.raises(ValueError, match=message):
        own.entry(str(tmp_path / "labels.csv"))
    with pytest.raises(FileNotFoundError, match=r"none.csv does not exist; give a CSV"):
        own.entry(str(tmp_path / "none.csv"))
