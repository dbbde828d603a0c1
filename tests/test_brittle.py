"""The chapter on brittleness: the smallest support of several methods, what goes with it, and overlaps."""

import numpy as np
import pandas as pd
import pytest

from lib import profiles
from lib.chapters import brittle
from lib.methods import OURS, RANDOM
from lib.report import stats
from lib.study import Study

SUPPORTS = pd.DataFrame(
    [
        ("removal", method, target, size, reason)
        for method, sizes in {OURS: (4, 40, None), "pixels_l2": (9, 20, None), RANDOM: (1, None, None)}.items()
        for target, size, reason in zip((3, 5, 8), sizes, ["found"] * 3, strict=True)
    ],
    columns=["kind", "method", "target", "size", "reason"],
).astype({"size": "Int64"})


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    smoke = profiles.load("smoke", moco_epochs=1)
    return Study(smoke, "cpu", n_jobs=1, results=tmp_path_factory.mktemp("results"))


def test_the_smallest_support_is_of_any_method_but_the_control():
    least = brittle.smallest(SUPPORTS)
    assert least["size"].tolist() == [4, 20, np.inf] and least["method"].tolist() == [OURS, "pixels_l2", ""]
    shares = brittle.shares(SUPPORTS, 100).set_index("at_most")
    assert shares.loc[8, "share"] == 1 / 3 and shares.loc[32, "share"] == 2 / 3 and (shares["n"] == 3).all()
    assert shares.loc[8, "of_all"] == 0.08
    assert shares.loc[32, ["ours", "raw pixels, L2", "random"]].tolist() == [1, 2, 1]  # by a single ranking
    row = {"rho": 0.5, "low": 0.4, "high": 0.6}
    said = brittle.finding(shares.reset_index(), pd.DataFrame([row, row | {"rho": 0.1}, row | {"rho": 0.2}]), "Tiny")
    assert (
        "of 3 right" in said
        and "the best of 2 rankings" in said
        and "with raw pixels, L2 as the only ranking 67%" in said
    )
    assert "the support is 0.50 [0.40, 0.60]; likeness to the nearest image correlates 0.20" in said


def test_traits_that_order_the_targets_as_their_supports_do(monkeypatch):
    monkeypatch.setattr(stats, "RESAMPLES", 50)
    size = np.array([2.0, 5, 9, 30, 100, np.inf, np.inf])
    traits = {"margin": np.minimum(size, 300), "density": -size.clip(max=300)}
    traits |= {"agreement": np.arange(7), "copy": [3, 1, 2, 1, 3, 2, 2]}
    rows = brittle.correlations(pd.DataFrame({"size": size} | traits), 256)
    assert rows["rho"][0] == pytest.approx(1) and rows["rho"][1] == pytest.approx(-1) and (rows["n"] == 7).all()


def test_an_ensemble_is_compared_with_its_sets_and_with_what_is_none():
    one, other = np.array([0.1, 0.2, 0.3, 0.6]), np.array([0.1, 0.3, 0.25, 0.4])
    table = brittle.together({"moco": one, "pixels": other}, one + 0.1, {"trak:20": 1 - one})
    by = table.set_index("features")
    assert by["gain"][["raw pixels", brittle.ALONE]].tolist() == pytest.approx([0.1375, 0.11875])
    assert by.loc["MoCo features", "with_others"] == pytest.approx(0.8) and by.loc["TRAK (20)", "with_others"] == -1
    assert by.loc[[brittle.TOGETHER, "TRAK (20)"], "gain"].isna().all()
    said = brittle.said_of_ensemble(table)
    assert "0.119 [" in said and "MoCo features, which was chosen" in said and "(TRAK (20) -1.00)" in said
    assert "one set" in brittle.said_of_ensemble(table[:0])


def test_what_a_study_says_of_its_targets(study, monkeypatch):
    monkeypatch.setattr(brittle, "compared", lambda profile: [OURS, "pixels_l2", RANDOM])
    sizes = np.where(np.arange(len(study.targets)) == 0, np.inf, 8)
    least = pd.DataFrame({"target": study.targets, "method": OURS, "size": sizes})
    rows = brittle.described(study, least)
    assert (rows["margin"] > 0).all() and rows["agreement"].between(0, 1).all() and (rows["copy"] < 0).all()
    overlaps = brittle.overlaps(study, least)
    assert len(overlaps) == 6 and (overlaps["n"] == len(sizes) - 1).all() and overlaps["value"].between(0, 1).all()
    figure = brittle.figure(rows, overlaps, 16, "title")
    assert figure.get_suptitle() == "title" and len(brittle.gallery(study, least).subfigs) == brittle.SHOWN
