"""What a notebook would compute, counted without data, network or GPU:

    python -m lib.run fig03 -p profile paper -p dry_run true

A notebook says in its cell tagged `plan` what it will compute, as data under the names of NAMES; `text` checks that the
profile's values fit each other, the manifest and the networks, and counts. Nothing is computed, downloaded or written.
"""

import inspect
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil, log2
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import resnet50

from lib import features, nets, profiles, retrain, rivals, ssl
from lib.attribution import Attribution, sizes
from lib.data import RESULTS, Dataset, manifest
from lib.features import FeatureRecipe
from lib.methods import SUBSET_METHODS, Method
from lib.nets import published
from lib.profiles import LAPTOP, PAPER, PAPER_IMAGENET, PROFILES, Profile
from lib.retrain import Recipe, Retraining
from lib.rivals.trak import PROJECTION_DIM

Curves = Sequence[tuple]  # of (kind, method), or (kind, method, recipe) where another one than the profile's is tested
NAMES = ("curves", "united", "sample", "fixed_k", "rankings", "lds")
BACKWARD = 2  # a backward pass in units of a forward pass
RECORD = 500  # bytes of one in the ledger, about

# Published trainings on one NVIDIA A100, from which its speed follows: seconds, profile of that training, source.
A100 = (
    (36, PAPER, "docs.ffcv.io/ffcv_examples/cifar10.html"),
    (35.0 * 60, PAPER_IMAGENET, "github.com/libffcv/ffcv-imagenet, ResNet-18 of 16 epochs"),
)
CHOICE = RESULTS / "fashion" / "recipe_choice.csv"  # of our own trainings on one core: benchmarks/recipe_choice.py


@dataclass(frozen=True)
class Item:
    """One thing to compute. trainings: at most; expected: see EXPECTED; paper: by its protocol, where it counts them.

    flops: of one training. bytes: on disk afterwards, at most.
    """

    what: str
    trainings: int
    expected: int
    flops: float
    bytes: float
    paper: int | None = None


EXPECTED = (
    "expected: votes agree, so that n_votes // 2 + 1 decide a probe, and every target is searched to the end; "
    "at most: no early decision. Both have the probe at k_max, and that at k = 0 once for all."
)


def text(
    profile: Profile,
    curves: Curves = (),
    united: Curves = (),
    sample: Curves = (),
    fixed_k: Sequence[tuple] = (),
    rankings: Sequence[str] = (),
    lds: dict[float, Sequence[str]] | None = None,
) -> str:
    """The plan as text. Raises ValueError where a value does not fit.

    curves: supports by separate tests; united: by united ones; sample: separate, of one target of every class. fixed_k:
    margins, each of (curves, tests, trainings a test), where tests are "separate", "united", or "one a class".
    rankings: methods that are ranked alone. lds: methods and feature sets by alpha.
    """
    lds = lds or {}
    named = [curve[1] for curve in (*curves, *united, *sample, *(c for some, *_ in fixed_k for c in some))]
    named += [*rankings, *(name for methods in lds.values() for name in methods)]
    methods = [parsed(profile, name) for name in dict.fromkeys(named)]
    check(profile, methods)
    items = []
    if methods:
        items = [*learnt(profile, methods, lds), *searched(profile, curves, united, sample)]
        items += [item for margins in fixed_k for item in at_fixed_k(profile, *margins)]
    parts = [checked(profile), needed(profile, methods, lds), table(items) if items else "Nothing is trained."]
    return "\n\n".join([*parts, *([references()] if items else [])])


def parsed(profile: Profile, name: str) -> Method:
    """What a method's name means; a feature set alone, as the LDS takes it, is those features without a distance."""
    if name in features.EXTRACTORS:
        return Method(name, name)
    return Attribution(profile, stand_in(profile), np.empty(0, int), RESULTS, driver=None).parse(name)


def stand_in(profile: Profile) -> Dataset:
    """A dataset of the profile's shapes that takes next to no memory: all its pixels are one."""
    shape, (n_classes, *per_class) = manifest.find(profile.dataset).shape, profiles.class_sizes(profile)
    labels = [np.tile(np.arange(n_classes), n) for n in per_class]
    images = [np.broadcast_to(np.uint8(0), (len(some), *shape)) for some in labels]
    return Dataset(profile.dataset, images[0], labels[0], images[1], labels[1], tuple(map(str, range(n_classes))))


def check(profile: Profile, methods: Sequence[Method]) -> None:
    """What `Study` and the trainings would refuse, before there is anything to train on."""
    dataset = stand_in(profile)
    profiles.check_k_max(profile, np.bincount(dataset.train_labels))
    profiles.check_n_targets(profile, np.bincount(dataset.test_labels))
    retrain.check(dataset, Retraining(profile.recipe, 0, removed=tuple(range(profile.k_max))))
    training_flops(profile.recipe, dataset)  # runs the network on every size of image
    for recipe in {
        method.features: profile.features(method.features) for method in methods if method.features
    }.values():
        features.check(dataset, recipe)
        feature_flops(recipe, dataset)


def searched(profile: Profile, curves: Curves, united: Curves, sample: Curves) -> list[Item]:
    """Trainings that choose the targets and find supports."""
    dataset, majority = stand_in(profile), profile.n_votes // 2 + 1
    base = training_flops(profile.recipe, dataset)
    found = [Item("base models", profile.n_base, profile.n_base, base, profile.n_base * RECORD)]
    for recipe in dict.fromkeys(tested(profile, curve) for curve in (*curves, *united, *sample)):
        what, flops = f"supports, k = 0{on(profile, recipe)}", training_flops(recipe, dataset)
        found.append(Item(what, profile.n_votes, majority, flops, profile.n_votes * RECORD))
    steps = min(profile.budget, ceil(log2(profile.k_max)))
    n_classes = len(dataset.class_names)
    for some, tests, size, said in (
        (curves, profile.n_targets, RECORD, ""),
        (united, n_groups(profile), RECORD * n_classes, ", united"),
        (sample, min(n_classes, profile.n_targets), RECORD, ", one target a class"),
    ):
        paper = profile.n_targets * profile.budget * profile.n_votes if some is curves else None
        most, likely = (tests * (steps + 1) * votes for votes in (profile.n_votes, majority))
        for curve in some:
            recipe = tested(profile, curve)
            what = f"supports, {curve[0]}, {curve[1]}{said}{on(profile, recipe)}"
            found.append(Item(what, most, likely, training_flops(recipe, dataset), most * size, paper))
    return found


def at_fixed_k(profile: Profile, curves: Curves, tests: str, each: int) -> list[Item]:
    """Trainings that measure margins, an item a recipe."""
    dataset, found = stand_in(profile), []
    n_tests = {"separate": profile.n_targets, "united": n_groups(profile), "one a class": len(dataset.class_names)}
    for recipe, n_curves in Counter(tested(profile, curve) for curve in curves).items():
        n, what = n_curves * each * n_tests[tests], f"margins at fixed k, {tests}{on(profile, recipe)}"
        found.append(Item(what, n, n, training_flops(recipe, dataset), n * RECORD))
    return found


def tested(profile: Profile, curve: tuple) -> Recipe:
    """The recipe of the models on which a curve is found."""
    return curve[2] if len(curve) > 2 else profile.recipe


def on(profile: Profile, recipe: Recipe) -> str:
    """What tells a recipe from the profile's, behind a comma."""
    if recipe.arch != profile.recipe.arch:
        return f", {recipe.arch}"
    return "" if recipe == profile.recipe else ", balanced loss"


def learnt(profile: Profile, methods: Sequence[Method], lds: dict[float, Sequence[str]]) -> list[Item]:
    """Trainings that attribute: features, networks of competing methods, models on random subsets."""
    dataset, found = stand_in(profile), []
    n_train, n_test = len(dataset.train_labels), len(dataset.test_labels)
    flops, row = training_flops(profile.recipe, dataset), 4 * profile.n_targets * n_train
    for name in dict.fromkeys(method.features for method in methods if method.features not in (None, "pixels")):
        recipe = profile.features(name)
        trained = int(recipe.method in features.EXTRACTORS)
        kept = 4 * (n_train + n_test) * n_features(recipe, dataset)
        found.append(Item(f"features, {name}", trained, trained, feature_flops(recipe, dataset), kept))
    for stem, network in dict.fromkeys((method.stem, method.network) for method in methods if method.models):
        if stem not in SUBSET_METHODS and "n_models" in inspect.signature(rivals.METHODS[stem]).parameters:
            there = profile.on(network)
            n, each = max(sizes(there, stem)), training_flops(there.recipe, dataset)
            if stem == "trak":
                each = each / 2 + trak_flops(there, dataset)
            what = f"networks, {stem}{on(profile, there.recipe)}"
            found.append(Item(what, n, n, each, row * len(sizes(there, stem))))
    halves = 0 if not any(m.stem in SUBSET_METHODS for m in methods) else max(profile.subset_models)
    for what, n, alpha in (
        ("Datamodels", 0 if profile.published_subsets else halves, 0.5),
        *(("LDS", 0 if profile.published_lds and alpha == 0.5 else profile.lds_models, alpha) for alpha in lds),
    ):
        if n:
            found.append(Item(f"subsets of {alpha:g}, {what}", n, n, alpha * flops, n * (2 * n_test + 8)))
    return found


def n_groups(profile: Profile) -> int:
    """United tests: one target of every class each."""
    return ceil(profile.n_targets / profiles.class_sizes(profile)[0])


def table(items: Sequence[Item]) -> str:
    """The items, a row each, and their sums."""
    gpu, core = speed_of_a100(PAPER), speed_of_core()[0]
    rows = [
        {
            "what": item.what,
            "paper's protocol": item.paper,
            "at most": item.trainings,
            "expected": item.expected,
            "A100 hours": item.expected * item.flops / gpu / 3600,
            "core-hours": item.expected * item.flops / core / 3600,
            "MB on disk": item.bytes / 1e6,
        }
        for item in items
    ]
    found = pd.DataFrame(rows)
    sums = found.drop(columns="what").sum().to_dict() | {"what": "sum"}
    found = pd.concat([found, pd.DataFrame([sums])], ignore_index=True)
    for name in ("paper's protocol", "at most", "expected"):
        found[name] = ["–" if pd.isna(n) else f"{n:.0f}" for n in found[name]]
    shown = found.to_string(index=False, float_format="{:.3g}".format)
    return f"Trainings, and hours of those expected:\n{shown}\n{EXPECTED}"


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


def needed(profile: Profile, methods: Sequence[Method], lds: dict[float, Sequence[str]]) -> str:
    """Every entry of the manifest that is read: its size, whether it is pinned, where it is or how it is had."""
    names = [profile.dataset] if methods else []
    names += [profile.selfsupervised.method] if any(m.features == "moco" for m in methods) else []
    names += profile.published_lds or () if 0.5 in lds else ()
    if any(m.stem in SUBSET_METHODS for m in methods):
        names += [*(profile.published_subsets or ()), *filter(None, [profile.published_datamodels])]
    known = manifest.entries()
    lines = [whereabouts(known[name]) for name in dict.fromkeys(names) if name in known]
    return "\n".join(["Needed:", *lines]) if lines else "Needed: the tables of the figures under results/."


def whereabouts(entry: manifest.Entry) -> str:
    """One line about an entry. Files are looked for and not read."""
    size = f"{entry.bytes / 1e6:,.1f} MB" if entry.bytes else "size not published"
    pinned = "sha256 pinned" if entry.sha256 else f"md5 {entry.md5}" if entry.md5 else "no checksum is pinned yet"
    here = [name for name, folder in manifest.places().items() if entry.file and (folder / entry.file).is_file()]
    if entry.path:
        path = manifest.MANIFEST.parent / Path(entry.path).expanduser()
        where = "is here" if path.exists() else f"is not here: {entry.manual}"
    elif here:
        where = f"is in the {here[0]}"
    else:
        where = f"would be downloaded from {entry.urls[0]}" if entry.urls else f"is had by hand: {entry.manual}"
    return f"  {entry.name} ({size}, {pinned}) {where}"


def references() -> str:
    """Where the speeds come from, with the arithmetic."""
    lines = []
    for seconds, profile, source in A100:
        recipe, n_train = profile.recipe, manifest.find(profile.dataset).images[0]
        total = training_flops(recipe, stand_in(profile))
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
            f"A step costs {1 + BACKWARD} forward passes. A small network reaches less of a GPU, and a wider one "
            "more of a core. Of scoring, TRAK's gradients and projections alone are counted.",
        ]
    )


def speed_of_a100(profile: Profile) -> float:
    """FLOP/s of the published training that the profile repeats."""
    seconds = next(seconds for seconds, published, _ in A100 if published is profile)
    return training_flops(profile.recipe, stand_in(profile)) / seconds


def speed_of_core() -> tuple[float, str]:
    """FLOP/s of our training on one core, and which core."""
    row = pd.read_csv(CHOICE).set_index("recipe").filter(like="(chosen)", axis="index").iloc[0]
    return training_flops(LAPTOP, stand_in(PROFILES["fashion"])) / row["core_seconds"], row["machine"]


def training_flops(recipe: Recipe, dataset: Dataset) -> float:
    """Of one training on the whole training set. Resized images are those of each epoch's size."""
    n_train, channels, *native = dataset.train_images.shape
    passes = [
        forward_flops(recipe.arch, recipe.width, recipe.stem, channels, size, len(dataset.class_names))
        for size in ([(recipe.size(epoch),) * 2 for epoch in range(recipe.epochs)] if recipe.sizes else [tuple(native)])
    ]
    return (1 + BACKWARD) * n_train * recipe.epochs * float(np.mean(passes))


def feature_flops(recipe: FeatureRecipe, dataset: Dataset) -> float:
    """Of learning features and computing those of all images."""
    n_images = len(dataset.train_labels) + len(dataset.test_labels)
    if recipe.method == "pixels":
        return 0.0
    if recipe.method not in features.EXTRACTORS:
        return n_images * resnet50_flops()
    if recipe.classifier:
        return training_flops(recipe.classifier, dataset)
    n_train, channels, *size = dataset.train_images.shape
    forward = forward_flops(recipe.arch, recipe.width, recipe.stem, channels, tuple(size), 1)
    views = 2 * (1 + BACKWARD + issubclass(ssl.METHODS[recipe.method], ssl.Momentum))
    return (views * n_train * recipe.epochs + n_images) * forward


def trak_flops(profile: Profile, dataset: Dataset) -> float:
    """Of one network: the gradient of every training image, and its projection."""
    projection_dim = profile.trak.get("projection_dim", PROJECTION_DIM)
    gradients = training_flops(profile.recipe, dataset) / profile.recipe.epochs
    n_parameters = rivals.networks.n_parameters(dataset, profile.recipe)
    return gradients + 2.0 * len(dataset.train_labels) * n_parameters * projection_dim


def n_features(recipe: FeatureRecipe, dataset: Dataset) -> int:
    """The length of a feature."""
    if recipe.method not in features.EXTRACTORS:
        return published.N_FEATURES
    network = recipe.classifier or recipe
    return nets.build(network, dataset.train_images.shape[1], len(dataset.class_names), seed=0).n_features


@cache
def forward_flops(arch: str, width: int, stem: str, channels: int, size: tuple[int, int], n_classes: int) -> int:
    """Of a forward pass of one image: two for a multiplication with its addition. Nothing is computed."""
    return _count(nets.build(Recipe(arch, width, stem), channels, n_classes, seed=0), (channels, *size))


@cache
def resnet50_flops() -> int:
    """Of a forward pass of the network of `lib.nets.published`."""
    with torch.device("meta"):
        return _count(resnet50(), (3, published.SIDE, published.SIDE))


def _count(net: torch.nn.Module, shape: tuple[int, ...]) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        try:
            net.to("meta").eval()(torch.empty(1, *shape, device="meta"))
        except RuntimeError as problem:
            raise ValueError(f"images of {shape} do not fit the network: {problem}; choose another stem") from problem
    return counter.get_total_flops()
