"""A method's name: what it means, how it is shown, and that every part of a method has a name."""

import pytest

from lib import distances, features, nets
from lib.methods import DISTANCES, FEATURES, NETWORKS, OURS, RIVALS, Method, label, look, parse
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
    ],
)
def test_parsed(name, method):
    assert parse(name) == method


@pytest.mark.parametrize("name", ["", "moco", "moco_l3", "trak", "trak:", "trak:x", "moco_l2:5", "random@vit", "x:all"])
def test_what_is_no_method_is_named_with_the_ones_there_are(name):
    with pytest.raises(ValueError, match=f"unknown method '{name}'; give features and a distance .*esvm.*trak:20"):
        parse(name)


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
    ],
)
def test_labels(name, shown):
    assert label(name) == shown


def test_every_part_of_a_method_has_a_name():
    assert set(FEATURES) == set(features.TRAINED) and set(NETWORKS) == set(nets.ARCHITECTURES)
    assert set(DISTANCES) == {*distances.DISTANCES, *ensembles.DISTANCES}
    assert set(RIVALS) == set(ensembles.RIVALS)


def test_no_two_methods_of_a_figure_look_alike():
    names = [OURS, "moco_l2", "supervised_l2", "pixels_l2", "random", *(f"{name}:20" for name in RIVALS)]
    assert len({look(name)[1:] for name in names}) == len(names) > 15
