"""The chapter on the seeds of features: its rankings are the study's, its variance is what was put in."""

import numpy as np
import pandas as pd
import pytest

from lib import profiles
from lib.chapters import seeds
from lib.study import MISLABEL, REMOVAL, Study


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    smoke = profiles.load("smoke", k_max=8, budget=1, moco_epochs=1)
    return Study(smoke, "cpu", n_jobs=1, results=tmp_path_factory.mktemp("results"))


def test_seed_0_is_the_one_of_the_other_pages_and_another_seed_is_another(study):
    sets = [seeds.measured(study, seed) for seed in (0, 1)]
    ranked = seeds.rankings(sets, 8)
    assert list(ranked) == [seeds.name(0), seeds.name(1), seeds.AVERAGED]
    assert np.array_equal(ranked[seeds.name(0)], study.attribution.ranking("moco_esvm"))
    assert not np.array_equal(ranked[seeds.name(0)], ranked[seeds.name(1)])
    lds = study.attribution.lds(["moco"])
    assert np.allclose(lds["lds"], sets[0]["lds"], equal_nan=True)


def supports(areas: dict[str, np.ndarray], k_max: int) -> pd.DataFrame:
    """areas: method -> one a target."""
    rows = [
        {"kind": kind, "method": method, "target": i, "size": round((1 - area) * k_max), "reason": "", "trainings": 1}
        for kind in (REMOVAL, MISLABEL)
        for method, of_method in areas.items()
        for i, area in enumerate(of_method)
    ]
    return pd.DataFrame(rows).astype({"size": "Int64"})


def test_variance_table_finding_and_figure_of_known_areas():
    rng, k_max = np.random.default_rng(0), 10_000
    targets, shifts = rng.uniform(0.2, 0.6, 50), {"MoCo, seed 0": 0.0, "MoCo, seed 1": 0.1, "MoCo, seed 2": -0.1}
    areas = {name: targets + shift for name, shift in shifts.items()} | {
        seeds.AVERAGED: targets + 0.05,
        "trak:2": targets,
    }
    table = supports(areas, k_max)
    of = seeds.variance(table[table["method"] != "trak:2"], REMOVAL, k_max)
    assert of["sd_over_seeds"] == pytest.approx(0.1, abs=1e-3) and of["seeds"] == 3
    assert of["gain"] == pytest.approx(0.05, abs=1e-3) and of["gain_low"] <= of["gain"] and of["p"] < 0.01
    error = targets.std(ddof=1) / np.sqrt(50)
    assert of["se_over_targets"] == pytest.approx(error, abs=1e-3)
    assert of["share_of_seeds"] == pytest.approx(0.01 / (0.01 + error**2), rel=0.02)
    sets = [{"knn": np.array(0.5), "lds": np.full(50, 0.1)}] * 3
    rows = seeds.table(table, sets, "trak:2", k_max)
    assert rows["features"].tolist() == [*shifts, seeds.AVERAGED] * 2
    assert rows.loc[1, "against_rival"] == pytest.approx(0.1, abs=1e-3) and rows.loc[1, "p"] < 0.01
    words = seeds.finding(rows, pd.DataFrame([of]))
    assert ", ".join(f"{areas[name].mean():.2f}" for name in shifts) in words and f"{of['share_of_seeds']:.0%}" in words
    assert [axis.get_xlabel() for axis in seeds.figure(rows, "title").axes] == ["AUC, removal", "AUC, mislabel"]


def test_overlap_by_hand():
    one, other = np.arange(64)[None], np.arange(32, 96)[None]
    rows = seeds.overlap({"a": one, "b": other})
    assert rows["k"].tolist() == [16, 64] and rows["common"].tolist() == [0, 0.5]
