"""Who names the images that carry a patch, and whose removal repairs: the tables, figure and words of `shortcuts`."""

from collections.abc import Iterable

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib.chapters import shortcuts
from lib.chapters.shortcuts import BACKDOOR, CARRIERS, FEATURES, METHODS, SHARES, SHORTCUT
from lib.methods import GREY, OURS, RANDOM, RED, label
from lib.report import plots, stats
from lib.study import Study

NOTHING, AGAIN = "nothing", "nothing, from other seeds"
OWN, TRAK = f"own_l2:{shortcuts.NETWORKS}", f"trak:{shortcuts.NETWORKS}"
SHOWN = OURS, TRAK  # in pictures


def table(attacks: dict[str, dict[str, np.ndarray]], checks: dict[str, dict[str, np.ndarray]]) -> pd.DataFrame:
    """A row for each attack and what is removed. attacks, checks: of `attacked` and `controls`, by name.

    Columns: attack, method, n (targets), repaired (share of the targets that are right again), accuracy (of the test
    images without the patch), auroc and precision of naming the carriers (chance for RANDOM; missing where nothing is
    ranked), unpatched, the AUROC without a patch anywhere (by FEATURES); each but accuracy with _low and _high.
    """
    rows = []
    for attack, of in attacks.items():
        check, outcomes = checks[attack], list(zip(of["repaired"], of["accuracy"], strict=True))
        outcomes.insert(1, (check["repaired"], float(check["accuracy"])))
        for method, (right, accuracy) in zip((NOTHING, AGAIN, CARRIERS, *METHODS, RANDOM), outcomes, strict=True):
            row = {"attack": attack, "method": label(method), "n": len(of["targets"])}
            row |= stats.mean("repaired", right > 0.5, stats.share_interval) | {"accuracy": accuracy}
            if method in METHODS:
                for value in ("auroc", "precision"):
                    row |= stats.mean(value, of[value][METHODS.index(method)])
            if method in FEATURES:
                row |= stats.mean("unpatched", check["auroc"][list(FEATURES).index(method)])
            if method == RANDOM:
                row |= {"auroc": 0.5, "precision": float(check["chance"])}
            rows.append(row)
    return pd.DataFrame(rows)


def strip(study: Study, attacks: dict[str, dict[str, np.ndarray]]) -> np.ndarray:
    """The first target of each attack and the first ten images by each of SHOWN: one picture, (4 h, 11 w, c)."""
    rows = []
    for attack, of in attacks.items():
        images, target = shortcuts.planted(study.dataset, attack)[0].train_images, of["targets"][:1].astype(int)
        for method in SHOWN:
            first = images[of["first"][METHODS.index(method)].astype(int)]
            rows.append(np.concatenate([shortcuts.stamped(study.dataset.test_images[target]), first]))
    return np.concatenate([np.concatenate(row.transpose(0, 2, 3, 1), axis=1) for row in rows])


def figure(rows: pd.DataFrame, check: pd.DataFrame, shown: np.ndarray, title: str) -> Figure:
    """Who names the carriers, what removing them repairs, and the randomisation check.

    rows, check, shown: of `table`, `lib.chapters.randomised.table` and `strip`. Bars are 95 % intervals over targets.
    """
    plots.style()
    drawn, panels = plt.figure(figsize=(10.5, 15), layout="constrained"), [["s", "b"], ["t", "c"], ["check"] * 2]
    axes = drawn.subplot_mosaic([*panels, ["strip"] * 2], height_ratios=(1, 1.25, 0.8, 1.3))
    for column, (attack, of) in zip(("st", "bc"), rows.groupby("attack", sort=False), strict=True):
        above, below = (axes[key] for key in column)
        named = of.dropna(subset=["auroc"])
        plots.points(above, named, "auroc", named["method"])
        above.axvline(0.5, color="0.5", lw=1, ls=":")
        plots.points(below, of, "repaired", of["method"])
        above.set(title=f"{attack}, n = {of['n'].iloc[0]} targets", xlabel="AUROC of naming the carriers")
        below.set(title=f"{attack}, the same targets", xlabel="share right again after the removal")
    for value, colour in (("seed", GREY), ("labels", RED)):
        plots.points(axes["check"], check, value, check["method"], colour)
    words = f"networks of another seed (grey), of shuffled labels (red); n = {check['n'].iloc[0]} targets"
    axes["check"].set(title=words, xlabel="rank correlation with the scores by the first network", xlim=(-0.5, 1.03))
    axes["strip"].imshow(shown.squeeze(), cmap="gray", interpolation="nearest")
    ticks, names = (np.arange(4) + 0.5) * len(shown) / 4, [f"{a}: {label(m)}" for a in SHARES for m in SHOWN]
    axes["strip"].set_yticks(ticks, names)
    axes["strip"].set(xticks=[], title="a target (left) and the ten images that each puts first")
    axes["strip"].grid(False)
    for key, axis in axes.items():
        axis.title.set_fontsize(10)
        axis.tick_params(labelsize=9)
        axis.set_xlim(*((-0.03, 1.03) if key in "stbc" else axis.get_xlim()))
    drawn.suptitle(title)
    return drawn


def number(rows: pd.DataFrame, attack: str, value: str, method: str) -> str:
    """A value of a method with its interval, for a sentence. rows: of `table`."""
    row = rows[(rows["attack"] == attack) & (rows["method"] == label(method))].iloc[0]
    return stats.said_of(row, value)


def listed(rows: pd.DataFrame, attack: str, value: str, methods: Iterable[str]) -> str:
    """The same of several methods."""
    return ", ".join(f"{label(name)} {number(rows, attack, value, name)}" for name in methods) or "none"


def finding(rows: pd.DataFrame) -> str:
    """The page's first line, in Markdown. rows: of `table`."""
    parts = [f"in the {attack} {listed(rows, attack, 'auroc', (OWN, TRAK, OURS))}" for attack in SHARES]
    heads = [
        f"in the {attack} {listed(rows, attack, 'precision', ('pixels_l2', OWN, TRAK, OURS))}" for attack in SHARES
    ]
    return (
        f"**Which images carry the patch that fools a network? AUROC {'; '.join(parts)} "
        f"(n = {rows['n'].min()} targets each; chance 0.5).** The share of carriers among the first "
        f"{shortcuts.FIRST} images: {'; '.join(heads)}."
    )


def below_chance(rows: pd.DataFrame) -> str:
    """Who has fewer carriers among the first images than images at random, a sentence. rows: of `table`."""
    parts = []
    for attack, of in rows.groupby("attack", sort=False):
        chance = of.loc[of["method"] == label(RANDOM), "precision"].iloc[0]
        fewer = of["method"][of["precision_high"] < chance]
        parts.append(f"in the {attack} (chance {chance:.2f}) {listed(rows, attack, 'precision', fewer)}")
    return f"Fewer carriers among the first {shortcuts.FIRST} than by chance: {'; '.join(parts)}."


def of_nothing(rows: pd.DataFrame) -> str:
    """What is right again with nothing removed, a sentence. rows: of `table`."""
    right = [f"{number(rows, attack, 'repaired', AGAIN)} of the {attack}'s" for attack in SHARES]
    return (
        f"*{NOTHING}* is 0 by construction: its two trainings chose the targets. With nothing removed, two trainings "
        f"from other seeds get a share of {right[0]} targets right, and {right[1]}: compare other rows with that."
    )


def of_unpatched(rows: pd.DataFrame) -> str:
    """What exemplar SVMs name without a patch, a sentence. rows: of `table`."""
    svms = [method for method in FEATURES if method.endswith("_esvm")]
    without, patched = (listed(rows, BACKDOOR, value, svms) for value in ("unpatched", "auroc"))
    return (
        f"Where no image has the patch, and labels stay as they were planted, the AUROC of naming the same images in "
        f"the {BACKDOOR} is {without}; with the patch {patched}. In the {SHORTCUT}, without: "
        f"{listed(rows, SHORTCUT, 'unpatched', svms)}."
    )
