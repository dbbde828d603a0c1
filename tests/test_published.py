"""Published weights: a checkpoint in a publisher's layout gives back the network that was saved; others are refused."""

import os
from pathlib import Path

import pytest
import torch
import torchvision
import yaml
from torch import nn

from lib.nets import published

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    """A ResNet-50 with random weights and batch statistics of its own, in evaluation mode."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        net = torchvision.models.resnet50()
        net(IMAGES)
    return net.eval()


@pytest.fixture(scope="module")
def features(trained) -> torch.Tensor:
    """The layer before the last, as it goes into the head."""
    seen = []
    with trained.fc.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0])), torch.no_grad():
        trained(IMAGES)
    return seen[0]


def state(net: nn.Module) -> dict[str, torch.Tensor]:
    """The weights of the backbone by torchvision's names."""
    return {key: value for key, value in net.state_dict().items() if not key.startswith("fc.")}


def moco(net: nn.Module, head: dict) -> dict:
    """As facebookresearch/moco's main_moco.py saves: two encoders, the queue, and what was left of the training."""
    query = {f"module.encoder_q.{key}": value for key, value in (state(net) | head).items()}
    key_encoder = {f"module.encoder_k.{key}": torch.zeros(1) for key in state(net) | head}
    queue = {"module.queue": torch.zeros(128, 4), "module.queue_ptr": torch.zeros(1, dtype=torch.long)}
    return {"epoch": 800, "arch": "resnet50", "state_dict": query | key_encoder | queue, "optimizer": {"state": {}}}


def linear(*names: str) -> dict[str, torch.Tensor]:
    return {f"{name}.{kind}": torch.zeros(2) for name in names for kind in ("weight", "bias")}


def lightly(net: nn.Module) -> dict:
    """As Lightning saves a module of lightly's benchmark, whose backbone has no head."""
    parts = {f"backbone.{key}": value for key, value in state(net).items()}
    parts |= {f"query_backbone.{key}": torch.zeros(1) for key in state(net)}
    return {"epoch": 99, "state_dict": parts | linear("projection_head.layers.0", "online_classifier.linear")}


LAYOUTS = {
    "moco-v1": lambda net: moco(net, linear("fc")),
    "moco-v2": lambda net: moco(net, linear("fc.0", "fc.2")),
    "lightly": lightly,
    "torchvision": lambda net: net.state_dict(),
}


def declare(path: Path, **keys) -> Path:
    """A manifest with the checkpoint as its entry "mine"."""
    manifest = path.parent / "manifest.yaml"
    manifest.write_text(yaml.safe_dump({"mine": {"kind": "weights", "path": path.name, **keys}}))
    return manifest


@pytest.fixture
def checkpoint(tmp_path):
    """Where to save one; it is 100 MB and does not outlive its test."""
    path = tmp_path / "checkpoint.pth.tar"
    yield path
    path.unlink(missing_ok=True)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_saved_and_loaded_gives_the_same_features(trained, features, checkpoint, layout):
    torch.save(LAYOUTS[layout](trained), checkpoint, _use_new_zipfile_serialization=layout != "moco-v1")
    before = torch.random.get_rng_state()
    backbone = published.load("mine", manifest=declare(checkpoint))
    assert torch.equal(before, torch.random.get_rng_state())
    assert not backbone.training and not any(parameter.requires_grad for parameter in backbone.parameters())
    assert torch.equal(backbone(IMAGES), features) and features.shape == (2, 2048) and features.std(0).max() > 0


def test_half_precision_and_no_counters(trained, features, checkpoint):
    """Older files lack what batch norm counts; evaluation needs none of it."""
    halves = {key: value.half() for key, value in state(trained).items() if not key.endswith("num_batches_tracked")}
    torch.save(halves, checkpoint)
    found = published.backbone(checkpoint)(IMAGES)
    assert found.dtype == torch.float32 and found.sub(features).norm() < 0.01 * features.norm()


def renamed(net: nn.Module) -> dict:
    """Empty weights by the right names, for what is refused before a weight is looked at."""
    return dict.fromkeys(state(net), torch.zeros(0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda net: {**state(net), "conv1.weight": torch.zeros(64, 3, 3, 3)}, r"conv1.weight.*\[64, 3, 3, 3\].*7, 7"),
        (lambda net: {"conv1.weight": torch.zeros(64, 3, 7, 7)}, r"Missing key.*bn1\.weight"),
        (lambda net: {**renamed(net), "fc.1.weight": torch.zeros(1)}, r"Unexpected key.*fc\.1\.weight"),
        (lambda net: {**state(net), "layer1.0.conv1.weight": 3}, r"layer1\.0\.conv1\.weight.*int"),
        (lambda net: torchvision.models.resnet18().state_dict(), r"Missing key.*layer1\.0\.conv3\.weight"),
    ],
    ids=["shape", "missing", "unexpected", "no tensor", "resnet18"],
)
def test_weights_of_another_network(trained, checkpoint, change, message):
    torch.save(change(trained), checkpoint)
    with pytest.raises(ValueError, match=f"checkpoint.pth.tar does not fit a ResNet-50, give another: .*{message}"):
        published.load("mine", manifest=declare(checkpoint))


@pytest.mark.parametrize("content", [{"state_dict": {"encoder.0": torch.zeros(1)}}, {"state_dict": 3}, {}, [1]])
def test_unknown_layout(checkpoint, content):
    torch.save(content, checkpoint)
    with pytest.raises(ValueError, match=r"no ResNet-50 of a known layout.*module.encoder_q.conv1.weight \(facebook"):
        published.load("mine", manifest=declare(checkpoint))


class Code:
    """Unpickled, it makes a folder named by the environment."""

    def __reduce__(self):
        return os.mkdir, (os.environ["MADE_BY_CODE"],)


def test_code_is_not_run(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("MADE_BY_CODE", str(tmp_path / "made"))
    torch.save({"state_dict": Code()}, checkpoint)
    with pytest.raises(ValueError, match="holds code, which is never run"):
        published.load("mine", manifest=declare(checkpoint))
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.999])
def test_torn_file(checkpoint, share, legacy):
    whole = {"state_dict": {"conv1.weight": torch.zeros(64, 3, 7, 7)}}
    torch.save(whole, checkpoint, _use_new_zipfile_serialization=not legacy)
    raw = checkpoint.read_bytes()
    checkpoint.write_bytes(raw[: int(share * len(raw))])
    with pytest.raises(ValueError, match="checkpoint.pth.tar cannot be read as weights: it is damaged"):
        published.load("mine", manifest=declare(checkpoint))


def test_wrong_checksum_and_wrong_kind(checkpoint):
    torch.save({}, checkpoint)
    with pytest.raises(ValueError, match="the manifest expects 0000"):
        published.load("mine", manifest=declare(checkpoint, sha256="0" * 64))
    with pytest.raises(ValueError, match="fashion_mnist is of kind embedded; name an entry of kind weights"):
        published.load("fashion_mnist")


def test_normalised_as_torchvision_does():
    images = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    theirs = torchvision.models.ResNet50_Weights.IMAGENET1K_V1.transforms(crop_size=8, resize_size=8)(images)
    torch.testing.assert_close(published.normalised(images), theirs)
    assert published.normalised(torch.zeros(1, 3, 1, 1)).flatten().tolist() == pytest.approx(
        [-2.1179, -2.0357, -1.8044], abs=1e-4
    )
