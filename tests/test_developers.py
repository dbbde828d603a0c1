"""The developers' page: its examples of adding something are run as they stand there, in a copy of the library."""

import re
import shutil
import subprocess
import sys

import pytest
from PIL import Image

from lib.data import BOOK, ROOT

PAGE = (BOOK / "developers.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"As\s+`(lib/[\w/]+\.py)`(?:(?!```).)*```python\n(.*?)```", PAGE, re.S)
RUN = """
from dataclasses import replace

import pandas as pd

from lib import profiles
from lib.retrain import Recipe
from lib.study import Study

network = Recipe(arch="mlp", stem="flat", width=4, epochs=3, warmup_epochs=1.0, batch_size=10, peak_lr=0.02)
own = {"dataset": "birds", "recipe": network, "n_classes": None, "train_per_class": None, "test_per_class": None}
small = replace(profiles.PROFILES["smoke"].selfsupervised, batch_size=12, memory_bank=24)
study = Study(replace(profiles.PROFILES["smoke"], **own, selfsupervised=small, n_targets=3, k_max=4), "cpu", n_jobs=1)
supports = study.supports([("removal", "last_gradient:2"), ("removal", "pixels_correlation")])
supports.drop(columns="keys").to_csv("supports.csv")
"""


def test_the_page_has_its_examples():
    assert [path.split("/")[1] for path, _ in EXAMPLES] == ["rivals", "rivals", "nets"]
    assert all(len(code.splitlines()) < 30 for _, code in EXAMPLES)


@pytest.fixture
def copy(tmp_path):
    """The library with the page's files added, and a dataset of three classes of bright, grey and dark images."""
    shutil.copytree(ROOT / "lib", tmp_path / "lib")  # compiled as it is
    for path, code in EXAMPLES:
        (tmp_path / path).write_text(code, encoding="utf-8")
    entry = re.search(r"```yaml\n(birds:.*?)```", PAGE, re.S)[1]
    (tmp_path / "data_manifest.yaml").write_text(entry, encoding="utf-8")
    for split, n in (("train", 12), ("test", 4)):
        for label, shade in (("wren", 40), ("gull", 120), ("swan", 200)):
            folder = tmp_path / "birds" / split / label
            folder.mkdir(parents=True)
            for i in range(n):
                Image.new("RGB", (16, 16), (shade + i, shade, shade - i)).save(folder / f"{i:02d}.png")
    return tmp_path


def test_a_rival_a_distance_a_network_and_a_dataset_are_added_as_the_page_says(copy):
    ran = subprocess.run([sys.executable, "-c", RUN], cwd=copy, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    rows = (copy / "supports.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert len(rows) == 6 and sum("last_gradient:2" in row for row in rows) == 3
