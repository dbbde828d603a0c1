"""A method's name: what it means, how it is shown, and that every part of a method has a name."""

import pytest

from lib import distances, features, nets
from lib.methods import (
    DARK,
    DISTANCES,
    FEATURES,
    NETWORKS,
    OURS,
    RIVALS,
    SOLID,
    SUBSET_METHODS,
    Method,
    label,
    look,
    parse,
)
from lib.rivals import ensembles


@pytest.mark.parametrize(
    ("name", "method"),
    [
        (OURS, Method(OURS, "moco", "esvm")),
        ("moco_esvm:all", Method(OURS, "moco", "esvm", same_class=False)),
        ("dino_esvm_c0.01", Method("dino_esvm_c0.01", "dino", "esvm_c0.01")),
        ("barlow_twins_l2", Method("barlow_twins_l2", "barlow_twins", "l2")),
        ("random", Method("random")),
        ("trak:20", Method("trak", models=20)),
        ("trak:5@vit:all", Method("trak", models=5, network="vit", same_class=False)),
        ("moco_correlation", Method("moco_correlation", "moco", "correlation")),
        ("last_gradient:20", Method("last_gradient", models=20)),
    ],
)
def test_parsed(name, method):
    assert parse(name) == method


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("trak", "TRAK"),
        ("moco_esvm", "MoCo, exemplar SVM (ours)"),
        ("moco_esvm:all", "MoCo, exemplar SVM (ours), all classes"),
        ("random:all", "random, all classes"),
        ("trak:20", "TRAK (20)"),
        ("trak:5@vit", "TRAK (5) of ViT"),
        ("dino_esvm_c0.01", "DINO, exemplar SVM, C 0.01"),
        ("simclr", "SimCLR features"),
        ("k_reciprocal", "k-reciprocal"),
        ("moco_correlation", "MoCo, correlation"),
        ("last_gradient:20@mlp", "last_gradient (20) of mlp"),
    ],
)
def test_labels(name, shown):
    assert label(name) == shown


@pytest.mark.parametrize("name", ["moco_correlation", "last_gradient:20"])
def test_what_has_no_look_is_a_dark_solid_line(name):
    assert look(name)[1:] == (DARK, SOLID)


def test_no_name_is_shown_that_is_nothing():
    """The tables of names are read where there is no time to import what has the names."""
    assert set(FEATURES) == set(features.TRAINED) and len(NETWORKS.keys() & nets.ARCHITECTURES.keys()) == len(NETWORKS)
    assert DISTANCES.keys() <= distances.DISTANCES.keys() | ensembles.DISTANCES.keys()
    assert not distances.DISTANCES.keys() & ensembles.DISTANCES.keys()
    on_subsets = {name for name, rival in ensembles.RIVALS.items() if rival.trained_on == ensembles.SUBSETS}
    assert RIVALS.keys() <= ensembles.RIVALS.keys() and set(SUBSET_METHODS) == on_subsets & RIVALS.keys()


def test_no_two_methods_of_a_figure_look_alike():
    names = [OURS, "moco_l2", "supervised_l2", "pixels_l2", "random", *(f"{name}:20" for name in RIVALS)]
    assert len({look(name)[1:] for name in names}) == len(names) > 15
