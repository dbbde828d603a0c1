"""The choice of TRAK's damping, on test images that are no targets: `python benchmarks/trak_choice.py`.

Each row of `results/fashion/trak_choice.csv` is TRAK with one network and one damping, and its LDS on 50 test images,
5 of each class, none of them a target of the study, against the held-out models on random halves. About a minute.
"""

import numpy as np
import pandas as pd
from tqdm import tqdm

from lib import profiles, rivals
from lib.data import RESULTS, replacing
from lib.lds import lds
from lib.report import stats
from lib.study import Study

PER_CLASS = 5
DAMPINGS = (0.01, 0.1, 1.0, 10.0)


def main() -> None:
    study = Study(profiles.load("fashion"))
    dataset, rng = study.dataset, np.random.default_rng(0)
    free = np.setdiff1d(np.arange(len(dataset.test_labels)), study.targets)
    classes = range(len(dataset.class_names))
    chosen = np.concatenate([rng.choice(free[dataset.test_labels[free] == c], PER_CLASS, False) for c in classes])
    masks, margins = study.attribution.subset_margins(study.attribution.held_out)
    rows = []
    for damping in tqdm(DAMPINGS, unit="damping", mininterval=5):
        trak = rivals.from_networks("trak", dataset, study.profile.recipe, chosen, (1,), damping=damping)[1]
        found = lds(trak.scores, masks, margins[:, chosen])
        low, high = map(float, stats.interval(found))
        rows.append({"damping": damping, "n": len(found), "lds": found.mean(), "lds_low": low, "lds_high": high})
    with replacing(RESULTS / "fashion" / "trak_choice.csv") as path:
        pd.DataFrame(rows).to_csv(path, index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
