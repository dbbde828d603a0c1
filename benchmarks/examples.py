"""What the worked examples reach: `python -m benchmarks.examples nearest_neighbours captum_tracin`.

Each is run as a reader would: on an export of a profile, and its scores judged by removal, with united tests, on the
targets of the book. `results/judged/<profile>/<example>.csv` has a row, `<example>_supports.csv` a row for each target;
the page of the export shows them. About 6 minutes of one core each on fashion, most of it the judging.
"""

import sys
import time
from argparse import ArgumentParser
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from lib import profiles
from lib.chapters import export, given, judge
from lib.data import RESULTS, ROOT, one_thread, replacing
from lib.report import stats
from lib.study import REMOVAL, Study


def row(study: Study, example: str, exported: Path) -> tuple[dict, pd.DataFrame]:
    """The row of an example, and its supports. Its scores are computed by one thread."""
    started = time.process_time()
    with one_thread("cpu"):
        scores = import_module(example).scores(exported)
    seconds = time.process_time() - started
    ranking, _ = given.ranked(np.asarray(scores), study)
    judged = judge.JudgedStudy(study.profile, study.device, study.n_jobs, given={example: ranking}, judged=example)
    supports = judged.supports([(REMOVAL, example)], united=True)
    trained = judged.retrainings(supports)
    values = stats.summary(supports, study.profile.k_max).iloc[0].drop(["kind", "trainings"]).to_dict()
    cost = {"seconds": seconds, "retrainings": len(trained), "core_seconds": trained["seconds"].sum()}
    return values | cost, supports.drop(columns="keys")


def main() -> None:
    parser = ArgumentParser("python -m benchmarks.examples", description=__doc__.splitlines()[0])
    parser.add_argument("examples", nargs="+", help="modules of examples/, without .py")
    parser.add_argument("--profile", default="fashion", choices=profiles.NAMES)
    args = parser.parse_args()
    sys.path.insert(0, str(ROOT / "examples"))
    study = Study(profiles.load(args.profile), "cpu", n_jobs=1)
    with TemporaryDirectory() as folder:
        export.write(study, Path(folder))
        for example in args.examples:
            values, supports = row(study, example, Path(folder))
            for name, table in ((example, pd.DataFrame([values])), (f"{example}_supports", supports)):
                with replacing(RESULTS / judge.FOLDER / args.profile / f"{name}.csv") as path:
                    table.to_csv(path, index=False, float_format="%.6g")
            print(f"{example}: {values}", flush=True)


if __name__ == "__main__":
    main()
