"""The randomisation check: what is left of a ranking when the network that it explains has learnt shuffled labels?"""

from dataclasses import replace

import numpy as np
import pandas as pd

from lib.data import Dataset, one_thread
from lib.lds import rank_correlation
from lib.methods import label
from lib.report import stats
from lib.retrain import Retraining
from lib.rivals import ensembles, networks
from lib.study import Study

METHODS = ("trak", "influence_cg", "tracin", "representer", "own_l2")
N_TARGETS = 20


def measured(study: Study) -> dict[str, np.ndarray]:
    """Rank correlation of scores over the images of a target's class, kept: (n_methods, n_targets) each, of METHODS.

    seed: of one network with another of the same data. labels: with one that learnt shuffled labels.
    """
    targets, recipe, labels = study.targets[:N_TARGETS], study.profile.recipe, study.dataset.train_labels
    own = study.dataset.test_labels[targets][:, None] == labels

    def make() -> dict[str, np.ndarray]:
        shuffled = replace(study.dataset, train_labels=np.random.default_rng(0).permutation(labels))
        looked = (study.dataset, 0), (study.dataset, 1), (shuffled, 0)
        rows = []
        for name in METHODS:
            one, *others = (_of_network(name, of, Retraining(recipe, seed), targets, study) for of, seed in looked)
            pairs = [zip(one, other, own, strict=True) for other in others]
            rows.append([[rank_correlation(a[mine], b[mine]) for a, b, mine in pair] for pair in pairs])
        return dict(zip(("seed", "labels"), np.swapaxes(rows, 0, 1), strict=True))

    identity, shape = {"methods": METHODS, "n_targets": len(targets)}, (len(METHODS), len(targets))
    return study.attribution.kept("randomised", identity, 3, make, dict.fromkeys(("seed", "labels"), shape))


def _of_network(name: str, dataset: Dataset, training: Retraining, targets: np.ndarray, study: Study) -> np.ndarray:
    """Scores (n_targets, n_train) by a single network."""
    rival, device = ensembles.RIVALS[name], study.driver.device
    inputs = networks.inputs(dataset, targets, device)
    with one_thread(device):
        return next(rival.combine([networks.scored(rival, dataset, training, inputs, device)]))


def table(randomised: dict[str, np.ndarray]) -> pd.DataFrame:
    """A row for each of METHODS: method, n, and the rank correlation with another seed and with shuffled labels."""
    rows = []
    for i, name in enumerate(METHODS):
        row = {"method": label(f"{name}:1"), "n": randomised["seed"].shape[1]}
        rows.append(row | stats.mean("seed", randomised["seed"][i]) | stats.mean("labels", randomised["labels"][i]))
    return pd.DataFrame(rows)
