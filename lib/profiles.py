"""Profiles: named sets of values for everything that is computed, from seconds on a laptop to the paper's own scale.

A notebook's parameters name a profile and may override every single value of it. The values were chosen for their cost
and for test or kNN accuracy, before any attribution was looked at.
"""

from dataclasses import dataclass, fields, replace

from lib.features import FeatureRecipe
from lib.manifest import Entry
from lib.retrain import Recipe


@dataclass(frozen=True)
class Profile:
    """One set of values. The paper's: 100 targets, k_max 1280, budget 7, 5 votes (Paper §4.1, App. A.4)."""

    name: str
    dataset: str | Entry  # of the manifest
    train_per_class: int | None  # training images a class, the first ones; None: all
    test_per_class: int | None
    recipe: Recipe  # of the model whose predictions are explained
    moco: FeatureRecipe  # of the other self-supervised methods too
    supervised: FeatureRecipe
    pixels: FeatureRecipe
    n_targets: int  # test images, the same number of each class
    n_base: int  # unmodified models that choose the targets and the wrong labels
    k_max: int  # training samples changed at most
    budget: int  # bisection steps
    n_votes: int  # trainings a probe at most
    ensembles: tuple[int, ...]  # networks of a competing method that looks into networks; the paper's TRAK: 10, 20, 100
    subset_models: tuple[int, ...]  # models on random halves for Datamodels; the paper: 10 000, 50 000, 300 000
    lds_models: int  # further models on random halves, for the LDS
    published_lds: tuple[str, str] | None = None  # entries of the manifest read instead: masks and margins of others
    seed: int = 0  # of the choice of targets and of random rankings

    def features(self, name: str) -> FeatureRecipe:
        """The recipe of a set of features; self-supervised ones differ in the method and its learning rate alone."""
        if name in ("moco", "supervised", "pixels"):
            return getattr(self, name)
        return replace(self.moco, method=name, peak_lr=PEAK_LRS.get(name, self.moco.peak_lr))


# DEPARTURE: the laptop recipe trains a ResNet-9 of width 8 with a strided stem for 3 epochs of batches of 64, with
# Nesterov momentum and without augmentation: the cheapest one measured that clears 84 % with a margin (page "Choices").
LAPTOP = Recipe(
    width=8,
    stem="conv5s2",
    epochs=3,
    warmup_epochs=0.625,
    batch_size=64,
    nesterov=True,
    flip=False,
    translate=0,
    cutout=0,
)
MOCO = FeatureRecipe("moco")
PEAK_LRS = {"byol": 0.1, "simsiam": 0.1, "barlow_twins": 0.3, "swav": 0.3}  # others: MoCo's (benchmarks/zoo_choice.py)
CLASSIFIER = replace(LAPTOP, width=MOCO.width, epochs=10, warmup_epochs=2.0, flip=True)  # MoCo's network, with labels
FASHION = Profile(
    name="fashion",
    dataset="fashion_mnist",
    train_per_class=None,
    test_per_class=None,
    recipe=LAPTOP,
    moco=MOCO,
    supervised=FeatureRecipe("supervised", classifier=CLASSIFIER),
    pixels=FeatureRecipe("pixels"),
    n_targets=50,
    n_base=4,
    k_max=256,
    budget=7,
    n_votes=3,
    ensembles=(1, 5, 10, 20),
    subset_models=(250, 500, 1000, 2000),
    lds_models=300,
)
SMOKE = replace(
    FASHION,
    name="smoke",
    train_per_class=100,
    test_per_class=20,
    recipe=replace(LAPTOP, epochs=4, warmup_epochs=1.0, batch_size=40, peak_lr=0.3),
    moco=replace(MOCO, epochs=4, width=8),
    supervised=FeatureRecipe("supervised", classifier=replace(LAPTOP, epochs=4)),
    n_targets=10,
    n_base=2,
    k_max=32,
    budget=3,
    n_votes=1,
    ensembles=(1, 2),
    subset_models=(20, 40),
    lds_models=20,
)
PROFILES = {profile.name: profile for profile in (SMOKE, FASHION)}
NAMES = tuple(PROFILES)


def load(name: str, **overrides) -> Profile:
    """The profile `name`, with every override that is not None put in its place.

    An override is a field of Profile (`n_targets=10`), of its recipe (`epochs=5`), or, behind "moco_", of the MoCo
    recipe (`moco_epochs=20`). Raises ValueError for an unknown profile or value.
    """
    if name not in PROFILES:
        raise ValueError(f"unknown profile {name!r}; choose one of {', '.join(NAMES)}")
    profile = PROFILES[name]
    for key, value in overrides.items():
        if value is not None:
            profile = _override(profile, key, value)
    _check(profile)
    return profile


COUNTS = ("n_targets", "n_base", "k_max", "budget", "n_votes", "lds_models")
SCALARS = {"train_per_class", "test_per_class", "seed", *COUNTS}


def _override(profile: Profile, key: str, value) -> Profile:
    prefix, _, rest = key.partition("_")
    if key in SCALARS:
        return replace(profile, **{key: value})
    if key in {field.name for field in fields(Recipe)}:
        return replace(profile, recipe=replace(profile.recipe, **{key: value}))
    if prefix == "moco" and rest in {field.name for field in fields(FeatureRecipe)}:
        return replace(profile, moco=replace(profile.moco, **{rest: value}))
    raise ValueError(f"unknown value {key!r} of a profile; see the fields of Profile, Recipe and FeatureRecipe")


def _check(profile: Profile) -> None:
    for key in COUNTS:
        value = getattr(profile, key)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{key}={value!r} must be a whole number of at least 1")
    if profile.moco.epochs < 1:
        raise ValueError(f"moco_epochs={profile.moco.epochs} must be at least 1")
    if not 0 < profile.recipe.warmup_epochs < profile.recipe.epochs:
        epochs, warmup = profile.recipe.epochs, profile.recipe.warmup_epochs
        raise ValueError(f"epochs={epochs} must exceed warmup_epochs={warmup}, which must exceed 0; set both")
