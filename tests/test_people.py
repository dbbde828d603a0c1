"""What people said about CIFAR-10: the order of its images, and files that are read as data alone."""

import io
import os
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from lib import profiles
from lib.chapters import leakage, people
from lib.data import Dataset, fetch

here = pytest.mark.skipif(not people.are_here(), reason="what people said about CIFAR-10 is not here: set DATA_MIRROR")


def test_original_ids_of_folders_of_batches_and_of_the_first_of_each_class():
    original = np.array([2, 0, 1, 0, 2, 1])
    assert people.original_ids(np.array([0, 0, 1, 1, 2, 2]), original).tolist() == [1, 3, 2, 5, 0, 4]
    assert people.original_ids(original, original).tolist() == list(range(6))
    assert people.original_ids(np.array([0, 1, 2]), original).tolist() == [1, 2, 0]
    assert people.original_ids(np.array([2, 0, 1]), original).tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="the 3 labels are not those of CIFAR-10's first images of each class"):
        people.original_ids(np.array([1, 2, 0]), original)


def test_a_pickle_that_names_anything_but_arrays_is_refused(tmp_path, monkeypatch):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "made"),)

    torch.save({people.CLEAN: Evil()}, tmp_path / "evil.pt")
    monkeypatch.setattr(people, "fetch", lambda name: tmp_path / "evil.pt")
    with pytest.raises(Exception, match="mkdir"):
        people.training_labels()
    assert not (tmp_path / "made").exists()


@here
def test_the_labels_of_people_are_those_of_their_paper():
    sets = people.training_labels()
    own = sets[people.CLEAN]
    wrong = {name: round(float((sets[name] != own).mean()), 4) for name in (people.AGGREGATE, people.WORST)}
    assert wrong == {people.AGGREGATE: 0.0901, people.WORST: 0.4021}  # Wei et al. 2022: 9.03 and 40.21 %
    assert (np.bincount(own) == 5000).all() and (np.bincount(people.test_labels()) == 1000).all()
    listed = people.suspected()
    assert len(listed) == 275 and listed["wrong"].sum() == 54  # Northcutt et al. 2021, table 2


@here
def test_twins_line_up_with_the_images_by_class():
    """Of judged pairs the images are alike, and no longer where one is exchanged: so the order is understood."""
    try:
        path = fetch("cifar10_jpeg")
    except FileNotFoundError:
        pytest.skip("cifar10_jpeg is not here")
    names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    train, test = (np.repeat(np.arange(10), n) for n in (5000, 1000))
    no_image = np.zeros((0, 3, 1, 1), np.uint8)
    dataset = Dataset("cifar10_jpeg", no_image, train, no_image, test, names)
    pairs = leakage.judged(dataset).iloc[:20]
    with zipfile.ZipFile(path) as archive:

        def image(split: str, i: int, per_class: int) -> np.ndarray:
            member = f"{split}/{names[i // per_class]}/{i % per_class:04d}.jpg"
            return np.array(Image.open(io.BytesIO(archive.read(member))), dtype=float)

        tests = [image("test", i, 1000) for i in pairs["test_id"]]
        trains = [image("train", i, 5000) for i in pairs["train_id"]]
    apart = np.array([[np.abs(a - b).mean() for b in trains] for a in tests])
    assert np.median(np.diag(apart)) < 30 < np.median(apart)
    assert (apart.argmin(axis=1) == np.arange(20)).mean() > 0.9


def test_a_page_shows_what_came_with_the_repository_where_the_files_are_not_here(monkeypatch):
    monkeypatch.setattr(people, "are_here", lambda: False)
    monkeypatch.setattr("lib.report.committed.missing", lambda profile: False)
    for stored, profile in ((True, "cifar10"), (False, "cifar10"), (True, "smoke")):
        monkeypatch.setattr("lib.report.committed.exist", lambda profile, name, stored=stored: stored)
        page = people.JudgedPage("labels", {"profile": profile})
        assert page.missing == (stored and people.of_cifar10(profiles.load(profile)))


@pytest.mark.parametrize(("package", "missing"), [("json", False), ("no_such_package", True)])
def test_a_page_shows_what_came_with_the_repository_where_a_package_is_not_here(monkeypatch, package, missing):
    monkeypatch.setattr(people, "are_here", lambda: True)
    monkeypatch.setattr("lib.report.committed.missing", lambda profile: False)
    monkeypatch.setattr("lib.report.committed.exist", lambda profile, name: profile.name == "cifar10")
    assert people.JudgedPage("labels", {"profile": "cifar10"}, (package,)).missing == missing
    assert not people.JudgedPage("labels", {"profile": "smoke"}, (package,)).missing, "nothing came with it"
