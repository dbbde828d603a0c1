"""Where retrainings run: in this process, in processes of this machine, or on a Dask cluster, all behind one interface.

A pool is a `concurrent.futures` executor, the dataset in the form in which its workers share it, and their number.
Processes of this machine map one file into memory; they are started afresh, not forked, so that none inherits a CUDA
context. A cluster's workers each receive the dataset once.
"""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from socket import gethostname
from tempfile import TemporaryDirectory, gettempdir

import joblib
import psutil
import torch
from joblib.externals.loky import get_reusable_executor

from lib.data import Dataset

COPIES = f"companion-{gethostname()}-"  # how names of folders begin that hold a copy of a dataset; then the process
IDLE = 300  # seconds after which a process without work ends; until then the next campaign finds it started
AHEAD = 2  # calls that a worker has or has waiting, so that it never idles
CONNECT = 10  # seconds to wait for a scheduler
# Bytes of a GPU a process: 1.2 GiB of activations (the paper's ResNet-9, a batch of 512, float32), a CUDA context of
# about half a GiB, the images, and as much again to spare. Our estimate.
GPU_SHARE = 4 * 2**30


@dataclass(frozen=True)
class Pool:
    """shared: what `opened` turns back into the dataset in a worker. size: trainings that run at once, now."""

    executor: Executor
    shared: object
    size: Callable[[], int]


@contextmanager
def pool(dataset: Dataset, n_jobs: int = -1, scheduler: str | None = None, device: str = "cpu") -> Iterator[Pool]:
    """n_jobs: processes of this machine, -1 for `default_jobs`; 1 is this one. scheduler: address of Dask's, instead.

    Raises ConnectionError where no scheduler answers and ModuleNotFoundError without Dask.
    """
    if scheduler is not None:
        yield from _cluster(dataset, scheduler)
    elif (size := n_jobs if n_jobs > 0 else default_jobs(device)) == 1:
        yield Pool(Inline(), dataset, lambda: 1)
    else:
        remove_abandoned()
        with TemporaryDirectory(prefix=f"{COPIES}{os.getpid()}-") as folder:
            path = Path(folder) / "dataset"
            joblib.dump(dataset, path)
            processes = {"timeout": IDLE, "initializer": end_with, "initargs": (os.getpid(),)}
            yield Pool(get_reusable_executor(max_workers=size, **processes), path, lambda: size)


def remove_abandoned() -> None:
    """Remove the datasets that processes which are gone have left behind, killed as they were."""
    for folder in Path(gettempdir()).glob(f"{COPIES}*"):
        maker = folder.name.removeprefix(COPIES).split("-")[0]
        if maker.isdecimal() and not psutil.pid_exists(int(maker)):
            shutil.rmtree(folder, ignore_errors=True)


def end_with(parent: int) -> None:
    """In a worker: end when the process that started it is gone, however it ended."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def default_jobs(device: str) -> int:
    """One process a core; on CUDA, where all share the first GPU, no more than its memory holds of GPU_SHARE each."""
    cores = joblib.cpu_count()
    if device == "cpu":
        return cores
    return max(1, min(cores, torch.cuda.get_device_properties(0).total_memory // GPU_SHARE))


def _cluster(dataset: Dataset, scheduler: str) -> Iterator[Pool]:
    import dask  # these take a second to import, and only clusters need them
    from distributed import Client

    try:
        client = Client(scheduler, timeout=CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConnectionError(
            f"no Dask scheduler answers at {scheduler!r} ({error}); start one with `dask scheduler`, or leave the "
            f"address out to use this machine's processes"
        ) from error
    with client:
        if set(client.nthreads().values()) != {1}:  # torch's random numbers and threads are a whole process's
            start = f"`dask worker {scheduler} --nthreads 1`"
            raise ConnectionError(f"the scheduler at {scheduler} has no workers, or of several threads; start {start}")
        # The result of a task, not scattered: what is lost with a killed worker is then made again on another.
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TB"}):
            shared = client.submit(itself, dataset, pure=False)
        # At least one, so that work waits at the scheduler while workers come and go.
        yield Pool(client.get_executor(pure=False), shared, lambda: max(1, sum(client.nthreads().values())))


def stream(pool: Pool, function: Callable, calls: Callable[[int], Iterable[tuple]]) -> Iterator:
    """Results of function(*call), as they come, until no call is left; a few calls a worker are under way at a time.

    calls: the next ones, at most so many. Raises RuntimeError where a worker is killed.
    """
    running = set()
    try:
        while True:
            free = max(0, AHEAD * pool.size() - len(running))
            running |= {pool.executor.submit(function, *call) for call in calls(free)}
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    except BrokenExecutor as error:
        raise RuntimeError(
            "a worker process was killed, most often for want of memory; lower n_jobs and run again: what was trained "
            "is kept"
        ) from error
    finally:
        for future in running:
            future.cancel()


class Inline(Executor):
    """Runs each call at once, in this process."""

    def submit(self, function, /, *args, **kwargs) -> Future:
        future: Future = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def itself(dataset: Dataset) -> Dataset:
    return dataset


def opened(shared: Dataset | Path) -> Dataset:
    """In a worker: the dataset behind `Pool.shared`, the same object at every call."""
    return _mapped(shared) if isinstance(shared, os.PathLike) else shared


@lru_cache(maxsize=2)
def _mapped(path: Path) -> Dataset:
    return joblib.load(path, mmap_mode="c")
