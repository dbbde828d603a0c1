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

from lib import profiles
from lib.data import RESULTS, replacing
from lib.engine import Ledger, processor
from lib.methods import OURS
from lib.report import stats
from lib.study import REMOVAL, Study

TABLE = RESULTS / "audit" / "supports.csv"
SHIFT = 100  # the first of the other seeds
STORED, AGAIN, OTHER = "stored", "same seeds, here", "other seeds, here"


def table(study: Study, folder: Path) -> pd.DataFrame:
    """A row for each target and way: method (the way), target, size, reason, stored_on (machines of the ledger).

    folder: where the trainings done here are kept.
    """
    questions = study.questions([[(REMOVAL, OURS, i) for i in group] for group in study.groups(united=True)])
    targets = [question.target for group in questions for question in group]
    machines, rows = {record["key"]: record["machine"] for record in study.driver.ledger.records}, []
    here = replace(study.driver, ledger=Ledger(folder))
    for way, driver in ((STORED, study.driver), (AGAIN, here), (OTHER, replace(here, first_seed=SHIFT))):
        answers = driver.supports(questions, study.profile.budget, 1)
        known = machines if driver is study.driver else {}
        on = {known.get(key, processor(driver.device)) for _, keys in answers for key in keys}
        row = {"kind": REMOVAL, "method": way, "stored_on": "; ".join(sorted(on))}
        for target, (support, _) in zip(targets, answers, strict=True):
            rows.append(row | {"target": target, "size": support.size, "reason": support.reason})
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
