"""The networks: those of the paper at their own size, each one step of training long, and what all have in common."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
import torchvision
from lightly.models import ResNetGenerator
from torch import nn

from lib import nets, ssl
from lib.data import Dataset, one_thread
from lib.features import FeatureRecipe
from lib.nets.mobilenet import MobileNetV2
from lib.profiles import RESIZED
from lib.retrain import Recipe, Retraining, retrain, train_step

RECIPES = [  # a small network of each architecture with each of its stems
    Recipe(arch, max(4, network.WIDTH_STEP), stem)
    for arch, network in nets.ARCHITECTURES.items()
    for stem in network.STEMS
]
RECIPES += [Recipe("mobilenetv2_shallow", 1, "conv3"), Recipe("vit", 32, "patch4")]

every_network = pytest.mark.parametrize(
    "recipe", RECIPES, ids=[f"{recipe.arch}-{recipe.stem}-{recipe.width}" for recipe in RECIPES]
)


@pytest.fixture(autouse=True)
def sequential():
    with one_thread("cpu"):
        yield


def images(n: int, side: int, channels: int = 3) -> torch.Tensor:
    return torch.randn(n, channels, side, side, generator=torch.Generator().manual_seed(0))


def side(recipe: Recipe) -> int:
    return 28 if recipe.stem == "patch7" else 32


def synthetic(n_train: int, side: int) -> Dataset:
    rng = np.random.default_rng(0)

    def split(n: int) -> tuple[np.ndarray, np.ndarray]:
        return rng.integers(0, 256, (n, 3, side, side), dtype=np.uint8), np.arange(n) % 10

    return Dataset("synthetic", *split(n_train), *split(2), tuple(map(str, range(10))))


def with_weights_of(net: nn.Module, other: nn.Module) -> nn.Module:
    """net in evaluation mode with the other's weights, taken in their order; each has to fit."""
    named = zip(net.state_dict(), other.state_dict().values(), strict=True)
    net.load_state_dict(dict(named))
    return net.eval()


def with_statistics(net: nn.Module, x: torch.Tensor) -> nn.Module:
    """net in evaluation mode with batch statistics of its own."""
    with torch.no_grad():
        net.train()(x)
    return net.eval()


# The paper's networks at their own size

CIFAR = Recipe(epochs=1, warmup_epochs=0.5, batch_size=8)


@pytest.mark.parametrize(
    ("recipe", "side"),
    [
        (CIFAR, 32),
        (replace(CIFAR, arch="mobilenetv2", width=32), 32),
        (replace(RESIZED, precision="float32", epochs=2, warmup_epochs=0.5, batch_size=4, last_epochs=1), 256),
    ],
    ids=["cifar-resnet9", "cifar-mobilenetv2", "imagenet-resnet18"],
)
def test_one_step_of_the_papers_classifiers(recipe, side):
    """One epoch of one batch (on ImageNet: one at each resolution), with the paper's learning rate and augmentation."""
    outcome = retrain(synthetic(recipe.batch_size, side), Retraining(recipe, 0))
    assert outcome.logits.shape == (2, 10) and np.isfinite(outcome.logits).all()


def test_one_step_of_the_papers_backbone():
    recipe = FeatureRecipe(arch="resnet18", width=64, stem="conv3", epochs=1, batch_size=4, memory_bank=8)
    untrained = nets.build(recipe, 3, 1, seed=0).trunk
    trunk = ssl.train(synthetic(4, 32), recipe, progress=False)
    features = trunk(images(2, 32))
    assert features.shape == (2, 512) and torch.isfinite(features).all()
    assert not torch.equal(next(trunk.parameters()), next(untrained.parameters()))


@pytest.mark.parametrize(
    ("arch", "width", "stem", "n_classes", "n_parameters"),
    [
        ("resnet9", 64, "conv3", 10, 2_274_880),
        ("mobilenetv2", 32, "conv3", 10, 2_236_682),
        ("resnet18", 64, "conv3", 10, 11_173_962),  # what is published of the CIFAR-10 variant
        ("resnet18", 64, "conv7s2pool", 1000, 11_689_512),  # torchvision's ResNet18_Weights.meta["num_params"]
    ],
)
def test_parameter_counts(arch, width, stem, n_classes, n_parameters):
    net = nets.build(Recipe(arch, width, stem), 3, n_classes, seed=0)
    assert sum(parameter.numel() for parameter in net.parameters()) == n_parameters


def test_resnet18_for_imagenet_is_torchvisions():
    x = images(2, 96)
    theirs = with_statistics(torchvision.models.resnet18(num_classes=10), x)
    torch.testing.assert_close(with_weights_of(nets.ARCHITECTURES["resnet18"](3, 10), theirs)(x), theirs(x))


def test_resnet18_for_cifar_is_lightlys():
    x = images(2, 32)
    theirs = with_statistics(ResNetGenerator("resnet-18"), x)
    torch.testing.assert_close(
        with_weights_of(nets.ARCHITECTURES["resnet18"](3, 10, stem="conv3"), theirs)(x), theirs(x)
    )


def test_mobilenetv2_is_torchvisions_with_smaller_strides():
    x, stages = images(2, 32), [list(stage) for stage in MobileNetV2.STAGES]
    theirs = torchvision.models.MobileNetV2(10, inverted_residual_setting=stages, dropout=0.0)
    theirs.features[0][0].stride = (1, 1)
    theirs = with_statistics(theirs, x)
    torch.testing.assert_close(with_weights_of(MobileNetV2(3, 10), theirs)(x), theirs(x))


def test_resnet9_starts_from_the_same_weights_as_ever():
    """Every retraining in the ledger does: these sums are of the first version of this network."""
    net = nets.build(Recipe(width=8, stem="conv5s2"), 1, 10, seed=0)
    sums = [parameter.double().sum().item() for parameter in (net.trunk[0][0].weight, net.head.weight)]
    assert sums == pytest.approx([-2.099520, -2.049039], abs=1e-5)


# What all have in common


def test_every_file_adds_its_networks():
    assert {"mobilenetv2", "mobilenetv2_shallow", "resnet9", "resnet18", "vit"} <= nets.ARCHITECTURES.keys()


@every_network
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_and_features(recipe, channels):
    net = nets.build(recipe, channels, 7, seed=0).eval()
    x = images(5, side(recipe), channels)
    features = net.embed(x)
    assert features.shape == (5, net.n_features) and net(x).shape == (5, 7)
    torch.testing.assert_close(net.trunk(x), features)
    assert isinstance(net.head, nn.Linear) and features.std(0).max() > 0  # images differ


@every_network
def test_the_seed_alone_decides(recipe):
    """Building and a step of training draw nothing from the global stream, and give the same bits each time."""
    torch.manual_seed(1)
    before = torch.random.get_rng_state()

    def trained(seed: int) -> list[torch.Tensor]:
        net = nets.build(recipe, 3, 10, seed).train()
        optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
        train_step(net, optimiser, images(4, side(recipe)), torch.arange(4), recipe)
        return list(net.state_dict().values())

    first, again, other = trained(0), trained(0), trained(1)
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(map(torch.equal, first, again)) and not all(map(torch.equal, first, other))


@every_network
def test_every_weight_is_trained(recipe):
    net = nets.build(recipe, 3, 10, seed=0).train()
    nn.init.normal_(net.head.weight, generator=torch.Generator().manual_seed(0))  # a head of 0 lets no gradient through
    nn.functional.cross_entropy(net(images(4, side(recipe))), torch.arange(4)).backward()
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters())
    assert next(net.trunk.parameters()).grad.any()


@pytest.mark.parametrize(
    ("arch", "stem", "width"),
    [("mobilenetv2_shallow", "conv5s2", 4), ("resnet18", "conv3", 8), ("vit", "patch4", 16)],
)
def test_every_network_can_be_a_backbone(arch, stem, width):
    recipe = FeatureRecipe(arch=arch, stem=stem, width=width, epochs=1, batch_size=10, memory_bank=20)
    trunk = ssl.train(synthetic(20, 32), recipe, progress=False)
    assert torch.isfinite(trunk(images(2, 32))).all()


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (
            Recipe("vgg"),
            f"unknown network part 'vgg'; choose one of {', '.join(nets.ARCHITECTURES)}, or package.module:Name",
        ),
        (Recipe(stem="patch4"), "unknown network part 'patch4'; choose one of conv3, conv5s2, resnet9's stems"),
        (Recipe("vit", stem="conv3"), "unknown network part 'conv3'; choose one of patch7, patch4, vit's stems"),
        (Recipe("resnet18", stem="conv5s2"), "choose one of conv3, conv7s2pool, resnet18's stems"),
        (Recipe("mobilenetv2", width=0), "width=0 must be at least 1"),
        (Recipe("vit", width=24, stem="patch4"), "width=24 must be a multiple of 16 for vit"),
    ],
)
def test_parts_that_do_not_fit(recipe, message):
    with pytest.raises(ValueError, match=message):
        nets.build(recipe, 3, 10, seed=0)


def test_vit_names_the_images_it_takes():
    net = nets.build(Recipe("vit", 16, "patch7"), 3, 10, seed=0)
    message = (
        r"images of 32 x 32 pixels do not fit a vit with patches of 7; choose stem patch7 \(28 x 28 pixels\) or patch4"
    )
    with pytest.raises(ValueError, match=message):
        net(images(1, 32))


MINE = """
from torch import nn

class Mine(nn.Module):
    def __init__(self, n_classes, channels):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(channels, 4, 5, 4), nn.ReLU(), nn.Flatten(), nn.LazyLinear(n_classes))
        self.layers(__import__("torch").zeros(1, channels, 24, 24))

    def forward(self, x):
        return self.layers(x)

class Other(nn.Module):
    pass

number = 3
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A file with a network where the user stands."""
    (tmp_path / "my_network.py").write_text(MINE)
    (tmp_path / "my_changed_network.py").write_text(MINE.replace("ReLU", "GELU"))
    monkeypatch.setenv("COMPANION_FROM", str(tmp_path))
    monkeypatch.setattr(sys, "path", list(sys.path))


def test_a_network_of_ones_own_is_retrained_and_its_source_is_part_of_the_key(mine, tiny, quick):
    recipe, changed = (replace(quick, arch=f"{module}:Mine") for module in ("my_network", "my_changed_network"))
    outcome = retrain(tiny, Retraining(recipe, 0))
    assert outcome.logits.shape == (30, 3) and outcome.test_accuracy > 0.5
    np.testing.assert_array_equal(retrain(tiny, Retraining(recipe, 0)).logits, outcome.logits)
    same_name = replace(changed, arch=recipe.arch)
    assert recipe.identity["source"] != changed.identity["source"] and same_name.identity == recipe.identity
    assert "source" not in quick.identity


def test_a_network_that_extends_one_of_another_file_has_both_in_its_key(mine, tmp_path, quick):
    for name in ("network", "changed_network"):
        (tmp_path / f"extends_{name}.py").write_text(f"import my_{name} as base\n\nclass Mine(base.Mine):\n    pass\n")
    (tmp_path / "wrong_network.py").write_text("class Mine(")
    one, other = (replace(quick, arch=f"extends_{name}:Mine") for name in ("network", "changed_network"))
    plain = replace(quick, arch="my_network:Mine")
    assert len({recipe.identity["source"] for recipe in (one, other, plain)}) == 3
    with pytest.raises(ValueError, match="there is no network 'wrong_network:Mine' .SyntaxError"):
        nets.own.named("wrong_network:Mine")


@pytest.mark.parametrize(
    ("arch", "message"),
    [
        ("nowhere.at_all:Mine", "there is no network 'nowhere.at_all:Mine' .* give package.module:Name"),
        ("my_network:Theirs", "there is no network 'my_network:Theirs'"),
        (":", "there is no network ':'"),
        ("my_network:number", "my_network:number is no torch.nn.Module"),
        ("torch.nn:Linear", r"torch.nn:Linear is not built by n_classes=…, channels=… \(.*in_features"),
        ("my_network:Other", "my_network:Other is not built by n_classes=3, channels=1"),
    ],
)
def test_a_network_of_ones_own_that_cannot_be_is_named(mine, tiny, quick, arch, message):
    with pytest.raises(ValueError, match=message):
        retrain(tiny, Retraining(replace(quick, arch=arch), 0))
