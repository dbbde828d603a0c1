"""The table of all methods, on a few images: every column from the study's own tables, one row a method."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from lib import profiles
from lib.chapters import comparison
from lib.features import FeatureRecipe
from lib.report import stats
from lib.study import Study

NAMES = ["moco_esvm", "moco_l2", "pixels_l2", "random", "random:all"]


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    smoke = profiles.load("smoke", k_max=8, budget=1, lds_models=4, n_classes=3, n_targets=3)
    cheap = replace(smoke, selfsupervised=FeatureRecipe("pixels"))
    return Study(cheap, "cpu", n_jobs=1, results=tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def found(opened):
    return comparison.supports(opened, NAMES)


def test_methods_are_known_and_named_once(opened):
    names = comparison.methods(opened.profile)
    assert len(set(names)) == len(names) == 20 and names[0] == comparison.OURS
    assert [opened.attribution.parse(name).models for name in names if "datamodels" in name] == [40]


def test_supports_are_united_but_for_rankings_of_all_classes(opened, found):
    assert found.groupby(["kind", "method"]).size().tolist() == [3] * 10
    of = found.set_index(["kind", "method"])["keys"]
    assert len(set(of["removal", "pixels_l2"])) == 1  # three targets, one inquiry: the same trainings
    assert len(set(of["mislabel", "random:all"])) > 1


def test_the_table(opened, found):
    margins = comparison.margins(opened, NAMES)
    assert sorted(margins["k"].unique()) == [0, *comparison.ks(opened.profile)] == [0, 1, 2]
    at_fixed_k = stats.fixed_k(margins)
    table = comparison.table(opened, found).merge(comparison.margin_drops(at_fixed_k))
    table = table.merge(comparison.lds(opened, NAMES))
    assert set(table["method"]) == set(NAMES) and table["removal_auc"].is_monotonic_decreasing
    for column in ("removal_auc", "mislabel_auc", "margin_drop", "lds"):
        assert (table[f"{column}_low"] <= table[column]).all() and (table[column] <= table[f"{column}_high"]).all()
    areas = stats.summary(found, 8).set_index(["kind", "method"])["auc"]
    by_name = table.set_index("method")
    assert by_name.loc["random", "mislabel_auc"] == areas["mislabel", "random"]
    assert by_name.loc["moco_esvm", "lds"] == by_name.loc["pixels_l2", "lds"]  # the same features here
    parts = comparison.parts(opened, table.assign(seconds=1.0), found, margins).set_index("part")["core_hours"]
    assert parts["features, networks and scores"] == pytest.approx(4 / 3600)
    assert parts["all"] == pytest.approx(parts[:-1].sum()) and (parts > 0).all()


def test_images_that_two_targets_of_a_class_share(opened):
    """Targets 0 and 2 are of one class: of their first two images, one is common; k is a quarter of k_max = 8."""
    rankings = {"a": np.array([[1, 2, 3], [7, 8, 9], [4, 1, 2]]), "b": np.array([[1, 2, 3], [7, 8, 9], [2, 1, 5]])}
    study = SimpleNamespace(
        profile=opened.profile,
        dataset=SimpleNamespace(test_labels=np.array([0, 5, 0, 1])),
        targets=np.array([0, 1, 2]),
        attribution=SimpleNamespace(ranking=rankings.get),
    )
    assert comparison.shared(study, ["a", "b"]).to_numpy().tolist() == [["b", 2, 1.0], ["a", 2, 0.5]]
    assert comparison.shared(opened, NAMES).empty  # one target a class


def test_across_networks(opened):
    """At the largest k alone, and for the network under study the same trainings as everywhere."""
    margins = comparison.across_networks(opened, ["pixels_l2", "random"])
    networks = [opened.profile.recipe.arch, *(recipe.arch for recipe in opened.profile.transfer)]
    assert margins["network"].drop_duplicates().tolist() == networks
    assert margins.groupby("network").size().tolist() == [2 * 3 * 2 * 3] * 3 and set(margins["k"]) == {0, 2}
    own = stats.fixed_k(comparison.margins(opened, ["pixels_l2", "random"])).query("k == 2")
    there = stats.fixed_k(margins[margins["network"] == networks[0]])
    assert there["drop"].tolist() == own["drop"].tolist()


def test_transfer_losses_by_hand():
    """Ours loses 0.1 and 0.3 of its AUC, random removal 0.1 each; target 2 is wrong on the other network at once."""
    sizes = {("a", "ours"): (10, 20, 5), ("a", "random"): (80, 60, 90)}
    sizes |= {("b", "ours"): (20, 50, 0), ("b", "random"): (90, 70, 0)}
    rows = [
        {"network": network, "method": method, "target": target, "size": size}
        | {"reason": "found" if size else "wrong at k = 0"}
        for (network, method), column in sizes.items()
        for target, size in enumerate(column)
    ]
    losses = comparison.transfer_losses(pd.DataFrame(rows), "a", k_max=100)
    assert losses["network"].tolist() == ["b", "b"] and losses["n"].tolist() == [2, 2]
    assert losses["loss"].tolist() == pytest.approx([0.2, 0.1])
    assert losses["beyond_random"].tolist() == pytest.approx([0.1, 0])


def test_extrapolation_is_in_proportion():
    measured = pd.DataFrame(
        {
            "method": ["trak:20", "datamodels:2000", comparison.OURS],
            "models": [20, 2000, 1],
            "seconds": [10.0, 40.0, 25.0],
            "bytes": [4, 8, 2],
        }
    )
    scaled = comparison.at_the_papers_numbers(measured).set_index("method")
    assert scaled.loc["trak:100", "seconds"] == 50 and scaled.loc["datamodels:300000", "bytes"] == 1200
    assert scaled.loc["trak:100", "times_our_seconds"] == 2
    assert scaled.loc["datamodels:300000", "times_our_bytes"] == 600
    assert len(scaled) == 6
