"""Campaigns: how busy they keep the cores, what a worker needs, how many trainings are saved for the same answer."""

import json
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import psutil

from benchmarks.side_by_side import row
from lib import profiles
from lib.data import RESULTS, load
from lib.engine import Driver, Ledger, Question, workers
from lib.retrain import Retraining, retrain

CORES = 2


def busy_row() -> dict:
    """Share of the cores' time that is spent in trainings, over a campaign of 50 targets with an empty ledger.

    Three bisection steps and one vote instead of seven and three, to be short: a longer campaign has the same end.
    """
    dataset, recipe = load("fashion_mnist"), profiles.LAPTOP
    questions = [(_question(dataset, target),) for target in range(50)]
    with workers.pool(dataset, CORES) as pool:  # start-up is paid once a process, whatever the campaigns
        for future in [pool.executor.submit(time.sleep, 1) for _ in range(CORES)]:
            future.result()
    with TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder) / "ledger")
        start = time.perf_counter()
        Driver(dataset, recipe, ledger, n_jobs=CORES).supports(questions, budget=3, n_votes=1)
        wall = time.perf_counter() - start
    busy = sum(record["seconds"] for record in ledger.records)
    note = f"{len(ledger.records)} trainings, 50 targets"
    return row("share of the cores' time spent training", busy / wall / CORES, floor=1.0, limit="≥ 0.95", note=note)


def _question(dataset, target: int) -> Question:
    same_class = np.flatnonzero(dataset.train_labels == dataset.test_labels[target])
    return Question(target, tuple(np.random.default_rng(target).permutation(same_class)[:256].tolist()))


def memory_row() -> dict:
    """Memory of a worker's own (not shared with the others) after a training, over that of the images it trains on."""
    dataset = load("fashion_mnist")
    with workers.pool(dataset, CORES) as pool:
        own = max(pool.executor.submit(_own_memory, pool.shared).result() for _ in range(2 * CORES))
    images = dataset.train_images.nbytes + dataset.test_images.nbytes
    return row("a worker's own memory / the images", own / images, note=f"{own / 2**20:.0f} MiB a worker")


def _own_memory(shared) -> int:
    retrain(workers.opened(shared), Retraining(profiles.LAPTOP, 0))
    return psutil.Process(os.getpid()).memory_full_info().uss


def saving_rows() -> list[dict]:
    """Trainings of the fixed procedure over ours for the same supports, counted in committed tables, not timed.

    The fixed procedure casts every vote of every probe, k = 0 not among them: Paper App. A.4.
    """
    profile = profiles.load("fashion")
    table = pd.read_csv(RESULTS / "fashion" / "fig03" / "supports.csv")
    distinct = json.loads((RESULTS / "fashion" / "fig03" / "record.json").read_text())["retrainings"]
    fixed, votes = profile.n_votes * (profile.budget + 1), table["trainings"].mean()
    note = f"{votes:.1f} votes instead of {fixed}, {len(table)} supports"
    shared = f"{distinct} trainings for {table['trainings'].sum()} votes"
    return [
        row("fixed votes / votes that stop when decided", fixed / votes, note=note),
        row("votes / trainings that the ledger shares", table["trainings"].sum() / distinct, note=shared),
    ]


def rows() -> list[dict]:
    return [busy_row(), memory_row(), *saving_rows()]
