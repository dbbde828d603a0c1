"""Test labels that five people found wrong: which scores find them? A part of the page on wrong labels."""

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.special import softmax
from scipy.stats import rankdata

from lib import data, features
from lib.chapters import detection, labels, people
from lib.data import one_thread, resident
from lib.report import Page
from lib.retrain import Retraining, fit, predict
from lib.study import Study


def table(page: Page) -> pd.DataFrame:
    """How test labels that five people found wrong are found, a row for each score: among all 10 000 test labels, the
    others taken as right; and among those that were judged. No row where the images are not CIFAR-10's.
    """
    if not people.of_cifar10(page.values):
        return pd.DataFrame(columns=["among", "score", "n", "n_wrong", "auroc", "auroc_low", "auroc_high"])
    return page.table("judged", lambda: measured(page.study))


def measured(study: Study) -> pd.DataFrame:
    """The table's rows; one network is trained, and what it says kept among the study's scores."""
    own, listed = people.test_labels(), people.suspected()
    stored = study.attribution.kept("test_labels", {}, 1, lambda: of_test_labels(study), dict)
    wrong, was_judged = np.zeros(len(own), dtype=bool), np.isin(np.arange(len(own)), listed["id"])
    wrong[listed["id"][listed["wrong"]]] = True
    rows = []
    for among, ids in (("all test labels", np.arange(len(own))), ("the judged", np.flatnonzero(was_judged))):
        for score, ranks in stored.items():
            suspicion = np.empty(len(own))
            suspicion[np.argsort(own, kind="stable")] = ranks
            rows.append({"among": among, "score": score} | detection.row(suspicion[ids], wrong[ids]))
    return pd.DataFrame(rows)


def to_see(rows: pd.DataFrame) -> str:
    """What the table shows, in Markdown; nothing where it has no row."""
    if not len(rows):
        return ""
    alone, every = (rows[rows["among"] == among] for among in ("the judged", "all test labels"))
    n, clear = alone["n"].iloc[0], int(((alone["auroc_low"] > 0.5) | (alone["auroc_high"] < 0.5)).sum())
    return (
        f"Of CIFAR-10's {every['n'].iloc[0]} test labels a study by cleanlab's authors had {n} judged by five people "
        f"each, and found {alone['n_wrong'].iloc[0]} wrong (fewer than {people.MAJORITY} agreed with the label; "
        f"Northcutt, Athalye, Mueller 2021, Apache-2.0). The {n} were picked by confident learning, so that errors "
        f"which such scores overlook were never judged: that raises the numbers for *all test labels*. It lowers those "
        f"*among the judged*, since all {n} are suspicious: there {clear or 'none'} of the {len(alone)} scores "
        f"is told from chance (AUROC {alone['auroc'].min():.2f} to {alone['auroc'].max():.2f}). One network of the "
        f"profile's training images looks at them; nothing was fitted to a test label."
    )


def of_test_labels(study: Study) -> dict[str, np.ndarray]:
    """Suspicion of all test labels, as ranks (10 000,) by class, by a network of the profile's training images.

    loss; and what the neighbours among these images say, in the network's layer before the last and in pixels.
    """
    whole, device = data.load(study.profile.dataset), study.driver.device
    pool = replace(study.dataset, test_images=whole.test_images, test_labels=whole.test_labels)
    by_class = np.argsort(whole.test_labels, kind="stable")
    with one_thread(device):
        net = fit(pool, Retraining(study.profile.recipe, labels.SEED), device)
        given = softmax(predict(net, resident(pool, device)), axis=1)
        spaces = {"network": features.embedded(pool, net.embed, device)}
        spaces["pixels"] = features.embedded(pool, lambda images: images.flatten(1), device)
    values = {"loss": -np.log(given[range(len(given)), whole.test_labels])}
    for name, of in spaces.items():
        near = labels.neighbours(of.train, of.test)
        values[f"neighbours, {name}"] = labels.disagreement(near, whole.test_labels, study.dataset.train_labels)
    return {name: rankdata(v[by_class]).astype(np.uint32) for name, v in values.items()}
