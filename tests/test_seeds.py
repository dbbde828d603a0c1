"""The chapter on the seeds of features: its rankings are the study's, its variance is what was put in."""

import numpy as np
import pandas as pd
import pytest

from lib import distances, profiles
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


def test_other_features_are_those_of_their_pages_and_have_seeds_of_their_own(study):
    first, second = (seeds.measured(study, seed, "supervised") for seed in (0, 1))
    assert np.array_equal(distances.ranking(first["scores"], 8), study.attribution.ranking("supervised_esvm"))
    assert not np.array_equal(first["scores"], second["scores"]) and first["knn"] > 0


@pytest.mark.parametrize(("n_seeds", "n_others"), [(2, 3), (1, 1), (3, 0)])
def test_too_few_seeds_are_refused(n_seeds, n_others):
    with pytest.raises(ValueError, match=f"n_seeds={n_seeds} and n_others={n_others}: give n_others from 2"):
        seeds.numbers("fashion", n_seeds, n_others)
    assert seeds.numbers("fashion", None, None) == (5, 3) and seeds.numbers("smoke", 3, None) == (3, 2)


def test_features_are_compared_over_seeds():
    """Of two seeds each: MoCo is .2 ahead of all others; DINO's seeds differ by .6, so that one is ahead of MoCo's."""
    targets, shift = np.random.default_rng(0).uniform(0.3, 0.4, 50), {"dino": (-0.3, 0.3)}
    areas = {seeds.name(i): targets + 0.2 for i in range(3)}  # one more than is compared
    for one in seeds.OTHERS:
        areas |= {seeds.name(i, one): targets + by for i, by in enumerate(shift.get(one, (0, 0)))}
    spreads, pairs = seeds.compared(supports(areas, 10_000), 2, 10_000)
    assert spreads["features"].tolist() == ["MoCo", "BYOL", "SimCLR", "DINO", "supervised"] * 2
    assert (spreads["seeds"] == 2).all() and spreads["sd_over_seeds"].iloc[3] == pytest.approx(0.6 / 2**0.5, abs=1e-3)
    assert pairs["worse"].tolist() == ["BYOL", "SimCLR", "DINO", *["supervised"] * 4] * 2
    assert pairs["ahead"].tolist() == ["4 of 4", "4 of 4", "2 of 4", "4 of 4", "0 of 4", "0 of 4", "2 of 4"] * 2
    assert np.allclose(pairs["difference"], [0.2, 0.2, 0.2, 0.2, 0, 0, 0] * 2, atol=1e-3)
    assert pairs["verdict"].tolist() == [*["agrees"] * 4, *["undecided"] * 3] * 2
    text = seeds.compared_finding(spreads, pairs).splitlines()
    assert len(text) == 2 and " to 100% (DINO) of the variance of an AUC. " in text[0]
    assert "4 of 7 pairs are told apart in the paper's order, 0 in the other." in text[1]


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
