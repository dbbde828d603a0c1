"""How far do whole supports move: on this machine's processor with the same seeds, and with other seeds?

    python -m lib.chapters.moved    # about ten minutes of one core, into results/audit/supports.csv

Of the paper's method, by removal, in united tests of one training per probe, all targets of profile `fashion`: as the
ledger that came with the repository has them, and searched again here without it.
"""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from lib import bisection, profiles
from lib.data import RESULTS, replacing
from lib.engine import Driver, Group, Ledger, processor, retrainings
from lib.methods import OURS
from lib.report import stats
from lib.retrain import margins
from lib.study import REMOVAL, Study

TABLE = RESULTS / "audit" / "supports.csv"
SHIFT = 100  # from a seed to the other one
STORED, AGAIN, OTHER = "stored", "same seeds, here", "other seeds, here"


def searched(driver: Driver, group: Group, budget: int, shift: int) -> tuple[list[bisection.Support], list[str]]:
    """The supports of a group by one training per probe, from seeds that are `shift` later; the ledger's keys."""
    search, keys = bisection.united(len(group), len(group[0].ranking), budget, 1), []
    targets = [question.target for question in group]
    probe = next(search)
    while True:
        asked = [replace(each, seed=each.seed + shift) for each in retrainings(group, driver.recipe, probe)]
        keys += map(driver.key, asked)
        labels = driver.dataset.test_labels[targets]
        answers = [(margins(of, labels) > 0).tolist() for of in driver.logits([(each, targets) for each in asked])]
        try:
            probe = search.send(answers)
        except StopIteration as stop:
            return stop.value, keys


def table(study: Study, folder: Path) -> pd.DataFrame:
    """A row for each target and way: method (the way), target, size, reason, stored_on (machines of the ledger).

    folder: where the trainings done here are kept.
    """
    tests = [[(REMOVAL, OURS, i) for i in group] for group in study.groups(united=True)]
    machines, rows = {record["key"]: record["machine"] for record in study.driver.ledger.records}, []
    here = replace(study.driver, ledger=Ledger(folder))
    for way, driver, shift in ((STORED, study.driver, 0), (AGAIN, here, 0), (OTHER, here, SHIFT)):
        for group in study.questions(tests):
            supports, keys = searched(driver, group, study.profile.budget, shift)
            on = sorted({machines[key] for key in keys} if driver is not here else {processor(driver.device)})
            row = {"kind": REMOVAL, "method": way, "stored_on": "; ".join(on)}
            for question, support in zip(group, supports, strict=True):
                rows.append(row | {"target": question.target, "size": support.size, "reason": support.reason})
    return pd.DataFrame(rows).astype({"size": "Int64"})


def compared(rows: pd.DataFrame, k_max: int) -> pd.DataFrame:
    """Each way beside what is stored: how many supports are equal, by which factor they move, and AUC less the stored.

    rows: of `table`. factor: median over targets of the larger by the smaller, those beyond k_max counted as k_max.
    """
    sizes = stats.sizes(rows).clip(upper=k_max).dropna()
    lines = []
    for way in (AGAIN, OTHER):
        equal, factor = sizes[way] == sizes[STORED], np.exp(np.abs(np.log(sizes[way] / sizes[STORED])))
        pair = stats.paired(rows[rows["target"].isin(sizes.index)], REMOVAL, way, STORED, k_max)
        line = {"way": way, "n": len(sizes)} | stats.mean("equal", equal, stats.share_interval)
        line |= {"factor": factor.median(), "factor_of_one_in_ten": factor.quantile(0.9)}
        lines.append(line | {key: pair[key] for key in ("difference", "low", "high", "p")})
    return pd.DataFrame(lines)


def main() -> None:
    study = Study(profiles.load("fashion"), "cpu", n_jobs=1)
    with TemporaryDirectory() as folder, replacing(TABLE) as path:
        table(study, Path(folder)).to_csv(path, index=False)
    print(compared(pd.read_csv(TABLE), study.profile.k_max).to_string(index=False))


if __name__ == "__main__":
    main()
