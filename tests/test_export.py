"""An export holds what it says, opens with the lines in its README, and overwrites nothing."""

import hashlib
import importlib
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from lib import profiles
from lib.chapters import export, given
from lib.chapters.judge import JudgedStudy
from lib.data import ROOT, resident
from lib.features import FeatureRecipe
from lib.lds import lds
from lib.methods import OURS, RANDOM
from lib.report import stats
from lib.retrain import Retraining
from lib.study import BASE_SEED, REMOVAL, Study


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    smoke = profiles.load("smoke", k_max=8, lds_models=4)
    quick = replace(smoke, selfsupervised=FeatureRecipe("pixels"), ensembles=(), subset_models=(3,))
    return Study(quick, "cpu", n_jobs=1, results=tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def exported(study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    return folder, export.write(study, folder)


def test_every_file_is_described_and_has_its_checksum(study, exported):
    folder, rows = exported
    named = {path.name for path in folder.iterdir()}
    assert named == set(rows["file"]) | {"README.md", "SHA256SUMS"} and set(export.SCHEMA) <= named
    sums = dict(line.split("  ")[::-1] for line in (folder / "SHA256SUMS").read_text().splitlines())
    assert sums == {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in rows["file"]}
    text = (folder / "README.md").read_text()
    assert all(f"| {name} |" in text for name in rows["file"]) and "profile smoke" in text


def test_arrays_are_the_studys(study, exported):
    arrays = {path.stem: np.load(path, allow_pickle=False) for path in exported[0].glob("*.npy")}
    assert (arrays["train_images"] == study.dataset.train_images).all()
    assert (arrays["targets"] == study.targets).all() and (arrays["wrong_labels"] == study.wrong_labels).all()
    assert len(arrays["fit_masks"]) == 3 and len(arrays["lds_masks"]) == 4
    scores = study.attribution.scores("random:all")
    expected = study.attribution.lds(["random:all"])["lds"]
    assert np.allclose(lds(scores, arrays["lds_masks"], arrays["lds_margins"][:, arrays["targets"]]), expected)


def test_the_five_lines_of_the_readme_open_a_network_that_says_what_the_ledger_says(study, exported, monkeypatch):
    monkeypatch.chdir(exported[0])
    lines = re.search(r"```python\n(.*?)```", (exported[0] / "README.md").read_text(), re.S)[1]
    assert len(lines.splitlines()) == 5
    opened = {}
    exec(lines, opened)
    images, stated = resident(study.dataset), opened["stated"]
    mean, std = (torch.tensor(stated[key]).view(1, -1, 1, 1) for key in ("mean", "std"))
    with torch.no_grad():
        logits = opened["net"]((images.test[:50].float() - mean) / std).numpy()
    [known] = study.driver.logits([(Retraining(study.profile.recipe, BASE_SEED), list(range(50)))])
    assert np.abs(logits - known).max() < 1e-3


def test_a_folder_that_holds_anything_is_refused(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(FileExistsError, match="is not an empty folder; name another, nothing is overwritten"):
        export.emptied(str(tmp_path))
    assert export.emptied(str(tmp_path / "new" / "folder")).is_dir()


EXAMPLES = {"nearest_neighbours": None, "traker_trak": None, "dattri_ekfac": None, "captum_tracin": "captum"}


@pytest.mark.filterwarnings("ignore")  # of the libraries
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_leads_from_the_export_to_a_row(study, exported, monkeypatch, name):
    if EXAMPLES[name]:
        pytest.importorskip(EXAMPLES[name], reason="install it: pip install -e .[examples]")
    monkeypatch.syspath_prepend(ROOT / "examples")
    scores = importlib.import_module(name).scores(exported[0])
    ranking, kept = given.ranked(scores, study)
    own = study.dataset.test_labels[study.targets][:, None] == study.dataset.train_labels
    assert kept.shape == own.shape and scores[own].mean() > scores[~own].mean(), "higher is more supportive"
    judged = JudgedStudy(study.profile, "cpu", 1, results=study.results, given={name: ranking}, judged=name)
    [row] = stats.summary(judged.supports([(REMOVAL, name)], united=True), study.profile.k_max).to_dict("records")
    assert row["method"] == name and 0 <= row["auc"] <= 1 and row["n"] <= 5


JUDGED = sorted(path for path in export.JUDGED.glob("*.csv") if "_supports" not in path.stem)


@pytest.mark.parametrize("path", JUDGED, ids=lambda path: path.stem)
def test_the_row_of_an_example_follows_from_its_committed_supports(path):
    supports = pd.read_csv(path.with_name(f"{path.stem}_supports.csv"))
    [expected] = stats.summary(supports, profiles.load("fashion").k_max).to_dict("records")
    [row] = pd.read_csv(path).to_dict("records")
    assert path.stem in EXAMPLES and row["n"] == expected["n"] and row["retrainings"] > 0
    assert [row[key] for key in export.AREA] == pytest.approx([expected[key] for key in export.AREA], rel=1e-5)


def test_the_page_shows_examples_beside_ours_and_random():
    rows = export.judged_examples()
    assert {OURS, RANDOM} < set(rows["method"]) and len(rows) == 2 + len(JUDGED) >= 3
    assert rows["auc"].is_monotonic_decreasing and rows.loc[rows["method"] == OURS, "retrainings"].isna().all()


def test_examples_are_short():
    lines = {path.name: len(path.read_text().splitlines()) for path in (ROOT / "examples").glob("*.py")}
    assert set(EXAMPLES) <= {name.removesuffix(".py") for name in lines} and max(lines.values()) <= 40, lines
