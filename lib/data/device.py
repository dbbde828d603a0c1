"""The device that tensors are computed on, and the clock that its work is measured by."""

import time
from collections.abc import Callable
from contextlib import contextmanager

import torch


def pick_device(name: str) -> str:
    """ "cpu" or "cuda"; "auto" is CUDA where there is one. ValueError for another name or CUDA that is not there."""
    if name not in ("auto", "cpu", "cuda"):
        raise ValueError(f"unknown device {name!r}; choose auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device 'cuda' is not available here; choose cpu or auto")
    return "cuda" if name != "cpu" and torch.cuda.is_available() else "cpu"


def clock(device: str) -> Callable[[], float]:
    """What measures the cost of work: seconds of processor time on a CPU, whoever shares it, of wall time on CUDA."""
    return time.process_time if device == "cpu" else time.perf_counter


@contextmanager
def one_thread(device: str):
    """On a CPU, compute with one thread and restore the number after.

    The sums of a batch depend on how threads share them: one thread gives the same bits however many retrainings run
    side by side, and the retraining is the unit of parallelism anyway.
    """
    before = torch.get_num_threads()
    if device == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
