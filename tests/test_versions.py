"""A rival that scores otherwise than before has a new version, so that scores that were kept are not taken for its own.

`python tests/test_versions.py` writes the scores that the versions of today stand for.
"""

from pathlib import Path

import numpy as np
import pytest
from conftest import quick, tiny

from lib import nets
from lib.data import one_thread
from lib.rivals import ensembles, networks
from lib.rivals.rival import SUBSETS

FILE = Path(__file__).with_name("rival_scores.npz")
SETTINGS = {"trak": {"projection_dim": 60}}


def scores(name: str) -> np.ndarray:
    """Of 120 images for three targets, on a network as it is initialised; or on random subsets of 30 images."""
    rival, dataset = ensembles.RIVALS[name], tiny.__wrapped__()
    if rival.trained_on == SUBSETS:
        rng = np.random.default_rng(0)
        masks = rng.random((200, 30)) < 0.5
        return rival.score(masks, masks @ rng.normal(size=(30, 3)) + rng.normal(size=(200, 3)))
    net = nets.build(quick.__wrapped__(), 1, 3, seed=0).eval()
    inputs = networks.inputs(dataset, np.array([0, 10, 20]), "cpu")
    with one_thread("cpu"):
        return next(iter(rival.combine([rival.score(net, inputs, **SETTINGS.get(name, {}))])))


def key(name: str) -> str:
    return f"{name} {ensembles.RIVALS[name].version}"


@pytest.mark.parametrize("name", ensembles.RIVALS)
def test_a_rival_scores_as_its_version_did(name):
    with np.load(FILE, allow_pickle=False) as stored:
        assert key(name) in stored, f"write the scores of {key(name)}: python tests/test_versions.py"
        alike = [np.corrcoef(*pair)[0, 1] for pair in zip(stored[key(name)], scores(name), strict=True)]
    assert min(alike) > 0.99, f"{name} scores otherwise than before: raise the version in its Rival"


def test_a_change_of_sign_or_of_a_setting_is_told():
    with np.load(FILE, allow_pickle=False) as stored:
        assert np.corrcoef(stored["trak 0"][0], -scores("trak")[0])[0, 1] < 0
        net = nets.build(quick.__wrapped__(), 1, 3, seed=0).eval()
        inputs = networks.inputs(tiny.__wrapped__(), np.array([0, 10, 20]), "cpu")
        other = ensembles.RIVALS["trak"].score(net, inputs, projection_dim=60, damping=10.0)
        assert np.corrcoef(stored["trak 0"][0], other[0])[0, 1] < 0.99


if __name__ == "__main__":
    np.savez_compressed(FILE, **{key(name): np.asarray(scores(name), np.float32) for name in ensembles.RIVALS})
