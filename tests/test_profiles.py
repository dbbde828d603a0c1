"""Profiles: every value can be overridden, and what cannot be meant is refused before any work."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lib import profiles, ssl
from lib.chapters import table1
from lib.data import RESULTS, ROOT, find
from lib.features import FeatureRecipe
from lib.report import paper
from lib.retrain import Recipe


def test_names_and_defaults():
    assert profiles.NAMES == ("smoke", "fashion", "cifar10", "cifar10_full", "imagenet", "paper", "paper_imagenet")
    assert all(profiles.load(name).name == name for name in profiles.NAMES)
    fashion = profiles.load("fashion")
    assert (fashion.n_targets, fashion.k_max, fashion.budget, fashion.n_votes) == (50, 256, 7, 3)


def test_overrides_reach_every_level_and_none_keeps_the_value():
    changed = profiles.load("fashion", n_targets=20, epochs=5, moco_epochs=7, k_max=None)
    assert (changed.n_targets, changed.recipe.epochs, changed.selfsupervised.epochs, changed.k_max) == (20, 5, 7, 256)
    assert changed.features("supervised") == profiles.load("fashion").features("supervised")
    assert profiles.load("fashion").n_targets == 50


def test_self_supervised_methods_differ_in_method_and_learning_rate_alone():
    fashion = profiles.load("fashion", moco_epochs=7)
    assert fashion.features("moco") == fashion.selfsupervised
    assert fashion.features("pixels") == FeatureRecipe("pixels")
    for method in ssl.METHODS:
        recipe = fashion.features(method)
        assert recipe == replace(fashion.selfsupervised, method=method, peak_lr=recipe.peak_lr)


def test_the_learning_rates_are_those_of_best_accuracy_in_the_table_of_the_choice():
    table = pd.read_csv(RESULTS / "fashion" / "zoo_choice.csv").query("epoch == epoch.max()")
    best = table.loc[table.groupby("method")["knn_accuracy"].idxmax()].set_index("method")["peak_lr"]
    assert {method: profiles.FASHION.features(method).peak_lr for method in best.index} == best.to_dict()
    assert set(best.index) == set(ssl.METHODS)


def test_the_papers_sizes_are_those_that_the_paper_states():
    """Paper §4.1, App. A.1 and A.4, Table 1."""
    cifar, imagenet = profiles.load("paper"), profiles.load("paper_imagenet")
    assert (cifar.n_targets, cifar.k_max, cifar.budget, cifar.n_votes) == (100, 1280, 7, 5)
    assert (imagenet.n_targets, imagenet.k_max, imagenet.budget, imagenet.n_votes) == (30, 1000, 7, 1)
    assert replace(cifar.recipe, precision="float32") == Recipe()
    assert (imagenet.recipe.arch, imagenet.recipe.translate, imagenet.recipe.cutout) == ("resnet18", 0, 0)
    assert (imagenet.recipe.sizes, imagenet.recipe.last_epochs, imagenet.recipe.epochs) == ((160, 192), 5, 16)
    assert imagenet.recipe.batch_size == 1024 and imagenet.recipe.peak_lr == cifar.recipe.peak_lr == 0.5
    assert (cifar.selfsupervised.arch, cifar.selfsupervised.epochs) == ("resnet18", 800)
    assert imagenet.features("moco").method == "moco_v2_rn50_800ep"
    models = paper.FIGURES["fig01"].models
    table_1 = table1.papers().query("method == 'trak'")["models"]
    assert {*models["trak"], *table_1} == set(cifar.ensembles)
    assert list(cifar.subset_models) == models["datamodels"] and imagenet.ensembles == (1, 4)
    assert (cifar.trak["projection_dim"], imagenet.trak["projection_dim"]) == (20_480, 4096)


def test_profiles_scale_the_paper_down_in_proportion():
    for name in ("cifar10", "cifar10_full", "imagenet"):
        small = profiles.load(name)
        large = profiles.load(small.paper)
        shares = [profile.k_max / profiles.class_sizes(profile)[1] for profile in (small, large)]
        assert shares[0] == pytest.approx(shares[1], rel=0.02) and small.budget == large.budget
        assert find(small.dataset).shape
        assert small.n_targets == large.n_targets / (1 + (name == "cifar10_full"))
    assert [4 * size for size in profiles.load("imagenet").recipe.sizes] == [160, 192]


def test_every_profile_is_in_the_guide():
    text = (ROOT / "book" / "reproduce.md").read_text(encoding="utf-8")
    assert [name for name in profiles.NAMES if f"| `{name}` |" not in text] == []


def test_sizes_by_the_manifest():
    assert profiles.class_sizes(profiles.load("smoke")) == (5, 40, 20)
    assert profiles.class_sizes(profiles.load("imagenet")) == (10, 500, 50)
    assert profiles.class_sizes(profiles.load("paper_imagenet")) == (1000, 1281, 50)
    with pytest.raises(ValueError, match="train_per_class=501 exceeds the 500 of fashion_mnist; lower it"):
        profiles.class_sizes(profiles.load("fashion", train_per_class=501))
    with pytest.raises(ValueError, match="trak_cifar10_masks lacks images, shape or n_classes"):
        profiles.class_sizes(profiles.load("fashion", dataset="trak_cifar10_masks"))


def test_fewer_targets_than_classes_need_so_many_large_classes():
    profile = profiles.load("smoke", n_targets=2, k_max=30)
    profiles.check_k_max(profile, np.array([10, 30, 40, 20]))
    with pytest.raises(ValueError, match="k_max=30 exceeds the 20 training images of a class"):
        profiles.check_k_max(replace(profile, n_targets=3), np.array([10, 30, 40, 20]))
