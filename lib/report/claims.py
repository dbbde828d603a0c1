"""What the paper claims, each with what was measured here and a verdict by rule; read from the tables of the figures.

The rules: a claim that one method beats another *agrees* where the 95 % interval of their difference, paired by target,
lies above zero, *disagrees* where below, else it is *undecided*; that it does not, the other way round; that two are
alike is undecided while the interval holds zero, and else disagrees. A share agrees where the paper's lies within the
95 % interval of ours (`lib.report.stats.interval`). A ratio of costs is compared with 1.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from lib.methods import OURS
from lib.report import stats

Measure = Callable[[Path], dict]  # from the folder of the figures' tables to the columns `measured` to `verdict`
FIG_2, FIG_3, FIG_5, FIG_6, FIG_8, FIG_9, FIG_10 = (f"fig{n:02d}/claims.csv" for n in (2, 3, 5, 6, 8, 9, 10))
LDS = "table1/claims.csv"
COLUMNS = ("claim", "section", "paper", "measured", "ours", "low", "high", "n", "profile", "verdict")


@dataclass(frozen=True)
class Claim:
    """What the paper claims, where, and what it states; and how it is measured here.

    profile: the one whose results it is measured on; None: the page's.
    """

    claim: str
    section: str
    paper: str
    measure: Measure
    profile: str | None = None


VERDICTS = {  # of a claim about two methods, by the verdict that the first is better
    "better": {"agrees": "agrees", "disagrees": "disagrees", "undecided": "undecided"},
    "not better": {"agrees": "disagrees", "disagrees": "agrees", "undecided": "undecided"},
    "alike": {"agrees": "disagrees", "disagrees": "disagrees", "undecided": "undecided"},
}


def difference(table: str, claimed: str = "better", **row: str) -> Measure:
    """The difference of two methods in a table of claims, in the row whose columns begin as given.

    claimed: of the first method; a key of VERDICTS.
    """

    def measure(folder: Path) -> dict:
        found = _row(folder / table, row)
        value = "LDS" if table == LDS else "AUC"
        verdict = VERDICTS[claimed][found["verdict"]]
        return {"measured": f"difference of {value}", "ours": found["difference"]} | _interval(found, verdict)

    return measure


def loss(method: str, value: str, claimed: str = "better") -> Measure:
    """What a ranking's AUC loses on another network: all of it ("loss"), or less a random ranking's ("beyond_random").

    claimed: "better" that there is a loss, "not better" that there is none.
    """

    def measure(folder: Path) -> dict:
        row = _row(folder / "fig06" / "losses.csv", {"network": "mobilenetv2", "method": method})
        found = {key: row[f"{value}_{key}"] for key in ("low", "high")} | {"n": row["n"]}
        verdict = VERDICTS[claimed][stats.verdict(found["low"], found["high"])]
        return {"measured": f"AUC, {value.replace('_', ' ')}", "ours": row[value]} | _interval(found, verdict)

    return measure


def fall(distance: str, reference: str, claimed: str) -> Measure:
    """The difference of two distances in the fall of the margin at fixed k, over all features."""

    def measure(folder: Path) -> dict:
        found = _row(folder / "distances" / f"against_{reference}.csv", {"method": distance})
        verdict = VERDICTS[claimed][found["verdict"]]
        return {"measured": "difference of margins' fall", "ours": found["difference"]} | _interval(found, verdict)

    return measure


def monotone() -> Measure:
    """The share of targets whose flip is monotone in k; it agrees while the interval holds 1."""

    def measure(folder: Path) -> dict:
        found = _row(folder / "support" / "shares.csv", {"what": "of these: monotone"})
        return {"measured": "share monotone", "ours": found["share"]} | _interval(
            found, _holds(1.0, found["low"], found["high"])
        )

    return measure


def share(kind: str, share_of_class: float, figure: str = "fig03") -> Measure:
    """The share of targets that flip when so much of their class is changed."""

    def measure(folder: Path) -> dict:
        found = _row(folder / figure / "paper.csv", {"kind": kind, "share_of_class": str(share_of_class)})
        found_share = _interval(found, _holds(found["paper"], found["low"], found["high"]))
        return {"measured": f"share flipped, k {found['k']}", "ours": found["here"]} | found_share

    return measure


def count(outcome: str, paper: float, **row: str) -> Measure:
    """The share of targets on which our support is smaller than a rival's, or equal."""

    def measure(folder: Path) -> dict:
        found = _row(folder / "fig04" / "claims.csv", row)
        share = stats.share(np.arange(found["n"]) < found[outcome])
        verdict = _holds(paper, share["low"], share["high"])
        return {"measured": f"share of targets {outcome}", "ours": share["share"]} | _interval(share, verdict)

    return measure


def cost(rival: str, what: str) -> Measure:
    """How many times ours a rival costs, with as many models as the paper gave it."""

    def measure(folder: Path) -> dict:
        ratio = _row(folder / "fig01" / "scaled.csv", {"method": rival})[f"times_our_{what}"]
        return {"measured": f"its {what} over ours", "ours": ratio, "verdict": "agrees" if ratio > 1 else "disagrees"}

    return measure


def table(folder: Path, profile: str) -> pd.DataFrame:
    """Every claim, a row each; see COLUMNS. folder: of the figures' tables, under results/.

    Verdict "not measured": the profile lacks what a claim is about, or is another one that has not been run. Raises
    FileNotFoundError where a figure of this one is missing.
    """
    rows = []
    for claim in CLAIMS:
        measured = {"verdict": "not measured"}
        with suppress(LookupError, *([FileNotFoundError] if claim.profile else [])):
            measured = claim.measure(folder.parent / claim.profile if claim.profile else folder)
        row = {"claim": claim.claim, "section": claim.section, "paper": claim.paper}
        rows.append(row | {"profile": claim.profile or profile} | measured)
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"n": "Int64"})


def _row(path: Path, values: dict[str, str]) -> dict:
    """The first row whose columns are the values or, if none is, begin with them. LookupError where there is none."""
    rows = pd.read_csv(path)
    for column, value in values.items():
        found = rows[column].astype(str)
        rows = rows[found == value if value in set(found) else found.str.startswith(value)]
    return rows.iloc[0].to_dict()


def _holds(paper: float, low: float, high: float) -> str:
    return "agrees" if low <= paper <= high else "disagrees"


def _interval(found: dict, verdict: str) -> dict:
    return {key: found[key] for key in ("low", "high", "n")} | {"verdict": verdict}


FEATURES = (
    ("moco", "MoCo's"),
    ("byol", "BYOL's"),
    ("simclr", "SimCLR's"),
    ("dino", "DINO's"),
    ("supervised", "supervised"),
)
CLAIMS = (
    Claim(
        "MoCo's features find smaller removal supports than supervised ones",
        "§3.1, Fig. 2",
        "smaller",
        difference(FIG_2, kind="removal", better="moco_l2", worse="supervised_l2"),
    ),
    Claim(
        "the exemplar SVM finds smaller removal supports than L2",
        "§3.1, Fig. 2",
        "smaller",
        difference(FIG_2, kind="removal", better=OURS, worse="moco_l2"),
    ),
    Claim("removing less than 10 % of the class flips", "§4.2, Fig. 3", "23 %", share("removal", 0.1)),
    Claim("removing up to 25.6 % of the class flips", "§4.2, Fig. 3", "55 %", share("removal", 0.256)),
    Claim("mislabelling less than 0.6 % of the class flips", "§4.2, Fig. 3", "47 %", share("mislabel", 0.006)),
    Claim(
        "ours finds smaller removal supports than TRAK (20)",
        "§4.2, Fig. 3",
        "smaller",
        difference(FIG_3, kind="removal", worse="trak"),
    ),
    Claim(
        "ours finds smaller removal supports than Datamodels (10k)",
        "§4.2, Fig. 3",
        "smaller",
        difference(FIG_3, kind="removal", worse="datamodels"),
    ),
    Claim(
        "ours finds smaller mislabelling supports than TRAK (100)",
        "§4.2, Fig. 3",
        "smaller",
        difference(FIG_3, kind="mislabel", worse="trak"),
    ),
    Claim(
        "ours finds mislabelling supports as small as Datamodels' (300k)",
        "§4.2, Fig. 3",
        "nearly the same",
        difference(FIG_3, claimed="alike", kind="mislabel", worse="datamodels"),
    ),
    Claim(
        "our removal support is smaller than Datamodels' (50k)",
        "§4.2, Fig. 4",
        "16 % of targets",
        count("smaller", 0.16, kind="removal", worse="datamodels"),
    ),
    Claim(
        "our removal support equals Datamodels' (50k)",
        "§4.2, Fig. 4",
        "44 % of targets",
        count("equal", 0.44, kind="removal", worse="datamodels"),
    ),
    Claim(
        "our removal support equals TRAK's",
        "§4.2, Fig. 4",
        "44 % of targets",
        count("equal", 0.44, kind="removal", worse="trak"),
    ),
    Claim(
        "our mislabelling support is smaller than Datamodels' (300k)",
        "§4.2, Fig. 4",
        "32 % of targets",
        count("smaller", 0.32, kind="mislabel", worse="datamodels"),
    ),
    Claim(
        "our mislabelling support is smaller than TRAK's (100)",
        "§4.2, Fig. 4",
        "79 % of targets",
        count("smaller", 0.79, kind="mislabel", worse="trak"),
    ),
    *(
        Claim(
            f"on ImageNet, ours finds smaller removal supports than TRAK ({models})",
            "§4.3, Fig. 5",
            "smaller",
            difference(FIG_5, worse=f"trak:{models}"),
            "imagenet",
        )
        for models in (1, 4)
    ),
    *(
        Claim(
            f"on ImageNet, removing fewer than {k} images flips",
            "§4.3, Fig. 5",
            f"{n} of 30 targets",
            share("removal", round(k / 1281, 3), "fig05"),
            "imagenet",
        )
        for k, n in ((16, 4), (130, 16))
    ),
    Claim(
        "BYOL's features find smaller removal supports than supervised ones",
        "App. A.2, Fig. 8",
        "smaller",
        difference(FIG_8, kind="removal", better="byol_l2", worse="supervised_l2"),
    ),
    Claim(
        "SimCLR's features find smaller removal supports than supervised ones",
        "App. A.2, Fig. 8",
        "smaller",
        difference(FIG_8, kind="removal", better="simclr_l2", worse="supervised_l2"),
    ),
    Claim(
        "DINO's features find no smaller removal supports than supervised ones",
        "App. A.2, Fig. 8",
        "not smaller",
        difference(FIG_8, claimed="not better", kind="removal", better="dino_l2", worse="supervised_l2"),
    ),
    *(
        Claim(
            f"with {name} features, the exemplar SVM finds smaller removal supports than L2",
            "App. A.2, Fig. 8",
            "smaller",
            difference(FIG_8, kind="removal", better=f"{features}_esvm", worse=f"{features}_l2"),
        )
        for features, name in FEATURES[1:]
    ),
    *(
        Claim(
            f"with {name} features, the exemplar SVM finds smaller mislabelling supports than L2",
            "App. A.2, Fig. 9",
            "smaller",
            difference(FIG_9, kind="mislabel", better=f"{features}_esvm", worse=f"{features}_l2"),
        )
        for features, name in FEATURES
    ),
    *(
        Claim(
            f"MoCo's features find smaller {word} supports than {name}",
            f"§3.1, Fig. {number}",
            "smaller",
            difference(figure, kind=kind, better=OURS, worse=f"{features}_esvm"),
        )
        for kind, word, figure, number in (("removal", "removal", FIG_8, 8), ("mislabel", "mislabelling", FIG_9, 9))
        for features, name in FEATURES[1:-1]
    ),
    *(
        Claim(
            f"{word} images of the target's class is more effective than {word} images of all classes",
            "App. A.3, Fig. 10",
            "more effective",
            difference(FIG_10, kind=kind, better=OURS, worse=f"{OURS}:all"),
        )
        for kind, word in (("removal", "removing"), ("mislabel", "mislabelling"))
    ),
    *(
        Claim(
            f"on MobileNetV2, ours finds smaller removal supports than {name}",
            "§4.4, Fig. 6",
            "smaller",
            difference(FIG_6, network="mobilenetv2", worse=rival),
        )
        for rival, name in (("trak", "TRAK (100)"), ("datamodels", "Datamodels (50k)"))
    ),
    *(
        Claim(
            f"{name} rankings of ResNet-9 lose much of their worth on MobileNetV2",
            "§4.4, Fig. 6",
            "large degradation",
            loss(rival, "beyond_random"),
        )
        for rival, name in (("trak", "TRAK's"), ("datamodels", "Datamodels'"))
    ),
    Claim(
        "our ranking keeps its worth on MobileNetV2",
        "§4.4, Fig. 6",
        "keeps",
        loss(OURS, "beyond_random", claimed="not better"),
    ),
    *(
        Claim(
            f"{name} measures similarity as L2 does",
            "§3.1",
            "similar",
            fall(distance, "l2", claimed="alike"),
        )
        for distance, name in (("cosine", "cosine distance"), ("mahalanobis", "Mahalanobis distance"))
    ),
    Claim(
        "over nine sets of features, the exemplar SVM finds what matters more than L2 does",
        "§3.1, App. A.2",
        "in all cases",
        fall("esvm", "l2", claimed="better"),
    ),
    Claim("flipping is monotone in k, as bisection needs", "App. A.4", "assumed", monotone()),
    Claim("ours takes less time than TRAK (20)", "§1, Fig. 1", "less", cost("trak:20", "seconds")),
    Claim("ours takes less time than TRAK (100)", "§1, Fig. 1", "less", cost("trak:100", "seconds")),
    Claim("ours takes less time than Datamodels (300k)", "§1, Fig. 1", "less", cost("datamodels:300000", "seconds")),
    Claim("ours stores less than TRAK (100)", "§1, Fig. 1", "less", cost("trak:100", "bytes")),
    Claim("ours stores less than Datamodels (300k)", "§1, Fig. 1", "less", cost("datamodels:300000", "bytes")),
    Claim(
        "the LDS of ours is below that of TRAK (20)",
        "App. A.5, Table 1",
        "0.08 and 0.15",
        difference(LDS, claimed="not better", better="moco", worse="trak:20"),
    ),
    Claim(
        "the LDS of ours is below that of Datamodels (10k)",
        "App. A.5, Table 1",
        "0.08 and 0.24",
        difference(LDS, claimed="not better", better="moco", worse="datamodels:2000"),
    ),
    Claim(
        "the LDS of ours is that of TRAK (5)",
        "App. A.5, Table 1",
        "0.08 and 0.08",
        difference(LDS, claimed="alike", better="moco", worse="trak:5"),
    ),
)
CLAIMS += tuple(
    replace(claim, claim=f"on CIFAR-10, {claim.claim}", profile="cifar10")
    for claim in CLAIMS
    if claim.section.endswith(("Fig. 2", "Fig. 3"))
)
