"""Repairing a wrong prediction: how few training images must go, or be relabelled, until it is right?

The search for a support with the sense of its votes turned: a target is a test image that the base models get wrong,
its ranking is of the class that it is taken for, and the search ends where it is right. Its first images are removed,
or get the target's own label. Separate tests, one training per probe.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib import distances, profiles
from lib.chapters import people
from lib.data import RESULTS
from lib.engine import Driver, cache
from lib.methods import OURS, RANDOM
from lib.report import Page, plan, plots, stats
from lib.retrain import Retraining, margins, retrain
from lib.study import MISLABEL, REMOVAL, Study

N_TARGETS, K_MAX, BUDGET = 20, 128, 3  # test images; training images changed at most; bisection steps
CURVES = [(kind, method) for kind in (REMOVAL, MISLABEL) for method in (OURS, RANDOM)]
COMPARED = "ours less random, removed", "ours less random, relabelled", "ours, relabelled less removed"  # `pairs`
CHANGES = {REMOVAL: "removed", MISLABEL: "relabelled"}  # what is done to training images
SEEDS = range(1, 6)  # of trainings with nothing changed; the search has seed 0
NOTHING = "nothing"
FIRST = 10  # of the rankings on CIFAR-10, whose labels are compared with people's


@dataclass(frozen=True)
class Turned(Driver):
    """A driver that answers whether targets are still wrong."""

    def _are_right(self, retraining, targets: list[int]) -> list[bool]:
        return [not right for right in super()._are_right(retraining, targets)]


@dataclass(frozen=True)
class Mistaken(Study):
    """A study whose targets the base models get wrong."""

    @cached_property
    def driver(self) -> Driver:
        return Turned(**vars(super().driver))

    @cached_property
    def taken_for(self) -> np.ndarray:
        """The classes (n_targets,) that the base models take the targets for."""
        return self.base_logits[self.targets].argmax(axis=1)


@dataclass(frozen=True)
class RepairStudy(Mistaken):
    """Of test images drawn among those that the base models get wrong; relabelled images get the right label."""

    @cached_property
    def targets(self) -> np.ndarray:
        """Test ids (n_targets,), ascending: at random among those that the base models get wrong on average.

        Raises ValueError where there are fewer.
        """
        wrong = np.flatnonzero(margins(self.base_logits, self.dataset.test_labels) < 0)
        if self.profile.n_targets > len(wrong):
            raise ValueError(f"n_targets={self.profile.n_targets} exceeds the {len(wrong)} test images that are wrong")
        return np.sort(np.random.default_rng(self.profile.seed).permutation(wrong)[: self.profile.n_targets])

    @cached_property
    def wrong_labels(self) -> np.ndarray:
        """What relabelled images get, (n_targets,): the targets' own label, wrong for most of those images."""
        return self.dataset.test_labels[self.targets]


def small(study: Study) -> Study:
    """The same study with fewer targets and steps, and one vote."""
    k_max = min(K_MAX, int(np.bincount(study.dataset.train_labels).min()) * 3 // 4)
    n_targets = min(N_TARGETS, study.profile.n_targets)
    return replace(study, profile=replace(study.profile, n_targets=n_targets, k_max=k_max, budget=BUDGET, n_votes=1))


def study_of(study: Study) -> RepairStudy:
    """Of its wrong predictions, with rankings of the classes that they are taken for."""
    options = {field.name: getattr(study, field.name) for field in fields(Study)}
    bare = RepairStudy(**options | {"profile": small(study).profile})
    return replace(bare, given=rankings(bare))


def rankings(study: Mistaken, methods: Iterable[str] = (OURS, RANDOM)) -> dict[str, np.ndarray]:
    """Of methods by features and at random, (n_targets, k_max) train ids of the class that each target is taken for.

    At random, all targets that are taken for one class share one order, and so their trainings.
    """
    labels, scores = study.dataset.train_labels, {}
    for name in methods:
        method = study.attribution.parse(name)
        if name == RANDOM:
            order = np.random.default_rng(study.profile.seed).permutation(len(labels))
            scores[name] = np.where(labels == study.taken_for[:, None], order, -np.inf)
        else:
            vectors = study.attribution.features(method.features)
            pair = vectors.test[study.targets], vectors.train
            scores[name] = distances.scores(distances.DISTANCES[method.distance], *pair, study.taken_for, labels)
    return {name: distances.ranking(of_method, study.profile.k_max) for name, of_method in scores.items()}


def supports(page: Page) -> pd.DataFrame:
    """Of `Study.supports` of the turned study: `size` is how many images repair, "wrong at k = 0" a target that the
    first training gets right, wrong_label what it is taken for. A dry run counts a study of as many searches, and ends
    here.
    """
    if page.tally is not None:
        small(page.study).supports(CURVES)
        unchanged(small(page.study))
        raise plan.Counted(plan.text(page.values, page.tally))
    study = study_of(page.study)
    taken_for = dict(zip(study.targets, study.taken_for, strict=True))
    return study.supports(CURVES).assign(wrong_label=lambda table: table["target"].map(taken_for))


def unchanged(study: Study) -> pd.DataFrame:
    """How often each target is right with nothing changed: target, right (share of the trainings of SEEDS); kept."""

    def make() -> dict[str, np.ndarray]:
        dataset, trainings = study.dataset, [Retraining(study.profile.recipe, seed) for seed in SEEDS]
        guesses = [retrain(dataset, one, study.driver.device).logits.argmax(axis=1) for one in trainings]
        return {"right": np.stack(guesses, axis=1)[study.targets] == dataset.test_labels[study.targets, None]}

    shapes = {"right": (len(study.targets), len(SEEDS))}
    right = study.attribution.kept("repair_unchanged", {"seeds": list(SEEDS)}, len(SEEDS), make, shapes)["right"]
    return pd.DataFrame({"target": study.targets, "right": right.mean(axis=1)})


def summary(supports: pd.DataFrame, unchanged: pd.DataFrame, k_max: int) -> pd.DataFrame:
    """A row for each change and method: change, method, n (targets wrong at k = 0), right at once (those left out),
    repaired (share), area (of the CDF of the size up to k_max), both with intervals; n repaired, and their median size.
    At last the control, of `unchanged`: the share that a training from another seed gets right.
    """
    rows = []
    for (kind, method), group in supports.groupby(["kind", "method"], sort=False):
        wrong = stats.usable(group)
        row = {"change": CHANGES[kind], "method": method, "n": len(wrong), "right at once": len(group) - len(wrong)}
        row |= stats.mean("repaired", wrong["size"].notna().to_numpy(), stats.share_interval)
        row |= stats.mean("area", stats.area(wrong, k_max))
        sizes = wrong["size"].dropna().astype(float)
        rows.append(row | {"n repaired": len(sizes), "median of those": sizes.median()})
    again = unchanged.set_index("target")["right"].loc[wrong["target"]]
    row = {"change": NOTHING, "method": "another seed", "n": len(again), "right at once": rows[0]["right at once"]}
    return pd.DataFrame([*rows, row | stats.mean("repaired", again.to_numpy())])


def pairs(supports: pd.DataFrame, k_max: int) -> pd.DataFrame:
    """Differences of the area, paired by target, of `stats.paired`: ours less random of each change, then ours
    relabelled less ours removed.
    """
    rows = [stats.paired(supports, kind, OURS, RANDOM, k_max) for kind in CHANGES]
    ours = supports[supports["method"] == OURS]
    by_change = ours.assign(method=ours["kind"].map(CHANGES), kind=OURS)
    rows.append(stats.paired(by_change, OURS, CHANGES[MISLABEL], CHANGES[REMOVAL], k_max))
    return pd.DataFrame(rows).assign(kind=[*CHANGES.values(), "ours"])


def of_people() -> pd.DataFrame:
    """On CIFAR-10: are the first FIRST images, which would be changed to repair, wrongly labelled themselves?

    A row a target, kept under results/: target, wrong (share whose label most of three people did not give), class
    (that share in the whole class that the target is taken for). Source of the labels: `lib.chapters.people`.
    """

    def make() -> dict[str, np.ndarray]:
        study = study_of(Study(profiles.load("cifar10")))
        own, sets = study.dataset.train_labels, people.training_labels()
        wrong = sets[people.AGGREGATE][people.original_ids(own, sets[people.CLEAN])] != own
        first = study.given[OURS][:, :FIRST]
        of_class = [wrong[own == label].mean() for label in study.taken_for]
        return {"target": study.targets, "wrong": wrong[first].mean(axis=1), "class": np.array(of_class)}

    identity = {"profile": "cifar10", "targets": N_TARGETS, "first": FIRST}
    return pd.DataFrame(cache.arrays(RESULTS / "cifar10" / "scores", "repair", identity, make))


def said_of_people(rows: pd.DataFrame) -> str:
    """A sentence of `of_people`, with intervals over targets."""
    more = stats.mean("more", (rows["wrong"] - rows["class"]).to_numpy())
    return (
        f"Of the first {FIRST}, a share of {rows['wrong'].mean():.3f} is wrong by people, in the whole class "
        f"{rows['class'].mean():.3f}: a difference of {stats.said_of(more, 'more', 3)} (n = {len(rows)} test images)"
        f"{', no more than can be told from none' if more['more_low'] <= 0 <= more['more_high'] else ''}."
    )


def figure(supports: pd.DataFrame, k_max: int, title: str) -> Figure:
    """Share of targets repaired against the number of images removed, and relabelled."""
    drawn = plots.support_cdfs(supports, k_max, title)
    drawn.axes[0].set_ylabel("share of targets repaired")
    for axis, change in zip(drawn.axes, CHANGES.values(), strict=True):
        axis.set(title=change, xlabel=f"training images {change}, k", xlim=(0, 1.2 * k_max))
    return drawn


def finding(rows: pd.DataFrame, differences: pd.DataFrame, k_max: int) -> str:
    """The page's first lines, in Markdown. rows: of `summary`. differences: of `pairs`."""
    by, of_area = rows.groupby("change", sort=False), []
    shares = {change: [stats.said_of(of, "repaired", 3) for _, of in rows.iterrows()] for change, rows in by}
    for words, (_, of) in zip(COMPARED, differences.iterrows(), strict=True):
        of_area.append(f"{words} {stats.said_of(of, 'difference', 3)} (p = {of['p']:.2g})")
    (removed, removed_at_random), (relabelled, at_random) = (shares[change] for change in CHANGES.values())
    return (
        f"**Of {rows['n'].iloc[0]} wrong predictions, removing at most {k_max} training images of the class they are "
        f"mistaken for repairs a share of {removed}, giving them the right class {relabelled}; random images of that "
        f"class {removed_at_random} and {at_random}; another seed, with nothing changed, {shares[NOTHING][0]}.**\n\n"
        f"Differences of the area under the curve: {'; '.join(of_area)}."
    )
