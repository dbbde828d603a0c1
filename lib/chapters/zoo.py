"""Figures 8 and 9: features of several networks, each by both distances, by removal or by mislabelling."""

import pandas as pd

from lib.report import stats

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
