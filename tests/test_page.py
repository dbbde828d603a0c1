"""A page: from a notebook's parameters to a study, and what came with the repository where the data are missing."""

import ast
import json
import subprocess
from dataclasses import replace

import nbformat
import pandas as pd
import pytest
from matplotlib.figure import Figure

from lib import profiles
from lib.base import LIMITS, check
from lib.data import ROOT, manifest
from lib.engine import Tally
from lib.features import FeatureRecipe
from lib.report import Page, claims, committed, page, stats
from lib.report.plan import DryStudy
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


def test_the_study_is_opened_once(opened):
    study = opened.study
    assert type(study) is Study and opened.study is study and (study.device, study.n_jobs) == ("cpu", 1)


def test_a_dry_run_opens_a_study_that_trains_nothing_and_writes_nothing(tmp_path):
    mine = Page("fig99", QUICK | {"dry_run": Tally()}, results=tmp_path)
    supports = mine.supports([(REMOVAL, "pixels_l2")])
    assert isinstance(mine.study, DryStudy) and len(supports) == 5
    assert mine.head([supports]) is mine.status([supports]) is mine.show(Figure(), "") is mine.foot() is None
    assert mine.save(Figure(), {"supports": supports}) is None
    mine.write(tmp_path / "claims.csv", supports)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="dry_run=True is for `python -m lib.run fig99 -p dry_run true` alone"):
        Page("fig99", QUICK | {"dry_run": True})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"seed": -1}, "seed=-1 must be a whole number of at least 0"),
        ({"epochs": 2.5}, "epochs=2.5 must be a whole number of at least 1"),
        ({"moco_epochs": 0}, "moco_epochs=0 must be a whole number of at least 1"),
        ({"n_votes": True}, "n_votes=True must be a whole number"),
        ({"n_points": 0}, "n_points=0 must be a whole number of at least 1"),
        ({"n_jobs": 0}, "n_jobs=0 must be 1 or more processes, or -1 for one per core"),
        ({"device": "gpu"}, "device='gpu' must be auto, cpu, cuda"),
        ({"loader": "disk"}, "loader='disk' must be memory, ffcv"),
        ({"scheduler": "foo"}, "scheduler='foo' must be an address like"),
        ({"images": 2024}, "images=2024 must be text"),
        ({"dataset": "birds"}, "'birds' is not in data_manifest.yaml"),
        ({"profile": "big"}, "unknown profile 'big'"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_before_anything_runs(wrong, message):
    with pytest.raises(ValueError, match=message):
        Page("fig99", QUICK | wrong)


@pytest.mark.parametrize("profile", profiles.PROFILES.values(), ids=lambda profile: profile.name)
def test_the_table_of_limits_knows_every_parameter_and_fits_every_profile(profile):
    recipes = [profile.recipe, profile.selfsupervised, profile.classifier, *profile.transfer]
    values = {"profile": profile.name, **{key: getattr(profile, key) for key in profiles.SCALARS}}
    for given in [values, *map(vars, recipes)]:
        for key in given.keys() - {"sizes", "classifier"}:
            assert key in LIMITS
            check(key, given[key])


def test_tables_are_written_with_where_they_came_from_and_left_alone_when_the_same(opened, tmp_path):
    supports = opened.supports([(REMOVAL, "pixels_l2")])
    head = opened.status([supports]).data
    assert head.startswith("**Profile** `smoke`, with values overridden: ") and ", 200 training images." in head
    assert "5 targets (paper 100), k up to 8 of 40 in a class (1280 of 5000)" in head and "**Device** cpu" in head
    figure, tables = Figure(), {"supports": supports, "claims": [{"n": 5, "difference": 1 / 3}]}
    shown = opened.save(figure, tables).to_html()
    folder = opened.study.outputs("fig99")
    assert f"results/smoke/{folder.name}/" in shown and folder.parent == tmp_path / "results" / "smoke"
    assert {path.name for path in folder.iterdir()} == {
        "figure.png",
        "figure.svg",
        "supports.csv",
        "claims.csv",
        "record.json",
    }
    stored = pd.read_csv(folder / "supports.csv")
    assert "keys" not in stored and stored["target"].tolist() == supports["target"].tolist() and len(stored) == 5
    assert (folder / "claims.csv").read_text() == "n,difference\n5,0.333333\n"
    record = json.loads((folder / "record.json").read_text())
    keys = set().union(*supports["keys"])
    assert record["retrainings"] == len(keys) > 0 and f"{len(keys)} distinct retrainings" in head
    assert record["profile"]["k_max"] == 8 and record["dataset"]["checksum"] == opened.study.dataset.checksum
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    foot = opened.foot().data
    assert all(f"[{name}]({'../' * 2}" in foot for name in ("supports.csv", "figure.png", "figure.svg"))
    assert "-p k_max 4 " in foot and f"rests on {len(keys)} retrainings" in foot and "-p profile paper -p dry" in foot
    opened.save(figure, tables)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    opened.save(figure, tables, replace(opened.study, profile=replace(opened.study.profile, n_votes=3)))
    assert "own" not in record
    assert json.loads((folder / "record.json").read_text()) == record | {"own": {"n_votes": 3}}


def test_results_that_came_with_the_repository_are_kept_where_they_differ(opened, tmp_path, monkeypatch, capsys):
    """Where there is no git to ask, all that lie there came with it; what git does not know may be written over."""
    folder, table = opened.study.outputs("fig99"), [{"n": 5}, {"n": 6}]
    opened.save(Figure(), {"claims": table})
    record, figure = (folder / "record.json").read_bytes(), (folder / "figure.png").read_bytes()
    other = Figure()
    other.suptitle("another")
    opened.save(other, {"claims": table})
    assert (folder / "figure.png").read_bytes() == figure
    said = opened.save(other, {"claims": [{"n": 5}, {"n": 7}], "new": table}).data
    assert "are kept, though this run differs in claims.csv;" in said and "REPLACE=1" in capsys.readouterr().err
    assert pd.read_csv(folder / "claims.csv")["n"].tolist() == [5, 6] and not (folder / "new.csv").exists()
    assert (record, figure) == ((folder / "record.json").read_bytes(), (folder / "figure.png").read_bytes())
    opened.write(folder / "claims.csv", [{"n": 8}])
    assert pd.read_csv(folder / "claims.csv")["n"].tolist() == [5, 6]
    monkeypatch.setenv("REPLACE", "1")
    opened.save(other, {"claims": [{"n": 7}]})
    assert pd.read_csv(folder / "claims.csv")["n"].tolist() == [7] and (folder / "figure.png").read_bytes() != figure
    monkeypatch.delenv("REPLACE")
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    opened.write(folder / "claims.csv", [{"n": 8}])
    assert pd.read_csv(folder / "claims.csv")["n"].tolist() == [8]


def test_the_head_of_a_figure_counts_verdicts_and_its_notes_stand_below():
    mine = Page("fig03", {"profile": "fashion"})
    rows = claims.of_figure("fig03")
    of_cifar10 = rows[rows["profile"] == "cifar10"]["verdict"]
    head = mine.head([pd.DataFrame({"kind": ["removal"], "method": ["moco_esvm"]})]).data
    left_out = [f"{n} {word}" for word in claims.LEFT_OUT if (n := (of_cifar10 == word).sum())]
    counted = ", ".join([claims.counted(of_cifar10), *left_out])
    claim, stated, here, verdict = claims.first(rows[rows["profile"] == "cifar10"])
    said = f"The first: {claim}; paper: {stated}; here: {here}: {verdict}."
    assert f"- CIFAR-10, 1000 images per class: {counted}. {said}\n" in head
    assert head.index("CIFAR-10") < head.index("Fashion-MNIST") and "](verdicts)" in head and "explorer.html#" in head
    assert mine.said(rows.iloc[0]["claim"]).endswith(": undecided")
    assert Page("fig07", {"profile": "fashion"}).head([]).data.rstrip().endswith("Fashion-MNIST: 1 not tested.")


def test_names_of_files_that_are_not_utf8_are_written(opened, tmp_path):
    opened.write(tmp_path / "names.csv", pd.DataFrame({"target": ["test/cat/\udcff.png"]}))
    assert (tmp_path / "names.csv").read_text(encoding="utf-8") == "target\ntest/cat/\\udcff.png\n"


def test_a_page_whose_dataset_is_not_here_shows_what_came_with_the_repository(tmp_path, monkeypatch):
    monkeypatch.setattr(committed, "RESULTS", tmp_path / "results")
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DATA_MIRROR", raising=False)
    with pytest.raises(FileNotFoundError, match="tiny_imagenet_40.zip could not be downloaded"):
        Page("fig05", {"profile": "imagenet"}).supports([(REMOVAL, "pixels_l2")])
    folder = tmp_path / "results" / "imagenet" / "fig05"
    folder.mkdir(parents=True)
    row = ["removal", "random", 3, 0, 1, 7, "found", 6, 7, "0:1-0", 4]
    pd.DataFrame([row], columns=list(committed.COLUMNS)).to_csv(folder / "supports.csv", index=False)
    (folder / "record.json").write_text(json.dumps({"retrainings": 4, "core_seconds": 60.0, "machines": ["a core"]}))
    (folder / "figure.png").write_bytes(b"png")
    mine = Page("fig05", {"profile": "imagenet"})
    assert mine.missing and mine.supports([(REMOVAL, "pixels_l2")])["size"].tolist() == [7]
    assert mine.table("supports", None)["low"].tolist() == [6] and mine.status([]).data.startswith("**Profile**")
    assert "came with the repository" in mine.save(None, {}).data


@pytest.mark.parametrize(
    "name, profile", [(name, of) for of in ("cifar10", "cifar10_full") for name in profiles.PROFILES[of].figures]
)
def test_pages_of_cifar10_are_shown_without_its_images(tmp_path, monkeypatch, name, profile):
    """The cells are run here, with the dataset absent: nothing is asked of it."""
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path))
    monkeypatch.delenv("DATA_MIRROR", raising=False)
    monkeypatch.setattr(manifest, "download", lambda entry: (_ for _ in ()).throw(FileNotFoundError(entry.file)))
    monkeypatch.setattr(stats, "RESAMPLES", 200)
    namespace = {}
    for cell in nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells:
        if cell.cell_type == "code":
            exec(cell.source, namespace)
            if "parameters" in cell.metadata.get("tags", []):
                namespace["profile"] = profile
    assert namespace["page"].missing
    if name == "fig03":
        assert namespace["tests_of_all"] == "united"


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_every_parameter_of_a_notebook_is_used(path):
    """`Page` takes those that it knows and ignores the others: these the notebook reads by name."""
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    apart = {False: [], True: []}
    for cell in cells:
        apart["parameters" in cell.metadata.get("tags", [])].append(ast.parse(cell.source))
    declared = {line.target.id for tree in apart[True] for line in tree.body}
    read = {node.id for tree in apart[False] for node in ast.walk(tree) if isinstance(node, ast.Name)}
    by_page = {"profile"} | page.OVERRIDES | page.OPTIONS
    by_page |= {"own": {"images", "size", "target"}, "score": {"scores", "name", "minutes"}}.get(path.stem, set())
    assert declared <= (by_page if "locals" in read else set()) | read
    assert all(len(cell.source.splitlines()) <= 15 for cell in cells)


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_code_is_folded_or_absent(path):
    """But on the pages that teach by it."""
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    shown = [cell.id for cell in cells if not {"hide-input", "remove-input"} & set(cell.metadata.get("tags", []))]
    assert not shown or path.stem in ("method", "own")
