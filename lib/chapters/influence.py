"""Influence functions, Datamodels and TRAK, each beside the truth that it approximates.

The page of that name prints the first four functions below: they are what was run.
"""

import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from lib.data import Dataset, one_thread
from lib.lds import lds, rank_correlation
from lib.report import stats
from lib.retrain import Retraining, margins, retrain
from lib.rivals import gradients, largest, networks, sizes, trak
from lib.study import Study

CLASSES = (2, 4)  # of the logistic regression: two that are alike, pullovers and coats
PER_CLASS = 10  # of its test images
LEFT_OUT, SEEDS = 20, 3  # single images left out of a network's training; seeds of each
NARROW, KERNEL_IMAGES = 2, 100  # width of the network whose kernel is computed exactly; its training images of a class
DIMENSIONS = (16, 64, 256, 1024)  # of TRAK's projection
KEPT = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0)  # shares of the scores that a threshold leaves
SHARED = ("predicted", "newton", "observed")


def without_each(images, labels, targets, weights):
    """What leaving out each image adds to the targets' logits: influence function, and one step of Newton's."""
    p = 1 / (1 + np.exp(-images @ weights))
    hessian = images.T @ (images * (p * (1 - p))[:, None]) + np.eye(len(weights))
    gradients = (p - labels)[:, None] * images  # of each image's loss
    first_order = targets @ np.linalg.solve(hessian, gradients.T)
    leverage = (images * np.linalg.solve(hessian, images.T).T).sum(1) * p * (1 - p)
    return first_order, first_order / (1 - leverage)


def datamodel(weights, masks, seen_masks, seen_margins):
    """A Datamodel's margins of each target on new subsets: the sum of the weights of the images in them."""
    constant = seen_margins.mean(0) - seen_masks.mean(0) @ weights.T
    return masks.astype(float) @ weights.T + constant


def trak_scores(train, targets, unsure):
    """TRAK's Newton step in gradients, projected or not. unsure: 1 - p of each training image."""
    gram = train.T @ train
    ridge = np.trace(gram) / len(gram) * np.eye(len(gram))
    return targets @ np.linalg.solve(gram + ridge, train.T) * unsure


def threshold(scores, share):
    """Soft threshold: all scores of a target go towards 0, by as much as leaves this share of them."""
    least = np.quantile(np.abs(scores), 1 - share, axis=1, keepdims=True) if share < 1 else 0
    return np.sign(scores) * np.maximum(np.abs(scores) - least, 0)


def two_classes(dataset: Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training images and labels, then test images and labels, of CLASSES.

    Images are (n, 1 + pixels) float64, from 0 to 1 with a one in front; labels are 1 for the second class, else 0. Of
    the test images the first PER_CLASS of each.
    """
    parts = []
    train, test = (dataset.train_images, dataset.train_labels), (dataset.test_images, dataset.test_labels)
    for (images, labels), most in ((train, None), (test, PER_CLASS)):
        ids = np.concatenate([np.flatnonzero(labels == label)[:most] for label in CLASSES])
        pixels = images[ids].reshape(len(ids), -1) / 255
        parts += [np.hstack([np.ones((len(ids), 1)), pixels]), (labels[ids] == CLASSES[1]).astype(float)]
    return tuple(parts)


def converged(images: np.ndarray, labels: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
    """Weights (d,) at the minimum of summed cross-entropy + |weights|² / 2, by Newton's method in float64.

    images: (n, d). labels: (n,) of 0 and 1. start: weights to begin at. Raises ValueError where it does not converge.
    """
    model = LogisticRegression(C=1.0, fit_intercept=False, solver="newton-cholesky", tol=1e-9, warm_start=True)
    if start is not None:
        model.coef_, model.intercept_, model.classes_ = start[None], np.zeros(1), np.unique(labels)
    with warnings.catch_warnings(action="error", category=ConvergenceWarning):
        try:
            return model.fit(images, labels).coef_[0]
        except ConvergenceWarning as problem:
            raise ValueError(f"a logistic regression of {len(images)} images did not converge: {problem}") from problem


def without_one_of_two(dataset: Dataset) -> dict[str, np.ndarray]:
    """Of single images left out of a logistic regression: what happens to the margins, (n_targets, 2 LEFT_OUT) each.

    predicted: by influence. newton: by a whole Newton step. observed: trained without it. One half are the images of
    largest mean influence, whatever its sign; the others at random.
    """
    images, labels, targets, target_labels = two_classes(dataset)
    sign, weights = np.where(target_labels == 1, 1, -1)[:, None], converged(images, labels)
    predicted, newton = without_each(images, labels, targets, weights)
    largest_first = np.argsort(-np.abs(predicted).mean(axis=0), kind="stable")
    others = np.random.default_rng(0).permutation(largest_first[LEFT_OUT:])[:LEFT_OUT]
    rows = np.append(largest_first[:LEFT_OUT], others)
    again = [converged(np.delete(images, row, axis=0), np.delete(labels, row), weights) for row in rows]
    observed = targets @ (np.stack(again) - weights).T
    return dict(zip(SHARED, (sign * predicted[:, rows], sign * newton[:, rows], sign * observed), strict=True))


def on_logistic(study: Study) -> dict[str, np.ndarray]:
    """`without_one_of_two` of the study's images, kept."""
    identity, shape = {"classes": CLASSES, "targets": PER_CLASS, "left_out": LEFT_OUT}, (2 * PER_CLASS, 2 * LEFT_OUT)
    make, shapes = partial(without_one_of_two, study.dataset), dict.fromkeys(SHARED, shape)
    return study.attribution.kept("logistic", identity, 0, make, shapes)


def without_one(study: Study) -> dict[str, np.ndarray]:
    """Of single images left out of a network: predicted (n_targets, n), observed (SEEDS, n_targets, n); kept.

    Both of falls of the targets' margins. The images: the highest influence on each of the first LEFT_OUT targets, none
    twice. predicted: by influence functions. observed: from the unmodified training set of the same seed.
    """
    dataset, recipe, targets = study.dataset, study.profile.recipe, study.targets
    scores = study.attribution.scores(f"{largest(study.profile, 'influence_cg')[0]}:all")
    own = np.where(dataset.test_labels[targets][:, None] == dataset.train_labels, scores, -np.inf)
    ids = np.unique(own.argmax(axis=1)[:LEFT_OUT])

    def margins_of(seed: int, *removed: int) -> np.ndarray:
        logits = retrain(dataset, Retraining(recipe, seed, removed=removed), study.driver.device).logits
        return margins(logits[targets], dataset.test_labels[targets])

    def make() -> dict[str, np.ndarray]:
        whole = np.stack([margins_of(seed) for seed in range(SEEDS)])
        falls = [[whole[seed] - margins_of(seed, int(i)) for seed in range(SEEDS)] for i in ids]
        return {"ids": ids, "falls": np.array(falls, dtype=np.float32)}

    identity, shapes = {"left_out": ids.tolist(), "seeds": SEEDS}, {"falls": (len(ids), SEEDS, len(targets))}
    falls = study.attribution.kept("without_one", identity, SEEDS * (1 + len(ids)), make, shapes)["falls"]
    return {"predicted": scores[:, ids] / len(dataset.train_labels), "observed": falls.transpose(1, 2, 0)}


def on_subsets(study: Study) -> dict[str, np.ndarray]:
    """Datamodels' margins of models that they were not fitted to, (n_targets, n_models), kept.

    predicted, observed; again: of a second training on the same subsets. Nothing where the profile has no Datamodels.
    """
    attribution, targets = study.attribution, study.targets
    if not (names := largest(study.profile, "datamodels")):
        return {}
    weights, seen = attribution.scores(f"{names[0]}:all"), range(sizes(study.profile, "datamodels")[-1])
    parts = [attribution.subset_margins(*which) for which in ((seen,), (attribution.held_out,))]
    parts.append(attribution.subset_margins(attribution.held_out, repeat=1))

    def make() -> dict[str, np.ndarray]:
        (seen_masks, of_seen), (masks, observed), (_, again) = ((mask, of[:, targets]) for mask, of in parts)
        predicted = datamodel(weights.astype(float), masks, seen_masks, of_seen)
        return {"predicted": predicted.T.astype(np.float32), "observed": observed.T, "again": again.T}

    identity = {"fitted": seen.stop, "held_out": [attribution.held_out.start, attribution.held_out.stop]}
    shapes = dict.fromkeys(("predicted", "observed", "again"), (len(targets), len(attribution.held_out)))
    return attribution.kept("datamodel_margins", identity, 0, make, shapes)


def narrow_kernel(study: Study) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of the log-odds by all weights, of a network of width NARROW: training images (n, p) and targets.

    And 1 - p of the training images, (n,): how unsure the network is of each. The first KERNEL_IMAGES of each class.
    """
    labels, device = study.dataset.train_labels, study.driver.device
    ids = np.concatenate([np.flatnonzero(labels == c)[:KERNEL_IMAGES] for c in np.unique(labels)])
    with one_thread(device):
        net = networks.trained(study.dataset, Retraining(replace(study.profile.recipe, width=NARROW), 0), device)
        inputs = networks.inputs(study.dataset, study.targets, device)
        kernel_images = tuple(part[ids] for part in inputs.train)
        train, targets = (
            -torch.cat(list(gradients.gradients(net, gradients.minus_log_odds, images))).cpu().numpy().astype(float)
            for images in (kernel_images, inputs.targets)
        )
        with torch.no_grad():
            sure = net(kernel_images[0]).softmax(1).gather(1, kernel_images[1][:, None])[:, 0]
    return train, targets, 1 - sure.cpu().numpy().astype(float)


def by_dimension(study: Study) -> np.ndarray:
    """Rank correlation with the exact `trak_scores`, when gradients are projected: (n_dimensions, n_targets), kept."""

    def make() -> dict[str, np.ndarray]:
        train, targets, unsure = narrow_kernel(study)
        exact, rng, rows = trak_scores(train, targets, unsure), np.random.default_rng(0), []
        for dimension in DIMENSIONS:
            projection = rng.standard_normal((train.shape[1], dimension)) / np.sqrt(dimension)
            rows.append(rank_correlation(exact, trak_scores(train @ projection, targets @ projection, unsure), axis=1))
        return {"scores": np.stack(rows)}

    identity = {"width": NARROW, "dimensions": DIMENSIONS, "images": KERNEL_IMAGES}
    return study.attribution.kept("narrow_kernel", identity, 1, make, {"scores": (4, len(study.targets))})["scores"]


def steps(study: Study) -> pd.DataFrame:
    """What TRAK's last three steps change, a row for each setting: step, setting, n, value with _low and _high.

    projection: rank correlation with the exact scores. ensemble, threshold: LDS on models that nothing was fitted to.
    """
    attribution, of_size = study.attribution, sizes(study.profile, "trak")
    of_networks = [attribution.scores(f"trak:{size}:all") for size in of_size]
    masks, observed = attribution.subset_margins(attribution.held_out)

    def make() -> dict[str, np.ndarray]:
        scores = [*of_networks, *(threshold(of_networks[-1], share) for share in KEPT)]
        return {"lds": np.stack([lds(of, masks, observed[:, study.targets]) for of in scores])}

    settings = [("projection", d) for d in DIMENSIONS] + [("ensemble", size) for size in of_size]
    settings += [("threshold", share) for share in KEPT]
    identity, shape = {"networks": of_size, "kept": KEPT}, (len(of_size) + len(KEPT), len(study.targets))
    values = [*by_dimension(study), *attribution.kept("trak_steps", identity, 0, make, {"lds": shape})["lds"]]
    rows = zip(settings, values, strict=True)
    return pd.DataFrame([{"step": s, "setting": at, "n": len(of)} | stats.mean("value", of) for (s, at), of in rows])


def projected(rows: pd.DataFrame, n_narrow: int, n_own: int) -> str:
    """How large a projection is beside a network, in Markdown. rows: of `steps`. n_narrow, n_own: weights."""
    rows = rows[rows["step"] == "projection"].set_index("setting")
    largest, share = rows.index[-1], trak.PROJECTION_DIM / n_own
    near = rows.loc[at := min(rows.index, key=lambda dimension: abs(dimension / n_narrow - share))]
    return (
        f"{largest:.0f} dimensions are {largest / n_narrow:.0%} of its {n_narrow} weights. The book's own TRAK has "
        f"{trak.PROJECTION_DIM} of {n_own}, {share:.1%}; at about that share, {at:.0f} dimensions, the narrow network "
        f"keeps the exact order by {stats.said_of(near, 'value')}."
    )
