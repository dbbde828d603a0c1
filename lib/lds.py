"""The linear datamodeling score (LDS): do attribution scores predict what models trained on random subsets say?

For every target, the sum of the scores of the training images that a model saw is its prediction of the model's
output; the LDS is the rank correlation of predictions and outputs over many models. All at once: one matrix product.
"""

import warnings

import numpy as np
from scipy.stats import ConstantInputWarning, pearsonr, rankdata

from lib import distances

SHARE = 0.05  # of the scores that are kept: Paper App. A.5
CHUNK = 1000  # models whose masks are held as numbers at once


def lds(scores: np.ndarray, masks: np.ndarray, margins: np.ndarray) -> np.ndarray:
    """Spearman's correlation of predicted and observed outputs, one a target: (n_targets,) float64.

    scores: (n_targets, n_train), finite. masks: (n_models, n_train) bool, what each model saw. margins: (n_models,
    n_targets). A target whose predictions are all equal has no LDS: nan. Source: Park et al. 2023, §2; Paper App. A.5.
    Raises ValueError where the shapes do not fit, scores are not finite, or there are fewer than 3 models.
    """
    (n_targets, n_train), n_models = scores.shape, len(masks)
    if masks.shape != (n_models, n_train) or margins.shape != (n_models, n_targets):
        raise ValueError(
            f"scores {scores.shape}, masks {masks.shape} and margins {margins.shape} do not fit; expected "
            f"(targets, train), (models, train), (models, targets)"
        )
    if n_models < 3:
        raise ValueError(f"{n_models} models are too few for a rank correlation; give at least 3")
    if not np.isfinite(scores).all():
        raise ValueError("some scores are not finite; give 0 to training images that are not compared")
    weights = scores.T.astype(np.float64)
    predicted = np.concatenate([chunk @ weights for chunk in np.array_split(masks, -(-n_models // CHUNK))])
    return rank_correlation(predicted, margins)


def rank_correlation(first: np.ndarray, second: np.ndarray, axis: int = 0) -> np.ndarray:
    """Spearman's correlation along an axis of two arrays of one shape; nan where either is constant."""
    with warnings.catch_warnings(action="ignore", category=ConstantInputWarning):
        return pearsonr(rankdata(first, axis=axis), rankdata(second, axis=axis), axis=axis).statistic


def signed_inverse_l2(
    targets: np.ndarray, train: np.ndarray, target_labels: np.ndarray, train_labels: np.ndarray
) -> np.ndarray:
    """Scores of features for the LDS: 1 / L2 distance, minus where the labels differ, 0 for all but the top 5 %.

    targets: (n_targets, d). train: (n_train, d). Returns (n_targets, n_train) float32. An image at distance 0 counts as
    if it were at the next smallest. Source: Paper App. A.5; the top is that of the distance's inverse.
    """
    distance = -distances.scores(distances.l2, targets, train, target_labels, train_labels, same_class=False)
    distance[distance == 0] = distance[distance > 0].min()
    kept = max(1, round(SHARE * train.shape[0]))
    threshold = np.partition(distance, kept - 1, axis=1)[:, kept - 1 : kept]
    sign = np.where(target_labels[:, None] == train_labels, 1, -1)
    return np.where(distance <= threshold, sign / distance, 0).astype(np.float32)
