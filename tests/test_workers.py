"""Where retrainings run: processes that map one file, and a real Dask cluster on loopback, one worker of it killed."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from test_driver import campaign, serial  # noqa: F401  (a fixture)

from lib.engine import Ledger, workers


def test_processes_share_one_mapped_file(tiny):
    with workers.pool(tiny, n_jobs=2) as pool:
        mapped = workers.opened(pool.shared)
        assert pool.size() == 2 and workers.opened(pool.shared) is mapped
        assert isinstance(mapped.train_images, np.memmap) and mapped.checksum == tiny.checksum


def test_one_job_runs_in_this_process(tiny):
    with workers.pool(tiny, n_jobs=1) as pool:
        assert workers.opened(pool.shared) is tiny
        assert pool.executor.submit(os.getpid).result() == os.getpid()
        with pytest.raises(ZeroDivisionError):
            pool.executor.submit(divmod, 1, 0).result()


@pytest.mark.parametrize(("gibibytes", "cores", "expected"), [(80, 64, 20), (80, 16, 16), (24, 64, 6), (2, 64, 1)])
def test_processes_on_cuda_are_as_many_as_its_memory_holds(monkeypatch, gibibytes, cores, expected):
    monkeypatch.setattr(workers.joblib, "cpu_count", lambda: cores)
    gpu = SimpleNamespace(total_memory=gibibytes * 2**30)
    monkeypatch.setattr(workers.torch.cuda, "get_device_properties", lambda _: gpu)
    assert workers.default_jobs("cuda") == expected and workers.default_jobs("cpu") == cores


def test_the_pool_asks_for_the_number_of_its_device(tiny, monkeypatch):
    monkeypatch.setattr(workers, "default_jobs", {"cpu": 3, "cuda": 2}.get)
    with workers.pool(tiny, device="cuda") as pool:
        assert pool.size() == 2
    with workers.pool(tiny, 3, device="cuda") as pool:
        assert pool.size() == 3


def test_processes_are_started_afresh(tiny):
    """A forked process would have the parent's command, and its state with it: a CUDA context that it cannot use."""
    with workers.pool(tiny, n_jobs=2) as pool:
        assert pool.executor.submit(_command).result() != _command()


def _command() -> list[str]:
    return psutil.Process().cmdline()


def test_a_stream_takes_calls_as_workers_get_free_and_says_when_one_was_killed(tiny):
    asked, calls = [], iter([(i, 3) for i in range(7)])

    def upcoming(n: int) -> list[tuple[int, int]]:
        asked.append(n)
        return list(islice(calls, n))

    with workers.pool(tiny, n_jobs=1) as pool:
        assert sorted(workers.stream(pool, divmod, upcoming)) == [divmod(i, 3) for i in range(7)]
    assert max(asked) == workers.AHEAD
    with workers.pool(tiny, n_jobs=2) as pool, pytest.raises(RuntimeError, match="a worker process was killed.*n_jobs"):
        list(workers.stream(pool, os._exit, partial(islice, iter([(1,)]))))


def test_processes_end_with_the_one_that_started_them_and_its_copies_are_removed(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "gettempdir", lambda: str(tmp_path))
    gone = subprocess.Popen(["true"])
    gone.wait()
    others = {f"{workers.COPIES}{os.getpid()}-y", f"{workers.COPIES}of-mine", "dataset-birds", f"dataset-{gone.pid}-x"}
    for name in {f"{workers.COPIES}{gone.pid}-x"} | others:
        (tmp_path / name).mkdir()
    workers.remove_abandoned()
    assert {path.name for path in tmp_path.iterdir()} == others
    ended = multiprocessing.get_context("fork").Process(target=_orphan, args=(str(tmp_path / "pid"),))
    ended.start()
    ended.join()
    worker, deadline = int((tmp_path / "pid").read_text()), time.monotonic() + 10
    while Path(f"/proc/{worker}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not Path(f"/proc/{worker}").exists()


def _orphan(path: str) -> None:
    """Start a process as a worker is started, and end at once, as by kill -9."""
    parent = os.getpid()
    if worker := os.fork():
        Path(path).write_text(str(worker))
        os._exit(0)
    workers.end_with(parent)
    time.sleep(60)


def test_no_scheduler_at_the_address(tiny, monkeypatch):
    monkeypatch.setattr(workers, "CONNECT", 1)
    message = "no Dask scheduler answers at 'tcp://127.0.0.1:9'.*start one with"
    with pytest.raises(ConnectionError, match=message), workers.pool(tiny, scheduler="tcp://127.0.0.1:9"):
        pass


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A scheduler and two worker processes of one thread on loopback; yields the address and the workers."""
    folder = tmp_path_factory.mktemp("cluster")
    here = Path(__file__).parent
    environment = os.environ | {"PYTHONPATH": str(here), "OMP_NUM_THREADS": "1"}

    def start(*arguments: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "distributed.cli.dask_" + arguments[0], *arguments[1:]]
        return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL)

    file = folder / "scheduler.json"
    scheduler = start(
        "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)
    )
    options = ("--scheduler-file", str(file), "--nthreads", "1", "--no-nanny", "--no-dashboard")
    processes = [scheduler, *(start("worker", *options) for _ in range(2))]
    try:
        from distributed import Client

        with Client(scheduler_file=str(file), timeout=60, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
            yield client.scheduler.address, processes[1:]
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.mark.filterwarnings("default::ResourceWarning", "default::DeprecationWarning")
@pytest.mark.parametrize("threads", [{}, {"tcp://10.0.0.2:4": 1, "tcp://10.0.0.3:4": 2}])
def test_workers_of_several_threads_are_refused(tiny, cluster, monkeypatch, threads):
    """They would share torch's random numbers; and where there is no worker, the same says how to start one."""
    monkeypatch.setattr("distributed.Client.nthreads", lambda client: threads)
    message = "has no workers, or of several threads; start `dask worker .* --nthreads 1`"
    with pytest.raises(ConnectionError, match=message), workers.pool(tiny, scheduler=cluster[0]):
        pass


@pytest.mark.filterwarnings("default::ResourceWarning", "default::DeprecationWarning")
def test_a_cluster_equals_this_machine_even_if_a_worker_is_killed(serial, cluster, tmp_path):  # noqa: F811
    address, (victim, _) = cluster
    path = tmp_path / "ledger"
    file = path / "0000.jsonl"
    with ThreadPoolExecutor(1) as beside:
        run = beside.submit(campaign, path, scheduler=address)
        while not run.done() and (not file.exists() or file.read_bytes().count(b"\n") < 5):
            time.sleep(0.01)
        victim.send_signal(signal.SIGKILL)
        assert run.result(timeout=120) == serial[0]
    one, two = ({r["key"]: r["logits"] for r in Ledger(p).records} for p in (serial[1], path))
    assert one == two and len(Ledger(path).records) == len(two)
