"""Figures 8 and 9: features of several networks, each by both distances, by removal or by mislabelling."""

import pandas as pd
from matplotlib.figure import Figure

from lib import methods as names
from lib.methods import SOLID, label
from lib.report import plots, stats

SELF_SUPERVISED = ("moco", "byol", "simclr", "dino")
DISTANCES = ("esvm", "l2")
PANELS = {feature: [f"{feature}_{distance}" for distance in DISTANCES] for feature in (*SELF_SUPERVISED, "supervised")}


def claims(supports: pd.DataFrame, kind: str, k_max: int) -> tuple[list[dict], list[dict], list[dict]]:
    """Rows of `stats.paired`: exemplar SVM against L2, self-supervised against supervised, MoCo against the others."""
    pairs = (
        list(PANELS.values()),
        [(f"{name}_{d}", f"supervised_{d}") for d in DISTANCES for name in SELF_SUPERVISED],
        [(f"moco_{d}", f"{name}_{d}") for d in DISTANCES for name in SELF_SUPERVISED[1:]],
    )
    return tuple([stats.paired(supports, kind, *pair, k_max) for pair in of_claim] for of_claim in pairs)


def figure(supports: pd.DataFrame, k_max: int, title: str) -> Figure:
    """CDF of the support, a panel for each of PANELS and a line for each of its methods.

    supports: of `Study.supports`, of one kind. Supervised features by L2 are in each panel, grey.
    """
    drawn, axes = plots.grid(len(PANELS), 3, 3.8, 3.6, sharey=True)
    of = dict(iter(stats.usable(supports).groupby("method")))
    reference = PANELS["supervised"][-1]
    for axis, (features, methods) in zip(axes, PANELS.items(), strict=True):
        plots.cdf(axis, of[reference], k_max, label(reference), "0.6", SOLID)
        for method in methods:
            name, dash = names.DISTANCES[method.removeprefix(f"{features}_")][:2]
            plots.cdf(axis, of[method], k_max, name, names.FEATURES[features][1], dash)
        plots.of_k(axis, of[reference], k_max)
        axis.set(title=names.FEATURES[features][0], xlabel="k")
        axis.legend(loc="upper left", bbox_to_anchor=(0, 0.92), fontsize=8)
    return plots.titled(drawn, title, y_label="share of targets flipped")
