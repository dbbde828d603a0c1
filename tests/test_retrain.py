"""One retraining: a pure function of its arguments, that sees exactly the training set it is told."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lib.data import augment, one_thread, pick_device, resident
from lib.nets.resnet import ResNet9
from lib.retrain import Recipe, Retraining, class_weights, fit, learning_rate, margins, retrain, train_step


def test_same_arguments_same_bits(tiny, quick):
    retraining = Retraining(quick, seed=3, removed=(1, 5), relabelled=((7, 2),))
    torch.manual_seed(1)
    first = retrain(tiny, retraining)
    torch.manual_seed(2)
    again = retrain(tiny, Retraining(quick, seed=3, removed=(5, 1), relabelled=((7, 2),)))
    np.testing.assert_array_equal(first.logits, again.logits)
    assert first.logits.shape == (30, 3) and first.test_accuracy == again.test_accuracy and first.seconds > 0


def test_leaves_no_global_state(tiny, quick):
    torch.manual_seed(0)
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    retrain(tiny, Retraining(quick, seed=0))
    assert torch.equal(before, torch.random.get_rng_state()) and torch.get_num_threads() == threads


def test_seed_and_changes_matter(tiny, quick):
    base = retrain(tiny, Retraining(quick, 0)).logits
    for other in (
        Retraining(quick, 1),
        Retraining(quick, 0, removed=(0,)),
        Retraining(quick, 0, relabelled=((0, 1),)),
        Retraining(replace(quick, cutout=0), 0),
    ):
        assert (retrain(tiny, other).logits != base).any()


def test_removed_images_are_not_seen(tiny, quick):
    """Whatever the removed images show, the result is the same."""
    removed = (2, 3, 50)
    images = tiny.train_images.copy()
    images[[2, 3]] = tiny.train_images[[3, 2]]  # the same normalisation, other images under these ids
    swapped = replace(tiny, train_images=images)
    retraining = Retraining(quick, 0, removed=removed)
    np.testing.assert_array_equal(retrain(tiny, retraining).logits, retrain(swapped, retraining).logits)


def test_relabelling_is_training_on_those_labels(tiny, quick):
    labels = tiny.train_labels.copy()
    labels[[4, 90]] = [2, 0]
    relabelled = replace(tiny, train_labels=labels)
    retraining = Retraining(quick, 0, relabelled=((4, 2), (90, 0)))
    np.testing.assert_array_equal(retrain(tiny, retraining).logits, retrain(relabelled, Retraining(quick, 0)).logits)
    assert tiny.train_labels[4] == 0  # the dataset itself is untouched


def test_learns_the_classes_and_flips_when_they_are_relabelled(tiny, quick):
    recipe = replace(quick, width=4, epochs=12, flip=False, translate=0, cutout=0, peak_lr=0.1)
    assert retrain(tiny, Retraining(recipe, 0)).test_accuracy > 0.9
    swap = tuple((i, 1) for i in range(40)) + tuple((i, 0) for i in range(40, 80))
    logits = retrain(tiny, Retraining(recipe, 0, relabelled=swap)).logits
    assert (logits[:10].argmax(1) == 1).mean() > 0.8 and (logits[10:20].argmax(1) == 0).mean() > 0.8


def test_a_balanced_loss_weighs_classes_not_images(tiny, quick):
    """Without any change all classes weigh the same; with a class thinned, its few images make up for it."""
    recipe = replace(quick, balanced=True)
    labels = torch.tensor([0, 0, 0, 1])
    assert class_weights(labels, 2).tolist() == pytest.approx([2 / 3, 2])
    thinned = tuple(np.flatnonzero(tiny.train_labels == 0)[2:].tolist())
    plain, weighed = (retrain(tiny, Retraining(r, 0, thinned)).logits[:, 0].mean() for r in (quick, recipe))
    assert weighed > plain
    assert Retraining(recipe, 0).key(tiny) != Retraining(quick, 0).key(tiny)


def test_a_key_is_what_it_is_in_every_ledger(tiny):
    """Computed when the first ledger was begun."""
    keys = [Retraining(Recipe(**fields), 3, (5, 1), ((7, 2),)).key(tiny) for fields in ({}, {"sizes": (20, 24)})]
    assert keys == ["d9fc596ff04d6f0f", "59f6859ad843e32d"]


def test_key_names_the_arguments(tiny, quick):
    key = Retraining(quick, 0, removed=(1, 2)).key(tiny)
    assert key == Retraining(quick, 0, removed=(2, 1)).key(tiny) == Retraining(quick, 0, (np.int64(1), 2)).key(tiny)
    others = [
        Retraining(quick, 1, removed=(1, 2)).key(tiny),
        Retraining(quick, 0, removed=(1,)).key(tiny),
        Retraining(quick, 0, relabelled=((1, 2),)).key(tiny),
        Retraining(replace(quick, epochs=3), 0, removed=(1, 2)).key(tiny),
        Retraining(replace(quick, precision="bfloat16"), 0, removed=(1, 2)).key(tiny),
        Retraining(quick, 0, removed=(1, 2)).key(replace(tiny, test_labels=tiny.test_labels[::-1])),
    ]
    assert len({key, *others}) == 7


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 121}, "120 training images are left, fewer than one batch of 121"),
        ({"batch_size": 0}, "batch_size=0 must be a whole number of at least 1"),
        ({"warmup_epochs": 2.0}, r"epochs=2 must exceed warmup_epochs=2.0; set both"),
        ({"momentum": 2.0}, r"momentum=2.0 must be a number from 0 to 1"),
    ],
)
def test_what_cannot_train_as_meant_trains_nothing(tiny, quick, changes, message):
    """Whoever asks for it: `fit` is used without `retrain`."""
    with pytest.raises(ValueError, match=message):
        fit(tiny, Retraining(replace(quick, **changes), 0))


def test_unknown_parts_and_devices(tiny, quick):
    with pytest.raises(ValueError, match="precision='bf16' must be float32, bfloat16"):
        retrain(tiny, Retraining(replace(quick, precision="bf16"), 0))
    with pytest.raises(ValueError, match="unknown network part 'vgg'; choose one of mobilenetv2"):
        fit(tiny, Retraining(replace(quick, arch="vgg"), 0))
    with pytest.raises(ValueError, match="unknown network part 'conv7'; choose one of conv3, conv5s2"):
        fit(tiny, Retraining(replace(quick, stem="conv7"), 0))
    with pytest.raises(ValueError, match="unknown device 'tpu'; choose auto, cpu or cuda"):
        pick_device("tpu")
    assert pick_device("cpu") == "cpu"


def test_margin_by_hand():
    logits = np.array([[3.0, 1.0, 2.0], [0.0, 5.0, 4.0]])
    np.testing.assert_array_equal(margins(logits, np.array([0, 2])), [1.0, -1.0])


def test_learning_rate_is_the_papers_triangle():
    recipe = Recipe()
    assert learning_rate(0, recipe) == 0 and learning_rate(24, recipe) == 0
    assert learning_rate(5, recipe) == 0.5 and learning_rate(2.5, recipe) == 0.25
    assert learning_rate(14.5, recipe) == pytest.approx(0.25)


def test_normalised_training_images_have_mean_0_and_deviation_1(tiny):
    images = resident(tiny)
    images = images.normalised(images.train)
    assert abs(float(images.mean())) < 1e-5 and abs(float(images.std()) - 1) < 1e-4


def test_mixed_precision_gives_similar_results(tiny, quick):
    recipe = replace(quick, width=4, epochs=8)
    exact, mixed = (retrain(tiny, Retraining(replace(recipe, precision=p), 0)) for p in ("float32", "bfloat16"))
    assert exact.logits.dtype == mixed.logits.dtype == np.float32
    assert np.isfinite(mixed.logits).all() and 0 < np.abs(exact.logits - mixed.logits).max() < 2
    assert (
        mixed.logits.tobytes() == retrain(tiny, Retraining(replace(recipe, precision="bfloat16"), 0)).logits.tobytes()
    )


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_trains_channels_last_and_augments_where_the_images_are(tiny, quick, precision, monkeypatch):
    seen = []

    def step(net, optimiser, images, labels, recipe, weights):
        before = [parameter.clone() for parameter in net.parameters()]
        train_step(net, optimiser, images, labels, recipe, weights)
        seen.append((images.device, images.dtype))
        assert any((old != new).any() for old, new in zip(before, net.parameters(), strict=True))
        assert all(parameter.dtype == torch.float32 for parameter in net.parameters())

    inputs = []
    monkeypatch.setattr("lib.retrain.train_step", step)
    monkeypatch.setattr(ResNet9, "embed", lambda net, x: inputs.append(x) or net.trunk(x))
    retrain(tiny, Retraining(replace(quick, epochs=1, warmup_epochs=0.5, precision=precision), 0))
    assert seen == [(torch.device("cpu"), torch.float32)] * 6
    assert all(x.is_contiguous(memory_format=torch.channels_last) for x in inputs[:6])


def test_one_thread_is_restored_after_an_error():
    threads = torch.get_num_threads()
    with pytest.raises(RuntimeError), one_thread("cpu"):
        assert torch.get_num_threads() == 1
        raise RuntimeError
    assert torch.get_num_threads() == threads


def test_the_papers_resnet9():
    net = ResNet9(channels=3, n_classes=10)
    convs = [m for m in net.modules() if isinstance(m, torch.nn.Conv2d)]
    shapes = [(c.in_channels, c.out_channels, c.kernel_size[0], c.stride[0]) for c in convs]
    assert shapes == [
        (3, 64, 3, 1),
        (64, 128, 5, 2),
        (128, 128, 3, 1),
        (128, 128, 3, 1),
        (128, 256, 3, 1),
        (256, 256, 3, 1),
        (256, 256, 3, 1),
        (256, 128, 3, 1),
    ]
    assert all(c.bias is None for c in convs) and net.head.bias is None
    x = torch.randn(2, 3, 32, 32)
    assert net(x).shape == (2, 10) and net.embed(x).shape == (2, net.n_features) == (2, 128)
    net.eval()
    torch.testing.assert_close(net(x), 0.2 * net.head(net.embed(x)))


@pytest.fixture
def resizing(quick) -> Recipe:
    """As quick, with images that grow from 22 to 24 pixels in the last epoch."""
    return replace(quick, translate=0, cutout=0, epochs=3, sizes=(22, 24), last_epochs=1, smallest_crop=0.5)


def test_images_grow_in_the_last_epochs(tiny, resizing, monkeypatch):
    seen = []
    monkeypatch.setattr("lib.retrain.train_step", lambda net, optimiser, images, *rest: seen.append(images))
    fit(tiny, Retraining(resizing, 0))
    assert [tuple(images.shape) for images in seen] == 12 * [(20, 1, 22, 22)] + 6 * [(20, 1, 24, 24)]
    paper = replace(resizing, epochs=16, sizes=(160, 192), last_epochs=5)
    assert [paper.size(epoch) for epoch in (0, 10, 11, 15)] == [160, 160, 192, 192]


def test_resized_training_is_a_pure_function_that_learns_and_tests_whole_images(tiny, resizing):
    recipe = replace(resizing, width=4, epochs=12, flip=False, translate=0, peak_lr=0.1)
    first, again = retrain(tiny, Retraining(recipe, 0)), retrain(tiny, Retraining(recipe, 0))
    np.testing.assert_array_equal(first.logits, again.logits)
    assert first.logits.shape == (30, 3) and first.test_accuracy > 0.8


def test_a_resizing_recipe_has_a_key_of_its_own_that_survives_json(tiny, quick, resizing):
    keys = {Retraining(r, 0).key(tiny) for r in (quick, resizing, replace(resizing, sizes=(22, 26)))}
    assert len(keys) == 3 and resizing.hash != quick.hash
    with pytest.raises(ValueError, match="smallest_crop=0 must be a number above 0 and at most 1"):
        retrain(tiny, Retraining(replace(resizing, smallest_crop=0), 0))


def test_resized_crops_are_windows_inside_the_image():
    """Of a horizontal ramp: values within its range, slopes between the narrowest window and the whole image."""
    ramp = torch.arange(24.0).expand(300, 1, 24, 24)
    views = augment.resized_crop(ramp, 12, 0.25, torch.Generator().manual_seed(0))
    assert views.shape == (300, 1, 12, 12) and views.min() >= 0 and views.max() <= 23
    slopes = (views[:, 0, 0, 8] - views[:, 0, 0, 4]) / 4  # 24 pixels shown as 12: 2 a pixel for the whole width
    narrowest = 2 * (0.25 * 3 / 4) ** 0.5
    assert slopes.min() > narrowest - 0.01 and slopes.max() < 2.01 and slopes.std() > 0.2
    torch.testing.assert_close(views, views[:, :, :1].expand_as(views), atol=1e-4, rtol=0)  # rows are alike


def test_flip_mirrors_about_half_of_the_images():
    x = torch.arange(4.0).expand(400, 1, 1, 4)
    flipped = augment.flip(x, torch.Generator().manual_seed(0))[:, 0, 0, 0] == 3
    assert 150 < int(flipped.sum()) < 250


def test_translate_moves_every_image_its_own_way_and_fills_with_the_mean():
    x = torch.zeros(200, 1, 7, 7)
    x[:, 0, 3, 3] = 1
    moved = augment.translate(x, 2, torch.Generator().manual_seed(0))
    assert moved.shape == x.shape and (moved.sum((1, 2, 3)) == 1).all()
    _, _, rows, cols = moved.nonzero(as_tuple=True)
    assert set(rows.tolist()) == set(cols.tolist()) == {1, 2, 3, 4, 5}
    corner = torch.ones(200, 1, 7, 7)
    assert (augment.translate(corner, 2, torch.Generator().manual_seed(0)).sum((1, 2, 3)) >= 25).all()


def test_cutout_fills_one_square_inside_each_image():
    holes = augment.cutout(torch.ones(200, 2, 9, 9), 4, torch.Generator().manual_seed(0)) == 0
    assert (holes.sum((1, 2, 3)) == 2 * 16).all()
    assert holes[:, 0].any(0).all()  # every pixel is reached by some image
