"""What a ridge does to TRAK: its rankings and LDS over the dimensions of its projection and over damping.

All settings look into the same networks and the same gradients: a projection to fewer dimensions is the first columns
of the largest. What is good for the LDS is read from test images that are no targets, so that no setting is chosen by
what it is then tested with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from tqdm import tqdm

from lib import distances
from lib.data import one_thread
from lib.lds import lds
from lib.methods import OURS, RANDOM
from lib.report import plots, stats
from lib.rivals import networks, trak
from lib.study import MISLABEL, REMOVAL, Study

PAPER_SHARE = trak.PAPER_SHARE
SHARES = (0.05, 0.1, 0.2, PAPER_SHARE, 0.6, 0.9)
DAMPINGS = (0.01, 0.1, 1.0, 10.0)  # of the paper's share, in units of the mean eigenvalue
SETTINGS = (*product(SHARES, (0.0,)), *product((PAPER_SHARE,), DAMPINGS))  # (share, damping)


@dataclass(frozen=True)
class Compared:
    """settings: shares and dampings. kinds: of supports. n_lds: held-out models that the LDS is read from, at most."""

    settings: tuple[tuple[float, float], ...]
    kinds: tuple[str, ...]
    n_lds: int


GREY = Compared(SETTINGS, (REMOVAL, MISLABEL), 300)
COLOUR = Compared(((PAPER_SHARE, 0.0),), (REMOVAL,), 40)  # ten times as long: the paper's setting
SAID = {  # of which settings the page speaks, in words
    (PAPER_SHARE, 0.0): f"Undamped, at the paper's share of dimensions, {PAPER_SHARE}",
    (PAPER_SHARE, 1.0): "With the ridge whose LDS is best",
    (0.9, 0.0): "More dimensions without a ridge, a share of 0.9",
    (0.1, 0.0): "Fewer without a ridge, a share of 0.1",
}
FREE = 5  # test images of each class, none of them a target


def name(share: float, damping: float) -> str:
    """Of a setting, in tables."""
    return f"trak share {share:g} damping {damping:g}"


def compared(study: Study) -> Compared:
    """What is compared on the dataset of a study."""
    return GREY if study.dataset.train_images.shape[1] == 1 else COLOUR


def free_images(study: Study) -> np.ndarray:
    """Test ids, ascending: FREE of each class at random, none of them a target."""
    labels, rng = study.dataset.test_labels, np.random.default_rng(0)
    free = np.setdiff1d(np.arange(len(labels)), study.targets)
    of_class = [free[labels[free] == label] for label in range(len(study.dataset.class_names))]
    return np.sort(np.concatenate([rng.permutation(ids)[:FREE] for ids in of_class]))


def grid(study: Study, n_networks: int) -> dict[str, np.ndarray]:
    """Of each setting `compared`, kept among the study's scores: what TRAK with so many networks ranks and predicts.

    ranking: (n_settings, n_targets, k_max) train ids of the target's class. lds: (n_settings, n_targets). lds_free:
    (n_settings, n_free), of `free_images`.
    """
    attribution, settings, held_out = study.attribution, compared(study).settings, _held_out(study)
    identity = {
        "settings": settings,
        "k_max": study.profile.k_max,
        "lds_models": [held_out.start, held_out.stop],
    }

    def stand_in() -> dict[str, np.ndarray]:
        random, shuffled = attribution.ranking(RANDOM), map(np.random.default_rng, range(len(settings)))
        rankings = [random[:, rng.permutation(study.profile.k_max)] for rng in shuffled]
        zeros = {key: np.zeros((len(settings), len(study.targets))) for key in ("lds", "lds_free")}
        return {"ranking": np.stack(rankings)} | zeros

    return attribution.kept("trak_grid", identity, n_networks, lambda: _grid(study, n_networks), stand_in)


def _grid(study: Study, n_networks: int) -> dict[str, np.ndarray]:
    dataset, n_targets = study.dataset, len(study.targets)
    images = np.concatenate([study.targets, free_images(study)])
    masks, margins = study.attribution.subset_margins(_held_out(study))
    own_class = dataset.test_labels[study.targets][:, None] == dataset.train_labels
    rows = []
    for scores in _scores(study, images, n_networks):
        of_each = lds(scores, masks, margins[:, images])
        own = np.where(own_class, scores[:n_targets], -np.inf)
        ranking = distances.ranking(own, study.profile.k_max)
        rows.append({"ranking": ranking, "lds": of_each[:n_targets], "lds_free": of_each[n_targets:]})
    return {key: np.stack([row[key] for row in rows]) for key in rows[0]}


def _held_out(study: Study) -> range:
    return study.attribution.held_out[: compared(study).n_lds]


def _scores(study: Study, images: np.ndarray, n_networks: int) -> list[np.ndarray]:
    """Scores (n_images, n_train) of each setting `compared` for test images by their ids."""
    dataset, device, settings = study.dataset, study.driver.device, compared(study).settings
    dimensions = [round(share * len(dataset.train_labels)) for share, _ in settings]
    inputs = networks.inputs(dataset, images, device)
    products = np.zeros((len(settings), len(images), len(dataset.train_labels)), dtype=np.float32)
    weights = np.zeros(len(dataset.train_labels), dtype=np.float32)
    trainings = networks.trainings(dataset, study.profile.recipe, n_networks, halves=True)
    with one_thread(device):
        for i, training in enumerate(tqdm(trainings, desc="networks", unit="network", delay=5, mininterval=5)):
            net = networks.trained(dataset, training, device)
            train, targets, weight = trak.projected(net, replace(inputs, network=i), max(dimensions))
            weights += weight
            for total, d, (_, damping) in zip(products, dimensions, settings, strict=True):
                total += trak.inner_products(train[:, :d], targets[:, :d], damping)
    return list(products * weights)


def in_words(pair: Mapping) -> str:
    """The difference of a row of `stats.paired`, its interval and n, for a sentence."""
    return f"{stats.said_of(pair, 'difference')}, n = {pair['n']}"


def table(settings: Sequence[tuple], lds_free: np.ndarray, supports: pd.DataFrame, k_max: int) -> pd.DataFrame:
    """A row for each setting: share, damping, lds (of `free_images`), and for each kind of support its AUC.

    lds_free: of `grid`. supports: of `Study.supports`, of the settings by `name` and of OURS. Each value with _low and
    _high; against_KIND is the AUC of ours less it, paired by target.
    """
    areas = stats.summary(supports, k_max).set_index(["kind", "method"])
    rows = []
    for (share, damping), of_free in zip(settings, lds_free, strict=True):
        row = {"share": share, "damping": damping, "n_free": len(of_free)} | stats.mean("lds", of_free)
        for kind in supports["kind"].unique():
            this = areas.loc[kind, name(share, damping)]
            row |= {f"{kind}{key}": this[f"auc{key}"] for key in ("", "_low", "_high")}
            pair = stats.paired(supports, kind, OURS, name(share, damping), k_max)
            row |= {f"against_{kind}": pair["difference"], f"against_{kind}_low": pair["low"]}
            row |= {f"against_{kind}_high": pair["high"], "n": pair["n"]}
        rows.append(row)
    return pd.DataFrame(rows)


def said(rows: pd.DataFrame, share: float, damping: float, value: str) -> str:
    """A value of a setting with its interval, for a sentence. rows: of `table`."""
    [row] = rows[(rows["share"] == share) & (rows["damping"] == damping)].to_dict("records")
    return stats.said_of(row, value)


def together(rows: pd.DataFrame) -> str:
    """Whether LDS and supports order the settings alike, a sentence. rows: of `table`."""
    words = []
    for kind in (REMOVAL, MISLABEL):
        if kind in rows and len(rows) > 2:
            of = stats.correlated(rows["lds"].to_numpy(), rows[kind].to_numpy())
            words.append(f"{kind} {stats.said(of['ours'], of['low'], of['high'])}")
    return f"Over the {len(rows)} settings, the rank correlation of LDS and AUC is {', '.join(words) or 'not known'}."


def findings(rows: pd.DataFrame) -> str:
    """A line of Markdown for each of SAID among the rows of `table`."""
    present, lines = set(zip(rows["share"], rows["damping"], strict=True)), []
    by = {"against_removal": "by removal", "against_mislabel": "by mislabelling"}
    for setting, words in SAID.items():
        if setting in present:
            areas = [f"{said(rows, *setting, key)} {kind}" for key, kind in by.items() if key in rows]
            lines.append(f"- **{words}**: {', '.join(areas)}; LDS {said(rows, *setting, 'lds')}.")
    counts = rows[["n", "n_free"]].max()
    of = [f"\n{counts['n']} targets; the LDS is on {counts['n_free']} images that are not targets."] if lines else []
    return "\n".join(lines + of)


def figure(rows: pd.DataFrame, title: str) -> Figure:
    """LDS, and AUC of ours less that of TRAK, over the share of dimensions; damped settings beside their undamped one.

    rows: of `table`. Bars are 95 % intervals over images.
    """
    panels = {"lds": "LDS of TRAK", "against_removal": "AUC of removal, ours less TRAK"}
    panels |= {"against_mislabel": "AUC of mislabelling, ours less TRAK"}
    panels = {value: label for value, label in panels.items() if value in rows}
    plots.style()
    drawn, axes = plt.subplots(1, len(panels), figsize=(10, 3.4), layout="constrained")
    for axis, (value, label) in zip(axes, panels.items(), strict=True):
        for i, (damping, group) in enumerate(rows.groupby("damping")):
            x = group["share"] * 1.06**i  # beside each other
            shown = f"damping {damping:g}" if damping else "undamped"
            axis.errorbar(
                x, group[value], plots.span(group, value), marker="o", ls="-" if not damping else "", label=shown
            )
        axis.axhline(0, color="0.5", lw=1)
        axis.axvline(PAPER_SHARE, color="0.8", lw=1, ls=":")
        axis.set(xscale="log")
        axis.set_title(label, fontsize=11)
        axis.set_xticks(SHARES, [f"{share:g}" for share in SHARES], fontsize=9)
        axis.minorticks_off()
    axes[0].legend(fontsize="small")
    drawn.supxlabel("dimensions per training image")
    drawn.suptitle(title)
    return drawn
