"""A method's name: what it means, how it is shown, and that every part of a method has a name."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

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
    is_name,
    label,
    look,
    marker,
    parse,
)
from lib.rivals import ensembles


def test_a_ranking_of_ones_own_need_not_have_a_name_that_says_something():
    assert is_name(OURS) and is_name("trak:20:all") and not is_name("MoCo, 2 epochs")
    assert not is_name("moco_esvm, width 8, 3 epochs")


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
        ("moco_esvm", "ours"),
        ("moco_esvm:all", "ours, all classes"),
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


# What a hue becomes without long-, or without middle-wave cones, on linear RGB: Machado, Oliveira and Fernandes, "A
# Physiologically-based Model for Simulation of Color Vision Deficiency", IEEE TVCG 15(6), 2009, Table 1, severity 1.
SEEN = {
    "as it is": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
}
TO_XYZ = np.array([[0.41246, 0.35758, 0.18044], [0.21267, 0.71515, 0.07217], [0.01933, 0.11919, 0.9503]])  # sRGB, D65


def lab(colour: str, seen: str) -> np.ndarray:
    """CIELAB of a colour as it is seen; a distance of 2.3 is just noticeable."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(np.asarray(SEEN[seen]) @ linear, 0, 1) / TO_XYZ.sum(axis=1)
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


COMMON = [OURS, "moco_l2", "supervised_l2", "pixels_l2", "random"]
TOGETHER = [[*COMMON, *(f"{name}:20" for name in RIVALS)], [f"{name}_esvm" for name in FEATURES]]


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("names", TOGETHER)
def test_methods_with_the_same_line_are_told_apart_by_the_colour_blind(names, seen):
    for one, other in combinations(names, 2):
        (_, colour, line), (_, second, dash) = look(one), look(other)
        assert line != dash or np.linalg.norm(lab(colour, seen) - lab(second, seen)) > 9, (one, other)


def test_markers_are_as_many_as_lines():
    assert [marker(name) for name in (OURS, "moco_l2", "pixels_l2", "supervised_l2", "trak:20")] == list("os^vD")
