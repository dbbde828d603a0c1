"""Monotone curves and class imbalance, on margins made up so that the answer is known."""

import numpy as np
import pandas as pd
import pytest

from lib.chapters import validity

KS = (0, 10, 20, 30, 40)


def curve(target: int, right: str) -> pd.DataFrame:
    """Three seeds at each of KS; right: a letter each, r (all right), w (all wrong), R or W (two of three)."""
    margins = {"r": (1, 1, 1), "w": (-1, -1, -1), "R": (1, 1, -1), "W": (1, -1, -1)}
    rows = [(target, k, seed, m) for k, c in zip(KS, right, strict=True) for seed, m in enumerate(margins[c])]
    return pd.DataFrame(rows, columns=["target", "k", "seed", "margin"])


@pytest.mark.parametrize(
    ("right", "first", "last", "monotone", "bisected"),
    [
        ("rrrww", 30, 20, True, 30),
        ("rRRWw", 30, 20, True, 30),  # the majority decides
        ("rwrww", 10, 20, False, 30),  # bisection asks 20 first and never sees the flip at 10
        ("rwwww", 10, 0, True, 10),
        ("rrrrr", np.nan, 40, True, np.nan),
        ("rwwwr", 10, 40, False, np.nan),  # right at k_max: bisection stops there
    ],
)
def test_monotonicity(right, first, last, monotone, bisected):
    row = validity.monotonicity(curve(7, right)).iloc[0]
    expected = [7, first, last, monotone, bisected, bisected - first]
    assert row.astype(object).fillna(np.nan).tolist() == pytest.approx(expected, nan_ok=True)


def margins(falls: dict[str, tuple[float, ...]]) -> pd.DataFrame:
    """One seed at k = 0 (margin 1) and k = 4, by which the margin of target i falls by falls[method][i]."""
    rows = [
        ("removal", method, target, k, 0, 1 - fall * (k > 0))
        for method, of_targets in falls.items()
        for target, fall in enumerate(of_targets)
        for k in (0, 4)
    ]
    return pd.DataFrame(rows, columns=["kind", "method", "target", "k", "seed", "margin"])


def test_imbalance():
    """Random removal does 1 of ours' 2, and half of it for the weight of the class."""
    plain = margins({"ours": (1.0, 3.0), "random": (0.5, 1.5)})
    balanced = margins({"ours": (1.0, 3.0), "random": (0.25, 0.75)})
    row = validity.imbalance(plain, balanced, "ours", "random").iloc[0]
    assert row[["k", "n", "by_weight", "control_share", "control_share_balanced"]].tolist() == [4, 2, 0.5, 0.5, 0.25]
    assert row[["by_weight_low", "by_weight_high"]].tolist() == [0.25, 0.75]
    assert row[["control_share_low", "control_share_high"]].tolist() == pytest.approx([0.5, 0.5])  # of every target


def test_targets_wrong_under_either_loss_are_left_out():
    plain = margins({"ours": (1.0, 1.0), "random": (1.0, 1.0)})
    balanced = plain.assign(margin=plain["margin"] - 2 * (plain["target"] == 1))
    assert validity.imbalance(plain, balanced, "ours", "random")["n"].tolist() == [1]
