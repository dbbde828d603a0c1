"""A method by its name, in this one place: what the name means, and its label, colour and line in figures and tables.

A name is NAME[:MODELS][@NETWORK][:all]. NAME is features and a distance ("moco_esvm", "pixels_l2"), "random", or a
competing method, followed by its number of models ("trak:20"): networks under study, or other ones of the profile
("trak:20@vit"). A ranking stays within the target's class unless the name ends in ":all". What a method computes, and
which there are, stands in `lib.rivals`: a new one is a file there. What the tables below lack is shown by its name.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

OURS, RANDOM = "moco_esvm", "random"
SUBSET_METHODS = ("datamodels", "empirical_influence")  # read from models trained on random subsets
BLUE, ORANGE, GREEN, RED, PINK = "#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc"  # seaborn's "colorblind"
BROWN, GREY, SKY = "#ca9161", "#949494", "#56b4e9"
OLIVE, PLUM, DARK = "#4f5200", "#a8428f", "0.2"
SOLID, DASHED, DOTTED, DASH_DOT = "-", "--", ":", "-."
MARKERS = {SOLID: "o", DASHED: "s", DOTTED: "^", DASH_DOT: "v"}  # by line; of any other, a diamond

FEATURES = {  # name: (label, colour)
    "moco": ("MoCo", BLUE),
    "simclr": ("SimCLR", RED),
    "byol": ("BYOL", PINK),
    "dino": ("DINO", BROWN),
    "simsiam": ("SimSiam", PLUM),
    "barlow_twins": ("Barlow Twins", OLIVE),
    "swav": ("SwAV", DARK),
    "supervised": ("supervised", ORANGE),
    "pixels": ("raw pixels", GREEN),
}
DISTANCES = {  # name: (label, line)
    "l2": ("L2", DASHED),
    "cosine": ("cosine", DOTTED),
    "esvm": ("exemplar SVM", SOLID),
    **{f"esvm_c{c}": (f"exemplar SVM, C {c}", SOLID) for c in ("0.001", "0.01", "1", "10")},
    "esvm_unit": ("exemplar SVM, unit length", SOLID),
    "mahalanobis": ("Mahalanobis", DASH_DOT),
    "ridge": ("exemplar ridge", DASH_DOT),
    "lda": ("exemplar LDA", DASH_DOT),
    "k_reciprocal": ("k-reciprocal", DASH_DOT),
}
RIVALS = {  # name: (label, colour, line), in the order of tables
    "trak": ("TRAK", RED, (0, (3, 1))),
    "datamodels": ("Datamodels", PINK, (0, (3, 1, 1, 1))),
    "empirical_influence": ("empirical influence", BROWN, (0, (1, 1))),
    "influence_cg": ("influence, conjugate gradients", PLUM, SOLID),
    "influence_arnoldi": ("influence, Arnoldi", PLUM, DASHED),
    "tracin": ("TracIn", OLIVE, SOLID),
    "grad_dot": ("gradient dot product", OLIVE, DASHED),
    "grad_cos": ("gradient cosine", OLIVE, DOTTED),
    "representer": ("representer points", DARK, DASHED),
    "dual": ("DualDA", OLIVE, DASH_DOT),
    "own_cosine": ("own last layer, cosine", DARK, DOTTED),
    "own_l2": ("own last layer, L2", DARK, SOLID),
    "knn_shapley": ("KNN-Shapley", DARK, DASH_DOT),
    "typical": ("most typical of the class", GREY, SOLID),
}
DRAWN = {  # those that are drawn otherwise than their parts say
    OURS: ("ours", BLUE, SOLID),
    "moco_l2": ("MoCo, L2", SKY, DASHED),
    "supervised_l2": ("supervised, L2", ORANGE, DASH_DOT),
    "pixels": ("raw pixels", GREEN, SOLID),
    "pixels_l2": ("raw pixels, L2", GREEN, DOTTED),
    "trak_undamped:10": ("TRAK (10), undamped", PLUM, DASH_DOT),
    RANDOM: ("random", GREY, (0, (5, 1, 1, 1, 1, 1))),
    f"{RANDOM}:all": ("random, all classes", "0.7", DOTTED),
}

NETWORKS = {"resnet9": "ResNet-9", "resnet18": "ResNet-18", "vit": "ViT"}  # label, by `arch`
NETWORKS |= {"mobilenetv2": "MobileNetV2", "mobilenetv2_shallow": "MobileNetV2, shallow"}
FORM = re.compile(r"([^:@\s]+)(?::([1-9]\d*)(?:@(\w+))?)?(:all)?")


@dataclass(frozen=True)
class Method:
    """A parsed name. features, distance: None for "random" and competing methods, which alone have models."""

    stem: str
    features: str | None = None
    distance: str | None = None
    models: int | None = None
    network: str | None = None  # None: the network under study
    same_class: bool = True


def parse(name: str) -> Method:
    """What a name says; ValueError where it says nothing. Whether there is such a method, `Attribution.parse` knows."""
    if parts := FORM.fullmatch(name):
        stem, models, network, everywhere = parts.groups()
        if models:
            return Method(stem, models=int(models), network=network, same_class=not everywhere)
        for feature in FEATURES:
            if stem.startswith(f"{feature}_"):
                return Method(stem, feature, stem.removeprefix(f"{feature}_"), same_class=not everywhere)
        if stem == RANDOM:
            return Method(stem, same_class=not everywhere)
    raise unknown(name)


def is_name(name: str) -> bool:
    """Whether it says something to `parse`; a ranking of one's own can have any name."""
    try:
        return bool(parse(name))
    except ValueError:
        return False


def unknown(name: str, distances: Iterable[str] = DISTANCES, rivals: Iterable[str] = RIVALS) -> ValueError:
    """The error that a name is no method's, with the parts that there are."""
    return ValueError(
        f"unknown method {name!r}; give features and a distance ({', '.join(FEATURES)}; {', '.join(distances)}) like "
        f"{OURS}, or {RANDOM}, or a competing method with its number of models like trak:20 ({', '.join(rivals)}), "
        f"behind it @ and another network of the profile if it is to look into that; last, :all to rank all classes"
    )


def look(name: str) -> tuple:
    """Label, colour and line of a method, of features or of a distance; "trak:20" is TRAK with 20 models."""
    if name in DRAWN:
        return DRAWN[name]
    if name.endswith(":all"):
        return f"{label(name.removesuffix(':all'))}, all classes", "0.35", DASHED
    if name in FEATURES:
        return f"{FEATURES[name][0]} features", FEATURES[name][1], SOLID
    if name in DISTANCES:
        return DISTANCES[name][0], DARK, DISTANCES[name][1]
    if name in RIVALS:
        return RIVALS[name]
    if not is_name(name):  # a ranking of one's own
        return name, BROWN, SOLID
    method = parse(name)
    if method.features:
        features, colour = FEATURES[method.features]
        distance, line = DISTANCES.get(method.distance, (method.distance, SOLID))
        return f"{features}, {distance}", colour if method.distance in DISTANCES else DARK, line
    shown, colour, line = RIVALS.get(method.stem, (method.stem, DARK, SOLID))
    network = f" of {NETWORKS.get(method.network, method.network)}" if method.network else ""
    return f"{shown} ({method.models}){network}", colour, line


def label(name: str) -> str:
    """The name of a method in figures and tables."""
    return look(name)[0]


def marker(name: str) -> str:
    """The marker of a method, by its line."""
    return MARKERS.get(look(name)[2], "D")
