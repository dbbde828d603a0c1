"""What a notebook would compute, counted without data, network or GPU:

    python -m lib.run fig03 -p profile paper -p dry_run true

The notebook runs as it always does, on a study that trains nothing: its images are one pixel, its driver is
`lib.engine.counting`, its features and scores are made up. What it asks them for is the plan.
"""

import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib import data, features, profiles, report, retrain
from lib.data import MANIFEST, RESULTS, Dataset, Entry, find, places
from lib.engine import RECORD, Count, CountingDriver, Tally
from lib.methods import FEATURES, RANDOM, Method
from lib.profiles import LAPTOP, PAPER, PAPER_IMAGENET, PROFILES, Profile
from lib.report import operations, page, plots, stats
from lib.retrain import Recipe, Retraining
from lib.rivals import HALF, Attribution, on_subsets, sizes
from lib.study import Study

# Published trainings on one NVIDIA A100, from which its speed follows: seconds, profile of that training, source.
A100 = (
    (36, PAPER, "docs.ffcv.io/ffcv_examples/cifar10.html"),
    (35.0 * 60, PAPER_IMAGENET, "github.com/libffcv/ffcv-imagenet, ResNet-18 of 16 epochs"),
)
CHOICE = RESULTS / "fashion" / "recipe_choice.csv"  # of our own trainings on one core: benchmarks/recipe_choice.py
EXPLAINED = (
    "expected: votes agree, so that n_votes // 2 + 1 decide a probe, and every target is searched to the end; "
    "at most: the last vote decides. Both have the probe at k_max, and that at k = 0 once for all."
)


def stand_in(profile: Profile) -> Dataset:
    """A dataset of the profile's shapes that takes next to no memory: all its pixels are one."""
    shape, (n_classes, *per_class) = find(profile.dataset).shape, profiles.class_sizes(profile)
    labels = [np.tile(np.arange(n_classes), n) for n in per_class]
    images = [np.broadcast_to(np.uint8(0), (len(of_split), *shape)) for of_split in labels]
    dataset = Dataset(profile.dataset, images[0], labels[0], images[1], labels[1], tuple(map(str, range(n_classes))))
    dataset.__dict__["checksum"] = "stand-in"  # its images are not to be read
    return dataset


@dataclass(frozen=True)
class DryAttribution(Attribution):
    """Made-up features, rankings and scores, the same every time. items: what would be trained for them, by its name.

    reads: the manifest's entries that would be read.
    """

    items: dict[str, Count] = field(default_factory=dict)
    reads: dict[str, None] = field(default_factory=dict)

    def ranking(self, name: str, without: np.ndarray | None = None) -> np.ndarray:
        method, train_labels, rows = self._noted(name), self.dataset.train_labels, []
        for i, target in enumerate(self.targets):
            allowed = train_labels != (-1 if without is None else without[i])
            if method.same_class:
                allowed = train_labels == self.dataset.test_labels[target]
            shared = method.stem == RANDOM and not method.same_class  # one order for all targets
            rng = _random(name, 0 if shared else target)
            rows.append(rng.choice(np.flatnonzero(allowed), self.profile.k_max, replace=False))
        return np.array(rows)

    def lds(self, names: list[str], alpha: float = HALF) -> pd.DataFrame:
        if self.profile.published_lds and alpha == HALF:
            self.reads.update(dict.fromkeys(self.profile.published_lds))
        else:
            self.subset_margins(self.held_out, alpha)
        for name in names:
            self._features(name) if name in FEATURES else self._noted(name)
        scores = [_random(name, len(self.targets)).random(len(self.targets)) for name in names]
        tables = [
            pd.DataFrame({"method": n, "target": self.targets, "lds": s}) for n, s in zip(names, scores, strict=True)
        ]
        return pd.concat(tables, ignore_index=True)

    def knn_accuracies(self, names: list[str]) -> pd.DataFrame:
        rows = [(name, self.features(name).train.shape[1], 0.5, len(self.dataset.test_labels)) for name in names]
        return pd.DataFrame(rows, columns=["features", "size", "knn_accuracy", "n"])

    def seconds(self, name: str) -> float:
        self._noted(name)
        return 1.0

    @property
    def subset_seconds(self) -> float:
        n, recipe = len(self.held_out[:10]), self.profile.recipe
        flops = HALF * operations.of_training(recipe, self.dataset)
        self._note("models on a random half, timed", n, flops, n * RECORD)
        return 1.0

    def subset_margins(self, models: range, alpha: float = HALF) -> tuple[np.ndarray, np.ndarray]:
        n_train, n_test = len(self.dataset.train_labels), len(self.dataset.test_labels)
        flops = alpha * operations.of_training(self.profile.recipe, self.dataset)
        purpose = f"models on subsets of {alpha:g}, {'LDS' if models == self.held_out else 'Datamodels'}"
        self._note(purpose, len(models), flops, len(models) * (2 * n_test + 8))
        return np.broadcast_to(True, (len(models), n_train)), np.broadcast_to(np.float32(0), (len(models), n_test))

    def _features(self, name: str) -> dict[str, np.ndarray]:
        recipe, dataset, width = self.profile.features(name), self.dataset, 1
        features.check(dataset, recipe)
        if recipe.method not in features.TRAINED:
            self.reads[recipe.method] = None
        if recipe.method != "pixels":
            width = operations.n_features(recipe, dataset)
            kept = 4 * width * (len(dataset.train_labels) + len(dataset.test_labels))
            trained = int(recipe.method in features.TRAINED)
            self._note(f"features, {name}", trained, operations.of_features(recipe, dataset), kept)
        splits = {"train": dataset.train_labels, "test": dataset.test_labels}
        zeros = {key: np.broadcast_to(np.float32(0), (len(labels), width)) for key, labels in splits.items()}
        return zeros | {"seconds": np.array(1.0)}

    def _competing(self, method: Method) -> dict[str, np.ndarray]:
        profile, stem = self.profile.on(method.network), method.stem
        numbers = sizes(profile, stem)
        n = max(numbers)
        shape = len(self.targets), len(self.dataset.train_labels)
        if on_subsets(stem) and profile.published_subsets:
            self.reads.update(
                dict.fromkeys([*profile.published_subsets, *filter(None, [profile.published_datamodels])])
            )
        elif on_subsets(stem):
            self.subset_margins(range(n))
        else:
            each = operations.of_trak if stem == "trak" else operations.of_network
            kept = 4 * shape[0] * shape[1] * len(numbers)
            self._note(f"networks, {stem}{_on(self.profile, profile.recipe)}", n, each(profile, self.dataset), kept)
        scores = {str(size): np.broadcast_to(np.float32(0), shape) for size in numbers}
        return scores | {f"{size}_seconds": np.array(1.0) for size in numbers}

    def _noted(self, name: str) -> Method:
        """The method of that name; what it is made from is put down."""
        method = self.parse(name)
        if method.features:
            self._features(method.features)
        elif method.models:
            self._competing(method)
        return method

    def _note(self, purpose: str, n: int, flops: float, kept: float) -> None:
        self.items[purpose] = Count(n, n, bytes=kept, flops=flops)


@dataclass(frozen=True)
class DryStudy(Study):
    """A study that trains nothing and reads no data. Raises ValueError where a value does not fit, as a real one."""

    def __post_init__(self):
        super().__post_init__()
        profile = self.profile
        retrain.check(self.dataset, Retraining(profile.recipe, 0, removed=tuple(range(profile.k_max))))
        operations.of_training(profile.recipe, self.dataset)  # runs the network on every size of image

    @cached_property
    def dataset(self) -> Dataset:
        return stand_in(self.profile)

    @cached_property
    def driver(self) -> CountingDriver:
        return CountingDriver(self.dataset, self.profile.recipe, Tally())

    @cached_property
    def attribution(self) -> DryAttribution:
        return DryAttribution(self.profile, self.dataset, self.targets, self.folder, self.driver)

    def items(self) -> dict[str, Count]:
        """Everything that was asked for, by its name."""
        asked = {
            purpose + _on(self.profile, recipe): replace(count, flops=operations.of_training(recipe, self.dataset))
            for (purpose, recipe), count in self.driver.ledger.counts.items()
        }
        return self.attribution.items | asked

    def reads(self) -> list[str]:
        """The manifest's entries that would be read."""
        return [self.profile.dataset, *self.attribution.reads]


@contextmanager
def counting() -> Iterator[list[DryStudy]]:
    """While it is open, pages open a DryStudy, and draw and write nothing; yields the studies that they have opened."""
    studies = []

    def opened(profile: Profile, *_, **__) -> DryStudy:
        studies.append(DryStudy(profile, device="cpu"))
        return studies[-1]

    def nothing(*_, **__) -> None:
        pass

    def refused(*_, **__) -> None:
        raise ValueError("a dry run reads no images; let the notebook open its study by lib.report.Page")

    drawing = [name for name, of in vars(plots).items() if getattr(of, "__annotations__", {}).get("return") is Figure]
    stand_ins = [(page, "open_study", opened), (page, "write", nothing), (report, "write", nothing)]
    stand_ins += [(page.Page, "missing", ""), *((page.Page, name, nothing) for name in ("status", "tabs", "save"))]
    stand_ins += [(data, "load", refused), (stats, "RESAMPLES", 10), *((plots, name, nothing) for name in drawing)]
    with ExitStack() as stack:
        for owner, name, value in stand_ins:
            stack.enter_context(patch.object(owner, name, value))
        yield studies


def text(profile: Profile, studies: Sequence[DryStudy]) -> str:
    """The plan of a page that has opened these studies."""
    items = {purpose: item for study in studies for purpose, item in study.items().items()}
    reads = dict.fromkeys(name for study in studies for name in study.reads())
    needed = [whereabouts(find(name)) for name in reads] or ["  the tables of the figures under results/"]
    parts = [checked(profile), "\n".join(["Needed:", *needed]), table(items) if items else "Nothing is trained."]
    return "\n\n".join([*parts, *([references()] if items else [])])


def checked(profile: Profile) -> str:
    """What was checked, and how large the data are in memory."""
    dataset, (n_classes, train, test) = stand_in(profile), profiles.class_sizes(profile)
    overridden = "" if profile == PROFILES[profile.name] else ", with values overridden"
    return (
        f"Profile {profile.name}{overridden}: {n_classes} classes of {train} training and {test} test images, "
        f"{dataset.train_images.nbytes / 1e6 + dataset.test_images.nbytes / 1e6:,.1f} MB in memory; "
        f"{profile.n_targets} targets, k up to {profile.k_max}, {profile.budget} steps, {profile.n_votes} votes, "
        f"{profile.recipe.arch} of width {profile.recipe.width} for {profile.recipe.epochs} epochs.\n"
        f"Checked: these values fit each other and the manifest, every method is known, every network takes the images."
    )


def whereabouts(entry: Entry) -> str:
    """One line about an entry. Files are looked for and not read."""
    size = f"{entry.bytes / 1e6:,.1f} MB" if entry.bytes else "size not published"
    pinned = "sha256 pinned" if entry.sha256 else f"md5 {entry.md5}" if entry.md5 else "no checksum is pinned yet"
    here = [name for name, folder in places().items() if entry.file and (folder / entry.file).is_file()]
    if entry.path:
        path = MANIFEST.parent / Path(entry.path).expanduser()
        where = "is here" if path.exists() else f"is not here: {entry.manual}"
    elif here:
        where = f"is in the {here[0]}"
    else:
        where = f"would be downloaded from {entry.urls[0]}" if entry.urls else f"is had by hand: {entry.manual}"
    return f"  {entry.name} ({size}, {pinned}) {where}"


def table(items: dict[str, Count]) -> str:
    """The items, a row each, and their sums."""
    gpu, core = speed_of_a100(PAPER), speed_of_core()[0]
    rows = pd.DataFrame(
        {
            "what": purpose,
            "paper's protocol": item.paper or None,
            "at most": item.at_most,
            "expected": item.expected,
            "A100 hours": item.expected * item.flops / gpu / 3600,
            "core-hours": item.expected * item.flops / core / 3600,
            "MB on disk": item.bytes / 1e6,
        }
        for purpose, item in items.items()
    )
    sums = rows.drop(columns="what").sum().to_dict() | {"what": "sum"}
    rows = pd.concat([rows, pd.DataFrame([sums])], ignore_index=True)
    for name in ("paper's protocol", "at most", "expected"):
        rows[name] = ["–" if pd.isna(n) else f"{n:.0f}" for n in rows[name]]
    shown = rows.to_string(index=False, float_format="{:.3g}".format)
    return f"Trainings, and hours of those expected:\n{shown}\n{EXPLAINED}"


def references() -> str:
    """Where the speeds come from, with the arithmetic."""
    lines = []
    for seconds, profile, source in A100:
        recipe, n_train = profile.recipe, find(profile.dataset).images[0]
        total = operations.of_training(recipe, stand_in(profile))
        lines.append(
            f"  NVIDIA A100: {total / n_train / recipe.epochs / 1e9:.2f} GFLOP an image and step x {n_train} images x "
            f"{recipe.epochs} epochs / {seconds:g} s = {speed_of_a100(profile) / 1e12:.0f} TFLOP/s ({source})"
        )
    speed, machine = speed_of_core()
    lines.append(f"  one core: {speed / 1e9:.0f} GFLOP/s (results/fashion/{CHOICE.name}, on {machine})")
    return "\n".join(
        [
            "Speeds, of which the first and the last are used:",
            *lines,
            "  (lightly's MoCo of 800 epochs took 788 min on an NVIDIA RTX A6000, by the authors' train_ssl.py: there, "
            "reading and augmenting images on CPUs decides, which is not counted here)",
            f"A step costs {1 + operations.BACKWARD} forward passes. A small network reaches less of a GPU, and a "
            "wider one more of a core. Of scoring, TRAK's gradients and projections alone are counted.",
        ]
    )


def speed_of_a100(profile: Profile) -> float:
    """FLOP/s of the published training that the profile repeats."""
    seconds = next(seconds for seconds, published, _ in A100 if published is profile)
    return operations.of_training(profile.recipe, stand_in(profile)) / seconds


def speed_of_core() -> tuple[float, str]:
    """FLOP/s of our training on one core, and which core."""
    row = pd.read_csv(CHOICE).set_index("recipe").filter(like="(chosen)", axis="index").iloc[0]
    return operations.of_training(LAPTOP, stand_in(PROFILES["fashion"])) / row["core_seconds"], row["machine"]


def _on(profile: Profile, recipe: Recipe) -> str:
    """What tells a recipe from the profile's, behind a comma."""
    if recipe.arch != profile.recipe.arch:
        return f", {recipe.arch}"
    return "" if recipe == profile.recipe else ", balanced loss"


def _random(name: str, number: int) -> np.random.Generator:
    return np.random.default_rng([zlib.crc32(name.encode()), number])
