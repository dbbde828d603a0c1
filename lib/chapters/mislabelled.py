"""Why do few wrong labels flip so little here? By the epochs and the width of the network.

Targets, their wrong labels and the rankings stay those of the profile's own network, whatever the recipe.

supports by mislabelling, of every recipe -> `table`
margins with as many wrong labels as in the paper, of those that train for longer -> `at_few`
networks that saw these wrong labels -> `learnt`, whether they give them
"""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from lib.chapters import network
from lib.methods import DASHED, DOTTED, OURS, RANDOM, SOLID
from lib.report import paper, plots, stats
from lib.retrain import Recipe, Retraining, retrain
from lib.study import MISLABEL, Groups, Study

TIMES = (1, 2, 4)  # the profile's own epochs; and the paper's
WIDER = 2  # times the profile's own width
PAPERS = paper.FIGURE_3.select({"kind": MISLABEL, "method": "ours", "k": 30})  # "less than 30 training samples"
MOST = PAPERS.k - 1  # images
LEARNT = ("learnt", "control", "wrong")


def recipes(recipe: Recipe) -> list[Recipe]:
    """The profile's own, those that train for longer, and a wider one; in the order of what a training costs."""
    wider = replace(recipe, width=recipe.width * WIDER)
    longer = network.longer(recipe, TIMES)
    return sorted([*longer, wider], key=lambda one: (one.width**2 * one.epochs, one.epochs))


def tested(study: Study) -> pd.DataFrame:
    """The supports of ours and of random images with every recipe; see `lib.chapters.network.with_recipe`."""
    rankings = {name: study.attribution.ranking(name) for name in (OURS, RANDOM)}
    tables = [network.with_recipe(study, MISLABEL, one, rankings) for one in recipes(study.profile.recipe)]
    return pd.concat(tables, ignore_index=True)


def at_few(study: Study, each: list[Recipe], groups: Groups) -> pd.DataFrame:
    """Margins of ours without wrong labels and with MOST, of each recipe, and column epochs, its own.

    groups: positions in the study's targets that are tested together. One training per test; see `Study.margins`.
    """
    tests = [[(MISLABEL, OURS, i) for i in group] for group in groups]
    ks = [0, min(MOST, study.profile.k_max)]
    tables = [study.margins(tests, ks, n_seeds=1, recipe=one).assign(epochs=one.epochs) for one in each]
    return pd.concat(tables, ignore_index=True)


def flipped(margins: pd.DataFrame) -> pd.DataFrame:
    """The rows of `stats.fixed_k`, with column epochs. margins: of `at_few`."""
    rows = [stats.fixed_k(group).assign(epochs=epochs) for epochs, group in margins.groupby("epochs")]
    return pd.concat(rows, ignore_index=True)


def learnt(study: Study, each: list[Recipe], groups: Groups) -> pd.DataFrame:
    """For each recipe: width, epochs, stem, n (targets), fit, and the shares of LEARNT, each with its interval.

    After a training for each group of targets, in which MOST images of each target (half of k_max, where that is less)
    were given its wrong label:
    learnt, the share of these images that the network gives this label; control, the same share of as many images that
    come next in the ranking and kept their label; wrong, the share of targets that the network gets wrong. fit: the
    share of all unchanged training images that it gives their label.
    """
    rows = []
    for one in each:
        kept = _learnt_with(study, one, groups)
        row = {"width": one.width, "epochs": one.epochs, "stem": one.stem, "n": len(kept["wrong"])}
        row |= (
            {"fit": kept["fit"].mean()} | stats.mean("learnt", kept["learnt"]) | stats.mean("control", kept["control"])
        )
        rows.append(row | stats.mean("wrong", kept["wrong"], stats.share_interval))
    return pd.DataFrame(rows)


def _learnt_with(study: Study, recipe: Recipe, groups: Groups) -> dict[str, np.ndarray]:
    """LEARNT, (n_targets of all groups,) each, and fit (n_groups,), with one recipe; kept."""
    most = min(MOST, study.profile.k_max // 2)
    identity = {"network": recipe.identity, "most": most, "groups": groups}
    identity["features"] = study.profile.features("moco").identity

    def make() -> dict[str, np.ndarray]:
        each = [_learnt(study, recipe, group, most) for group in groups]
        return {name: np.concatenate([of[name] for of in each]) for name in each[0]}

    shapes = dict.fromkeys(LEARNT, (sum(map(len, groups)),)) | {"fit": (len(groups),)}
    return study.attribution.kept("learnt", identity, len(groups), make, shapes)


def _learnt(study: Study, recipe: Recipe, group: list[int], most: int) -> dict[str, np.ndarray]:
    """LEARNT, (n,) each, and fit (1,), of a network that is trained with the wrong labels of all targets of a group."""
    dataset, wrong, ranked = study.dataset, study.wrong_labels[group], study.attribution.ranking(OURS)[group]
    images, after = ranked[:, :most], ranked[:, most : 2 * most]
    labels = np.repeat(wrong, images.shape[1])
    changed = tuple(zip(images.ravel().tolist(), labels.tolist(), strict=True))
    targets = study.targets[group]
    right = np.concatenate([dataset.train_labels, dataset.test_labels[targets]])
    read = np.concatenate([dataset.train_images, dataset.test_images[targets]])
    as_test = replace(dataset, test_images=read, test_labels=right)
    given = retrain(as_test, Retraining(recipe, 0, relabelled=changed), study.driver.device).logits.argmax(axis=1)
    unchanged = np.setdiff1d(np.arange(len(dataset.train_labels)), images)
    shares = [(given[of] == wrong[:, None]).mean(axis=1) for of in (images, after)]
    missed = 1.0 * (given != right)[len(dataset.train_labels) :]
    return dict(zip(LEARNT, (*shares, missed), strict=True)) | {"fit": (given == right)[unchanged].mean(keepdims=True)}


def few(class_size: int, k_max: int) -> dict[str, int]:
    """The most images that count as the paper's: at its share of a class of that size, and at its number; at least 0.

    No more than k_max, beyond which no support is known.
    """
    of_class = -(-PAPERS.k * class_size // paper.FIGURE_3.class_size) - 1
    return {"by_share": min(of_class, k_max), "by_number": min(MOST, k_max)}


def by_few(targets: pd.DataFrame, class_size: int, k_max: int) -> dict:
    """The shares of targets that flip by as many wrong labels as `few` says, by its names, with their intervals."""
    shares = {}
    for name, k in few(class_size, k_max).items():
        yes = stats.flipped_by(targets, np.array([k]))[:, 0]
        shares |= stats.mean(name, yes, stats.share_interval)
    return shares


def table(supports: pd.DataFrame, by: list[str], k_max: int, class_size: int) -> pd.DataFrame:
    """A row for each value of the columns `by`, which come first: accuracy, n, auc with its interval, and `by_few`.

    supports: by mislabelling, with column accuracy.
    """
    rows = []
    for values, group in supports.groupby(by, sort=False):
        targets = stats.usable(group)
        row = dict(zip(by, values, strict=True)) | {"accuracy": group["accuracy"].iloc[0], "n": len(targets)}
        row |= stats.mean("auc", stats.area(targets, k_max)) | by_few(targets, class_size, k_max)
        rows.append(row)
    return pd.DataFrame(rows)


def against_own(supports: pd.DataFrame, recipe: Recipe, k_max: int) -> pd.DataFrame:
    """Ours with every other recipe against ours with the profile's own: width, epochs, and the row of `stats.paired`.

    On the targets that both get right before anything is changed. supports: of `tested`.
    """
    ours = stats.usable(supports[supports["ranking"] == OURS])
    names, rows = ours.groupby(["width", "epochs"], sort=False)["method"].first(), []
    own = names.pop((recipe.width, recipe.epochs))
    for (width, epochs), name in names.items():
        pair = ours[ours["method"].isin([own, name])]
        pair = pair[pair.groupby("target")["method"].transform("size") == 2]
        rows.append({"width": width, "epochs": epochs} | stats.paired(pair, MISLABEL, name, own, k_max))
    return pd.DataFrame(rows)


def finding(rows: pd.DataFrame, pairs: pd.DataFrame, recipe: Recipe, class_size: int, k_max: int) -> str:
    """What the page says first, in Markdown. rows, pairs: of `table` and `against_own`. recipe: the profile's own."""
    ours, most = rows[rows["ranking"] == OURS], few(class_size, k_max)
    longer, wider = (ours[(ours["width"] == recipe.width) == same] for same in (True, False))
    ends = longer.sort_values("epochs").iloc[[0, -1]]
    each = {name: by_epochs(ends, name) for name in most}
    gains = by_epochs(pairs[pairs["width"] == recipe.width], "difference")
    papers = ", the paper's number," if most["by_number"] == MOST else ""
    gain = stats.said_of(pairs[pairs["width"] != recipe.width].iloc[0], "difference")
    return (
        f"**{most['by_number']} wrong labels{papers} flip a share of targets of: {each['by_number']}. The "
        f"paper's share of a class, here {most['by_share']}, flips: {each['by_share']}.** In the paper, where the two "
        f"are the same, {PAPERS.value / paper.FIGURE_3.n:.2f} flip. AUC less that at {recipe.epochs} epochs: {gains}; "
        f"with a width of {wider['width'].iloc[0]} instead of {recipe.width}, {gain}. n = {ours['n'].min()} to "
        f"{ours['n'].max()}."
    )


def by_epochs(rows: pd.DataFrame, value: str) -> str:
    """A value with its interval for each number of epochs, for a sentence."""
    ordered = rows.sort_values("epochs").to_dict("records")
    return "; ".join(f"{row['epochs']} epochs {stats.said_of(row, value)}" for row in ordered)


def figure(supports: pd.DataFrame, recipe: Recipe, k_max: int, class_size: int, title: str) -> Figure:
    """The share of targets flipped against k, a line for each recipe: ours solid, random images dotted.

    A panel for epochs, and one for width. supports: of `tested`.
    """
    plots.style()
    drawn, axes = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained", sharey=True)
    for axis, (name, other) in zip(axes, (("epochs", "width"), ("width", "epochs")), strict=True):
        shown = stats.usable(supports[supports[other] == getattr(recipe, other)])
        values = sorted(shown[name].unique())
        for value, colour in zip(values, sns.color_palette("crest", len(values)), strict=True):
            of = shown[shown[name] == value]
            plots.cdf(axis, of[of["ranking"] == OURS], k_max, f"{name} {value}", colour, SOLID)
            plots.cdf(axis, of[of["ranking"] == RANDOM], k_max, "_", colour, DOTTED)
        for k in few(class_size, k_max).values():
            axis.axvline(k, color="black", linestyle=DASHED, linewidth=1)
        plots.of_k(axis, shown, k_max)
        axis.plot([], [], color="0.3", linestyle=DOTTED, label="random images")
        axis.plot([], [], color="black", linestyle=DASHED, linewidth=1, label="the paper's k")
        axis.set(xlabel="training images mislabelled, k", title=network.AXES[name])
        axis.legend(loc="upper left", bbox_to_anchor=(0, 0.92), fontsize=9)
    axes[0].set_ylabel("share of targets flipped")
    drawn.suptitle(title)
    return drawn
