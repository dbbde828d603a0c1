"""What the paper states in numbers, set beside ours. Each entry names its place in the paper; none is computed here."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.report import stats


@dataclass(frozen=True)
class Statement:
    """Share of targets that flip when fewer than (inclusive: at most) k of the class_size images of a class change."""

    kind: str  # "removal" or "mislabel"
    k: int
    shares: dict[str, float]  # method: share
    source: str
    inclusive: bool = False
    class_size: int = 5000  # CIFAR-10


# Of the profiles of the paper's own sizes: dataset, and test accuracy of the unmodified model (Paper §4.1).
SETUPS = {"paper": ("CIFAR-10", "above 92 %"), "paper_imagenet": ("ImageNet", "67 %")}
FIGURE_3 = (
    Statement("removal", 500, {"ours": 0.23, "Datamodels (10k)": 0.23, "TRAK (20)": 0.16}, "§4.2"),
    Statement("removal", 1280, {"ours": 0.55, "Datamodels (10k)": 0.31, "TRAK (20)": 0.28}, "§4.2", inclusive=True),
    Statement("mislabel", 30, {"ours": 0.47, "Datamodels (300k)": 0.50, "TRAK (100)": 0.20}, "§4.2"),
)
FIGURE_5 = (  # of 30 targets; on average, a class of ImageNet has 1281 training images
    Statement("removal", 16, {"ours": 4 / 30}, "§4.3", class_size=1281),
    Statement("removal", 130, {"ours": 16 / 30}, "§4.3", class_size=1281),
)
FIGURE_1 = {"trak": (10, 20, 100), "datamodels": (10_000, 50_000, 300_000)}  # numbers of models
TABLE_1 = {  # LDS on CIFAR-10, by method and number of models: Paper App. A.5
    "datamodels": {300_000: 0.56, 50_000: 0.43, 10_000: 0.24},
    "trak": {100: 0.22, 20: 0.15, 10: 0.12, 5: 0.08},
    "moco": {1: 0.08},
}


def table_1() -> pd.DataFrame:
    """The paper's Table 1: method, models, lds."""
    rows = [(name, models, lds) for name, column in TABLE_1.items() for models, lds in column.items()]
    return pd.DataFrame(rows, columns=["method", "models", "lds"])


def beside(
    supports: pd.DataFrame, method: str, class_size: int, statements: tuple[Statement, ...] = FIGURE_3
) -> pd.DataFrame:
    """The statements of a figure beside our share of flipped targets at the same share of the class, where computed.

    Columns: kind, share_of_class, k, here, low, high, n, then the paper's ours, rivals and source.
    """
    rows = []
    for statement in statements:
        ours = supports[(supports["kind"] == statement.kind) & (supports["method"] == method)]
        if ours.empty:
            continue
        k = statement.k * class_size // statement.class_size
        at_most = k if statement.inclusive else k - 1
        flipped = stats.flipped_by(stats.usable(ours), np.array([at_most]))[:, 0]
        low, high = stats.interval(flipped)
        rivals = [f"{name}: {share:.0%}" for name, share in statement.shares.items() if name != "ours"]
        rows.append(
            {
                "kind": statement.kind,
                "share_of_class": round(statement.k / statement.class_size, 4),
                "k": f"{'≤' if statement.inclusive else '<'} {k}",
                "here": flipped.mean(),
                "low": float(low),
                "high": float(high),
                "n": len(flipped),
                "paper": statement.shares["ours"],
                "paper_rivals": ", ".join(rivals) or "–",
                "source": f"Paper {statement.source}",
            }
        )
    return pd.DataFrame(rows)
