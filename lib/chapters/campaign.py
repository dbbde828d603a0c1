"""All supports of a profile, the most telling first, within a budget of minutes.

    python -m lib.chapters.campaign cifar10_full --minutes 150
    COMPANION_RESULTS=slice python -m lib.chapters.campaign paper --minutes 9 -p moco_epochs 200   # on a lent GPU

Wherever it is cut, what is done answers the first questions: ours and the control by removal, then TRAK; the same by
mislabelling; then the other features. Tests are united, as many groups of targets at a time as keep all processes
busy. The same command goes on from the ledger, and `lib.chapters.merge` brings home what another machine did.
"""

import argparse
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import yaml

from lib import profiles
from lib.chapters.timed import OutOfTime, TimedLedger
from lib.engine import Driver, workers
from lib.methods import OURS, RANDOM, label
from lib.report import execution
from lib.rivals import largest, on_subsets
from lib.study import MISLABEL, REMOVAL, Groups, Study

FEATURES = ("supervised_l2", "moco_l2", "pixels_l2")  # those of Figures 2 and 3 beside ours


@dataclass(frozen=True, kw_only=True)
class TimedStudy(Study):
    """A study that raises OutOfTime once it is `until`, of time.monotonic(); the first training after that is kept."""

    until: float = math.inf

    @cached_property
    def driver(self) -> Driver:
        driver = super().driver
        return replace(driver, ledger=TimedLedger(driver.ledger.folder, self.until))


@dataclass(frozen=True)
class Step:
    """The supports of one kind by some methods, of some groups of targets."""

    kind: str
    methods: tuple[str, ...]
    groups: Groups

    def __str__(self) -> str:
        return f"{self.kind}, {' and '.join(map(label, self.methods))}, {sum(map(len, self.groups))} targets"


def steps(study: Study) -> Iterator[Step]:
    """All that the profile's Figures 2 and 3 ask by united tests but Datamodels, the most telling first."""
    groups, jobs = study.groups(united=True), study.n_jobs
    jobs = workers.default_jobs(study.driver.device) if jobs == -1 else jobs
    rivals = largest(study.profile, *(name for name in study.profile.rivals if not on_subsets(name)))
    for blocks in ([(OURS, RANDOM), *((name,) for name in rivals)], [FEATURES]):
        for kind, methods in product((REMOVAL, MISLABEL), blocks):
            at_once = jobs // math.gcd(jobs, len(methods))  # so that a round fills every process
            for start in range(0, len(groups), at_once):
                yield Step(kind, methods, groups[start : start + at_once])


def run(study: Study) -> Iterator[str]:
    """Takes the steps; yields a line for each, and a last one that says how far it came."""
    planned, done = [], 0
    try:
        planned += steps(study)  # trains the base models
        for step in planned:
            start = time.perf_counter()
            supports = study.supports([(step.kind, name) for name in step.methods], among=step.groups)
            done += 1
            flipped = supports["size"].notna().sum()
            yield f"{step}: {flipped} of {len(supports)} flip, {time.perf_counter() - start:.0f} s"
    except OutOfTime:
        pass
    far = f"{done} of {len(planned)} steps are done" if planned else "the base models are not done yet"
    rest = "" if planned and done == len(planned) else "; the same command goes on from there"
    yield f"{far}; what was trained is kept under {study.folder}{rest}"


def main(argv: list[str] | None = None) -> int:
    """The command line. Returns 0, 1 when it failed, 2 for wrong input, 130 when stopped by keyboard or signal."""
    parser = argparse.ArgumentParser("python -m lib.chapters.campaign", description=__doc__.partition("\n")[0])
    parser.add_argument("profile", choices=profiles.NAMES)
    parser.add_argument("--minutes", type=float, default=math.inf, help="until it stops, everything kept")
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto")
    parser.add_argument(
        "--n-jobs", type=int, default=-1, help="trainings at once; -1: one per core, or as the GPU holds"
    )
    parser.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="a profile's value")
    args = parser.parse_args(argv)
    if not args.minutes > 0:
        parser.error(f"--minutes {args.minutes:g} leaves no time; give more than 0")
    execution.begin()
    until = time.monotonic() + 60 * args.minutes
    try:
        values = profiles.load(args.profile, **{name: yaml.safe_load(value) for name, value in args.p})
        for line in run(TimedStudy(values, args.device, args.n_jobs, until=until)):
            print(line, flush=True)
    except (ValueError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (RuntimeError, OSError) as error:
        print(f"failed: {error}; what was trained is kept", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; what was trained is kept", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
