"""Features: known answers where nothing is learnt, reproducibility and refusals where something is."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torchvision

from lib import features
from lib.data import augment, one_thread, resident
from lib.features import FeatureRecipe, Features, extract, knn_accuracy, spread
from lib.nets import published
from lib.retrain import Retraining, fit, predict

MOCO = FeatureRecipe(width=2, epochs=2, batch_size=20, memory_bank=40, output_dim=8, cutout=4)


def moco(dataset, **changes) -> Features:
    return extract(dataset, replace(MOCO, **changes), progress=False)


@pytest.fixture(scope="module")
def base(tiny) -> Features:
    return moco(tiny)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_pixels_are_the_normalised_images(tiny):
    features = extract(tiny, FeatureRecipe("pixels"), progress=False)
    mean, std = tiny.train_images.mean(), tiny.train_images.std(ddof=1)
    np.testing.assert_allclose(features.train, (tiny.train_images.reshape(120, -1) - mean) / std, atol=1e-4)
    np.testing.assert_allclose(features.test, (tiny.test_images.reshape(30, -1) - mean) / std, atol=1e-4)
    assert knn_accuracy(features, tiny, k=5) == 1


def test_supervised_is_the_layer_before_the_last(tiny, quick):
    features = extract(tiny, FeatureRecipe("supervised", seed=4, classifier=quick), progress=False)
    with one_thread("cpu"):
        logits = predict(net := fit(tiny, Retraining(quick, seed=4)), resident(tiny))
    np.testing.assert_allclose(0.2 * features.test @ net.head.weight.detach().numpy().T, logits, atol=1e-5)
    assert features.train.shape == (120, 4)


def test_moco_shapes_and_bits(tiny, base):
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    again = moco(tiny)
    assert torch.equal(before, torch.random.get_rng_state())
    assert base.train.shape == (120, 4) and base.test.shape == (30, 4)
    assert base.train.dtype == base.test.dtype == np.float32
    np.testing.assert_array_equal(base.train, again.train)
    np.testing.assert_array_equal(base.test, again.test)


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"epochs": 1}, {"temperature": 0.5}, {"momentum": 0.5}, {"memory_bank": 80}, {"peak_lr": 0.01}]
    + [{"crop": 1.0}, {"flip": False}, {"jitter": 0.0}, {"cutout": 0}, {"weight_decay": 0.1}],
    ids=lambda change: next(iter(change)),
)
def test_every_value_matters(tiny, base, change):
    assert (moco(tiny, **change).train != base.train).any()


def test_moco_reads_neither_labels_nor_test_images(tiny, base):
    blind = replace(tiny, train_labels=tiny.train_labels[::-1].copy(), test_images=tiny.test_images[:3])
    np.testing.assert_array_equal(moco(blind).train, base.train)


def test_moco_learns_what_the_classes_share(tiny):
    """The classes differ in where the band is, which a network without training confuses."""
    changes = {"width": 4, "crop": 1.0, "cutout": 0}
    settings = {"epochs": 1, "peak_lr": 1e-9}, {"epochs": 10}
    untrained, trained = (knn_accuracy(moco(tiny, **of, **changes), tiny) for of in settings)
    assert trained > untrained and trained > 0.9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peak_lr": 1e30}, "moco features of tiny are not finite.*lower the learning rate"),
        (
            {"weight_decay": 10.0, "epochs": 10},
            "moco features of tiny collapsed.*less than 0.02; lower peak_lr or weight_decay",
        ),
    ],
)
def test_refuses(tiny, changes, message):
    with pytest.raises(ValueError, match=message):
        moco(tiny, **changes)


def test_images_of_one_colour_have_no_features(tiny):
    flat = replace(tiny, train_images=np.full_like(tiny.train_images, 7))
    with pytest.raises(ValueError, match="of one colour"):
        extract(flat, FeatureRecipe("pixels"), progress=False)


def test_spread_known_answers():
    """The length of a feature does not count: 0 for one direction, 1 for opposite ones, sqrt(1/2) for two at right
    angles."""
    directions = np.array([[1, 0], [3, 0], [-1, 0], [0, 2]], np.float32)
    assert spread(directions[[0, 1]]) == pytest.approx(0, abs=1e-9)
    assert spread(directions[[0, 1, 2, 2]]) == pytest.approx(1)
    assert spread(directions[[0, 3]]) == pytest.approx(0.5**0.5)
    assert spread(np.zeros((4, 2), np.float32)) == 0


def test_knn_known_answers(tiny):
    """One axis a class: all right; the last class on the first one's axis: two thirds; the scale does not count."""
    apart = Features(np.eye(3, dtype=np.float32)[tiny.train_labels], np.eye(3, dtype=np.float32)[tiny.test_labels])
    assert knn_accuracy(apart, tiny) == 1
    assert knn_accuracy(replace(apart, test=1e3 * apart.test), tiny) == 1
    confused = replace(apart, test=apart.test * [[1, 1, 0]] + (tiny.test_labels == 2)[:, None] * [[1.0, 0, 0]])
    assert knn_accuracy(replace(confused, test=confused.test.astype(np.float32)), tiny) == pytest.approx(2 / 3)


def test_knn_votes_are_weighted(tiny):
    """Two of class 0 at cosine 0.6 against one of class 1 at cosine 1: weight decides where temperature is low."""
    small = replace(tiny, train_labels=np.array([0, 0, 1]), test_labels=np.array([1]))
    features = Features(np.array([[0.6, 0.8], [0.6, -0.8], [1, 0]], np.float32), np.array([[1, 0]], np.float32))
    assert knn_accuracy(features, small, k=3, temperature=0.1) == 1
    assert knn_accuracy(features, small, k=3, temperature=10) == 0


def test_knn_refuses_what_does_not_fit(tiny):
    features = Features(np.ones((120, 2), np.float32), np.ones((30, 2), np.float32))
    with pytest.raises(ValueError, match="k=121 neighbours of 120"):
        knn_accuracy(features, tiny, k=121)
    with pytest.raises(ValueError, match="tiny has"):
        knn_accuracy(replace(features, train=features.train[1:]), tiny)


def test_crop_of_the_whole_image_is_the_image():
    x = torch.randn(4, 2, 24, 28)
    torch.testing.assert_close(augment.crop(x, 1.0, rng()), x, atol=1e-4, rtol=0)


def test_crop_keeps_a_ramp_a_ramp():
    """A horizontal ramp, zoomed, rises by the window's side a pixel: between sqrt(1/4) and 1, the same in each row."""
    ramp = torch.arange(24.0).expand(50, 1, 24, 24)
    views = augment.crop(ramp, 0.25, rng())
    slopes = (views[..., 16] - views[..., 8]) / 8
    assert (slopes > 0.49).all() and (slopes < 1.01).all() and slopes[:, 0, 0].unique().numel() > 40
    torch.testing.assert_close(slopes, slopes[:, :, :1].expand_as(slopes), atol=1e-4, rtol=0)


def test_jitter_is_affine_and_bounded():
    x = torch.linspace(-1, 1, 64).view(1, 1, 8, 8).expand(200, 1, 8, 8)
    views = augment.jitter(x, 0.4, rng()).flatten(1)
    brightness, contrast = views.mean(1), (views[:, -1] - views[:, 0]) / 2
    torch.testing.assert_close(views, contrast[:, None] * x.flatten(1) + brightness[:, None], atol=1e-5, rtol=0)
    assert brightness.abs().max() <= 0.4 + 1e-5 and (contrast - 1).abs().max() <= 0.4 + 1e-5
    assert brightness.abs().max() > 0.35 and (contrast - 1).abs().max() > 0.35


@pytest.mark.parametrize("change", [lambda x, r: augment.crop(x, 0.5, r), lambda x, r: augment.jitter(x, 0.5, r)])
def test_augmentations_draw_for_each_image_and_from_the_generator(change):
    x = torch.randn(1, 1, 24, 24).repeat(5, 1, 1, 1)
    views = change(x, rng())
    assert views.shape == x.shape and all((views[0] != other).any() for other in views[1:])
    assert torch.equal(views, change(x, rng())) and not torch.equal(views, change(x, rng(1)))


def test_published_weights_are_features_by_their_name_in_the_manifest(tiny, monkeypatch):
    """Of grey images too: each is shown in three equal channels, 224 pixels a side."""
    seen = []

    class Published(torch.nn.Module):
        def forward(self, x):
            seen.append(x)
            return x.mean((2, 3))

    monkeypatch.setattr(published, "load", lambda name: Published() if name == "moco_v2_rn50_800ep" else None)
    recipe = FeatureRecipe("moco_v2_rn50_800ep")
    vectors = extract(tiny, recipe)
    assert vectors.train.shape == (120, 3) and vectors.test.shape == (30, 3) and seen[0].shape[1:] == (3, 224, 224)
    expected = tiny.train_images.mean((1, 2, 3)) / 255
    np.testing.assert_allclose(vectors.train[:, 1], (expected - 0.456) / 0.224, atol=2e-3)
    assert features.stored_bytes(tiny, recipe) == published.BYTES


def test_the_size_of_the_published_backbone():
    with torch.device("meta"):
        net = torchvision.models.resnet50()
    numbers = sum(p.numel() for name, p in net.named_parameters() if not name.startswith("fc."))
    assert 4 * numbers == published.BYTES and net.fc.in_features == 2048
