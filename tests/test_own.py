"""Your own images: from a folder to supports, and every mistake met before anything is trained."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lib import data, run
from lib.bisection import FOUND, LARGER
from lib.chapters import answers, listing, mistakes, own
from lib.report import execution, plots
from lib.study import REMOVAL


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch) -> Path:
    for module in (own, listing):
        monkeypatch.setattr(module, "WRITTEN", tmp_path / "results")
    return tmp_path / "results"


def opened(images: Path, size: int | None = None, target: str | None = None, **overrides) -> own.OwnStudy:
    """As the notebook does."""
    parameters = {"images": str(images), "size": size, "target": target, "device": "cpu", "n_jobs": 1}
    page, _ = own.open_page(parameters | overrides)
    page.__dict__.pop("study", None)  # opened for its cost, with the book's results
    page.options["results"] = own.WRITTEN
    return page.study


def test_from_a_folder_to_supports(pictures, results):
    quick = {"n_targets": 2, "n_votes": 1, "k_max": 10, "epochs": 12, "moco_epochs": 1, "n_base": 2, "budget": 2}
    mine, files = opened(pictures, **quick), own.files(own.entry(str(pictures)))
    assert mine.dataset.train_images.shape == (48, 3, 24, 24) and mine.accuracy > 0.9 and mine.guessing == 0.5
    assert len(mine.targets) == 2 and (mine.base_logits.argmax(1) == mine.dataset.test_labels)[mine.targets].all()
    supports = mine.supports([(REMOVAL, "moco_esvm"), (REMOVAL, "random")])
    assert len(supports) == 4 and supports["votes"].str.startswith("0:").all()
    classes = {name.split("/")[1] for name in files.train}
    for i, ranking in zip(mine.targets, mine.attribution.ranking("moco_esvm"), strict=True):
        assert len(ranking) == 10
        assert {files.train[train].split("/")[1] for train in ranking} == {files.test[i].split("/")[1]} < classes
    assert {path.name for path in results.iterdir()} == {"own"}
    again = opened(pictures, **quick)
    assert again.supports([(REMOVAL, "moco_esvm"), (REMOVAL, "random")]).equals(supports)
    assert len(again.driver.ledger.records) == len(mine.driver.ledger.records)


def test_names_are_those_of_the_images(pictures):
    pixels = np.full((24, 24, 3), 7, np.uint8)
    Image.fromarray(pixels).save(pictures / "train" / "light" / "10a.png")
    Image.fromarray(pixels).save(pictures / "val" / "dark" / "04.PNG")
    entry = own.entry(str(pictures))
    dataset, files = data.load(entry), own.files(entry)
    for images, names, name in (
        (dataset.train_images, files.train, "train/light/10a.png"),
        (dataset.test_images, files.test, "val/dark/04.PNG"),
    ):
        assert len(images) == len(names) and np.flatnonzero((images == 7).all((1, 2, 3))).tolist() == [
            names.index(name)
        ]
    assert files.counts().to_dict("list") == {"class": ["dark", "light"], "training": [24, 25], "test": [7, 6]}


def test_a_target_by_its_name_need_not_be_right(pictures):
    mine = opened(pictures, target="val/light/03.png", n_targets=1)
    assert mine.targets.tolist() == [9] and mine.dataset.test_labels[9] == 1
    with pytest.raises(ValueError, match=r"target='33.png' is no test image; name one as in 'val/dark/00.png'"):
        opened(pictures, target="33.png")
    with pytest.raises(ValueError, match=r"target='03.png' is several test images; name one as in 'val/dark/00.png'"):
        opened(pictures, target="03.png")
    (pictures / "val/light/03.png").rename(pictures / "val/light/k.png")
    assert own.files(own.entry(str(pictures))).test_id("k.png") == 11


def test_a_mistake_is_explained_by_the_class_that_the_target_is_taken_for(pictures):
    shutil.move(pictures / "val/light/00.png", pictures / "val/dark/wrong.png")
    quick = {"n_votes": 1, "k_max": 10, "epochs": 12, "moco_epochs": 1, "n_base": 1, "budget": 1}
    asked, names = opened(pictures, target="wrong.png", **quick), own.files(own.entry(str(pictures)))
    mine = mistakes.explained(asked)
    assert mistakes.listed(asked, names)["target"].tolist() == ["val/dark/wrong.png"]
    assert "val/dark/wrong.png` is of class dark and is taken for light" in mistakes.said(mine, names)
    for method in own.METHODS:
        ids = mine.attribution.ranking(method)
        assert ids.shape == (1, 10) and (mine.dataset.train_labels[ids] == 1).all()
    supports = mine.supports([(REMOVAL, "pixels_l2"), (REMOVAL, "random")])
    assert supports["votes"].str.startswith("0:0-1 10:").all() and set(supports["reason"]) <= {FOUND, LARGER}
    shown = answers.table(mine, supports, names)
    assert set(shown["images_of"]) == set(shown["taken_for"]) == {"light"}
    right = opened(pictures, target="val/dark/01.png", **quick)
    assert mistakes.explained(right) is right and "own class" in mistakes.said(right, names)


NETWORK = """
from torch import nn

class Mine(nn.Sequential):
    def __init__(self, n_classes, channels):
        super().__init__(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(36 * channels, n_classes))

class Wide(Mine):
    def __init__(self, n_classes, channels):
        super().__init__(n_classes + 3, channels)

class Small(Mine):
    def __init__(self, n_classes, channels):
        super().__init__(n_classes, channels + 1)

class Raises(Mine):
    def __init__(self, n_classes, channels):
        raise KeyError("boom")

class Exits(Mine):
    def forward(self, x):
        raise SystemExit(7)

class Empty(nn.Flatten):
    def __init__(self, n_classes, channels):
        super().__init__()

class Undefined(Mine):
    def forward(self, x):
        return super().forward(x) / 0

class Pair(Mine):
    def forward(self, x):
        return super().forward(x), x
"""


@pytest.fixture
def network(tmp_path, monkeypatch) -> None:
    """A file with networks where the user stands."""
    (tmp_path / "networks_of_mine.py").write_text(NETWORK)
    monkeypatch.setenv("COMPANION_FROM", str(tmp_path))
    monkeypatch.setattr(sys, "path", list(sys.path))


def test_a_network_of_ones_own_is_explained_from_the_images_to_supports(pictures, network):
    quick = {"n_targets": 1, "n_votes": 1, "k_max": 10, "epochs": 4, "n_base": 1, "budget": 1}
    mine = opened(pictures, arch="networks_of_mine:Mine", **quick)
    assert mine.profile.recipe.identity["source"] and mine.accuracy > 0.9
    supports = mine.supports([(REMOVAL, "pixels_l2"), (REMOVAL, "random")])
    assert len(supports) == 2 and supports["votes"].str.startswith("0:1-0 10:").all()
    assert mine.outputs("own") != opened(pictures, **quick).outputs("own")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Wide", r"Wide has to give logits \(b, 2\) of images \(b, 3, 24, 24\); of two it gives \(2, 5\)"),
        ("Pair", r"Pair has to give logits \(b, 2\) .*; of two it gives tuple"),
        ("Small", r"Small has to give logits \(b, 2\) of images .*mat1 and mat2 shapes cannot be multiplied"),
        ("None", "there is no network 'networks_of_mine:None'"),
        ("Raises", r"networks_of_mine:Raises is not built by n_classes=2, channels=3: KeyError\('boom'\)"),
        ("Exits", r"Exits has to give logits \(b, 2\) of images \(b, 3, 24, 24\): SystemExit\(7\)"),
        ("Empty", "networks_of_mine:Empty has no parameters; a network that cannot learn"),
        ("Undefined", "Undefined has to give logits .* of images that are all 0 they are not finite"),
    ],
)
def test_a_network_of_ones_own_that_does_not_fit_is_refused_before_training(pictures, network, results, name, message):
    with pytest.raises(ValueError, match=message):
        opened(pictures, arch=f"networks_of_mine:{name}")
    assert not results.exists()


def test_values_fit_the_number_of_images(pictures):
    entry = own.entry(str(pictures))
    files = own.files(entry)
    small, many = own.values(entry, files), own.values(entry, replace(files, train=files.train * 200))
    assert (small.name, small.dataset, small.k_max, small.n_targets) == ("own", entry, 12, 3)
    assert small.recipe.batch_size == 4 and 48 // 4 * small.recipe.epochs >= own.STEPS
    assert small.selfsupervised.memory_bank == 2 * small.selfsupervised.batch_size == 12
    assert many.recipe == own.BASE.recipe and many.k_max == own.BASE.k_max
    assert many.selfsupervised == own.BASE.selfsupervised
    assert own.values(entry, files, epochs=6).recipe.warmup_epochs == 2 * own.BASE.recipe.warmup_epochs


def test_images_values_and_targets_have_outputs_of_their_own(pictures):
    first = opened(pictures, target="val/dark/00.png", n_targets=1)
    moved = pictures.rename(pictures.with_name("moved"))
    same = opened(moved, target="val/dark/00.png", n_targets=1)
    others = [
        opened(moved, target="val/dark/01.png", n_targets=1),
        opened(moved, target="val/dark/00.png", n_targets=1, k_max=10),
        opened(moved, 32, target="val/dark/00.png", n_targets=1),
    ]
    assert first.outputs("own") == same.outputs("own")
    assert len({mine.outputs("own") for mine in (first, *others)}) == 4


def test_the_example_is_the_same_bytes_again_and_a_dataset(results):
    path = own.example()
    before = path.read_bytes(), path.stat().st_mtime_ns
    assert own.example() == path and (path.read_bytes(), path.stat().st_mtime_ns) == before
    entry = own.entry()
    dataset = data.load(entry)
    assert dataset.class_names == ("Coat", "Dress", "Pullover", "Shirt") and len(own.files(entry).train) == 240
    embedded = data.load("fashion_mnist")
    shirts = np.flatnonzero(embedded.train_labels == embedded.class_names.index("Shirt"))[:60]
    np.testing.assert_array_equal(dataset.train_images[dataset.train_labels == 3], embedded.train_images[shirts])


def grow(path: Path) -> None:
    Image.open(path).resize((30, 30)).save(path)


@pytest.mark.parametrize(
    ("mistake", "error", "message"),
    [
        (lambda p: p.rename(p.with_name("gone")), FileNotFoundError, "pictures does not exist. Give a folder or a zip"),
        (lambda p: shutil.rmtree(p / "train" / "dark"), ValueError, "needs train/<class>/.* and two classes"),
        (lambda p: shutil.rmtree(p / "val"), ValueError, "needs train/<class>/.* at its top"),
        (lambda p: (p / "train/dark/notes.txt").write_text("x"), ValueError, "notes.txt is not train/<class>/<file>"),
        (lambda p: (p / "train/dark/00.png").write_text("x"), ValueError, r"1 unreadable \(train/dark/00.png\)"),
        (
            lambda p: grow(p / "train/dark/05.png"),
            ValueError,
            r"1 not of the 24 x 24 pixels of .* `-p size 24`.* \(train/dark/05.png\)",
        ),
        (
            lambda p: [f.unlink() for f in (p / "train/light").glob("1*")],
            ValueError,
            "light has 14 .* give every class 20",
        ),
    ],
)
def test_folders_that_are_no_dataset(pictures, results, mistake, error, message):
    mistake(pictures)
    with pytest.raises(error, match=message):
        opened(pictures)
    assert not results.exists()


def test_a_file_that_is_no_zip(pictures):
    text = pictures / "text.zip"
    text.write_text("not a zip")
    with pytest.raises(ValueError, match=r"text.zip is not a zip or is damaged .* Give a folder or a zip"):
        opened(text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k_max": 25}, "k_max=25 exceeds the 24 training images of a class; lower k_max"),
        ({"k_max": 9}, "k_max=9 is less than the 10 images that are shown"),
        ({"n_targets": 13}, "n_targets=13 exceeds the 12 test images"),
        ({"n_votes": 0}, "n_votes=0 must be a whole number of at least 1"),
        ({"epochs": 0}, "epochs=0 must be a whole number of at least 1"),
        ({"size": 16}, "images of 16 x 16 pixels are smaller than the 21 a side .* give size=21 or more"),
        ({"size": 0}, r"size is \[0, 0\]; it has to be \[height, width\] in pixels"),
    ],
)
def test_values_that_cannot_be_meant(pictures, results, arguments, message):
    with pytest.raises(ValueError, match=message):
        opened(pictures, **arguments)
    assert not results.exists()


def test_too_few_right_answers(pictures, monkeypatch):
    mine = opened(pictures)
    monkeypatch.setitem(vars(mine), "base_logits", np.tile([1.0, 0.0], (12, 1)))
    monkeypatch.setitem(vars(mine), "profile", replace(mine.profile, n_targets=7))
    with pytest.raises(ValueError, match="n_targets=7 is too many: the base models get only 6 test images right"):
        _ = mine.targets


@pytest.mark.parametrize(("right", "n_doubts"), [(6, 1), (7, 1), (8, 0), (12, 0)])
def test_doubts_about_a_model_that_hardly_learns(pictures, monkeypatch, right, n_doubts):
    mine, labels = opened(pictures), np.repeat([0, 1], 6)
    predicted = np.where(np.arange(12) < right, labels, 1 - labels)
    monkeypatch.setitem(vars(mine), "base_logits", np.eye(2)[predicted])
    knn = pd.DataFrame({"features": ["moco", "pixels"], "knn_accuracy": [0.9, 0.8]})
    assert len(answers.doubts(mine, knn)) == n_doubts
    worse = answers.doubts(mine, knn.assign(knn_accuracy=[0.8, 0.8]))
    assert len(worse) == n_doubts + 1 and "MoCo (80%) is no better than raw pixels (80%)" in worse[-1]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (("found", 4, 5, "0:3-0 5:0-2"), "5 (10% of the class)"),
        (
            ("found", 4, 8, "0:2-1 8:0-2"),
            "5 to 8 (10% to 16% of the class); in doubt: 2 votes right and 1 wrong without any removal",
        ),
        (("larger than k_max", 30, None, "0:2-0 30:2-0"), "more than 30 (60% of the class)"),
        (("wrong at k = 0", None, 0, "0:0-2"), "wrong without any removal"),
        (("found", 4, 5, "0:0-3 5:2-0"), "5 (10% of the class)"),
        (("right at k = 0", None, 0, "0:2-0"), "right without any removal"),
    ],
)
def test_supports_in_words(row, words):
    assert answers.in_words(pd.Series(dict(zip(("reason", "low", "high", "votes"), row, strict=True))), 50) == words


def test_copies_are_named(pictures):
    names = own.files(own.entry(str(pictures)))
    assert answers.copies(opened(pictures), names) == []
    shutil.copy(pictures / "train/dark/03.png", pictures / "val/dark/04.png")
    shutil.copy(pictures / "train/dark/05.png", pictures / "train/light/06.png")
    across, mixed = answers.copies(opened(pictures), names)
    assert across.startswith("1 of the images are among the training and among the test images, the first of them as ")
    assert "train/dark/03.png and val/dark/04.png:" in across
    assert "1 of the images are in two classes" in mixed and "train/dark/05.png and train/light/06.png:" in mixed


def test_accuracies_have_intervals(pictures, monkeypatch):
    mine, knn = opened(pictures), pd.DataFrame({"features": ["moco", "pixels"], "knn_accuracy": [0.75, 1.0]})
    monkeypatch.setitem(vars(mine), "base_logits", np.eye(2)[np.repeat([0, 1], 6)])
    rows = answers.accuracies(mine, knn)
    assert rows["test_accuracy"].tolist() == [1, 0.5, 0.75, 1] and (rows["n"] == 12).all()
    assert (rows["test_accuracy_low"] < rows["test_accuracy"]).all() and rows["test_accuracy_high"].max() == 1


def test_the_cost_is_said_before_anything_is_trained_and_is_all_of_a_dry_run(pictures, results, capsys, monkeypatch):
    monkeypatch.setattr("lib.features.extract", None)
    quick = {"n_targets": 2, "n_votes": 1, "k_max": 10, "moco_epochs": 1}
    opened(pictures, **quick)
    cost = (
        "48 training and 12 test images of 2 classes: features and at most 53 trainings, about 3 minutes of one core, "
        "a step taking at least as long as in the example (results/own_example), less what is kept from before"
    )
    assert capsys.readouterr().err == f"\r{cost}\n", "4 base models, k = 0, and 8 probes of 2 targets by 3 rankings"
    values = {key: parameter["default"] for key, parameter in execution.declared("own").items()}
    assert execution.dry_run("own", values | quick | {"images": str(pictures)}) == cost
    assert run.main(["own", "-p", "images", str(pictures), "-p", "n_targets", "2", "-p", "dry_run", "true"]) == 0
    assert "features and at most 151 trainings" in capsys.readouterr().out and not results.exists()


def test_the_minutes_are_at_least_those_of_the_example(pictures):
    of_training, of_features = own.step_seconds()
    assert of_training * own.STEPS * 64 == pytest.approx(182.9, rel=0.05), "what the example's page says of 64"
    assert of_features * 50 * (240 // 30) == pytest.approx(72.3, rel=0.01)
    images = own.entry(str(pictures))
    few = {"n_base": 1, "n_votes": 1, "n_targets": 1, "budget": 1, "k_max": 10, "moco_epochs": 1}
    profile = own.values(images, own.files(images), **few)
    assert "at most 8 trainings, about 1 minute of one core," in own.at_most(profile, data.load(images))


def test_what_the_support_removes_is_framed():
    files = own.Files([], ["test/a/0.png", "test/a/1.png"])
    rows = [(0, "moco_esvm", 3, FOUND), (0, "random", 40, FOUND), (1, "moco_esvm", pd.NA, LARGER)]
    supports = pd.DataFrame(rows, columns=["target", "method", "size", "reason"])
    removed = answers.removed(supports, files)
    assert removed == {("test/a/0.png", "moco_esvm"): 3, ("test/a/0.png", "random"): own.SHOWN}
    images, ranking = np.zeros((12, 1, 4, 4), np.uint8), {"moco_esvm": np.arange(10)}
    figure = plots.most_similar(images, {name: (images[0], ranking) for name in files.test}, removed)
    framed = [[axis.spines["top"].get_linewidth() == 3 for axis in part.axes] for part in figure.subfigs]
    assert [row.index(False) for row in framed] == [4, 1], "the target, and three of the first ten"


def test_few_targets_have_no_verdict_and_no_table_a_row_without_images():
    """Three targets decide nothing: the page compares no methods, and its tables have no shares of so few."""
    cells = json.loads((data.ROOT / "notebooks" / "own.ipynb").read_text(encoding="utf-8"))["cells"]
    code = "".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    assert not [word for word in ("paired", "verdict", "comparisons", "shares(", "beside(") if word in code]
    row = pd.Series({"reason": "found", "low": 0, "high": 1, "votes": "0:3-0 1:0-2"})
    assert answers.in_words(row, 24) == "1 (4% of the class)"
