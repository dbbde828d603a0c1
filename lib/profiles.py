"""Profiles: named sets of values for everything that is computed, from seconds on a laptop to the paper's own scale.

A notebook's parameters name a profile and may override its values. Where a value was chosen by trial, the script that
chose it is named, and the page of choices shows what it saw: accuracies, costs, TRAK's own LDS; never supports.
"""

import json
from dataclasses import asdict, dataclass, field, fields, replace

import numpy as np

from lib.base import check
from lib.data import Entry, find
from lib.features import FeatureRecipe
from lib.retrain import Recipe, check_recipe, short_hash

PEAK_LRS = {"byol": 0.1, "simsiam": 0.1, "barlow_twins": 0.3, "swav": 0.3}  # others: MoCo's (benchmarks/zoo_choice.py)


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One set of values. The paper's: 100 targets, k_max 1280, budget 7, 5 votes (Paper §4.1, App. A.4)."""

    name: str
    dataset: str | Entry  # of the manifest
    train_per_class: int | None = None  # training images per class, the first ones; None: all
    test_per_class: int | None = None
    recipe: Recipe  # of the model whose predictions are explained
    selfsupervised: FeatureRecipe  # of MoCo, and of every other self-supervised method but for `peak_lrs`
    classifier: Recipe  # of the network whose layer before the last makes the supervised features
    n_targets: int  # test images, the same number of each class
    n_base: int  # unmodified models that choose the targets and the wrong labels
    k_max: int  # training samples changed at most
    budget: int = 7  # bisection steps
    n_votes: int  # trainings per probe at most
    ensembles: tuple[int, ...]  # networks of a competing method that looks into networks; the paper's TRAK: 10, 20, 100
    subset_models: tuple[int, ...]  # models on random halves for Datamodels; the paper: 10 000, 50 000, 300 000
    rivals: tuple[str, ...] = ("trak", "datamodels")  # competing methods beside ours, where not all are
    every_method: bool = True  # in Figure 1 and Table 1; False: those of Figures 2 and 3
    lds_models: int  # further models on random halves, for the LDS
    transfer: tuple[Recipe, ...] = ()  # other networks, by their `arch`, that rankings are tested on, or made with
    transfer_ensembles: tuple[int, ...] = ()  # as `ensembles`, where a competing method looks into one of them
    published_lds: tuple[str, str] | None = None  # entries of the manifest read instead: masks and margins of others
    published_subsets: tuple[str, str] | None = None  # likewise, of the models that Datamodels are fitted to
    published_datamodels: str | None = None  # entry of the manifest: Datamodels of the largest of subset_models
    trak: dict[str, float] = field(default_factory=dict)  # TRAK's settings, where they are not its defaults
    peak_lrs: dict[str, float] = field(default_factory=PEAK_LRS.copy)  # of self-supervised methods, if not MoCo's
    n_classes: int | None = None  # the first ones; None: all
    united: bool = False  # whether Figures 2 and 3 find supports by united tests, which take fewer trainings
    alone: int = 0  # targets of each class that ours and TRAK are tested on one by one beside
    figures: tuple[str, ...] | None = None  # that `make figures` runs; None: all. Any runs when named
    paper: str = "paper"  # the profile of the paper's own sizes, which this one scales down
    seed: int = 0  # of the choice of targets and of random rankings

    def features(self, name: str) -> FeatureRecipe:
        """The recipe of a set of features: "pixels", "supervised", or a self-supervised method's."""
        if name == "pixels":
            return FeatureRecipe("pixels")
        if name == "supervised":
            return FeatureRecipe("supervised", classifier=self.classifier)
        if name == "moco":
            return self.selfsupervised
        return replace(self.selfsupervised, method=name, peak_lr=self.peak_lrs.get(name, self.selfsupervised.peak_lr))

    def network(self, arch: str | None) -> Recipe:
        """The recipe of the network under study (None), or of one of `transfer`. ValueError where there is no such."""
        others = {recipe.arch: recipe for recipe in self.transfer}
        if arch is not None and arch not in others:
            known = ", ".join(others) or "none"
            raise ValueError(f"profile {self.name} has no other network {arch!r}; it has: {known}")
        return self.recipe if arch is None else others[arch]

    def on(self, arch: str | None) -> "Profile":
        """The same profile where competing methods look into that network; see `network`."""
        ensembles = self.transfer_ensembles if arch else self.ensembles
        return replace(self, recipe=self.network(arch), ensembles=ensembles)

    @property
    def content(self) -> dict:
        """All values as JSON has them, recipes by their identity."""
        return json.loads(json.dumps(vars(self), default=lambda part: getattr(part, "identity", None) or asdict(part)))

    def folder(self, figure: str) -> str:
        """The name of the folder that a figure's tables go to: its own, where values of the profile are overridden."""
        return figure if self == PROFILES.get(self.name) else f"{figure}-{short_hash(self.content)}"


# DEPARTURE: the laptop recipe trains a ResNet-9 of width 8 with a strided stem for 3 epochs of batches of 64, with
# Nesterov momentum and without augmentation: one of the two cheapest that clear 84 % by half a point (page "Choices").
SMALL = Recipe(stem="conv5s2", nesterov=True, cutout=0)  # what all recipes for a CPU have in common
LAPTOP = replace(SMALL, width=8, epochs=3, warmup_epochs=0.625, batch_size=64, flip=False, translate=0)
MOCO = FeatureRecipe("moco")
TRANSFER = (  # benchmarks/transfer_choice.py
    replace(LAPTOP, arch="mobilenetv2_shallow", peak_lr=0.1),
    replace(LAPTOP, arch="vit", stem="patch7", width=32, epochs=6, peak_lr=0.1),
)
FASHION = Profile(
    name="fashion",
    dataset="fashion_mnist",
    recipe=LAPTOP,
    selfsupervised=MOCO,
    classifier=replace(LAPTOP, width=MOCO.width, epochs=10, warmup_epochs=2.0, flip=True),  # MoCo's network
    n_targets=50,
    n_base=4,
    k_max=256,
    n_votes=3,
    ensembles=(1, 5, 10, 20),
    subset_models=(250, 500, 1000, 2000),
    lds_models=300,
    transfer=TRANSFER,
    transfer_ensembles=(5,),
)
SMOKE = replace(
    FASHION,
    name="smoke",
    n_classes=5,
    train_per_class=40,
    test_per_class=20,
    recipe=replace(LAPTOP, warmup_epochs=1.0, batch_size=20, peak_lr=0.3),
    selfsupervised=replace(MOCO, epochs=4, width=8),
    classifier=replace(LAPTOP, batch_size=20),
    n_targets=5,
    n_base=2,
    k_max=12,
    budget=2,
    n_votes=1,
    ensembles=(1, 2),
    subset_models=(20, 40),
    lds_models=20,
    transfer=tuple(replace(recipe, epochs=2, batch_size=20) for recipe in TRANSFER),
    transfer_ensembles=(2,),
)
# The paper's CIFAR-10 at a fifth of its images; k_max is the same share of a class.
# DEPARTURE: profile cifar10 trains a ResNet-9 of width 16 with a strided stem for 6 epochs of batches of 128, with
# Nesterov momentum and without cutout (benchmarks/colour_choice.py compares accuracy on held-out images and cost).
COLOUR = replace(SMALL, width=16, epochs=6, warmup_epochs=1.2, batch_size=128)
CIFAR10 = replace(
    FASHION,
    name="cifar10",
    dataset="cifar10_jpeg",
    train_per_class=1000,
    test_per_class=200,
    recipe=COLOUR,
    selfsupervised=replace(MOCO, crop=0.15, cutout=0),  # benchmarks/moco_choice.py
    classifier=replace(COLOUR, width=MOCO.width, epochs=10, warmup_epochs=2.0),
    n_targets=100,
    n_votes=1,  # where the paper has 5: a hundred targets and six rankings at one vote, or fewer at more
    ensembles=(10,),
    subset_models=(),  # as many as Datamodels need would take longer than all else together
    lds_models=200,
    transfer=(
        replace(COLOUR, arch="mobilenetv2_shallow", width=8),
        replace(COLOUR, arch="vit", stem="patch4", width=32),
    ),
    transfer_ensembles=(10,),
    united=True,
    alone=3,
    figures=("fig02", "fig03", "fig04", "fig07"),
)
# All of the paper's CIFAR-10, and its k_max, with half of its targets, and 60 models on halves.
# DEPARTURE: profile cifar10_full trains the network of cifar10 for 3 epochs (benchmarks/colour_choice.py), and MoCo,
# of width 16, for 24 with the augmentation of MoCo v2. TRAK has the share of dimensions of cifar10, sparsely projected.
MOCO_V2 = {"crop": 0.2, "cutout": 0, "saturation": 0.4, "hue": 0.1, "grey": 0.2}
CIFAR10_FULL = replace(
    CIFAR10,
    name="cifar10_full",
    train_per_class=None,
    test_per_class=None,
    recipe=replace(COLOUR, epochs=3, warmup_epochs=0.6),
    selfsupervised=FeatureRecipe(
        width=16, epochs=24, batch_size=256, peak_lr=0.06, memory_bank=4096, output_dim=128, **MOCO_V2
    ),
    n_targets=50,
    k_max=1280,
    lds_models=60,
    trak={"projection_dim": 5120, "sparse": True},
    rivals=("trak", "trak_undamped"),
    every_method=False,
    alone=2,
    figures=("fig01", "fig02", "fig03", "fig04", "fig07", "table1"),
)
# The paper's ImageNet at a quarter of its pixels: 160, 192 and 256 a side become 40, 48 and 64.
# DEPARTURE: profile imagenet trains a ResNet-9 of width 8, where the paper trains a ResNet-18, on batches of 64 and
# crops of at least half of an image (benchmarks/colour_choice.py). Its self-supervised model learns from the same few
# images, where the paper's was trained on all of ImageNet.
CROPS = Recipe(translate=0, cutout=0)  # of random resized crops: see `sizes`
TINY = replace(CROPS, stem="conv5s2", width=8, epochs=15, warmup_epochs=3.0, batch_size=64, peak_lr=0.25)
TINY = replace(TINY, sizes=(40, 48), smallest_crop=0.5)
IMAGENET = replace(
    CIFAR10,
    name="imagenet",
    dataset="tiny_imagenet_40",
    n_classes=10,
    train_per_class=None,
    test_per_class=None,
    recipe=TINY,
    classifier=replace(TINY, width=MOCO.width),
    n_targets=30,
    k_max=384,  # 77 % of a class, as the paper's 1000 of 1281
    ensembles=(1, 4),
    subset_models=(100, 200),
    lds_models=100,
    transfer=(),  # the paper's is of CIFAR-10
    transfer_ensembles=(),
    united=False,
    alone=0,
    figures=("fig05",),
    paper="paper_imagenet",
)
# The paper's own sizes. By the authors' code and README: mixed precision, 10 base models on CIFAR-10, 4 on ImageNet.
# Of MoCo, what follows the number of epochs is the authors' code, which is lightly's benchmark. DEPARTURE: its jitter
# changes hue and saturation too and spares some images, and it makes some grey; its head's hidden layer is half as wide
# as ours.
RESNET18 = {"arch": "resnet18", "stem": "conv3", "width": 64}
PAPER = Profile(
    name="paper",
    dataset="cifar10",  # published masks and rankings count its training images
    recipe=Recipe(precision="bfloat16"),
    selfsupervised=FeatureRecipe(
        **RESNET18, epochs=800, batch_size=512, peak_lr=0.24, memory_bank=4096, output_dim=128, crop=0.08, cutout=0
    ),
    classifier=Recipe(**RESNET18, precision="bfloat16"),
    n_targets=100,
    n_base=10,
    k_max=1280,
    n_votes=5,
    ensembles=(5, 10, 20, 100),
    subset_models=(10_000, 50_000, 300_000),
    lds_models=10_000,
    transfer=(Recipe(arch="mobilenetv2", width=32, precision="bfloat16"),),
    transfer_ensembles=(5,),
    published_lds=("trak_cifar10_masks", "trak_cifar10_margins"),
    published_subsets=("datamodels_cifar10_masks", "datamodels_cifar10_margins"),
    published_datamodels="datamodels_cifar10_weights",
    trak={"projection_dim": 20_480, "damping": 0.0},
    peak_lrs={},
)
RESIZED = replace(CROPS, arch="resnet18", stem="conv7s2pool", epochs=16, batch_size=1024, precision="bfloat16")
RESIZED = replace(RESIZED, sizes=(160, 192))
PAPER_IMAGENET = replace(
    PAPER,
    name="paper_imagenet",
    dataset="imagenet",
    recipe=RESIZED,
    selfsupervised=FeatureRecipe("moco_v2_rn50_800ep"),
    classifier=RESIZED,
    n_targets=30,
    n_base=4,
    k_max=1000,
    n_votes=1,
    ensembles=(1, 4),
    transfer=(),
    transfer_ensembles=(),
    **dict.fromkeys(("published_lds", "published_subsets", "published_datamodels")),
    trak={"projection_dim": 4096, "damping": 0.0},
    paper="paper_imagenet",
)
PROFILES = {one.name: one for one in (SMOKE, FASHION, CIFAR10, CIFAR10_FULL, IMAGENET, PAPER, PAPER_IMAGENET)}
NAMES = tuple(PROFILES)
SCALARS = {"dataset", "n_classes", "train_per_class", "test_per_class", "seed", "n_targets", "n_base", "k_max"}
SCALARS |= {"budget", "n_votes", "lds_models"}


def load(name: str, **overrides) -> Profile:
    """The profile `name`, with every override that is not None put in its place.

    An override is a field of Profile (`n_targets=10`), of its recipe (`epochs=5`), or, behind "moco_", of the
    self-supervised one (`moco_epochs=20`). Raises ValueError for an unknown profile or value.
    """
    if name not in PROFILES:
        raise ValueError(f"unknown profile {name!r}; choose one of {', '.join(NAMES)}")
    profile = PROFILES[name]
    for key, value in overrides.items():
        check(key, value)
        if value is not None:
            profile = _override(profile, key, value)
    check_recipe(profile.recipe)
    return profile


def _override(profile: Profile, key: str, value) -> Profile:
    of_moco = key.removeprefix("moco_")
    if key in SCALARS:
        return replace(profile, **{key: value})
    if key in {known.name for known in fields(Recipe)}:
        return replace(profile, recipe=replace(profile.recipe, **{key: value}))
    if of_moco != key and of_moco in {known.name for known in fields(FeatureRecipe)}:
        return replace(profile, selfsupervised=replace(profile.selfsupervised, **{of_moco: value}))
    raise ValueError(f"unknown value {key!r} of a profile; see the fields of Profile, Recipe and FeatureRecipe")


def class_sizes(profile: Profile) -> tuple[int, int, int]:
    """How many classes, and training and test images of each, by the manifest; on average where classes differ.

    Raises ValueError where the manifest does not say, or has fewer than the profile takes.
    """
    entry = find(profile.dataset)
    if not (entry.images and entry.shape and entry.n_classes):
        raise ValueError(f"manifest entry {entry.name} lacks images, shape or n_classes; add them to count with them")
    limits = [entry.n_classes, *(n // entry.n_classes for n in entry.images)]
    asked = {key: getattr(profile, key) for key in ("n_classes", "train_per_class", "test_per_class")}
    for (key, value), limit in zip(asked.items(), limits, strict=True):
        if value is not None and value > limit:
            raise ValueError(f"{key}={value} exceeds the {limit} of {entry.name}; lower it")
    return tuple(value or limit for value, limit in zip(asked.values(), limits, strict=True))


def check_k_max(profile: Profile, train: np.ndarray) -> None:
    """Refuse k_max beyond the training images of a class, train: (n_classes,) int.

    Where there are fewer targets than classes, those of large classes are chosen.
    """
    n_chosen = min(profile.n_targets, len(train))
    if profile.k_max > (largest := int(np.sort(train)[-n_chosen])):
        raise ValueError(f"k_max={profile.k_max} exceeds the {largest} training images of a class; lower k_max")


def check_n_targets(profile: Profile, test: np.ndarray) -> None:
    """Refuse targets that are not as many of each class, or beyond its test images, test: (n_classes,) int.

    Fewer than classes are each of a class of its own.
    """
    n_classes, most = len(test), test.min() * len(test)
    if profile.n_targets > n_classes and (profile.n_targets % n_classes or profile.n_targets > most):
        raise ValueError(f"n_targets={profile.n_targets} must be a multiple of the {n_classes} classes, at most {most}")
