"""Methods by name: what a name means, which images it ranks, what is kept of it and what it costs."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lib import features, profiles
from lib.features import FeatureRecipe
from lib.methods import Method
from lib.rivals import attribution, datamodels, ensembles
from lib.study import Study

RANKED = ("moco_esvm", "moco_l2", "supervised_l2", "pixels_cosine", "random")


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """Smoke, with features that cost nothing and few models."""
    smoke = profiles.load("smoke", k_max=8, lds_models=4)
    cheap = replace(smoke, selfsupervised=FeatureRecipe("pixels"), subset_models=(10, 12))
    folder = tmp_path_factory.mktemp("results")
    return Study(cheap, "cpu", n_jobs=1, results=folder).attribution


@pytest.fixture
def own_class(opened):
    return opened.dataset.test_labels[opened.targets, None] == opened.dataset.train_labels


def test_names(opened):
    assert opened.parse("moco_esvm") == Method("moco_esvm", "moco", "esvm")
    assert opened.parse("moco_l2:all") == Method("moco_l2", "moco", "l2", same_class=False)
    assert opened.parse("random:all") == Method("random", same_class=False)
    assert opened.parse("trak:2") == Method("trak", models=2)
    assert opened.parse("trak:1:all") == Method("trak", models=1, same_class=False)
    sizes = [attribution.sizes(opened.profile, name) for name in ("datamodels", "trak", "tracin")]
    assert sizes == [(10, 12), (1, 2), (2,)]


def test_another_network_of_the_profile(opened):
    """The same scores as those of a profile with that network; what a method costs is that network's."""
    assert opened.parse("grad_dot:2@vit:all") == Method("grad_dot", models=2, network="vit", same_class=False)
    elsewhere = replace(opened, profile=replace(opened.profile, recipe=opened.profile.network("vit")))
    np.testing.assert_array_equal(opened.scores("grad_dot:2@vit"), elsewhere.scores("grad_dot:2"))
    assert not np.array_equal(opened.scores("grad_dot:2@vit"), opened.scores("grad_dot:2"))
    assert opened.stored_bytes("grad_dot:2@vit") == elsewhere.stored_bytes("grad_dot:2")
    with pytest.raises(ValueError, match="profile smoke has no other network 'vgg'; it has: mobilenetv2_shallow, vit"):
        opened.ranking("grad_dot:2@vgg")


@pytest.mark.parametrize(
    "name",
    [
        "trak",
        "trax:2",
        "moco",
        "moco_l3",
        "moko_l2",
        "moco_l2:2",
        "random:2",
        "random@vit",
        "moco_l2@vit",
        "trak@vit",
        "random:all:all",
        "",
    ],
)
def test_unknown_names_are_refused_with_those_that_are_known(opened, name):
    with pytest.raises(ValueError, match=f"unknown method '{name}'; give .*moco.*l2.*trak:20.*:all to rank"):
        opened.ranking(name)


@pytest.mark.parametrize(("name", "known"), [("trak:3", "1, 2"), ("tracin:1", "2"), ("datamodels:2@vit", "10, 12")])
def test_numbers_of_models_that_a_profile_lacks_are_refused_with_those_that_it_has(opened, name, known):
    with pytest.raises(ValueError, match=f"unknown method '{name}': profile smoke has .* with {known} models"):
        opened.ranking(name)


@pytest.mark.parametrize("method", RANKED)
def test_rankings_stay_in_the_class_without_repetition(opened, own_class, method):
    ranking = opened.ranking(method)
    assert ranking.shape == (5, 8)
    for ids, eligible in zip(ranking, own_class, strict=True):
        assert len(set(ids)) == 8 and eligible[ids].all()


def test_all_classes(opened, own_class):
    """As within the class where that is best, and with other classes' images among them."""
    within, everywhere = opened.scores("moco_l2"), opened.scores("moco_l2:all")
    np.testing.assert_array_equal(np.isfinite(within), own_class)
    np.testing.assert_array_equal(within[own_class], everywhere[own_class])
    ranking = opened.ranking("moco_l2:all")
    np.testing.assert_array_equal(ranking[:, 0], everywhere.argmax(axis=1))
    assert not np.take_along_axis(own_class, ranking, axis=1).all()


def test_a_class_can_be_left_out_of_a_ranking_of_all(opened):
    labels, rival = opened.dataset.train_labels, (opened.dataset.test_labels[opened.targets] + 1) % 5
    free, without = opened.ranking("moco_l2:all"), opened.ranking("moco_l2:all", rival)
    assert not (labels[without] == rival[:, None]).any()
    for one, other, left_out in zip(free, without, rival, strict=True):
        kept = [i for i in one if labels[i] != left_out]
        assert other[: len(kept)].tolist() == kept


def test_random_orders_differ_within_classes_and_agree_over_all(opened):
    within, everywhere = opened.ranking("random"), opened.ranking("random:all")
    assert len(np.unique(within, axis=0)) == 5 and len(np.unique(everywhere, axis=0)) == 1


def test_rankings_by_features_are_kept(opened, monkeypatch):
    before = opened.ranking("moco_esvm")
    monkeypatch.setattr(attribution.distances, "scores", lambda *_: pytest.fail("it compared again"))
    np.testing.assert_array_equal(opened.ranking("moco_esvm"), before)


def test_costs(opened):
    """Models on random subsets cost in proportion to their number; what learns nothing keeps nothing."""
    assert opened.seconds("moco_l2") > 0 == opened.seconds("random")
    assert opened.subset_seconds > 0
    assert all(opened.seconds(f"empirical_influence:{n}") > n * opened.subset_seconds for n in (10, 12))
    assert opened.stored_bytes("moco_l2") == opened.stored_bytes("random") == 0
    one = opened.stored_bytes("grad_dot:2") // 2
    assert opened.stored_bytes("empirical_influence:12") == 12 * one
    assert opened.stored_bytes("tracin:2") == 10 * one
    assert opened.stored_bytes("trak:1") == one + 4 * 200 * 1024


def test_lds_table(opened):
    table = opened.lds(["moco", "random", "empirical_influence:12"])
    assert table["method"].drop_duplicates().tolist() == ["moco", "random", "empirical_influence:12"]
    assert len(table) == 15 and table["lds"].between(-1, 1).all()
    smaller = opened.lds(["moco"], alpha=0.25)
    assert not np.allclose(smaller["lds"], table["lds"][:5])


def test_lds_over_several_trainings(opened, monkeypatch):
    """The more trainings are averaged, the nearer to 1 are scores that predict the subset's part of margins."""
    masks = np.random.default_rng(0).random((2000, len(opened.dataset.train_labels))) < 0.5
    scores = opened._linear_scores("moco")
    clean = np.zeros((len(masks), len(opened.dataset.test_labels)))
    clean[:, opened.targets] = masks @ scores.T.astype(float)
    spread = clean.std(axis=0)

    def subset_margins(self, models, alpha=0.5, repeat=0):
        return masks, clean + spread * np.random.default_rng(repeat + 1).normal(size=clean.shape)

    monkeypatch.setattr(type(opened), "subset_margins", subset_margins)
    for n in (1, 3):
        reached = opened.lds(["moco"], n_trainings=n)["lds"].mean()
        assert reached == pytest.approx(np.sqrt(n / (n + 1)), abs=0.04)


def test_knn_accuracy_table(opened):
    table = opened.knn_accuracies(["pixels"])
    pixels = features.extract(opened.dataset, FeatureRecipe("pixels"))
    assert table.loc[0, "knn_accuracy"] == features.knn_accuracy(pixels, opened.dataset)
    assert (table.loc[0, "size"], table.loc[0, "n"]) == (784, 100)


def test_published_models_take_the_place_of_retrained_ones(opened, tmp_path, monkeypatch):
    masks, margins = opened.subset_margins(opened.held_out)
    for name, array in (("masks", masks), ("margins", margins)):
        np.save(tmp_path / f"{name}.npy", array)
    monkeypatch.setattr(attribution, "fetch", lambda name: tmp_path / f"{name}.npy")
    elsewhere = replace(opened, profile=replace(opened.profile, published_lds=("masks", "margins")))
    expected = opened.lds(["moco"])
    monkeypatch.setattr(attribution.Attribution, "subset_margins", lambda *_: pytest.fail("it trained"))
    pd.testing.assert_frame_equal(elsewhere.lds(["moco"]), expected)


def test_settings_of_trak_and_published_models_reach_their_methods_and_are_kept_apart(opened, monkeypatch):
    """Scores with and without such settings have files of their own."""
    asked, kept_in, n_train = [], [], len(opened.dataset.train_labels)

    def scored(name, sizes, settings):
        asked.append((name, sizes, settings))
        return {size: ensembles.Scored(np.full((5, n_train), float(size), np.float32), 0.0) for size in sizes}

    def from_networks(name, dataset, recipe, targets, sizes, device, checkpoint, **settings):
        checkpoint.mkdir(parents=True)  # fails where two of them share one
        kept_in.append(checkpoint)
        return scored(name, sizes, settings)

    def from_subsets(name, dataset, targets, sizes, observe, device, **settings):
        return scored(name, sizes, settings | {"observed": observe(max(sizes))})

    monkeypatch.setattr(ensembles, "from_networks", from_networks)
    monkeypatch.setattr(ensembles, "from_subsets", from_subsets)
    monkeypatch.setattr(datamodels, "published_weights", lambda path, dataset: np.array([[path] * 100]))
    monkeypatch.setattr(attribution.subsets, "published", lambda *paths: paths[:2])
    monkeypatch.setattr(attribution, "fetch", lambda name: f"file of {name}")
    others = {"published_subsets": ("masks", "margins"), "published_datamodels": "weights", "subset_models": (10, 14)}
    profile = replace(opened.profile, trak={"projection_dim": 7}, **others)
    changed = replace(opened, profile=profile, folder=opened.folder / "changed")
    for one in (changed, replace(changed, profile=replace(profile, trak={}))):
        one.scores("trak:2")
    assert asked == [("trak", (1, 2), {"projection_dim": 7}), ("trak", (1, 2), {})]
    assert len(set(kept_in)) == 2 and not any(folder.exists() for folder in kept_in), (
        "they go when the scores are there"
    )
    assert changed.stored_bytes("trak:1") - opened.stored_bytes("trak:1") == 4 * n_train * (7 - 1024)
    asked.clear()
    assert (changed.scores("datamodels:14:all") == 14).all() and (changed.scores("datamodels:10:all") == 10).all()
    (*first, fewer), (*last, most) = asked
    assert first == ["datamodels", (10,)] and last == ["datamodels", (14,)]
    assert fewer == {"observed": ("file of masks", "file of margins")}
    assert most.pop("weights").tolist() == [["file of weights"]] * 5 and most == fewer
    assert len(list((changed.folder / "scores").glob("trak-*.npz"))) == 2


def test_a_distance_and_a_rival_that_the_tables_lack(opened, monkeypatch):
    """They need no more than their entries: names, numbers of models, costs and scores follow."""

    def correlation(targets, train):
        return np.corrcoef(targets, train)[: len(targets), len(targets) :]

    monkeypatch.setitem(ensembles.DISTANCES, "correlation", correlation)
    for name, trained_on in (("looking", "all images"), ("reading", ensembles.SUBSETS)):
        monkeypatch.setitem(ensembles.RIVALS, name, ensembles.Rival(lambda *_: np.eye(5, 200), trained_on))
    vectors, scores = opened.features("moco"), opened.scores("moco_correlation:all")
    expected = np.corrcoef(vectors.test[opened.targets[0]], vectors.train[7])[0, 1]
    assert scores[0, 7] == pytest.approx(expected, rel=1e-4)
    assert [opened.scores(name).shape for name in ("looking:2", "reading:12")] == [(5, 200)] * 2
    assert opened.seconds("reading:12") > 12 * opened.subset_seconds
    with pytest.raises(ValueError, match="profile smoke has reading with 10, 12 models"):
        opened.parse("reading:2")
    with pytest.raises(ValueError, match="unknown method 'trax:2'; give .*correlation.*looking, reading"):
        opened.parse("trax:2")


def test_models_on_subsets_are_trained_once_and_read_as_they_are(opened):
    masks, margins = opened.subset_margins(range(12))
    margins = margins[:, opened.targets].astype(float)
    for models in (10, 12):
        expected = datamodels.empirical_influence(masks[:models], margins[:models]).astype(np.float32)
        np.testing.assert_array_equal(opened.scores(f"empirical_influence:{models}:all"), expected)
