"""The chapter on Table 1: which methods a profile has, and its tables, from scores that are known."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from lib.chapters import table1
from lib.profiles import PROFILES


def test_all_methods_or_those_of_figures_2_and_3():
    every = table1.methods(PROFILES["fashion"])
    assert every[:4] == ["trak:20", "trak:10", "trak:5", "trak:1"] and every[-1] == "random"
    assert {"datamodels:2000", "moco", "simclr", "pixels"} < set(every) and len(every) == len(set(every))
    assert table1.methods(PROFILES["cifar10_full"]) == [
        *("trak:10", "trak_undamped:10", "moco", "supervised", "pixels", "random")
    ]


def test_where_a_half_has_a_single_model_nothing_further_is_computed():
    assert table1.further(SimpleNamespace(values=PROFILES["cifar10_full"])) == {}


def test_what_is_further_is_read_where_it_is_kept(monkeypatch):
    """A page whose dataset is missing gives the tables that came with the repository, by these names."""
    page = SimpleNamespace(values=PROFILES["fashion"], study=None, table=lambda name, make: name)
    assert table1.further(page) == {name: name for name in ("ceiling", "by_trainings", "by_alpha")}
    page.study = SimpleNamespace(attribution="its attribution")
    page.table = lambda name, make: make()
    monkeypatch.setattr(table1, "noise_ceiling", lambda attribution: f"ceiling of {attribution}")
    for name in ("by_trainings", "by_alpha"):
        monkeypatch.setattr(table1, name, lambda study, name=name: (name, study))
    computed = table1.further(page)
    assert computed["ceiling"] == "ceiling of its attribution" and computed["by_alpha"] == ("by_alpha", page.study)


def test_the_papers():
    table = table1.papers().set_index(["method", "models"])["lds"]
    assert table["datamodels", 300_000] == 0.56 and table["trak", 20] == 0.15 and table["moco", 1] == 0.08
    assert len(table) == 8


def test_ours_against_each_in_the_order_of_the_table():
    """Of ten targets, ours is higher by .1 than one and lower by .2 than the other, which is named first."""
    by_target = {"random": 0.0, "b": 0.3, "moco": 0.1}
    scores = pd.DataFrame([(m, i, lds * (0.9 + i / 45)) for m, lds in by_target.items() for i in range(10)])
    rows = table1.against(scores.set_axis(["method", "target", "lds"], axis=1).iloc[::-1], "moco")
    assert list(rows)[:4] == ["better", "worse", "n", "difference"] and rows["worse"].tolist() == ["b", "random"]
    assert rows["difference"].tolist() == pytest.approx([-0.2, 0.1])
    assert rows["verdict"].tolist() == ["lower", "higher"] and set(rows["better"]) == {"moco"}


def test_the_noise_ceiling():
    """Where a margin is as much chance as subset, two trainings agree by a half, and neither is predicted by more."""
    subset, *noise = np.random.default_rng(0).normal(size=(4, 4000, 7))
    margins, targets = [subset + one for one in noise], np.array([1, 4, 6])
    of = SimpleNamespace(held_out=range(4000), targets=targets)
    of.subset_margins = lambda models, repeat: (None, margins[repeat])
    rows = table1.noise_ceiling(of)
    assert rows["target"].tolist() == [1, 4, 6]
    assert rows["repeat"].mean() == pytest.approx(0.48, abs=0.02)  # Spearman's of a Pearson's of one half
    best = [spearmanr(margins[0][:, i], subset[:, i]).statistic for i in targets]
    np.testing.assert_allclose(rows["ceiling"], best, atol=0.03)
    best = [spearmanr(np.mean(margins, axis=0)[:, i], subset[:, i]).statistic for i in targets]
    np.testing.assert_allclose(table1.noise_ceiling(of, 3)["ceiling"], best, atol=0.03)


def test_means_of_the_ceiling():
    ceiling = pd.DataFrame({"target": range(4), "repeat": [0.0, 0.2, 0.4, 0.6], "ceiling": 0.5})
    rows = table1.ceilings(ceiling).set_index("measure")
    assert rows.loc["repeat", "value"] == pytest.approx(0.3) and rows.loc["ceiling", "value_low"] == 0.5
    assert rows["n"].tolist() == [4, 4]
    assert rows.loc["repeat", "value_low"] < 0.3 < rows.loc["repeat", "value_high"]


def test_shares_stand_beside_each_other_in_the_order_of_the_methods():
    rows = [("b", 0.25, 1), ("a", 0.25, 2), ("b", 0.5, 3), ("a", 0.5, 4)]
    by_alpha = pd.DataFrame(rows, columns=["method", "alpha", "lds"]).assign(n=50, lds_low=0, lds_high=9)
    wide = table1.wide(by_alpha)
    assert wide["method"].tolist() == ["b", "a"] and wide["alpha 0.5"].tolist() == [3, 4]
    assert list(wide) == ["method", *(f"alpha {a}{end}" for end in ("", "_low", "_high") for a in (0.25, 0.5))]


def test_more_trainings_are_compared_with_one():
    rows = pd.DataFrame({"method": ["moco", "random"] * 2, "trainings": [1, 1, 3, 3], "n": 100})
    rows = rows.assign(lds=[0.1, 0.05, 0.2, 0.06], ceiling=[0.5, 0.5, 0.7, 0.7])
    words = table1.more_trainings(rows)
    assert "MoCo features 0.10 to 0.20, random 0.05 to 0.06" in words and "from 0.50 to 0.70" in words
    assert words.startswith("**From one training to 3, 100 targets:**") and words.endswith("methods is the same.")
    assert table1.more_trainings(rows.assign(lds=[0.1, 0.05, 0.2, 0.3])).endswith("methods is another.")


def test_every_target_is_a_point_and_every_mean_a_bar():
    scores = pd.DataFrame({"method": ["moco"] * 3 + ["random"] * 3, "target": [0, 1, 2] * 2, "lds": np.arange(6) / 10})
    (axis,) = table1.strips(scores, "title").axes
    points, bar = axis.lines[:2]
    assert points.get_xdata().tolist() == [0, 0.1, 0.2] and bar.get_xdata()[0] == pytest.approx(0.1)
    assert "n = 3" in axis.get_xlabel() and [one.get_text() for one in axis.get_yticklabels()][1] == "random"
