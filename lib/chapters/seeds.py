"""How much hangs on the seed of the features? MoCo trained again from other seeds, and their scores averaged.

The rest stays as it is: the recipe, the training images, the targets, the exemplar SVM.
"""

from dataclasses import replace
from functools import partial
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib import distances, features
from lib.lds import lds, signed_inverse_l2
from lib.report import plots, stats
from lib.study import Study

AVERAGED = "scores averaged"
FIRST = (16, 64)  # images of two rankings that are compared


def name(seed: int) -> str:
    """Of a MoCo of that seed, in tables."""
    return f"MoCo, seed {seed}"


def measured(study: Study, seed: int) -> dict[str, np.ndarray]:
    """Of MoCo trained from a seed: scores (n_targets, n_train) of its exemplar SVM, knn, lds (n_targets,).

    Seed 0 is the one that the other pages have. Kept among the study's scores.
    """
    attribution, dataset, targets = study.attribution, study.dataset, study.targets
    recipe = replace(study.profile.features("moco"), seed=seed)
    held_out = attribution.held_out
    identity = {"features": recipe.identity, "lds_models": [held_out.start, held_out.stop]}

    def make() -> dict[str, np.ndarray]:
        stored = recipe == study.profile.features("moco")
        vectors = attribution.features("moco") if stored else features.extract(dataset, recipe, study.driver.device)
        pair = vectors.test[targets], vectors.train, dataset.test_labels[targets], dataset.train_labels
        masks, margins = attribution.subset_margins(held_out)
        return {
            "scores": distances.scores(distances.DISTANCES["esvm"], *pair),
            "knn": np.array(features.knn_accuracy(vectors, dataset)),
            "lds": lds(signed_inverse_l2(*pair), masks, margins[:, targets]),
        }

    def stand_in() -> dict[str, np.ndarray]:
        own = dataset.test_labels[targets][:, None] == dataset.train_labels
        scores = np.where(own, np.random.default_rng(seed).random(own.shape), -np.inf)
        return {"scores": scores, "knn": np.array(0.5), "lds": np.zeros(len(targets))}

    return attribution.kept("moco_seed", identity, 1, make, stand_in)


def rankings(sets: list[dict[str, np.ndarray]], k_max: int) -> dict[str, np.ndarray]:
    """The ranking (n_targets, k_max) of each seed, by `name`, and of the mean of their scores. sets: of `measured`."""
    scores = {name(seed): values["scores"] for seed, values in enumerate(sets)}
    scores[AVERAGED] = np.mean(list(scores.values()), axis=0)
    return {key: distances.ranking(values, k_max) for key, values in scores.items()}


def table(supports: pd.DataFrame, sets: list[dict[str, np.ndarray]], rival: str, k_max: int) -> pd.DataFrame:
    """A row for each kind and ranking: kNN accuracy, LDS, AUC with interval, and AUC less the rival's, paired.

    supports: of all `rankings` and of the rival.
    """
    quality = {name(i): {"knn": float(one["knn"])} | stats.mean("lds", one["lds"]) for i, one in enumerate(sets)}
    areas, rows = stats.summary(supports, k_max).set_index(["kind", "method"]), []
    for (kind, method), this in areas.drop(index=rival, level="method").iterrows():
        pair = stats.paired(supports, kind, method, rival, k_max)
        row = {"kind": kind, "features": method} | {key: this[key] for key in ("auc", "auc_low", "auc_high")}
        ends = {"": "difference", "_low": "low", "_high": "high"}
        row |= {f"against_rival{end}": pair[key] for end, key in ends.items()}
        rows.append(row | {"p": pair["p"], "n": pair["n"]} | quality.get(method, {}))
    return pd.DataFrame(rows)


def variance(supports: pd.DataFrame, kind: str, k_max: int) -> dict:
    """What an AUC of one seed varies by: sd over seeds, standard error over targets, the seeds' share of both squared.

    And gain, what the AVERAGED scores add to the mean over seeds, paired by target, with gain_low, gain_high and p.
    supports: of a ranking for each seed and of AVERAGED, on the same targets.
    """
    areas = 1 - stats.sizes(supports[supports["kind"] == kind]).clip(upper=k_max) / k_max  # (targets, rankings)
    averaged, areas = areas[AVERAGED], areas.drop(columns=AVERAGED)
    of_seeds, n = areas.mean().std(ddof=1), len(areas)
    of_targets = areas.mean(axis=1).std(ddof=1) / np.sqrt(n)
    share = of_seeds**2 / max(of_seeds**2 + of_targets**2, np.finfo(float).tiny)
    row = {"kind": kind, "mean_auc": areas.to_numpy().mean(), "sd_over_seeds": of_seeds}
    row |= {"se_over_targets": of_targets, "share_of_seeds": share, "seeds": areas.shape[1], "n": n}
    gain = averaged - areas.mean(axis=1)
    return row | stats.mean("gain", gain, partial(stats.mean_interval, method="BCa")) | {"p": stats.sign_flips(gain)}


def overlap(ranked: dict[str, np.ndarray]) -> pd.DataFrame:
    """The share of common images among the first k of two rankings, mean over targets with interval, for each pair."""
    rows = []
    for one, other in combinations(ranked, 2):
        for k in FIRST:
            pairs = zip(ranked[one][:, :k], ranked[other][:, :k], strict=True)
            common = np.array([np.intersect1d(first, second).size / k for first, second in pairs if len(first) == k])
            if len(common):
                rows.append({"first": one, "second": other, "k": k} | stats.mean("common", common))
    return pd.DataFrame(rows)


def finding(rows: pd.DataFrame, variances: pd.DataFrame) -> str:
    """What the seed does, as Markdown. rows: of `table`. variances: of `variance`, a row for each kind."""
    lines = []
    for of in variances.itertuples():
        these = rows[rows["kind"] == of.kind].set_index("features")
        each = ", ".join(f"{area:.2f}" for area in these["auc"].drop(AVERAGED))
        lines.append(
            f"- **{of.kind.capitalize()}**: AUC of {of.seeds} seeds {each}, a standard deviation of "
            f"{of.sd_over_seeds:.3f} beside a standard error over {of.n} targets of {of.se_over_targets:.3f}: seeds "
            f"make up {of.share_of_seeds:.0%} of the variance. Their scores averaged add "
            f"{of.gain:z.3f} [{of.gain_low:z.3f}, {of.gain_high:z.3f}] to the mean of the seeds (p = {of.p:.2g})."
        )
    return "\n".join(lines)


def figure(rows: pd.DataFrame, title: str) -> Figure:
    """AUC of each seed and of the average, a panel a kind of support; bars are 95 % intervals over targets."""
    plots.style()
    kinds = rows["kind"].unique()
    drawn, axes = plt.subplots(1, len(kinds), figsize=(4.5 * len(kinds), 2.8), layout="constrained", sharey=True)
    for axis, kind in zip(np.atleast_1d(axes), kinds, strict=True):
        these = rows[rows["kind"] == kind].iloc[::-1]
        spans = [these["auc"] - these["auc_low"], these["auc_high"] - these["auc"]]
        axis.errorbar(these["auc"], these["features"], xerr=spans, fmt="o", lw=1.5)
        axis.set(xlabel=f"AUC, {kind}", title=f"n = {these['n'].iloc[0]} targets")
    drawn.suptitle(title)
    return drawn
