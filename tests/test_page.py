"""A page: from a notebook's parameters to a study, and what came with the repository where the data are missing."""

import ast
import json
from dataclasses import replace

import nbformat
import pandas as pd
import pytest
from matplotlib.figure import Figure

from lib import profiles
from lib.data import NOTEBOOKS
from lib.features import FeatureRecipe
from lib.report import Page, committed, page, write
from lib.study import REMOVAL, Study

QUICK = {"profile": "smoke", "k_max": 8, "budget": 1, "seed": None, "device": "cpu", "n_jobs": 1, "n_seeds": 2}


@pytest.fixture
def opened(tmp_path, monkeypatch) -> Page:
    """A page of a study that learns no features."""
    smoke = profiles.PROFILES["smoke"]
    monkeypatch.setitem(profiles.PROFILES, "smoke", replace(smoke, selfsupervised=FeatureRecipe("pixels")))
    return Page("fig99", QUICK, results=tmp_path / "results")


def test_parameters_are_taken_by_name_and_nothing_else_is():
    notebook = QUICK | {
        "moco_epochs": 7,
        "epochs": 2,
        "sizes": lambda: 0,
        "n_points": 16,
        "scheduler": "tcp://10.0.0.1",
    }
    mine = Page("fig99", notebook)
    assert mine.values == profiles.load("smoke", k_max=8, budget=1, moco_epochs=7, epochs=2)
    assert mine.options == {"device": "cpu", "n_jobs": 1, "scheduler": "tcp://10.0.0.1"}
    assert Page("fig99", {"profile": "smoke"}).values == profiles.PROFILES["smoke"]
    with pytest.raises(ValueError, match="k_max=0 must be a whole number of at least 1"):
        Page("fig99", QUICK | {"k_max": 0})


def test_the_study_is_opened_once_and_by_one_function(opened, monkeypatch):
    calls, really = [], page.open_study
    monkeypatch.setattr(page, "open_study", lambda *given, **options: calls.append(given) or really(*given, **options))
    assert not calls and isinstance(opened.study, Study) and opened.study is opened.study
    assert calls == [(opened.values, Study)] and (opened.study.device, opened.study.n_jobs) == ("cpu", 1)


def test_tables_are_written_with_where_they_came_from_and_left_alone_when_the_same(opened, tmp_path):
    supports = opened.supports([(REMOVAL, "pixels_l2")])
    head = opened.status([supports]).data
    assert head.startswith("**Profile** `smoke`, with values overridden: ") and ", 200 training images." in head
    assert "5 targets (paper 100), k up to 8 of 40 in a class (1280 of 5000)" in head and "**Device** cpu" in head
    figure, tables = Figure(), {"supports": supports, "claims": [{"n": 5, "difference": 1 / 3}]}
    shown = opened.save(figure, tables).to_html()
    folder = opened.study.outputs("fig99")
    assert f"results/smoke/{folder.name}/" in shown and folder.parent == tmp_path / "results" / "smoke"
    assert {path.name for path in folder.iterdir()} == {"figure.png", "supports.csv", "claims.csv", "record.json"}
    stored = pd.read_csv(folder / "supports.csv")
    assert "keys" not in stored and stored["target"].tolist() == supports["target"].tolist() and len(stored) == 5
    assert (folder / "claims.csv").read_text() == "n,difference\n5,0.333333\n"
    record = json.loads((folder / "record.json").read_text())
    keys = set().union(*supports["keys"])
    assert record["retrainings"] == len(keys) > 0 and f"{len(keys)} distinct retrainings" in head
    assert record["profile"]["k_max"] == 8 and record["dataset"]["checksum"] == opened.study.dataset.checksum
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    opened.save(figure, tables)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_page_whose_dataset_is_not_here_shows_what_came_with_the_repository(tmp_path, monkeypatch):
    monkeypatch.setattr(committed, "RESULTS", tmp_path / "results")
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DATA_MIRROR", raising=False)
    mine = Page("fig05", {"profile": "imagenet"})
    assert mine.missing and mine.supports([(REMOVAL, "pixels_l2")]).empty
    assert mine.status([]).data.startswith("**Nothing to show yet**")
    assert "came with the repository" in mine.save(None, {}).data and not (tmp_path / "results").exists()
    row = ["removal", "random", 3, 0, 1, 7, "found", 6, 7, "0:1-0", 4]
    write(
        tmp_path / "results" / "imagenet" / "fig05" / "supports.csv", [dict(zip(committed.COLUMNS, row, strict=True))]
    )
    assert mine.supports([(REMOVAL, "pixels_l2")])["size"].tolist() == [7]


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_every_parameter_of_a_notebook_is_used(path):
    """`Page` takes those that it knows and ignores the others: these the notebook reads by name."""
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    apart = {False: [], True: []}
    for cell in cells:
        apart["parameters" in cell.metadata.get("tags", [])].append(ast.parse(cell.source))
    declared = {line.target.id for tree in apart[True] for line in tree.body}
    read = {node.id for tree in apart[False] for node in ast.walk(tree) if isinstance(node, ast.Name)}
    by_page = {"profile"} | page.OVERRIDES | page.OPTIONS
    by_page |= {"images", "size", "target"} if path.stem == "own" else set()
    assert declared <= (by_page if "locals" in read else set()) | read
    assert all(len(cell.source.splitlines()) <= 15 for cell in cells)
