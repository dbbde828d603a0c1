"""Predictions beside the truth: how far they agree, how far exact ones would beside the noise, and both as pictures.

A part of the page on influence functions, Datamodels and TRAK.
"""

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import pearsonr

from lib.methods import BLUE, ORANGE
from lib.report import plots, stats

DRAWS = 2000  # of noise, for predictions that are exactly right


def table(pairs: dict[str, tuple[np.ndarray, np.ndarray]], exact: str = "") -> pd.DataFrame:
    """How far predictions agree with what they predict, a row for each name; pairs: ([k,] n_targets, m) each.

    Columns: prediction, n (targets), m, r (Pearson's within a target, mean over the k and over targets) with r_low and
    r_high over targets, pooled (Pearson's over all points), slope (of observed on predicted). exact: the name of a pair
    that has a row of `if_exact` below it.
    """
    rows = []
    for name, pair in pairs.items():
        predicted, observed = (np.asarray(values, float) for values in pair)
        row = {"prediction": name} | dict(zip(("n", "m"), predicted.shape[-2:], strict=True))
        within = pearsonr(predicted, observed, axis=-1).statistic.reshape(-1, row["n"]).mean(axis=0)
        x, y = predicted.ravel(), observed.ravel()
        over_all = {"pooled": np.corrcoef(x, y)[0, 1], "slope": np.cov(x, y)[0, 1] / x.var(ddof=1)}
        rows.append(row | stats.mean("r", within) | over_all)
        if name == exact:
            rows.append(row | {"prediction": f"{name}, if exact"} | if_exact(predicted, observed))
    return pd.DataFrame(rows)


def if_exact(predicted: np.ndarray, observed: np.ndarray) -> dict:
    """r of `table` if every prediction were exactly right, beside noise as large as what was observed.

    Noise: the observed (n_targets, m) with its m shuffled, alike for all targets. r_low to r_high: 95 % of DRAWS.
    """
    rng = np.random.default_rng(0)
    noise = (observed[:, rng.permutation(observed.shape[1])] for _ in range(DRAWS))
    r = np.array([pearsonr(predicted, predicted + of, axis=1).statistic.mean() for of in noise])
    return stats.mean("r", r, partial(np.quantile, q=(0.025, 0.975)))


def figure(pairs: dict[str, tuple[np.ndarray, np.ndarray]], trak: pd.DataFrame, title: str) -> Figure:
    """A scatter for each of five pairs, by name, and the steps of TRAK. trak: `influence.steps`."""
    plots.style()
    drawn, axes = plt.subplot_mosaic("abc;def;gh.", figsize=(11, 10.5), layout="constrained")
    for axis, (name, (predicted, observed)) in zip(axes.values(), pairs.items(), strict=False):
        n, m = predicted.shape[-2:]
        axis.scatter(predicted, observed, s=5, alpha=0.35, color=BLUE, linewidths=0, rasterized=True)
        axis.axline((0, 0), slope=1, color="black", lw=1, ls=":")
        unit = "log-odds" if "logistic" in name else "margin"
        axis.set(xlabel=f"predicted, {unit}", ylabel=f"observed, {unit}")
        axis.set_title(f"{name}\n{n} targets × {m} changes", fontsize=11)
    names = {"projection": "dimensions", "ensemble": "networks", "threshold": "share of scores kept"}
    for axis, (step, rows) in zip(map(axes.get, "fgh"), trak.groupby("step", sort=False), strict=True):
        axis.errorbar(rows["setting"], rows["value"], plots.span(rows, "value"), color=ORANGE, marker="o")
        label = "rank correlation with exact" if step == "projection" else "LDS"
        axis.set(xlabel=names[step], ylabel=label, xscale="log")
        axis.set_title(f"TRAK: {step}\n{rows['n'].iloc[0]} targets, 95 % intervals", fontsize=11)
    drawn.suptitle(title)
    return drawn
