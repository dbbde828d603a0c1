"""Two things timed side by side in one run: what every benchmark here reports is a ratio."""

import time
from collections.abc import Callable

import numpy as np

from lib.engine import machine_name


def compare(slow: Callable[[], object], fast: Callable[[], object], repeats: int) -> np.ndarray:
    """Wall time of `slow` over that of `fast`, (repeats,): run in turns, after one run of each that does not count."""
    slow(), fast()
    return np.array([seconds(slow) / seconds(fast) for _ in range(repeats)])


def seconds(function: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    start = clock()
    function()
    return clock() - start


def row(name: str, ratios, floor: float | None = None, limit: str = "", note: str = "") -> dict:
    """One line of the table: median ratio, its range over n runs, what it could be at best and what it should be."""
    ratios = np.atleast_1d(ratios)
    return {
        "name": name,
        "ratio": float(np.median(ratios)),
        "floor": floor,
        "limit": limit,
        "n": len(ratios),
        "spread": [float(ratios.min()), float(ratios.max())],
        "note": note,
        "machine": machine_name(),
    }
