"""What a notebook would compute, counted without data, network or GPU:

    python -m lib.run fig03 -p profile paper -p dry_run true

The notebook runs as it always does, on a study that trains nothing: its images are one pixel, its driver is
`lib.engine.counting`, its features and scores are made up. What it asks them for is the plan.
"""

import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import resnet50

from lib import features, nets, profiles, retrain, ssl
from lib.data import MANIFEST, RESULTS, WRITTEN, Dataset, Entry, find, places
from lib.engine import AT_MOST, EXPECTED, PAPER, CountingDriver, Tally
from lib.features import FeatureRecipe
from lib.methods import FEATURES, RANDOM, Method
from lib.nets import published
from lib.profiles import LAPTOP, PROFILES, Profile
from lib.retrain import Recipe, Retraining
from lib.rivals import HALF, Attribution, on_subsets, sizes, trak
from lib.study import Study

FLOPS, BACKWARD = "flops", 2  # floating-point operations; a backward pass in units of a forward pass
A100 = 58e12  # FLOP/s of the first published training below; the tests do its arithmetic
CORE = RESULTS / "fashion" / "recipe_choice.csv"  # our own trainings on one core: benchmarks/recipe_choice.py
EXPLAINED = f"""\
expected: votes agree, so that n_votes // 2 + 1 decide a probe, and every target is searched to the end; at most: the \
last vote decides. Both have the probe at k_max, and that at k = 0 once for all.

Speeds, of which the first and the last are used:
  NVIDIA A100: 1.75 GFLOP an image and step x 50000 images x 24 epochs / 36 s = 58 TFLOP/s \
(docs.ffcv.io/ffcv_examples/cifar10.html)
  NVIDIA A100: 6.32 GFLOP an image and step x 1281167 images x 16 epochs / 2100 s = 62 TFLOP/s \
(github.com/libffcv/ffcv-imagenet, ResNet-18 of 16 epochs)
  one core: {{core:.0f}} GFLOP/s (results/fashion/{CORE.name}, on {{machine}})
  (lightly's MoCo of 800 epochs took 788 min on an NVIDIA RTX A6000, by the authors' train_ssl.py: there, reading and \
augmenting images on CPUs decides, which is not counted here)
A step costs {1 + BACKWARD} forward passes. A small network reaches less of a GPU, and a wider one more of a \
core. Of scoring, TRAK's alone is counted."""


class Counted(Exception):
    """Raised by a page that has counted what it would train, in the place of the rest of it: the plan, in words."""


def stand_in(profile: Profile) -> Dataset:
    """A dataset of the profile's shapes that takes next to no memory: all its pixels are one."""
    shape, (n_classes, *per_class) = find(profile.dataset).shape, profiles.class_sizes(profile)
    splits = [(np.broadcast_to(np.uint8(0), (n * n_classes, *shape)), np.tile(range(n_classes), n)) for n in per_class]
    dataset = Dataset(profile.dataset, *splits[0], *splits[1], tuple(map(str, range(n_classes))))
    dataset.__dict__["checksum"] = "stand-in"  # its images are not to be read
    return dataset


class DryAttribution(Attribution):
    """Made-up features, rankings and scores, the same every time; what would be trained for them is tallied."""

    def kept(self, name: str, identity: dict, n_models: int, make: Callable, stand_in: Callable | dict) -> dict:
        self._note(f"networks, {name}", n_models, of_trak(self.profile, self.dataset), self.profile.recipe)
        if callable(stand_in):
            return stand_in()
        return {key: _random(name, i).random(shape) for i, (key, shape) in enumerate(stand_in.items())}

    def _ranking(self, name: str, without: np.ndarray | None) -> np.ndarray:
        method, rows = self._noted(name), []
        for i, (target, own) in enumerate(zip(self.targets, self.dataset.test_labels[self.targets], strict=True)):
            classes = np.arange(len(self.dataset.class_names))
            classes = classes == own if method.same_class else classes != (-1 if without is None else without[i])
            rng = _random(name, 0 if name == f"{RANDOM}:all" else target)  # which has one order for all targets
            allowed = np.flatnonzero(classes[self.dataset.train_labels])
            rows.append(rng.choice(allowed, self.profile.k_max, replace=False))
        return np.array(rows)

    def lds(self, names: list[str], alpha: float = HALF, n_trainings: int = 1) -> pd.DataFrame:
        if self.profile.published_lds and alpha == HALF:
            self._read(*self.profile.published_lds)
        else:
            for repeat in range(n_trainings):
                self.subset_margins(self.held_out, alpha, repeat)
        for name in names:
            self._features(name) if name in FEATURES else self._noted(name)
        rows = [(name, target, _random(name, target).random()) for name in names for target in self.targets]
        return pd.DataFrame(rows, columns=["method", "target", "lds"])

    def knn_accuracies(self, names: list[str]) -> pd.DataFrame:
        rows = [(name, self.features(name).train.shape[1], 0.5, len(self.dataset.test_labels)) for name in names]
        return pd.DataFrame(rows, columns=["features", "size", "knn_accuracy", "n"])

    def seconds(self, name: str) -> float:
        self._noted(name)
        return 1.0

    @property
    def subset_seconds(self) -> float:
        flops = HALF * of_training(self.profile.recipe, self.dataset)
        self._note("models on a random half, timed", len(self.held_out[:10]), flops)
        return 1.0

    def subset_margins(self, models: range, alpha: float = HALF, repeat: int = 0) -> tuple[np.ndarray, np.ndarray]:
        n_train, n_test = len(self.dataset.train_labels), len(self.dataset.test_labels)
        purpose = f"models on subsets of {alpha:g}, {'LDS' if models == self.held_out else 'Datamodels'}"
        purpose += ", again" * repeat
        self._note(purpose, len(models), alpha * of_training(self.profile.recipe, self.dataset))
        return np.broadcast_to(True, (len(models), n_train)), np.broadcast_to(np.float32(0), (len(models), n_test))

    def _features(self, name: str) -> dict[str, np.ndarray]:
        recipe, dataset = self.profile.features(name), self.dataset
        features.check(dataset, recipe)
        is_trained = recipe.method in features.TRAINED
        if not is_trained:
            self._read(recipe.method)
        if recipe.method != "pixels":
            self._note(f"features, {name}", int(is_trained), of_features(recipe, dataset))
        train, test = (np.zeros((len(labels), 1)) for labels in (dataset.train_labels, dataset.test_labels))
        return {"train": train, "test": test, "seconds": np.array(1.0)}

    def _competing(self, method: Method) -> dict[str, np.ndarray]:
        profile, stem = self.profile.on(method.network), method.stem
        numbers, shape = sizes(profile, stem), (len(self.targets), len(self.dataset.train_labels))
        if on_subsets(stem) and profile.published_subsets:
            self._read(*filter(None, [*profile.published_subsets, profile.published_datamodels]))
        elif on_subsets(stem):
            self.subset_margins(range(max(numbers)))
        else:
            is_trak, undamped = stem in ("trak", "trak_undamped"), stem == "trak_undamped"
            whole = of_training(profile.recipe, self.dataset)
            flops = of_trak(profile, self.dataset, undamped) if is_trak else whole
            self._note(f"networks, {stem}, {len(self.targets)} targets", max(numbers), flops, profile.recipe)
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

    def _note(self, purpose: str, n: int, flops: float, recipe: Recipe | None = None) -> None:
        self.driver.ledger.counts[purpose, recipe] = Counter({AT_MOST: n, EXPECTED: n, FLOPS: flops})

    def _read(self, *entries: str) -> None:
        self.driver.ledger.reads |= dict.fromkeys(entries)


@dataclass(frozen=True)
class DryStudy(Study):
    """A study that trains nothing and reads no data. Raises ValueError where a value does not fit, as a real one."""

    tally: Tally = field(default_factory=Tally)

    def __post_init__(self):
        super().__post_init__()
        retrain.check(self.dataset, Retraining(self.profile.recipe, 0, removed=tuple(range(self.profile.k_max))))
        of_training(self.profile.recipe, self.dataset)  # runs the network on every size of image
        self.tally.reads[self.profile.dataset] = None

    @cached_property
    def dataset(self) -> Dataset:
        return stand_in(self.profile)

    @cached_property
    def driver(self) -> CountingDriver:
        return CountingDriver(self.dataset, self.profile.recipe, self.tally, k_max=self.profile.k_max)

    @cached_property
    def attribution(self) -> DryAttribution:
        return DryAttribution(self.profile, self.dataset, self.targets, self.folder, self.driver, self.given)


def trained(profile: Profile, tally: Tally) -> dict[str, Counter]:
    """Everything that would be trained, by its name: what the methods are made from first."""
    named = {}
    for (purpose, recipe), count in sorted(tally.counts.items(), key=lambda item: FLOPS not in item[1]):
        if recipe not in (None, profile.recipe):
            changed = f"width {recipe.width}, {recipe.epochs} epochs" if not recipe.balanced else "balanced loss"
            purpose += f", {recipe.arch if recipe.arch != profile.recipe.arch else changed}"
        named[purpose] = Counter({FLOPS: of_training(recipe, stand_in(profile))} | count) if recipe else count
    return named


def text(profile: Profile, tally: Tally) -> str:
    """The plan of a page: what was checked, what is needed, and what would be trained."""
    dataset, (n_classes, train, test) = stand_in(profile), profiles.class_sizes(profile)
    overridden = "" if profile == PROFILES[profile.name] else ", with values overridden"
    checked = (
        f"Profile {profile.name}{overridden}: {n_classes} classes of {train} training and {test} test images, "
        f"{dataset.train_images.nbytes / 1e6 + dataset.test_images.nbytes / 1e6:,.1f} MB in memory; "
        f"{profile.n_targets} targets, k up to {profile.k_max}, {profile.budget} steps, "
        f"votes per probe {profile.n_votes}, {profile.recipe.arch} of width {profile.recipe.width} for "
        f"{profile.recipe.epochs} epochs.\n"
        f"Checked: these values fit each other and the manifest, every method is known, every network takes the images."
    )
    needed = "\n".join(whereabouts(find(name)) for name in tally.reads) or "  the tables of the figures under results/"
    counted = table(trained(profile, tally)) if tally.counts else "Nothing is trained."
    ledger = WRITTEN / profile.name / "ledger"
    held = sum(len(path.read_bytes().splitlines()) for path in ledger.glob("*.jsonl"))
    kept = f"The ledger holds {held} retrainings already; those that are asked for are read, but counted here too.\n\n"
    return f"{checked}\n\nNeeded:\n{needed}\n\n{kept * bool(held and tally.counts)}{counted}"


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


def table(counts: dict[str, Counter]) -> str:
    """What would be trained, a row each, and their sums; then where the speeds come from."""
    rows = pd.DataFrame(counts.values(), counts.keys(), columns=[PAPER, AT_MOST, EXPECTED, FLOPS])
    core, machine = core_speed()
    for name, speed in (("A100 hours", A100), ("core-hours", core)):
        rows[name] = rows[EXPECTED] * rows[FLOPS] / speed / 3600
    rows = pd.concat([rows, rows.sum().to_frame("sum").T]).rename_axis("what").reset_index()
    for name in (PAPER, AT_MOST, EXPECTED):
        rows[name] = [f"{n:.0f}" if n else "–" for n in rows[name].fillna(0)]
    shown = rows.drop(columns=FLOPS).to_string(index=False, float_format="{:.3g}".format)
    explained = EXPLAINED.format(core=core / 1e9, machine=machine)
    return f"Trainings, and hours of those expected:\n{shown}\n{explained}"


def core_speed() -> tuple[float, str]:
    """FLOP/s of one core in our own trainings, and on which machine."""
    measured = pd.read_csv(CORE).set_index("recipe").filter(like="(chosen)", axis="index").iloc[0]
    return of_training(LAPTOP, stand_in(PROFILES["fashion"])) / measured["core_seconds"], measured["machine"]


def of_training(recipe: Recipe, dataset: Dataset) -> float:
    """Of one training on the whole training set. Resized images are those of each epoch's size."""
    n_train, channels, *native = dataset.train_images.shape
    sizes = [(recipe.size(epoch),) * 2 for epoch in range(recipe.epochs)] if recipe.sizes else [native]
    passes = [of_forward_pass(network(recipe, dataset), (channels, *size)) for size in sizes]
    return (1 + BACKWARD) * n_train * recipe.epochs * float(np.mean(passes))


def of_features(recipe: FeatureRecipe, dataset: Dataset) -> float:
    """Of learning features and computing those of all images."""
    n_images = len(dataset.train_labels) + len(dataset.test_labels)
    if recipe.method not in features.TRAINED:
        with torch.device("meta"):
            return n_images * of_forward_pass(resnet50(), (3, published.SIDE, published.SIDE))
    if recipe.classifier:
        return of_training(recipe.classifier, dataset)
    n_train, *shape = dataset.train_images.shape
    views = 2 * (1 + BACKWARD + issubclass(ssl.METHODS[recipe.method], ssl.Momentum))
    return (views * n_train * recipe.epochs + n_images) * of_forward_pass(network(recipe, dataset), tuple(shape))


def of_trak(profile: Profile, dataset: Dataset, undamped: bool = False) -> float:
    """Of one network: half a training, a gradient of every training image, its projection, Φ'Φ and its inverse."""
    n, recipe, settings = len(dataset.train_labels), profile.recipe, {} if undamped else profile.trak
    dim = trak.papers_dim(dataset.train_labels) if undamped else settings.get("projection_dim", trak.PROJECTION_DIM)
    per_number = 1.0 if undamped or settings.get("sparse") else 2.0 * dim
    projection = n * nets.size(network(recipe, dataset)) * per_number
    return of_training(recipe, dataset) * (1 / 2 + 1 / recipe.epochs) + projection + n * dim**2 + dim**3


def network(recipe: Recipe | FeatureRecipe, dataset: Dataset) -> torch.nn.Module:
    """The network of a recipe, without its numbers."""
    return _built(recipe, dataset.train_images.shape[1], len(dataset.class_names))


_built = cache(lambda recipe, channels, n_classes: nets.build(recipe, channels, n_classes, seed=0).to("meta"))


@cache
def of_forward_pass(net: torch.nn.Module, shape: tuple[int, int, int]) -> int:
    """Of one image (c, h, w): two for a multiplication with its addition. Raises ValueError where it does not fit."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        try:
            net.eval()(torch.empty(1, *shape, device="meta"))
        except RuntimeError as problem:
            raise ValueError(f"images of {shape} do not fit the network: {problem}; choose another stem") from problem
    return counter.get_total_flops()


def _random(name: str, number: int) -> np.random.Generator:
    return np.random.default_rng([zlib.crc32(name.encode()), number])
