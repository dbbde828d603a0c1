"""A page whose dataset is not here shows what came with the repository, and says how to compute it."""

import json
from html import escape

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from lib import profiles
from lib.data import RESULTS, ROOT, manifest
from lib.profiles import PROFILES
from lib.report import committed, stats

RECORD = {
    "retrainings": 12,
    "core_seconds": 7200.0,
    "test_accuracy": 0.625,
    "machines": ["a core, cpu"],
    "dataset": {"name": "some images"},
    "profile": {"n_targets": 100, "n_votes": 1, "united": True},
}


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(committed, "RESULTS", tmp_path / "results")
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DATA_MIRROR", raising=False)
    return tmp_path / "results"


def test_what_is_missing(results):
    assert not committed.missing(profiles.load("smoke")) and committed.missing(profiles.load("imagenet"))


def test_without_results_there_is_no_row(results):
    imagenet = profiles.load("imagenet")
    supports = committed.supports(imagenet, "fig05")
    assert len(supports) == 0 and stats.summary(supports, 10).empty and not committed.exist(imagenet, "fig05")


def test_results_are_shown_as_they_were_computed(results):
    folder = results / "imagenet" / "fig05"
    folder.mkdir(parents=True)
    rows = [
        ["removal", "random", 3, 0, 1, 7, "found", 6, 7, "0:1-0", 4],
        ["removal", "random", 5, 0, 1, None] + [None] * 5,
    ]
    pd.DataFrame(rows, columns=list(committed.COLUMNS)).to_csv(folder / "supports.csv", index=False)
    (folder / "record.json").write_text(json.dumps(RECORD))
    supports = committed.supports(PROFILES["imagenet"], "fig05")
    assert committed.exist(PROFILES["imagenet"], "fig05")
    assert supports["size"].tolist() == [7, pd.NA] and str(supports["size"].dtype) == "Int64"
    said = committed.status(PROFILES["imagenet"], "fig05")
    assert "12 distinct retrainings, 2.00 core-hours (a core, cpu)" in said and "Put it into the mirror" in said
    changed = profiles.load("imagenet", k_max=100)
    assert committed.supports(changed, "fig05").empty, "values that were overridden have results of their own"


def figures(results, *names):
    for name in names:
        folder = results / name / "fig02"
        folder.mkdir(parents=True)
        (folder / "record.json").write_text(json.dumps(RECORD))
        (folder / "figure.png").write_bytes(b"png")


def test_a_page_shows_the_figure_nearest_to_the_paper_first_and_its_own_in_a_tab(results):
    figures(results, "fashion", "cifar10", "smoke", "cifar10_full")
    claim = {"better": "moco_l2", "worse": "random", "difference": 0.25, "low": 0.125, "high": 0.375}
    pd.DataFrame([claim]).to_csv(results / "cifar10" / "fig02" / "claims.csv", index=False)
    figure = plt.figure()
    shown = committed.tabs(profiles.load("fashion"), "fig02", figure, "lines & bands").data
    assert not plt.fignum_exists(figure.number), "shown in the tab, not a second time"
    assert [shown.count(f'for="fig02-{name}"') for name in ("fashion", "cifar10", "smoke", "imagenet")] == [1, 1, 0, 0]
    places = [shown.index(f'for="fig02-{name}"') for name in ("cifar10_full", "cifar10", "fashion")]
    assert shown.count("checked") == 1 and places == sorted(places) and ">CIFAR-10</label>" in shown
    assert "some images. 100 targets, votes per probe 1, united tests: 12 distinct retrainings, " in shown
    assert "mean test accuracy 62.5% over them, 2.00 core-hours." in shown
    assert 'alt="CIFAR-10, 1000 images per class. lines &amp; bands"' in shown
    assert "Fashion-MNIST, this run (fashion)</label>" in shown
    assert "make fig02 PROFILE=cifar10" in shown and escape(manifest.find("cifar10_jpeg").manual) in shown
    assert "0.250 [0.125,\N{NO-BREAK SPACE}0.375]" in shown


def test_a_run_of_another_profile_is_shown_first(results):
    figures(results, "fashion", "cifar10")
    shown = committed.tabs(profiles.load("smoke"), "fig02", plt.figure(), "").data
    assert shown.count("sd-tab-label") == 3 and shown.index("fig02-smoke") < shown.index("fig02-fashion")


def test_where_the_images_are_missing_the_figure_that_came_with_the_repository_is_shown(results):
    figures(results, "cifar10")
    shown = committed.tabs(profiles.load("cifar10"), "fig02", None, "").data
    assert shown.count("<img") == 1 and "sd-tab" not in shown and "make fig02 PROFILE=cifar10" in shown


def test_without_other_results_there_is_no_tab(results):
    shown = committed.tabs(profiles.load("smoke"), "fig02", plt.figure(), "").data
    assert "sd-tab" not in shown and "this page" in shown


def test_the_page_on_large_sets_states_what_was_measured():
    [row] = pd.read_csv(RESULTS / "large_set.csv").to_dict("records")
    page = (ROOT / "book" / "reproduce.md").read_text(encoding="utf-8")
    shown = [name for name in row if name.endswith(("_seconds", "_mb"))]
    assert len(shown) == 8 and all(f" {row[name]:.4g}" in page for name in shown) and row["n_train"] == 100_000
    assert max(row["driver_mb"], row["worker_mb"]) < 4000
