"""Another modality: recordings of spoken digits as pictures of their sound, and who spoke what a method ranks first.

    `lib.chapters.spoken` -> a study like any other -> supports, and the speakers of the recordings ranked first

On profile `smoke` the recordings are planted tones.
"""

from dataclasses import dataclass, replace
from functools import cached_property, partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib import data, profiles
from lib.chapters import spoken
from lib.data import Dataset
from lib.methods import BLUE, OURS, RANDOM, RED, label
from lib.profiles import Profile
from lib.report import Page, page, plan, plots, stats
from lib.retrain import Retraining, margins, retrain
from lib.rivals import largest
from lib.study import MISLABEL, REMOVAL, Study

NAME, PLANTED = "sound", "smoke"  # names of the profile, and of that of the tones
FITTING = {"n_targets": 20, "n_base": 3, "k_max": 128, "budget": 5, "n_votes": 1, "moco_flip": False}
SMALL = {"moco_width": 16, "moco_epochs": 12, "moco_memory_bank": 640}  # in place of profile fashion's
CANDIDATES, HELD_OUT = (3, 6, 9), 9  # epochs that were tried; on every ninth training recording
FIRST, SHOWN = 10, 6  # recordings ranked first: whose speakers are counted, and shown
KINDS = REMOVAL, MISLABEL
GROUPS, SEEDS = 1, 2  # of targets whose supports are looked for, one of each digit; trainings without a speaker
KEPT = "with", "without", "control"
NAMES = dict(zip(KEPT, ("with the speaker", "without", "without as many others"), strict=True))
TABLES = ("shares", "summary", "speakers", "choice", "knn", "pictures", "supports")


class SoundProfile(Profile):
    """A profile of recordings, whose results are those of the page unless a value is overridden."""

    def folder(self, figure: str) -> str:
        return figure if self == values("fashion") else super().folder(figure)


def values(profile: str, **overrides) -> Profile:
    """The named profile's, but for what sound needs: no flip, k_max and targets that fit; as it is for the tones.

    overrides: as for `profiles.load`; None leaves a value as it is here.
    """
    if profile == PLANTED:
        return profiles.load(profile, **overrides)
    given = {key: value for key, value in overrides.items() if value is not None}
    fitting = FITTING | (SMALL if profile == "fashion" else {}) | given
    whole = {"train_per_class": None, "test_per_class": None, "n_classes": None}
    named = {"name": NAME, "dataset": spoken.ENTRY, "united": True, "ensembles": (5,)}
    return SoundProfile(**vars(replace(profiles.load(profile, **fitting), **whole, **named)))


def methods(profile: Profile) -> tuple[str, ...]:
    return OURS, "pixels_l2", *largest(profile, "trak"), RANDOM


@dataclass(frozen=True)
class SoundStudy(Study):
    """A study of pictures of sound."""

    @cached_property
    def recordings(self) -> spoken.Recordings:
        return spoken.read(spoken.planted() if self.profile.name == PLANTED else data.fetch(spoken.ENTRY))

    @cached_property
    def dataset(self) -> Dataset:
        return self.recordings.dataset


def open_page(parameters: dict) -> Page:
    """The page of the recordings. parameters: the notebook's, as for `Page`."""
    return Page(NAME, parameters, values(**page.chosen(parameters, page.OVERRIDES | {"profile"})), SoundStudy)


def choice(study: SoundStudy) -> pd.DataFrame:
    """Accuracy on training recordings held out, by epochs: epochs, accuracy, n; kept."""
    dataset, recipe, device = study.dataset, study.profile.recipe, study.driver.device
    held = np.arange(len(dataset.train_labels)) % HELD_OUT == 0
    images, labels = dataset.train_images, dataset.train_labels
    rest = Dataset(spoken.ENTRY, images[~held], labels[~held], images[held], labels[held], dataset.class_names)

    def make() -> dict[str, np.ndarray]:
        shares = [replace(recipe, epochs=n, warmup_epochs=n * recipe.warmup_epochs / recipe.epochs) for n in CANDIDATES]
        return {"accuracy": np.array([retrain(rest, Retraining(one, 0), device).test_accuracy for one in shares])}

    of = study.attribution.kept("sound_epochs", {"epochs": CANDIDATES}, len(CANDIDATES), make, dict)
    return pd.DataFrame({"epochs": CANDIDATES, "accuracy": of["accuracy"], "n": held.sum()})


def over_speakers(values: np.ndarray, speakers: np.ndarray) -> tuple[float, float]:
    """95 % interval of the mean over targets, (n,), of which some share a speaker: speakers are drawn, not targets."""
    rng, of_speaker = np.random.default_rng(0), [values[speakers == speaker] for speaker in np.unique(speakers)]
    drawn = rng.integers(0, len(of_speaker), (stats.RESAMPLES, len(of_speaker)))
    sums, counts = (np.array([f(of) for of in of_speaker])[drawn].sum(axis=1) for f in (np.sum, len))
    return tuple(np.percentile(sums / counts, [2.5, 97.5]))


def by_own_speaker(study: SoundStudy, supports: pd.DataFrame) -> pd.DataFrame:
    """A row for each method: share by the target's own speaker.

    first: of the first FIRST of the ranking, n targets, with intervals over the n_speakers of these. support: of the
    removal support, where one was found, with intervals over targets. chance: of the training recordings of the class.
    """
    speakers = study.recordings.test[study.targets]
    rows, own = [], study.recordings.train == speakers[:, None]
    of_class = study.dataset.train_labels == study.dataset.test_labels[study.targets][:, None]
    sizes = supports[supports["kind"] == REMOVAL].set_index(["method", "target"])["size"]
    for method in methods(study.profile):
        ranked = np.take_along_axis(own, study.attribution.ranking(method), axis=1)
        ks = sizes[method].reindex(study.targets).fillna(0).astype(int)
        within = [row[:k].mean() for row, k in zip(ranked, ks, strict=True) if k]
        row = {"method": method, "n": len(ranked), "n_speakers": len(np.unique(speakers))}
        row |= stats.mean("first", ranked[:, :FIRST].mean(axis=1), partial(over_speakers, speakers=speakers))
        rows.append(row | {"n_supports": len(within)} | stats.mean("support", np.array(within or [np.nan])))
    return pd.DataFrame(rows).assign(chance=(own & of_class).sum() / of_class.sum())


def without_speaker(study: SoundStudy) -> dict[str, np.ndarray]:
    """Margins (n_speakers, SEEDS, n) of each speaker's own test recordings, by training set; kept.

    "with" all; "without" that speaker's training recordings; "control": without as many of the others at random.
    """
    recordings, dataset = study.recordings, study.dataset
    speakers, n_train = np.unique(recordings.test), len(recordings.train)

    def all_margins(removed: np.ndarray) -> np.ndarray:  # (SEEDS, n_test)
        trainings = [Retraining(study.profile.recipe, seed, tuple(removed.tolist())) for seed in range(SEEDS)]
        outcomes = [retrain(dataset, training, study.driver.device) for training in trainings]
        return np.array([margins(outcome.logits, dataset.test_labels) for outcome in outcomes], dtype=np.float32)

    def make() -> dict[str, np.ndarray]:
        rows, of_all = {kind: [] for kind in KEPT}, all_margins(np.arange(0))
        for speaker in speakers:
            own, tested = np.flatnonzero(recordings.train == speaker), recordings.test == speaker
            others = np.setdiff1d(np.arange(n_train), own)
            at_random = np.random.default_rng(0).permutation(others)[: len(own)]
            for kind, of in zip(KEPT, (of_all, all_margins(own), all_margins(at_random)), strict=True):
                rows[kind].append(of[:, tested])
        return {kind: np.array(of) for kind, of in rows.items()}

    n = SEEDS * (1 + 2 * len(speakers))
    return study.attribution.kept("sound_speakers", {"seeds": SEEDS}, n, make, dict)


def by_speaker(study: SoundStudy) -> pd.DataFrame:
    """A row for each speaker: accuracy on their test recordings and mean margin, "margin, …", by training set."""
    rows, of = [], without_speaker(study)
    for i, speaker in enumerate(np.unique(study.recordings.test)):
        row = {"speaker": speaker, "n": of["with"].shape[2]} | {kind: (of[kind][i] > 0).mean() for kind in KEPT}
        rows.append(row | {f"margin, {kind}": of[kind][i].mean() for kind in KEPT})
    return pd.DataFrame(rows)


def pictures(study: SoundStudy) -> pd.DataFrame:
    """The first target and the SHOWN that ours ranks first, a row each: speaker, and the pixels of the picture."""
    target, first = study.targets[0], study.attribution.ranking(OURS)[0][:SHOWN]
    shown = np.concatenate([study.dataset.test_images[[target]], study.dataset.train_images[first]])
    speakers = [study.recordings.test[target], *study.recordings.train[first]]
    return pd.concat([pd.DataFrame({"speaker": speakers}), pd.DataFrame(shown.reshape(len(shown), -1))], axis=1)


def measured(page: Page, profile: str) -> dict[str, pd.DataFrame]:
    """The page's TABLES; those that came with the repository where the recordings are not here. A dry run ends here.

    profile: its name, as the notebook was given it.
    """
    if page.missing:
        return {name: page.table(name, pd.DataFrame) for name in TABLES}
    study = page.study
    curves = [(kind, method) for kind in KINDS for method in methods(page.values)]
    supports = study.supports(curves, united=True, among=study.groups(united=True)[:GROUPS])
    if page.tally is not None:
        n = len(CANDIDATES) + SEEDS * (1 + 2 * spoken.SPEAKERS)
        study.attribution.kept("epochs and speakers", {}, n, dict, dict)
        raise plan.Counted(plan.text(replace(page.values, name=profile), page.tally))
    made = {"shares": by_own_speaker(study, supports), "summary": stats.summary(supports, page.values.k_max)}
    made |= {"speakers": by_speaker(study), "choice": choice(study), "pictures": pictures(study)}
    return made | {"knn": study.attribution.knn_accuracies(["moco", "pixels"]), "supports": supports}


def lost(speakers: pd.DataFrame) -> dict:
    """What a speaker loses by being left out, less what the control loses: means and intervals over speakers, by t."""
    of = {"accuracy": speakers["control"] - speakers["without"]}
    of["margin"] = speakers["margin, control"] - speakers["margin, without"]
    rows = [stats.mean(key, gaps.to_numpy(), stats.over_seeds) for key, gaps in of.items()]
    return rows[0] | rows[1]


def finding(tables: dict[str, pd.DataFrame]) -> str:
    """The page's first line, in Markdown."""
    shares, speakers = tables["shares"].set_index("method"), tables["speakers"]
    named = [f"{label(name)} {stats.said_of(row, 'first', 3)}" for name, row in shares.iterrows() if name != RANDOM]
    removal = tables["summary"].query("kind == @REMOVAL").set_index("method")
    areas = [f"{label(method)} {area(row)}" for method, row in removal.iterrows()]
    gap = stats.said_of(lost(speakers), "accuracy", 3)
    first, is_above = shares.iloc[0], shares["first_low"] > shares["chance"]
    above = "; ".join(label(method) for method in shares.index[is_above] if method != RANDOM)
    return (
        f"**Recordings by the target's own speaker come first more often than by chance, by {above or 'no method'}: of "
        f"the first {FIRST}, a share of {'; '.join(named)}; chance is {first['chance']:.2f}** (n = {first['n']:.0f} "
        f"targets of {first['n_speakers']:.0f} speakers; intervals over speakers). Leaving a speaker out of training "
        f"costs {gap} of accuracy on that speaker more than leaving out as many others (n = {len(speakers)} speakers). "
        f"Area under the curve of removal supports: {'; '.join(areas)} (n = {removal['n'].iloc[0]} targets; intervals "
        "over these)."
    )


def area(row: pd.Series) -> str:
    """A method's area, for a sentence; how many targets flip where none does. row: of `stats.summary`."""
    if row["flipped"]:
        return stats.said_of(row, "auc", 3)
    return f"0 (0 of {row['n']} flip, a share of at most {row['flipped_high']:.2f})"


def figure(tables: dict[str, pd.DataFrame], title: str) -> Figure:
    """A target and the first SHOWN by ours; the share by its own speaker; accuracy with and without a speaker."""
    plots.style()
    drawn = plt.figure(figsize=(11, 5.4), layout="constrained")
    above, below = drawn.subfigures(2, 1, height_ratios=[2, 3])
    shares, speakers, shown = tables["shares"], tables["speakers"], tables["pictures"]
    panels = above.subplots(1, len(shown))
    for i, (axis, (_, row)) in enumerate(zip(panels, shown.iterrows(), strict=True)):
        pixels = row.drop("speaker").to_numpy(dtype=float)
        axis.imshow(pixels.reshape(spoken.SIDE, -1), cmap="magma")
        axis.set_title(f"{'' if i else 'target: '}{row['speaker']}", fontsize=9)
        axis.set(xticks=[], yticks=[])
        axis.grid(False)
    frames = spoken.RATE / spoken.HOP  # a second
    panels[0].set_xticks([0.2 * frames - 0.5, 0.6 * frames - 0.5], ["0.2 s", "0.6 s"], fontsize=8)
    panels[0].set_yticks([spoken.row(1000 * k) for k in (0.5, 1, 2)], ["0.5 kHz", "1 kHz", "2 kHz"], fontsize=8)
    left, right = below.subplots(1, 2)
    left.errorbar(shares["first"], range(len(shares)), xerr=plots.span(shares, "first"), fmt="o", color=BLUE)
    left.axvline(shares["chance"].iloc[0], color="0.5", ls=":")
    left.set_yticks(range(len(shares)), shares["method"].map(label))
    left.set(xlabel=f"share of the first {FIRST} by the target's own speaker", xlim=(0, 1))
    left.set_title(
        f"{shares['n'].iloc[0]} targets; 95 % intervals over {shares['n_speakers'].iloc[0]} speakers", fontsize=9
    )
    left.invert_yaxis()
    for kind, colour, marker in zip(KEPT, (BLUE, RED, "0.5"), "osx", strict=True):
        right.plot(speakers[kind], speakers["speaker"], marker, color=colour, label=NAMES[kind])
    right.set(xlabel=f"accuracy on the speaker's {speakers['n'].iloc[0]} recordings, {SEEDS} seeds")
    right.invert_yaxis()
    right.legend(fontsize=9, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False)
    drawn.suptitle(title, fontsize=11)
    return drawn
