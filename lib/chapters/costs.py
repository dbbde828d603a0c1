"""What ten times as many training images, a ten times wider network, or ten times as many targets cost."""

from dataclasses import replace

import numpy as np
import pandas as pd

from lib.chapters import scale
from lib.methods import OURS
from lib.profiles import PROFILES
from lib.report import committed, plan
from lib.study import Study

IMAGES, WIDTH, TARGETS = "training images", "width of the network", "targets"
COLUMNS = ["grows", "measured", "processor", "from", "to", "cost_from", "cost_to", "times_per_ten", "n"]


def table(study: Study, supports: pd.DataFrame) -> pd.DataFrame:
    """A row of COLUMNS for each thing that grows, of images for each kind of processor that trained on both numbers.

    supports: of `scale.supports`, with the ledger's keys. n: trainings behind a row, missing where it is counted.
    """
    rows = [*by_images(timed(study, supports)), _width(study), _targets(study, supports)]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"n": "Int64"})


def timed(study: Study, supports: pd.DataFrame) -> pd.DataFrame:
    """A row for each training behind supports: images, machine, seconds (of one epoch, since sizes differ in them)."""
    whole, tables = scale.largest_size(study), []
    for of in {study.profile.name: study, whole.profile.name: whole}.values():
        trained = of.retrainings(supports)
        tables.append(trained.assign(seconds=trained["seconds"] / of.profile.recipe.epochs))
    images = supports[["images", "keys"]].explode("keys").drop_duplicates("keys")
    return images.merge(pd.concat(tables), left_on="keys", right_on="key")[["images", "machine", "seconds"]]


def by_images(trainings: pd.DataFrame) -> list[dict]:
    """The fewest and the most images on each processor that has both; medians. trainings: of `timed`."""
    fewest, most, rows = trainings["images"].min(), trainings["images"].max(), []
    for machine, of in trainings.groupby("machine"):
        medians = of.groupby("images")["seconds"].median()
        if fewest < most and {fewest, most} <= set(medians.index):
            row = _row(IMAGES, "seconds of an epoch", (fewest, most), (medians[fewest], medians[most]))
            rows.append(row | {"processor": machine, "n": int(of["images"].isin([fewest, most]).sum())})
    return rows


def _width(study: Study) -> dict:
    """Counted, from the width of the largest size's network to the paper's."""
    whole = scale.largest_size(study)
    recipe = whole.profile.recipe
    widths = recipe.width, PROFILES["paper"].recipe.width
    operations = [plan.of_training(replace(recipe, width=width), whole.dataset) for width in widths]
    return _row(WIDTH, f"operations of a training, {committed.data(whole.profile)}", widths, operations)


def _targets(study: Study, supports: pd.DataFrame) -> dict:
    """Trainings of ours by united tests: of one target of each class, and of all targets."""
    whole = scale.largest_size(study)
    ours = supports[(supports["method"] == OURS) & (supports["images"] == supports["images"].max())]
    ours = ours.set_index("target")["keys"]
    groups = ours[whole.targets[whole.groups(united=True)[0]]], ours
    trainings = [len(set().union(*keys)) for keys in groups]
    return _row(TARGETS, "trainings of a ranking", [*map(len, groups)], trainings) | {"n": trainings[1]}


def _row(grows: str, measured: str, size: tuple, cost: tuple) -> dict:
    """size, cost: of the smaller and of the larger.

    times_per_ten: the factor by which a cost that is a power of size grows when that becomes ten times as large;
    missing where both sizes are one.
    """
    row = dict(zip(("from", "to", "cost_from", "cost_to"), (*size, *cost), strict=True))
    exponent = np.log(cost[1] / cost[0]) / np.log(size[1] / size[0]) if size[1] > size[0] else np.nan
    return row | {"grows": grows, "measured": measured, "times_per_ten": float(10**exponent), "processor": "any"}
