"""Dry runs: what a notebook would compute is counted without computing it, for every notebook and profile."""

from dataclasses import replace

import pytest

from lib import profiles, run
from lib.report import plan
from lib.study import MISLABEL, REMOVAL

NOTEBOOKS = [name for name in run.names() if "profile" in run.declared(name)]


def items(profile, **what) -> dict[str, plan.Item]:
    methods = [plan.parsed(profile, name) for _, name, *_ in (*what.get("curves", ()), *what.get("united", ()))]
    found = plan.searched(profile, what.get("curves", ()), what.get("united", ()), what.get("sample", ()))
    return {item.what: item for item in [*plan.learnt(profile, methods, what.get("lds", {})), *found]}


@pytest.mark.parametrize("profile", profiles.NAMES)
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_notebook_says_what_it_would_compute(name, profile):
    values = {key: parameter["default"] for key, parameter in run.declared(name).items()}
    text = run.dry_run(name, values | {"profile": profile})
    assert f"Profile {profile}:" in text and "Checked:" in text
    assert ("base models" in text) == (name != "verdicts")


@pytest.mark.parametrize(
    ("profile", "n_targets", "paper", "most", "expected"),
    [("paper", 100, 3500, 4000, 2400), ("paper_imagenet", 30, 210, 240, 240)],
)
def test_the_papers_totals_come_out(profile, n_targets, paper, most, expected):
    """Paper App. A.4: 7 steps x 5 models x 100 targets, 7 x 1 x 30. Ours has the probe at k_max too, 8 instead of 7."""
    values = profiles.load(profile)
    found = items(values, curves=[(REMOVAL, "moco_esvm"), (MISLABEL, "moco_esvm")])
    for kind in (REMOVAL, MISLABEL):
        item = found[f"supports, {kind}, moco_esvm"]
        assert (item.paper, item.trainings, item.expected) == (paper, most, expected)
    assert found["supports, k = 0"].trainings == values.n_votes  # the same for all targets
    assert values.n_targets == n_targets


def test_united_tests_are_one_a_group_and_methods_train_what_they_look_into():
    smoke = profiles.load("smoke")
    found = items(smoke, united=[(REMOVAL, "trak:2"), (REMOVAL, "datamodels:40"), (REMOVAL, "moco_l2")], lds={0.5: []})
    assert found["supports, removal, moco_l2, united"].trainings == (smoke.budget + 1) * smoke.n_votes
    of_sample = items(smoke, sample=[(REMOVAL, "moco_l2")])["supports, removal, moco_l2, one target a class"]
    assert of_sample.trainings == 5 * (smoke.budget + 1) * smoke.n_votes and of_sample.paper is None
    assert found["networks, trak"].trainings == 2 and found["features, moco"].trainings == 1
    assert found["subsets of 0.5, Datamodels"].trainings == 40 and found["subsets of 0.5, LDS"].trainings == 20


def test_margins_and_other_recipes():
    smoke = profiles.load("smoke", n_targets=20)
    curves, vit = [(REMOVAL, "moco_l2"), (REMOVAL, "random")], smoke.network("vit")
    for tests, n in (("separate", 20), ("united", 4), ("one a class", 5)):
        own, other = plan.at_fixed_k(smoke, [*curves, (*curves[0], vit)], tests, 3)
        assert (own.what, own.trainings) == (f"margins at fixed k, {tests}", 2 * n * 3)
        assert (other.what, other.trainings) == (f"margins at fixed k, {tests}, vit", n * 3)
    found = items(smoke, united=[*curves, (*curves[0], vit)])
    assert found["supports, removal, moco_l2, united, vit"].flops != found["supports, removal, moco_l2, united"].flops
    assert "supports, k = 0, vit" in found


def test_what_is_published_is_not_trained():
    paper = profiles.load("paper")
    found = items(paper, curves=[(REMOVAL, "datamodels:300000")], lds={0.5: []})
    assert not any("subsets" in what for what in found)
    text = plan.text(paper, [(REMOVAL, "datamodels:300000")])
    assert "datamodels_cifar10_weights (size not published, no checksum is pinned yet) is had by hand" in text
    imagenet = profiles.load("paper_imagenet")
    assert items(imagenet, curves=[(REMOVAL, "moco_l2")])["features, moco"].trainings == 0
    assert "moco_v2_rn50_800ep" in plan.text(imagenet, [(REMOVAL, "moco_l2")])


def test_the_two_published_trainings_give_one_speed():
    first, second = plan.speed_of_a100(profiles.PAPER), plan.speed_of_a100(profiles.PAPER_IMAGENET)
    assert first == pytest.approx(58e12, rel=0.02) and second == pytest.approx(first, rel=0.15)


def test_operations_by_hand():
    """ResNet-9 at the paper's size: the multiplications of its eight convolutions and its head, counted by hand."""
    convolutions = 32**2 * 27 * 64 + 16**2 * (64 * 25 * 128 + 2 * 128 * 9 * 128 + 128 * 9 * 256)
    convolutions += 8**2 * 2 * 256 * 9 * 256 + 6**2 * 256 * 9 * 128 + 128 * 10
    assert plan.forward_flops("resnet9", 64, "conv3", 3, (32, 32), 10) == 2 * convolutions
    assert plan.resnet50_flops() == pytest.approx(2 * 4.09e9, rel=0.01)  # torchvision's meta["_ops"], multiplications


def test_where_a_file_is(tmp_path, monkeypatch):
    entry = plan.manifest.find("cifar10")
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DATA_MIRROR", raising=False)
    assert "would be downloaded from https://www.cs.toronto.edu" in plan.whereabouts(entry)
    (tmp_path / entry.file).touch()
    monkeypatch.setenv("DATA_MIRROR", str(tmp_path))
    assert plan.whereabouts(entry).endswith("sha256 pinned) is in the mirror")


@pytest.mark.parametrize(
    ("profile", "changes", "method", "message"),
    [
        ("paper", {"k_max": 5001}, "moco_l2", "k_max=5001 exceeds the 5000 training images of a class"),
        ("paper", {"n_targets": 105}, "moco_l2", "n_targets=105 must be a multiple of the 10 classes"),
        ("paper", {"train_per_class": 6000}, "moco_l2", "train_per_class=6000 exceeds the 5000 of cifar10"),
        ("imagenet", {"n_classes": 41}, "moco_l2", "n_classes=41 exceeds the 40 of tiny_imagenet_40"),
        ("paper", {"batch_size": 50_000}, "moco_l2", "48720 training images are left, fewer than one batch"),
        ("paper", {}, "trak:7", "unknown method 'trak:7'"),
        ("paper", {"stem": "patch4"}, "moco_l2", "unknown network part 'patch4'"),
        ("paper", {"dataset": "moco_v2_rn50_800ep"}, "moco_l2", "lacks images, shape or n_classes"),
    ],
)
def test_values_that_do_not_fit_are_refused(profile, changes, method, message):
    with pytest.raises(ValueError, match=message):
        plan.text(profiles.load(profile, **changes), [(REMOVAL, method)])


def test_the_stand_in_takes_no_memory():
    dataset = plan.stand_in(profiles.load("paper_imagenet"))
    assert dataset.train_images.shape == (1_281_000, 3, 256, 256) and dataset.train_images.base.size == 1


def test_a_network_that_does_not_take_the_images_is_refused():
    smoke = profiles.load("smoke")
    with pytest.raises(ValueError, match="images of 28 x 28 pixels do not fit a vit with patches of 4"):
        plan.text(
            replace(smoke, recipe=replace(smoke.recipe, arch="vit", width=16, stem="patch4")), [(REMOVAL, "random")]
        )
