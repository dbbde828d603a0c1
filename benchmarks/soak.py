"""Campaigns of which a worker is killed again and again: the same supports as undisturbed, and memory that stays level.

    python -m benchmarks.soak --minutes 10

One process runs campaigns of profile `smoke`, each on a ledger of its own; where a worker was killed, it runs the
campaign again, on what was kept. Prints a row a minute, and writes them to results/audit/soak.csv.
"""

import random
import threading
import time
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import psutil

from lib import profiles
from lib.data import RESULTS, replacing
from lib.features import FeatureRecipe
from lib.study import MISLABEL, REMOVAL, Study

EVERY = 60  # seconds between two kills
CURVES = [(REMOVAL, "pixels_l2"), (MISLABEL, "pixels_l2")]


def workers() -> list[psutil.Process]:
    """The processes that train."""
    children = psutil.Process().children(recursive=True)
    return [child for child in children if "popen_loky" in " ".join(_command(child))]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def megabytes(processes: list[psutil.Process]) -> float:
    """The largest of their resident sets; 0 where there is none."""
    sizes = [0.0]
    for process in processes:
        try:
            sizes.append(process.memory_info().rss / 1e6)
        except psutil.Error:
            continue
    return max(sizes)


@dataclass
class Watch:
    """Kills a worker every so many seconds while `until` is ahead, and notes the memory every second.

    It waits until something was trained since the last time, so that a slow machine gets on.
    """

    folder: Path
    every: float
    until: float
    started: float = field(default_factory=time.monotonic)
    killed: int = 0
    notes: list[dict] = field(default_factory=list)

    def run(self) -> None:
        due, before = time.monotonic() + self.every, self.written()
        while time.monotonic() < self.until:
            time.sleep(1)
            alive = workers()
            if time.monotonic() >= due and alive and self.written() != before:
                random.choice(alive).kill()
                self.killed, due, before = self.killed + 1, time.monotonic() + self.every, self.written()
            self.note(alive)

    def written(self) -> int:
        """Bytes of the ledgers."""
        return sum(path.stat().st_size for path in self.folder.rglob("*.jsonl"))

    def note(self, alive: list[psutil.Process]) -> None:
        note = {"seconds": time.monotonic() - self.started, "workers_killed": self.killed}
        self.notes.append(note | {"driver_mb": megabytes([psutil.Process()]), "worker_mb": megabytes(alive)})


def soak(campaign: Callable[[Path], object], seconds: float, every: float = EVERY) -> tuple[list[bool], pd.DataFrame]:
    """Run a campaign, disturbed, again and again: whether each ended as the undisturbed one, and the notes.

    campaign: runs on the ledger in a folder, and returns what it found.
    """
    with TemporaryDirectory() as folder:
        expected = campaign(Path(folder) / "undisturbed")
        watch, same, restarts = Watch(Path(folder), every, time.monotonic() + seconds), [], 0
        thread = threading.Thread(target=watch.run, daemon=True)
        thread.start()
        try:
            while time.monotonic() < watch.until or not same:
                try:
                    same.append(campaign(Path(folder) / str(len(same))) == expected)
                except RuntimeError as error:
                    if "a worker process was killed" not in str(error):
                        raise
                    restarts += 1
        finally:
            watch.until = time.monotonic()  # an error ends the watch too, before its folder goes
            thread.join()
    return same, pd.DataFrame(watch.notes).assign(restarts=restarts)


def of_smoke(folder: Path) -> str:
    """The supports of five targets by two rankings, as a table in text."""
    smoke = profiles.load("smoke", n_targets=5)
    study = Study(replace(smoke, selfsupervised=FeatureRecipe("pixels")), "cpu", n_jobs=2, results=folder)
    return study.supports(CURVES).drop(columns="keys").to_csv(index=False)


def by_minute(notes: pd.DataFrame, same: list[bool]) -> pd.DataFrame:
    """A row a minute: the largest memory in it, and the workers killed so far; and what all came to."""
    rows = notes.groupby((notes["seconds"] // 60).astype(int).rename("minute")).agg(
        {"workers_killed": "max", "driver_mb": "max", "worker_mb": "max"}
    )
    return rows.round(0).reset_index().assign(campaigns=len(same), same_supports=sum(same))


def main(argv: list[str] | None = None) -> int:
    """The command line. Returns 1 where a campaign ended otherwise than undisturbed."""
    parser = ArgumentParser("python -m benchmarks.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--every", type=float, default=EVERY, help="seconds between two kills")
    args = parser.parse_args(argv)
    same, notes = soak(of_smoke, 60 * args.minutes, args.every)
    table = by_minute(notes, same)
    print(table.to_string(index=False))
    with replacing(RESULTS / "audit" / "soak.csv") as path:
        table.to_csv(path, index=False)
    return int(not all(same))


if __name__ == "__main__":
    raise SystemExit(main())
