"""Profiles: every value can be overridden, and what cannot be meant is refused before any work."""

from dataclasses import replace

import pandas as pd
import pytest

from lib import profiles, selfsupervised
from lib.paths import RESULTS


def test_names_and_defaults():
    assert profiles.NAMES == ("smoke", "fashion")
    assert all(profiles.load(name).name == name for name in profiles.NAMES)
    fashion = profiles.load("fashion")
    assert (fashion.n_targets, fashion.k_max, fashion.budget, fashion.n_votes) == (50, 256, 7, 3)


def test_overrides_reach_every_level_and_none_keeps_the_value():
    changed = profiles.load("fashion", n_targets=20, epochs=5, moco_epochs=7, k_max=None)
    assert (changed.n_targets, changed.recipe.epochs, changed.moco.epochs, changed.k_max) == (20, 5, 7, 256)
    assert changed.supervised == profiles.load("fashion").supervised
    assert profiles.load("fashion").n_targets == 50


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "huge"}, "unknown profile 'huge'; choose one of smoke, fashion"),
        ({"name": "smoke", "n_target": 3}, "unknown value 'n_target' of a profile"),
        ({"name": "smoke", "moco_size": 3}, "unknown value 'moco_size'"),
        ({"name": "smoke", "k_max": 0}, "k_max=0 must be a whole number of at least 1"),
        ({"name": "smoke", "n_votes": 2.5}, "n_votes=2.5 must be a whole number"),
        ({"name": "smoke", "budget": True}, "budget=True must be a whole number"),
        ({"name": "smoke", "moco_epochs": 0}, "moco_epochs=0 must be at least 1"),
        ({"name": "smoke", "epochs": 1}, "epochs=1 must exceed warmup_epochs=1.0"),
    ],
)
def test_wrong_values(arguments, message):
    with pytest.raises(ValueError, match=message):
        profiles.load(**arguments)


def test_self_supervised_methods_differ_in_method_and_learning_rate_alone():
    fashion = profiles.load("fashion", moco_epochs=7)
    assert fashion.features("moco") == fashion.moco and fashion.features("pixels") == fashion.pixels
    for method in selfsupervised.METHODS:
        recipe = fashion.features(method)
        assert recipe == replace(fashion.moco, method=method, peak_lr=recipe.peak_lr)


def test_the_learning_rates_are_those_of_best_accuracy_in_the_table_of_the_choice():
    table = pd.read_csv(RESULTS / "fashion" / "zoo_choice.csv").query("epoch == epoch.max()")
    best = table.loc[table.groupby("method")["knn_accuracy"].idxmax()].set_index("method")["peak_lr"]
    assert {method: profiles.FASHION.features(method).peak_lr for method in best.index} == best.to_dict()
    assert set(best.index) == set(selfsupervised.METHODS)
