"""How much hangs on the seed of the features? MoCo trained again from other seeds, and their scores averaged.

And do the other features of Figures 8 and 9 keep their place, each trained from several seeds? The rest stays as it is:
the recipe, the training images, the targets, the exemplar SVM.
"""

from dataclasses import replace
from itertools import combinations, product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib import distances, features
from lib.lds import lds, signed_inverse_l2
from lib.methods import FEATURES
from lib.report import plots, stats
from lib.study import Study

MOCO, OTHERS = "moco", ("byol", "simclr", "dino", "supervised")  # features
AVERAGED = "scores averaged"
FIRST = (16, 64)  # images of two rankings that are compared


def name(seed: int, method: str = MOCO) -> str:
    """Of features of that seed, in tables."""
    return f"{FEATURES[method][0]}, seed {seed}"


def numbers(profile: str, n_seeds: int | None, n_others: int | None) -> tuple[int, int]:
    """How many seeds of MoCo, and of the features beside it; None: as many as the profile of that name takes.

    Raises ValueError for numbers that have no spread, or fewer of MoCo.
    """
    most, fewer = (2, 2) if profile == "smoke" else (5, 3)
    n_seeds = most if n_seeds is None else n_seeds
    n_others = min(fewer, n_seeds) if n_others is None else n_others
    if not 2 <= n_others <= n_seeds:
        raise ValueError(f"n_seeds={n_seeds} and n_others={n_others}: give n_others from 2 to n_seeds, else no spread")
    return n_seeds, n_others


def measured(study: Study, seed: int, method: str = MOCO) -> dict[str, np.ndarray]:
    """Of features trained from a seed: scores (n_targets, n_train) of their exemplar SVM, knn, lds (n_targets,).

    Seed 0 is the one that the other pages have. Kept among the study's scores.
    """
    attribution, dataset, targets = study.attribution, study.dataset, study.targets
    recipe = replace(study.profile.features(method), seed=seed)
    held_out = attribution.held_out
    identity = {"features": recipe.identity, "lds_models": [held_out.start, held_out.stop]}

    def make() -> dict[str, np.ndarray]:
        stored = recipe == study.profile.features(method)
        vectors = attribution.features(method) if stored else features.extract(dataset, recipe, study.driver.device)
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

    return attribution.kept(f"{method}_seed", identity, 1, make, stand_in)


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
    areas = _areas(supports, kind, k_max)
    averaged, areas = areas[AVERAGED], areas.drop(columns=AVERAGED)
    gain = averaged - areas.mean(axis=1)
    row = {"kind": kind} | _spread(areas) | stats.mean("gain", gain, stats.paired_interval)
    return row | {"p": stats.sign_flips(gain)}


def _areas(supports: pd.DataFrame, kind: str, k_max: int) -> pd.DataFrame:
    """`stats.area` of supports of one kind: (targets, rankings)."""
    return 1 - stats.sizes(supports[supports["kind"] == kind]).clip(upper=k_max) / k_max


def _spread(areas: pd.DataFrame) -> dict:
    """What `variance` says of areas (targets, seeds)."""
    of_seeds, n = areas.mean().std(ddof=1), len(areas)
    of_targets = areas.mean(axis=1).std(ddof=1) / np.sqrt(n)
    share = of_seeds**2 / max(of_seeds**2 + of_targets**2, np.finfo(float).tiny)
    row = {"mean_auc": areas.to_numpy().mean(), "sd_over_seeds": of_seeds, "se_over_targets": of_targets}
    return row | {"share_of_seeds": share, "seeds": areas.shape[1], "n": n}


def compared(supports: pd.DataFrame, n_seeds: int, k_max: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """MoCo and OTHERS, each from n_seeds seeds, by the mean of their areas over seeds.

    First a row for each kind and features, of `variance` without the gain. Then a row for each kind and pair: better
    and worse as the paper has them, the difference with its interval over targets, p; ahead: of how many pairs of seeds
    the mean AUC of the first is larger. supports: of `name` of each.
    """
    spreads, pairs = [], []
    expected = [(MOCO, other) for other in OTHERS] + [(other, OTHERS[-1]) for other in OTHERS[:-1]]
    for kind in supports["kind"].unique():
        areas = _areas(supports, kind, k_max)
        of = {one: areas[[name(seed, one) for seed in range(n_seeds)]] for one in (MOCO, *OTHERS)}
        spreads += [{"kind": kind, "features": FEATURES[one][0]} | _spread(these) for one, these in of.items()]
        for better, worse in expected:
            table = pd.DataFrame({"better": of[better].mean(axis=1), "worse": of[worse].mean(axis=1)})
            row = stats.differences(table, "worse").iloc[0].drop(["method", "mean"])
            ahead = sum(first > second for first, second in product(of[better].mean(), of[worse].mean()))
            names = {"better": FEATURES[better][0], "worse": FEATURES[worse][0]}
            pairs.append({"kind": kind} | names | dict(row) | {"ahead": f"{ahead} of {n_seeds**2}"})
    return pd.DataFrame(spreads), pd.DataFrame(pairs)


def compared_finding(spreads: pd.DataFrame, pairs: pd.DataFrame) -> str:
    """Whether features keep their place, a line of Markdown for each kind. spreads, pairs: of `compared`."""
    lines = []
    for kind, of_kind in spreads.groupby("kind", sort=False):
        ordered, verdicts = of_kind.sort_values("share_of_seeds"), pairs.loc[pairs["kind"] == kind, "verdict"]
        least, most = (f"{row.share_of_seeds:.0%} ({row.features})" for row in (ordered.iloc[0], ordered.iloc[-1]))
        lines.append(
            f"- **{kind.capitalize()}**: seeds make up {least} to {most} of the variance of an AUC. By the mean over "
            f"seeds, {(verdicts == 'agrees').sum()} of {len(verdicts)} pairs are told apart in the paper's order, "
            f"{(verdicts == 'disagrees').sum()} in the other."
        )
    return "\n".join(lines)


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
        axis.errorbar(these["auc"], these["features"], xerr=plots.span(these, "auc"), fmt="o", lw=1.5)
        axis.set(xlabel=f"AUC, {kind}", title=f"n = {these['n'].iloc[0]} targets")
    drawn.suptitle(title)
    return drawn
