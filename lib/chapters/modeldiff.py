"""Two ways of training compared by what they learn from which images: ModelDiff (Shah et al. 2022, arXiv 2211.12491).

    networks of either algorithm -> TRAK of the same test images -> what one has beyond the other, image by image
    -> principal components of that: directions among the training images -> pictures -> a transformation -> its effect

Each algorithm is compared with itself too, by networks of other seeds and halves: what a difference is measured by.
"""

from collections import Counter
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import bootstrap

from lib.chapters import transformed
from lib.data import one_thread
from lib.methods import BLUE, GREY, RED
from lib.report import plots, stats
from lib.retrain import Recipe
from lib.rivals import ensembles, networks
from lib.study import Study

PLAIN, AUGMENTED, OTHER = "plain", "augmented", "MobileNetV2"
N_TEST, TEST_SEED = 300, 2211  # test images, at random of all
NETWORKS, FEWER = 5, 3  # of a group, at most; of the other network, which costs more
COMPONENTS, SHOWN = 2, 10  # of a comparison; images in a row of pictures
ROWS = "test images", "largest weights", "smallest weights"


def algorithms(study: Study) -> dict[str, Recipe]:
    """The recipe of each: the profile's without any augmentation, with the paper's, and its first other network's."""
    bare = {"flip": False, "translate": 0, "cutout": 0}
    plain = replace(study.profile.recipe, **bare)
    recipes = {PLAIN: plain, AUGMENTED: replace(plain, flip=True, translate=Recipe.translate, cutout=Recipe.cutout)}
    if study.profile.transfer:
        recipes[OTHER] = replace(study.profile.transfer[0], **bare)
    return recipes


def pairs(names: list[str]) -> list[tuple[str, str]]:
    """Which algorithm is compared with which: each with itself, then the first with each other in both directions."""
    return [(one, one) for one in names] + [pair for b in names[1:] for pair in ((names[0], b), (b, names[0]))]


def tested(study: Study) -> np.ndarray:
    """Test ids (n,), ascending."""
    n = len(study.dataset.test_labels)
    return np.sort(np.random.default_rng(TEST_SEED).permutation(n)[:N_TEST])


def n_networks(study: Study, name: str) -> int:
    """Of an algorithm in each of its two groups."""
    return min(FEWER if name == OTHER else NETWORKS, study.profile.ensembles[-1])


def attributions(study: Study, name: str, group: int) -> np.ndarray:
    """TRAK of the tested images by one of an algorithm's two groups: (n_test, n_train) float32, rows of length 1."""
    recipe, n = algorithms(study)[name], n_networks(study, name)
    device, rival = study.driver.device, ensembles.RIVALS["trak"]
    inputs = networks.inputs(study.dataset, tested(study), device)
    trainings = networks.trainings(study.dataset, recipe, 2 * n, halves=True)

    def of(number: int) -> np.ndarray:
        looked = trainings[number], replace(inputs, network=number)
        return networks.scored(rival, study.dataset, *looked, device, **study.profile.trak)

    with one_thread(device):
        *_, scores = rival.combine(map(of, range(group * n, (group + 1) * n)))
    return scores / np.linalg.norm(scores, axis=1, keepdims=True)


def distinguishing(one: np.ndarray, other: np.ndarray) -> dict[str, np.ndarray]:
    """What one algorithm has beyond the other. one, other: attributions (n_test, n_train), rows of length 1.

    cosine (n_test,); components (k, n_train) of the residuals, the image that lies farthest along one on its positive
    side; projections (n_test, k) of the residuals on them; residual (k,), the share of their squares. Not centred.
    """
    cosine = (one * other).sum(axis=1)
    residual = one - cosine[:, None] * other
    components = np.linalg.svd(residual, full_matrices=False)[2][:COMPONENTS]
    projections = residual @ components.T
    signs = np.sign(np.take_along_axis(projections, np.abs(projections).argmax(axis=0)[None], axis=0))[0]
    share = (projections**2).sum(axis=0) / (residual**2).sum()
    arrays = {"cosine": cosine, "components": components * signs[:, None], "projections": projections * signs}
    return {key: of.astype(np.float32) for key, of in (arrays | {"residual": share}).items()}


def compared(study: Study) -> dict[str, np.ndarray]:
    """`distinguishing` of each of `pairs`, stacked, with the first component alone; kept. The first group of one
    against the second of the other.

    squares: (n_pairs, 4, n_test, k), of the attributions along the components: by the groups of one and of the other
    that were compared, then by the groups that were not. A group of either algorithm has the same halves and seeds.
    """
    recipes = algorithms(study)
    asked, n = pairs(list(recipes)), {name: n_networks(study, name) for name in recipes}

    def make() -> dict[str, np.ndarray]:
        scores = {(name, group): attributions(study, name, group) for name in recipes for group in (0, 1)}
        rows = []
        for one, other in asked:
            of = distinguishing(scores[one, 0], scores[other, 1])
            looked = [scores[key] for key in ((one, 0), (other, 1), (one, 1), (other, 0))]
            squares = np.stack([(each @ of["components"].T) ** 2 for each in looked])
            rows.append(of | {"components": of["components"][:1], "squares": squares})
        return {key: np.stack([row[key] for row in rows]) for key in rows[0]}

    n_test, n_train, k = len(tested(study)), len(study.dataset.train_labels), COMPONENTS
    shapes = {"cosine": (n_test,), "components": (1, n_train), "projections": (n_test, k), "residual": (k,)}
    shapes = {key: (len(asked), *shape) for key, shape in (shapes | {"squares": (4, n_test, k)}).items()}
    identity = {"recipes": {name: recipe.identity for name, recipe in recipes.items()}, "components": COMPONENTS}
    identity |= {"tests": tested(study).tolist(), "trak": study.profile.trak, "networks": n}
    return study.attribution.kept("modeldiff", identity, 2 * sum(n.values()), make, shapes)


def cosines(of: dict[str, np.ndarray], names: list[str]) -> pd.DataFrame:
    """A row for each algorithm with itself, and for the first with each other.

    Columns: one, other, n (test images), cosine of their attributions (by both pairs of groups); corrected, divided by
    the root of the product of what each has with itself. With intervals over test images. Source: Spearman 1904.
    """
    by, rows = dict(zip(pairs(names), of["cosine"], strict=True)), []
    for one, other in [(name, name) for name in names] + [(names[0], name) for name in names[1:]]:
        cosine = (by[one, other] + by[other, one]) / 2
        row = {"one": one, "other": other, "n": len(cosine)} | stats.mean("cosine", cosine)
        if one != other:
            own = by[one, one], by[other, other]
            spread = bootstrap((cosine, *own), corrected, paired=True, rng=0, n_resamples=stats.RESAMPLES)
            low, high = spread.confidence_interval
            row |= {"corrected": corrected(cosine, *own), "corrected_low": low, "corrected_high": high}
        rows.append(row)
    return pd.DataFrame(rows)


def corrected(cosine: np.ndarray, one: np.ndarray, other: np.ndarray, axis: int = -1) -> np.ndarray:
    """The mean cosine of two algorithms, if each were known without noise. one, other: of each with itself."""
    return cosine.mean(axis=axis) / np.sqrt((one.mean(axis=axis) * other.mean(axis=axis)).clip(min=1e-12))


def components(of: dict[str, np.ndarray], names: list[str]) -> pd.DataFrame:
    """A row for each of `pairs` and component.

    Columns: of, beyond (the other algorithm), component, n; residual, the share of the residuals' squares along it; own
    and others, that of the attributions it comes from; own anew and others anew, of the groups that were not compared,
    and gap, their difference, with its interval over test images. An algorithm against itself has no groups left.
    """
    rows = []
    for i, (one, other) in enumerate(pairs(names)):
        for k in range(COMPONENTS):
            own, others, own_anew, others_anew = of["squares"][i, :, :, k]
            row = {"of": one, "beyond": other, "component": k + 1, "n": len(own), "residual": of["residual"][i, k]}
            row |= {"own": own.mean(), "others": others.mean()}
            if one != other:
                row |= {"own anew": own_anew.mean(), "others anew": others_anew.mean()}
                row |= stats.mean("gap", own_anew - others_anew)
            rows.append(row)
    return pd.DataFrame(rows)


def pictured(study: Study, of: dict[str, np.ndarray], i: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Images (SHOWN, c, h, w) and labels of the first component of a pair: test images that lie farthest along it,
    training images of the largest weight and of the smallest.
    """
    dataset, weights = study.dataset, np.argsort(of["components"][i, 0], kind="stable")
    tests = tested(study)[np.argsort(-of["projections"][i, :, 0], kind="stable")[:SHOWN]]
    rows = [(dataset.test_images[tests], dataset.test_labels[tests])]
    return rows + [(dataset.train_images[x], dataset.train_labels[x]) for x in (weights[::-1][:SHOWN], weights[:SHOWN])]


def classes(study: Study, of: dict[str, np.ndarray], names: list[str]) -> pd.DataFrame:
    """A row for two different algorithms in either direction: of which classes `pictured` are, and how many of each."""
    rows, own = [], study.dataset.class_names
    for i, (one, other) in enumerate(pairs(names)):
        counts = [Counter(own[label] for label in labels).most_common() for _, labels in pictured(study, of, i)]
        shown = [", ".join(f"{n} {name}" for name, n in count) for count in counts]
        rows += [{"of": one, "beyond": other} | dict(zip(ROWS, shown, strict=True))] if one != other else []
    return pd.DataFrame(rows)


def sprite(study: Study, of: dict[str, np.ndarray], i: int) -> np.ndarray:
    """Six rows of pictures, (6 h, SHOWN w, c): `pictured` of the pair i and of the next, its other direction."""
    rows = [row for pair in (i, i + 1) for row, _ in pictured(study, of, pair)]
    return np.concatenate([np.concatenate(row.transpose(0, 2, 3, 1), axis=1) for row in rows])


def figure(tables: dict[str, pd.DataFrame], sprites: list[np.ndarray], title: str) -> Figure:
    """Cosines, the first components' shares, effects of the transformations; below, `sprite` of each comparison."""
    plots.style()
    drawn = plt.figure(figsize=(12, 9), layout="constrained")
    above, below = drawn.subfigures(2, 1, height_ratios=[1.2, 1])
    axes, cosine, effects = above.subplots(1, 3), tables["cosines"], tables["effects"]
    plots.points(axes[0], cosine, "cosine", cosine["one"] + " · " + cosine["other"])
    first = tables["components"].query("component == 1")
    for value, colour in {"residual": GREY, "own": BLUE, "others": RED, "own anew": BLUE, "others anew": RED}.items():
        axes[1].plot(first[value], range(len(first)), "x" if "anew" in value else "o", color=colour, label=value)
    axes[1].set_yticks(range(len(first)), first["of"] + " − " + first["beyond"])
    axes[1].invert_yaxis()
    axes[1].legend(fontsize=8, loc="upper right")
    axes[1].set_xlim(-0.004, 2 * axes[1].get_xlim()[1])  # room for it
    plots.points(axes[2], effects, "accuracy", effects["other"] + ": " + effects["images"])
    tests, networks = f"n = {cosine['n'].iloc[0]} test images", " and ".join(map(str, effects["n"].unique()))
    titles = f"attributions\n{tests}", f"first direction\n{tests}", f"transformed\nn = {networks} trainings"
    labels = "mean cosine", "share of squares along it", "loss of accuracy, plain less the other"
    for axis, words, label in zip(axes, titles, labels, strict=True):
        axis.set_title(words, fontsize=10)
        axis.set_xlabel(label, fontsize=9)
        axis.tick_params(labelsize=9)
        axis.axvline(0, color="0.5", lw=1, ls=":")
    compared = cosine["other"].drop_duplicates()[1:]
    for axis, picture, other in zip(below.subplots(1, len(sprites), squeeze=False)[0], sprites, compared, strict=True):
        axis.imshow(picture.squeeze(), cmap="gray", interpolation="nearest")
        height = len(picture) / 6
        axis.axhline(3 * height - 0.5, color=RED, lw=3)
        axis.set_yticks((np.arange(6) + 0.5) * height, 2 * ROWS, fontsize=9)
        axis.set(xticks=[], title=f"above plain − {other}, below {other} − plain")
        axis.title.set_fontsize(10)
        axis.grid(False)
    drawn.suptitle(title, fontsize=11)
    return drawn


def measured(study: Study) -> tuple[dict[str, pd.DataFrame], list[np.ndarray]]:
    """The page's tables, of `cosines`, `components`, `classes` and `transformed.effects`, and its `sprite`s."""
    recipes, of = algorithms(study), compared(study)
    names = list(recipes)
    seeds = {name: n_networks(study, name) for name in names}
    tables = {"cosines": cosines(of, names), "components": components(of, names), "classes": classes(study, of, names)}
    tables["effects"] = transformed.effects(transformed.measured(study, recipes, seeds), names)
    return tables, [sprite(study, of, i) for i in range(len(names), len(pairs(names)), 2)]


def finding(tables: dict[str, pd.DataFrame]) -> str:
    """The page's first lines, in Markdown."""
    cosine, effects = tables["cosines"].dropna(subset=["corrected"]), tables["effects"].query("other == @AUGMENTED")
    alike = "; ".join(f"{row['other']} {stats.said_of(row, 'corrected', 3)}" for _, row in cosine.iterrows())
    apart = " and ".join(cosine.loc[cosine["corrected_high"] < 1, "other"]) or "no other"
    spared = [f"{row['images']} {stats.said_of(row, 'accuracy', 3)}" for _, row in effects.iterrows()]
    return (
        f"**TRAK's attributions of {apart} networks differ from those of {PLAIN} ones by more than noise: the "
        f"corrected cosine, which is 1 where noise is all, is {alike} (n = {cosine['n'].iloc[0]} test images; "
        f"intervals are over these and not over networks).**\n\n"
        f"How much less accuracy augmented networks lose than plain ones ({effects['n'].iloc[0]} trainings each): "
        f"named without any attribution, {', '.join(spared[:-1])}; guessed from the directions' pictures, {spared[-1]}."
    )


def repeated(rows: pd.DataFrame) -> str:
    """In which new networks the first directions are there too, a sentence. rows: of `components`."""
    first = rows.query("component == 1").dropna(subset=["gap"])
    gaps = [stats.said_of(row, "gap", 3) for _, row in first.iterrows()]
    listed = (first["of"] + " − " + first["beyond"] + " ").str.cat(gaps)
    there, absent = (", ".join(listed[yes]) or "none" for yes in (first["gap_low"] > 0, first["gap_low"] <= 0))
    return f"First directions with a gap above 0, so that new networks have them too: {there}; without: {absent}."
