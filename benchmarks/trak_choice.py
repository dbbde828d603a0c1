"""The choice of TRAK's damping, on test images that are no targets: `python benchmarks/trak_choice.py`.

Each row of `results/fashion/trak_choice.csv` is TRAK with one network and one damping, and its LDS on 50 test images,
5 of each class, none of them a target of the study, against the held-out models on random halves; the last has a sparse
projection instead of the Gaussian one, and is there to be compared with it. About a minute.
"""

from argparse import ArgumentParser

import numpy as np
import pandas as pd
from tqdm import tqdm

from lib import profiles
from lib.data import RESULTS, replacing
from lib.lds import lds
from lib.report import stats
from lib.rivals import ensembles
from lib.study import Study

PER_CLASS = 5
SETTINGS = [{"damping": damping, "sparse": False} for damping in (0.01, 0.1, 1.0, 10.0)]
SETTINGS.append({"damping": 1.0, "sparse": True})


def main() -> None:
    study = Study(profiles.load("fashion"))
    dataset, rng = study.dataset, np.random.default_rng(0)
    free = np.setdiff1d(np.arange(len(dataset.test_labels)), study.targets)
    classes = range(len(dataset.class_names))
    chosen = np.concatenate([rng.choice(free[dataset.test_labels[free] == c], PER_CLASS, False) for c in classes])
    masks, margins = study.attribution.subset_margins(study.attribution.held_out)
    rows = []
    for setting in tqdm(SETTINGS, unit="setting", mininterval=5):
        trak = ensembles.from_networks("trak", dataset, study.profile.recipe, chosen, (1,), **setting)[1]
        of_targets = lds(trak.scores, masks, margins[:, chosen])
        low, high = map(float, stats.mean_interval(of_targets))
        rows.append(setting | {"n": len(of_targets), "lds": of_targets.mean(), "lds_low": low, "lds_high": high})
    with replacing(RESULTS / "fashion" / "trak_choice.csv") as path:
        pd.DataFrame(rows).to_csv(path, index=False, float_format="%.4g")


if __name__ == "__main__":
    ArgumentParser(description=__doc__).parse_args()
    main()
