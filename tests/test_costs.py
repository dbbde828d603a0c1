"""What a factor of ten costs, from trainings and supports that are known."""

from dataclasses import replace

import pandas as pd
import pytest

from lib import profiles
from lib.chapters import costs, scale
from lib.methods import OURS
from lib.study import REMOVAL, Study


def test_times_are_compared_on_one_processor_alone():
    """a has both ends and a size between them, b one end, c both."""
    of_a = [(10, "a", 1), (10, "a", 2), (10, "a", 9), (50, "a", 99), (1000, "a", 200)]
    rows = [*of_a, (10, "b", 5), (10, "c", 1), (1000, "c", 1)]
    first, second = costs.by_images(pd.DataFrame(rows, columns=["images", "machine", "seconds"]))
    assert (first["processor"], first["from"], first["to"], first["n"]) == ("a", 10, 1000, 4)
    assert (first["cost_from"], first["cost_to"]) == (2, 200) and first["times_per_ten"] == pytest.approx(10)
    assert second["processor"] == "c" and second["times_per_ten"] == pytest.approx(1)


def test_all_of_one_size_say_nothing():
    assert costs.by_images(pd.DataFrame({"images": [10, 10], "machine": ["a", "a"], "seconds": [1.0, 2.0]})) == []


def test_images_width_and_targets(tmp_path):
    smoke = profiles.load("smoke", k_max=8, budget=1, moco_epochs=1, n_targets=10)
    study = Study(replace(smoke, name="few"), "cpu", n_jobs=1, results=tmp_path)
    supports = pd.concat([scale._of_size(REMOVAL, of, [OURS]) for of in scale.studies(study)])
    table = costs.table(study, supports)
    rows = table.set_index("grows")
    assert list(rows.index) == [costs.IMAGES, costs.WIDTH, costs.TARGETS] and list(table) == costs.COLUMNS
    assert rows.loc[costs.IMAGES, ["from", "to"]].tolist() == [100, 200]
    assert rows.loc[costs.TARGETS, ["from", "to"]].tolist() == [5, 10]
    largest = supports[supports["images"] == 200]
    assert rows.loc[costs.TARGETS, "cost_to"] == rows.loc[costs.TARGETS, "n"] == len(set().union(*largest["keys"]))
    assert rows.loc[costs.WIDTH, "to"] == 64 and 10 < rows.loc[costs.WIDTH, "times_per_ten"] < 100, "nearly its square"
    assert pd.isna(rows.loc[costs.WIDTH, "n"])


def test_as_many_targets_as_classes_have_nothing_to_grow_to():
    assert pd.isna(costs._row(costs.TARGETS, "trainings", (5, 5), (9, 9))["times_per_ten"])
