"""Leakage from training into test: near-duplicates of test images among the training images, and what they are worth.

    images -> `lib.chapters.spaces` -> nearest training image of each test image -> the nearest pairs, inspected first

Where the images are CIFAR-10's the pairs are compared with those that people judged; everywhere with planted ones.
"""

import time
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib import data
from lib.chapters import detection, people, spaces
from lib.data import Dataset
from lib.report import Page, plan, plots, stats
from lib.retrain import Retraining, retrain
from lib.study import Study

FIRST = (100, 286, 500, 1000, 2000)  # pairs inspected; as many as people judged to be twins, and others
KINDS = {"near-duplicate": (1,), "very similar": (2,), "either": (1, 2)}  # judgements
N_PLANTED = 50  # images
FLAGGED = 0.01  # of the test images, whose nearest is as near as that of a planted copy, at most
SHOWN = 12  # pairs, as pictures
SEEDS, PER_CLASS = 3, 1000  # of the trainings with and without twins; training images of a class
TABLES = ("pairs", "curves", "planted", "costs", "small", "worth")


def whole(study: Study) -> Dataset:
    """All images of the dataset where people judged them, else the profile's."""
    return data.load(study.profile.dataset) if people.of_cifar10(study.profile) else study.dataset


def compared(study: Study, dataset: Dataset, name: str) -> dict[str, np.ndarray]:
    """In a space, of each test image's nearest training image: train, distance (n_test,).

    planted_KIND: (N_PLANTED,) the distance of a planted copy's nearest if that is its original, else infinite. cost:
    core-seconds to compute vectors and to compare them, bytes of the vectors. Kept among the study's scores.
    """
    chosen = np.random.default_rng(0).permutation(len(dataset.train_labels))[:N_PLANTED]

    def make() -> dict[str, np.ndarray]:
        space, start = spaces.space(name, study.dataset, study.profile.recipe, study.driver.device), time.process_time()
        train, test = space(dataset.train_images), space(dataset.test_images)
        between = time.process_time()
        ids, distances = spaces.nearest(test, train)
        cost = between - start, time.process_time() - between, train.nbytes + test.nbytes
        arrays = {"train": ids.astype(np.uint32), "distance": distances, "cost": np.array(cost)}
        for kind, change in spaces.PLANTED.items():
            ids, distances = spaces.nearest(space(change(dataset.train_images[chosen])), train)
            arrays[f"planted_{kind}"] = np.where(ids == chosen, distances, np.inf)
        return arrays

    identity = {"whole": dataset.checksum, "space": name}
    return study.attribution.kept("leakage", identity, int(name == "network"), make, dict)


def judged(dataset: Dataset) -> pd.DataFrame:
    """The twins that people judged, by the dataset's ids: test_id, train_id, judgement. Those that it has."""
    table, clean = people.twins(), people.training_labels()[people.CLEAN]
    for split, labels, original in (
        ("test", dataset.test_labels, people.test_labels()),
        ("train", dataset.train_labels, clean),
    ):
        place = np.full(len(original), -1)
        place[people.original_ids(labels, original)] = np.arange(len(labels))
        table[f"{split}_id"] = place[table[split]]
    return table[(table["test_id"] >= 0) & (table["train_id"] >= 0)].reset_index(drop=True)


def ranks(of: dict[str, np.ndarray], twins: pd.DataFrame) -> np.ndarray:
    """At which place among all pairs, nearest first, each twin stands, (n_twins,); infinite if another image is nearer.

    of: `compared`, one pair for each test image.
    """
    place = np.empty(len(of["distance"]))
    place[np.argsort(of["distance"], kind="stable")] = np.arange(1, len(place) + 1)
    return np.where(of["train"][twins["test_id"]] == twins["train_id"], place[twins["test_id"]], np.inf)


def pairs(places: dict[str, np.ndarray], twins: pd.DataFrame) -> pd.DataFrame:
    """By space and number of pairs inspected: recall of twins by KINDS with intervals, and precision, the share that is
    listed: a lower bound, since people did not judge all pairs. places: of `ranks`.
    """
    rows = []
    for space, place in places.items():
        for n in FIRST:
            row = {"space": space, "inspected": n, "precision": (place <= n).sum() / n}
            for kind, judgements in KINDS.items():
                row |= stats.mean(kind, (place <= n)[twins["judgement"].isin(judgements)], stats.share_interval)
            rows.append(row)
    return pd.DataFrame(rows)


def curves(places: dict[str, np.ndarray]) -> pd.DataFrame:
    """space, inspected, found: share of the twins among so many pairs, with intervals over the twins."""
    at = np.unique(np.geomspace(10, 10_000, 40).round())
    rows = [
        {"space": space, "inspected": n} | stats.mean("found", place <= n, stats.share_interval)
        for space, place in places.items()
        for n in at
    ]
    return pd.DataFrame(rows, columns=["space", "inspected", "found", "found_low", "found_high"])


def planted(near: dict[str, dict]) -> pd.DataFrame:
    """By space and kind of copy: nearest, whose original is nearest to it; flagged, and nearer than FLAGGED has it.

    as_near: how many of the n_test real test images are as near to a training image as half of the copies to theirs.
    """
    rows = []
    for space, of in near.items():
        threshold = np.quantile(of["distance"], FLAGGED, method="lower")
        for kind in spaces.PLANTED:
            distances = of[f"planted_{kind}"]
            row = {"space": space, "copy": kind, "n": len(distances)}
            row |= stats.mean("nearest", np.isfinite(distances), stats.share_interval)
            row |= stats.mean("flagged", distances <= threshold, stats.share_interval)
            half = np.quantile(distances, 0.5, method="lower")
            as_near = (of["distance"] <= half).sum() if np.isfinite(half) else np.nan
            rows.append(row | {"as_near": as_near, "n_test": len(of["distance"])})
    return pd.DataFrame(rows)


def small(study: Study) -> pd.DataFrame:
    """Of the profile's own images alone, for which MoCo's features are kept: the share of twins that are nearest."""
    twins, rows = judged(study.dataset), []
    for name in ("moco", "supervised", "pixels"):
        vectors = study.attribution.features(name)
        unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (vectors.test[twins["test_id"]], vectors.train)]
        ids, _ = spaces.nearest(*unit)
        are = ids == twins["train_id"].to_numpy()
        rows.append({"features": name, "n": len(twins)} | stats.mean("nearest", are, stats.share_interval))
    return pd.DataFrame(rows)


def right(study: Study, dataset: Dataset) -> dict[str, np.ndarray]:
    """Whether networks get each test image right, (SEEDS, n_test) bool, kept among the study's scores.

    "with" the twins among PER_CLASS training images of each class; "without" them; and "control", without as many
    others of the same classes at random.
    """
    labels, twins = dataset.train_labels, np.unique(judged(dataset)["train_id"])
    rest = np.setdiff1d(np.arange(len(labels)), twins)
    counts = np.bincount(labels[twins], minlength=len(dataset.class_names))
    others = [rest[labels[rest] == c][: PER_CLASS - n] for c, n in enumerate(counts)]
    ids = np.sort(np.concatenate([twins, *others]))
    few = replace(dataset, train_images=dataset.train_images[ids], train_labels=labels[ids])
    rng = np.random.default_rng(0)
    at_random = np.concatenate([rng.permutation(of_class)[:n] for of_class, n in zip(others, counts, strict=True)])

    def make() -> dict[str, np.ndarray]:
        answers = {}
        for name, left_out in (("with", twins[:0]), ("without", twins), ("control", at_random)):
            removed = tuple(np.searchsorted(ids, left_out).tolist())
            trainings = [Retraining(study.profile.recipe, seed, removed) for seed in range(SEEDS)]
            outcomes = [retrain(few, training, study.driver.device) for training in trainings]
            answers[name] = np.stack([outcome.logits.argmax(axis=1) == few.test_labels for outcome in outcomes])
        return answers

    return study.attribution.kept("twins", {"whole": dataset.checksum}, 3 * SEEDS, make, dict)


def worth(answers: dict[str, np.ndarray], twins: pd.DataFrame) -> pd.DataFrame:
    """Accuracy with, without and control, and what is lost without the twins less what the control loses: by the mean
    over seeds of each test image, of all and of those with a twin. Intervals are over test images.
    """
    share, rows = {name: of.mean(axis=0) for name, of in answers.items()}, []
    among = {"with a twin": np.unique(twins["test_id"]), "all": np.arange(len(share["with"]))}
    for name, ids in among.items():
        row = {"test images": name, "n": len(ids)} | {key: of[ids].mean() for key, of in share.items()}
        for key in ("with", "control"):
            row |= detection.with_interval(f"{key} - without", (share[key] - share["without"])[ids])
        rows.append(row)
    return pd.DataFrame(rows)


def measured(page: Page) -> tuple[dict[str, pd.DataFrame], np.ndarray | None]:
    """The page's TABLES; and the nearest SHOWN pairs that people did not judge, (SHOWN, 2, c, h, w), test and training
    image, by the space that has most twins nearest, else flags most copies; None where they are not here. What people's
    judgements tell has a row on CIFAR-10 alone. A dry run ends here.
    """
    if page.missing:
        return {name: page.table(name, pd.DataFrame) for name in TABLES}, None
    study, is_judged = page.study, people.of_cifar10(page.values)
    if page.tally is not None:
        right_of = 3 * SEEDS if is_judged else 0
        study.attribution.kept("the space and the twins", {}, 1 + right_of, dict, dict)
        raise plan.Counted(plan.text(page.values, page.tally))
    dataset = whole(study)
    near = {name: compared(study, dataset, name) for name in spaces.NAMES}
    twins = judged(dataset) if is_judged else pd.DataFrame(columns=["test_id", "train_id", "judgement"])
    places = {name: ranks(of, twins) for name, of in near.items()} if is_judged else {}
    costs = pd.DataFrame([of["cost"] for of in near.values()], columns=["vectors", "compared", "bytes"])
    costs.insert(0, "space", list(near))
    tables = {"pairs": pairs(places, twins), "curves": curves(places), "planted": planted(near)}
    tables |= {"costs": costs, "small": pd.DataFrame(), "worth": pd.DataFrame()}
    if is_judged:
        tables |= {"small": small(study), "worth": worth(right(study, dataset), twins)}
    copies = tables["planted"].groupby("space", sort=False)["flagged"].mean().idxmax()
    best = max(places, key=lambda name: np.isfinite(places[name]).sum(), default=copies)
    of = near[best]
    order = np.argsort(of["distance"], kind="stable")
    order = order[~np.isin(order, twins["test_id"])][:SHOWN]
    return tables, np.stack([dataset.test_images[order], dataset.train_images[of["train"][order]]], axis=1)


def figure(curves: pd.DataFrame, images: np.ndarray, title: str) -> Figure:
    """The pairs, test image above training image; below, where there are judged ones, the share of them found against
    the number of pairs inspected. curves: of `curves`. images: (SHOWN, 2, c, h, w).
    """
    plots.style()
    drawn = plt.figure(figsize=(11, 5.6 if len(curves) else 2.6), layout="constrained")
    parts = drawn.subfigures(2 if len(curves) else 1, 1, height_ratios=[2, 3] if len(curves) else None, squeeze=False)
    panels = parts[0, 0].subplots(2, len(images)).T.flat
    for axis, image in zip(panels, images.reshape(-1, *images.shape[2:]), strict=True):
        axis.imshow(image.transpose(1, 2, 0).squeeze(), cmap="gray")
        axis.set_axis_off()
    if len(curves):
        axis = parts[1, 0].subplots()
        for i, (space, line) in enumerate(curves.groupby("space", sort=False)):
            band = line["found_low"], line["found_high"]
            plots.line(axis, line["inspected"], line["found"], band, space, f"C{i}", "-")
        axis.set(xscale="log", xlabel="pairs inspected, the nearest first", ylabel="share of judged twins found")
        axis.legend(fontsize=9)
    drawn.suptitle(title, fontsize=11)
    return drawn


def finding(tables: dict[str, pd.DataFrame], data: str) -> str:
    """The page's first line, in Markdown. data: its name."""
    if not len(tables["pairs"]):
        shares = []
        for space, of in tables["planted"].groupby("space", sort=False):
            share = stats.share(np.arange(n := of["n"].sum()) < round((of["flagged"] * of["n"]).sum()))
            shares.append(f"{space} {stats.said(*list(share.values())[:3])}")
        shares = "; ".join(shares)
        return f"**Of {n} copies planted on {data}, a threshold that flags 1 % of test images finds: {shares}.**"
    at = tables["pairs"][tables["pairs"]["inspected"] == FIRST[1]]
    shares = "; ".join(f"{row['space']} {stats.said_of(row, 'either', 3)}" for _, row in at.iterrows())
    twins, every = (tables["worth"].set_index("test images").loc[name] for name in ("with a twin", "all"))
    return (
        f"**{twins['n']:.0f} test images of {data.partition(', ')[0]} have a twin among its training images, by "
        f"people's judgement. Looking through the {FIRST[1]} nearest pairs finds {at['either'].min():.0%} to "
        f"{at['either'].max():.0%} of the twins, by space: {shares}.** Without them among ten thousand training images "
        f"accuracy on these test images {changed(twins)}, on all {every['n']:.0f} it {changed(every)} (three seeds; "
        f"intervals over test images)."
    )


def changed(row: pd.Series) -> str:
    """By how much accuracy falls or rises without the twins, for a sentence. row: of `worth`."""
    fall, low, high = (row[f"with - without{end}"] for end in ("", "_low", "_high"))
    if fall >= 0:
        return f"falls by {stats.said(fall, low, high, digits=3)}"
    return f"rises by {stats.said(-fall, -high, -low, digits=3)}"
