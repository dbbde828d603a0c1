"""The LDS against scipy's Spearman, one target at a time, and dattri's implementation."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from lib.lds import lds, signed_inverse_l2


@pytest.fixture
def observed():
    """Scores of 4 targets on 60 images, masks of 30 models, and margins that follow them, with noise and ties."""
    rng = np.random.default_rng(0)
    scores, masks = rng.normal(size=(4, 60)).astype(np.float32), rng.random((30, 60)) < 0.5
    margins = np.round(masks @ scores.T + rng.normal(size=(30, 4)))
    return scores, masks, margins


def test_agrees_with_spearman_target_by_target(observed):
    scores, masks, margins = observed
    expected = [spearmanr(masks @ s, m).statistic for s, m in zip(scores, margins.T, strict=True)]
    np.testing.assert_allclose(lds(*observed), expected, atol=1e-12)
    assert (lds(*observed) > 0.8).all()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_agrees_with_dattri(observed):
    from dattri.metric import lds as reference

    scores, masks, margins = observed
    margins = margins + np.random.default_rng(1).normal(scale=1e-3, size=margins.shape)  # dattri's has no ties
    sampled = torch.stack([torch.from_numpy(np.flatnonzero(mask)[:15]) for mask in masks])
    same = np.zeros_like(masks)
    np.put_along_axis(same, sampled.numpy(), True, axis=1)
    theirs = reference(torch.from_numpy(scores.T), (torch.from_numpy(margins), sampled))[0]
    np.testing.assert_allclose(lds(scores, same, margins), theirs, atol=1e-6)


def test_perfect_reversed_and_constant_predictions():
    masks = np.tri(8, dtype=bool)
    margins = np.arange(8.0)[:, None].repeat(3, axis=1)
    scores = np.stack([np.ones(8), -np.ones(8), np.zeros(8)])
    np.testing.assert_allclose(lds(scores, masks, margins), [1, -1, np.nan])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s, m, y: (s[:, :-1], m, y), "do not fit; expected"),
        (lambda s, m, y: (s, m, y.T), "do not fit; expected"),
        (lambda s, m, y: (s, m[:2], y[:2]), "2 models are too few for a rank correlation"),
        (lambda s, m, y: (np.where(s > 1, -np.inf, s), m, y), "some scores are not finite; give 0"),
    ],
)
def test_refuses(observed, change, message):
    with pytest.raises(ValueError, match=message):
        lds(*change(*observed))


def test_signed_inverse_l2_by_hand():
    train = np.arange(40, dtype=float)[:, None]
    scores = signed_inverse_l2(np.array([[10.0], [0.5]]), train, np.array([0, 1]), np.arange(40) % 2)
    assert scores.dtype == np.float32 and (scores != 0).sum(axis=1).tolist() == [3, 2]
    np.testing.assert_allclose(scores[0, 9:12], [-1, 2, -1])  # distance 0 counts as 0.5, the least other
    np.testing.assert_allclose(scores[1, :2], [-2, 2])
