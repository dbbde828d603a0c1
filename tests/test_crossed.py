"""TRAK with and without a ridge, of one class and of all: the same targets in all four, paired."""

import inspect
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq
from scipy.stats import multivariate_normal, norm
from trak import TRAKer

from lib import profiles
from lib.chapters import crossed
from lib.features import FeatureRecipe
from lib.methods import OURS
from lib.study import MISLABEL, REMOVAL, Study

PROFILE = profiles.load("smoke", k_max=1000)
NAMES = crossed.names(PROFILE)


def test_the_four_are_methods_and_each_target_is_tested_alone(tmp_path):
    smoke = profiles.load("smoke", k_max=8, budget=1, n_classes=3, n_targets=3)
    quick = replace(smoke, selfsupervised=FeatureRecipe("pixels"), ensembles=(2,), alone=1)
    study = Study(quick, "cpu", n_jobs=1, results=tmp_path)
    groups, methods = crossed.groups(study), crossed.names(quick)
    none = replace(study, profile=replace(quick, alone=0))
    assert sorted(groups) == [[i] for i in range(3)] and not crossed.groups(none)
    assert methods["with a ridge", "own class"] == "trak:2"
    alone = study.supports([(REMOVAL, name) for name in (OURS, *methods.values())], among=groups)
    assert (alone.groupby("method")["target"].nunique() == 3).all()
    keys = alone.groupby("method")["keys"].agg(list)
    assert keys["trak:2"] != keys["trak_undamped:2"]
    assert crossed.against(alone, quick)["worse"].tolist() == list(methods.values())


def test_two_looks_are_what_is_said_of_them():
    """The level at which either of two looks, at half of the targets and at all, is wrong in one study of twenty."""
    assert profiles.PROFILES["cifar10_full"].alone == 2  # first ten, then ten more
    looks = multivariate_normal(cov=[[1, 0.5**0.5], [0.5**0.5, 1]])

    def in_all(level: float) -> float:
        bound = norm.isf(level / 2)
        return 1 - looks.cdf([bound, bound], lower_limit=[-bound, -bound])

    assert f"{brentq(lambda level: in_all(level) - 0.05, 0.01, 0.05):.3f}".lstrip("0") in crossed.LOOKS


def test_what_is_said_of_the_authors_defaults_is_their_codes():
    defaults = {name: of.default for name, of in inspect.signature(TRAKer).parameters.items()}
    assert (defaults["proj_dim"], defaults["lambda_reg"]) == (2048, 0.0) and f"{2048 / 50_000:.2f}" == "0.04"


def table(sizes: dict[str, list]) -> pd.DataFrame:
    rows = [
        {"kind": REMOVAL, "method": method, "target": i, "size": size, "reason": ""}
        for method, of in sizes.items()
        for i, size in enumerate(of)
    ]
    return pd.DataFrame(rows).astype({"size": "Int64"})


def test_united_tests_are_compared_on_the_same_targets():
    """By united tests TRAK gains .1 more than ours with the ridge, and .2 more undamped; a target that is not tested
    alone is left out, and so is another kind."""
    targets = np.arange(400, 800, 40)
    alone = table({OURS: targets.tolist()} | {name: (targets - 50).tolist() for name in NAMES.values()})
    gained = {"trak:2": 150, "trak_undamped:2": 250, "moco_l2": 0}
    united = table({OURS: [*targets - 50, 0]} | {name: [*targets - 50 - by, 0] for name, by in gained.items()})
    united = pd.concat([united, united.assign(kind=MISLABEL, size=1)])
    assert crossed.by_tests(alone, united, PROFILE)["difference"].tolist() == pytest.approx([0.1, 0.2])
    text = crossed.united_finding(alone, united, PROFILE)
    assert "ours less TRAK is -0.15 [-0.15, -0.15], n = 10 with the ridge and -0.25 [-0.25, -0.25], n = 10 un" in text
    assert "more than that of ours by 0.10 [0.10, 0.10]" in text and " and 0.20 [0.20, 0.20]" in text


def test_differences_movements_and_what_is_left_when_they_are_added_up():
    """By removing the ridge TRAK's AUC falls by .1 within a class, by .3 over all; over all it starts .05 lower."""
    areas = {("with a ridge", "own class"): 0.6, ("with a ridge", "all classes"): 0.55}
    areas |= {("undamped", "own class"): 0.5, ("undamped", "all classes"): 0.25}
    jitter = np.random.default_rng(0).integers(-30, 30, 12)
    sizes = {OURS: (600 + jitter).tolist()}
    sizes |= {NAMES[of]: (round(1000 * (1 - area)) + jitter).tolist() for of, area in areas.items()}
    alone = table(sizes)
    rows = crossed.against(alone, PROFILE)
    assert rows["difference"].to_dict() == pytest.approx({of: 0.4 - area for of, area in areas.items()})
    drawn = crossed.figure(alone, PROFILE, "title").axes[0]
    assert [label.get_text() for label in drawn.get_yticklabels()] == [", ".join(of) for of in rows.index]
    text = crossed.finding(alone, PROFILE)
    assert "| undamped | -0.10 [-0.10, -0.10], n = 12 | 0.15 [0.15, 0.15], n = 12 |" in text
    for moved in ("moves by 0.10 [", "and by 0.30 [", "by 0.05 [", "and by 0.25 [", "both, by 0.35 [", "by 0.20 ["):
        assert moved in text
