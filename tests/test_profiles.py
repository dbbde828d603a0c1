"""Profiles: every value can be overridden, and what cannot be meant is refused before any work."""

import pytest

from lib import profiles


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
