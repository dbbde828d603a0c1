"""What every method of self-supervision has to do: learn, from both views alike, the same bits each time."""

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lib import nets, ssl
from lib.data import one_thread
from lib.features import FeatureRecipe, extract, knn_accuracy
from lib.ssl import METHODS, Momentum

QUICK = FeatureRecipe(width=2, epochs=2, batch_size=20, memory_bank=40, output_dim=8, cutout=4)
READS = {  # the fields of FeatureRecipe that are not for all methods
    "moco": {"temperature", "momentum", "memory_bank", "output_dim"},
    "simclr": {"temperature", "output_dim"},
    "byol": {"momentum", "output_dim"},
    "dino": {"temperature", "momentum", "output_dim"},
    "simsiam": set(),
    "barlow_twins": set(),
    "swav": {"temperature", "output_dim"},
}
OTHER = {"temperature": 0.5, "momentum": 0.5, "memory_bank": 80, "output_dim": 4}

every_method = pytest.mark.parametrize("method", METHODS)


@pytest.fixture(autouse=True)
def sequential():
    with one_thread("cpu"):
        yield


def train(dataset, method: str, **changes) -> np.ndarray:
    return extract(dataset, replace(QUICK, method=method, **changes), progress=False).train


@pytest.fixture(scope="module")
def base(tiny) -> Callable[[str], np.ndarray]:
    """Features of each method as it stands, trained when first asked for."""
    return functools.cache(lambda method: train(tiny, method))


def build(method: str, **changes) -> torch.nn.Module:
    """A method on a new network, the same each time."""
    recipe = replace(QUICK, **changes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return METHODS[method](nets.build(recipe, 1, 1, seed=0), recipe).train()


def views() -> list[torch.Tensor]:
    return list(torch.randn(2, 20, 1, 24, 24, generator=torch.Generator().manual_seed(0)))


@every_method
def test_same_bits_and_no_trace(tiny, base, method):
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    features = train(tiny, method)
    assert torch.equal(before, torch.random.get_rng_state())
    assert features.shape == (120, 4) and np.isfinite(features).all()
    np.testing.assert_array_equal(features, base(method))
    assert (features != train(tiny, method, seed=1)).any()


@every_method
def test_reads_its_own_fields_and_no_others(tiny, base, method):
    changed = {f: train(tiny, method, **{f: value}) for f, value in OTHER.items()}
    assert {f for f, features in changed.items() if (features != base(method)).any()} == READS[method]


def test_methods_differ(base):
    assert len({base(method).tobytes() for method in METHODS}) == len(METHODS) == len(READS)


@every_method
def test_learns_what_the_classes_share(tiny, method):
    """The classes differ in where the band is, which a network without training confuses."""
    recipe = replace(QUICK, method=method, width=4, crop=1.0, cutout=0)
    recipes = replace(recipe, epochs=1, peak_lr=1e-9), replace(recipe, epochs=10)
    untrained, trained = (knn_accuracy(extract(tiny, one, progress=False), tiny) for one in recipes)
    assert trained > untrained and trained > 0.9


@every_method
def test_both_views_count_alike(method):
    first, second = views()
    torch.testing.assert_close(build(method)([first, second]), build(method)([second, first]))


@every_method
def test_gradients_reach_all_that_is_trained_and_nothing_else(method):
    module = build(method)
    module(views()).backward()
    for name, parameter in module.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
        assert parameter.grad is None or parameter.grad.isfinite().all(), name
    if isinstance(module, Momentum):
        assert not any(parameter.requires_grad for parameter in module.follower.parameters())


@pytest.mark.parametrize("method", [name for name, kind in METHODS.items() if issubclass(kind, Momentum)])
@pytest.mark.parametrize("momentum", [0.0, 0.75, 1.0])
def test_follower_moves_by_the_momentum(method, momentum):
    module = build(method, momentum=momentum)
    with torch.no_grad():
        for parameter in module.online.parameters():
            parameter += 1
    apart = [p - q for p, q in zip(module.online.parameters(), module.follower.parameters(), strict=True)]
    module.targets(views())
    for p, q, before in zip(module.online.parameters(), module.follower.parameters(), apart, strict=True):
        torch.testing.assert_close(p - q, momentum * before)


def test_dino_centres_its_follower():
    """The centre is a moving average of the follower's outputs, 0.9 old and 0.1 new."""
    module, pair = build("dino", momentum=1.0), views()
    outputs = torch.cat(module.targets(pair))
    module(pair)
    torch.testing.assert_close(module.loss.center[0, 0], 0.1 * outputs.mean(0))


def test_swav_prototypes_are_directions():
    module, pair = build("swav"), views()
    optimiser = torch.optim.SGD([p for p in module.parameters() if p.requires_grad], lr=0.1)
    module(pair).backward()
    optimiser.step()
    module(pair)
    (prototypes,) = module.prototypes.heads
    torch.testing.assert_close(prototypes.weight.norm(dim=1), torch.ones(128))
    assert not prototypes.bias.any()


def test_watching_sees_every_epoch_and_changes_nothing(tiny):
    seen = []
    recipe = replace(QUICK, method="byol")
    watched = ssl.train(tiny, recipe, progress=False, watch=lambda *now: seen.append(now))
    assert [epoch for epoch, _ in seen] == list(range(1, recipe.epochs + 1))
    assert all(net is watched for _, net in seen) and not watched.training
    alone = ssl.train(tiny, recipe, progress=False)
    assert all(torch.equal(a, b) for a, b in zip(watched.parameters(), alone.parameters(), strict=True))


class Killed(Exception):
    pass


@pytest.fixture
def checkpoint(tmp_path, monkeypatch):
    """Where a training is kept, after every epoch here."""
    monkeypatch.setattr("lib.ssl.training.KEPT_EVERY", -1)
    return tmp_path / "training.pt"


def trained_until(epoch: int, tiny, recipe: FeatureRecipe, checkpoint: Path) -> None:
    """Killed at the end of that epoch, before it is kept."""

    def watch(now: int, net: torch.nn.Module) -> None:
        if now == epoch:
            raise Killed

    with pytest.raises(Killed):
        ssl.train(tiny, recipe, progress=False, watch=watch, checkpoint=checkpoint)


@pytest.mark.parametrize("method", ["moco", "simclr", "dino"])  # with a memory bank, without, with a moving centre
def test_a_killed_training_goes_on_to_the_same_bits(tiny, checkpoint, method):
    recipe, seen = replace(QUICK, method=method, epochs=4), []
    undisturbed = ssl.train(tiny, recipe, progress=False)
    trained_until(1, tiny, recipe, checkpoint)
    assert not checkpoint.exists()
    trained_until(3, tiny, recipe, checkpoint)
    state = torch.random.get_rng_state()
    resumed = ssl.train(tiny, recipe, progress=False, watch=lambda now, _: seen.append(now), checkpoint=checkpoint)
    assert seen == [3, 4] and not checkpoint.exists()
    assert torch.equal(state, torch.random.get_rng_state())
    for name, tensor in undisturbed.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


@pytest.mark.parametrize("damage", ["torn", "empty", "other"])
def test_a_damaged_checkpoint_is_refused_by_name(tiny, checkpoint, damage):
    recipe = replace(QUICK, epochs=2)
    trained_until(2, tiny, recipe, checkpoint)
    if damage == "other":
        torch.save({"epochs": 1}, checkpoint)
    else:
        checkpoint.write_bytes(checkpoint.read_bytes()[: -100 if damage == "torn" else 0])
    with pytest.raises(ValueError, match=r"training\.pt is damaged .*; delete it to train from the start"):
        ssl.train(tiny, recipe, progress=False, checkpoint=checkpoint)
    assert checkpoint.exists()
    checkpoint.unlink()
    ssl.train(tiny, recipe, progress=False, checkpoint=checkpoint)
