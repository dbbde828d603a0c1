"""A method by its name, in this one place: what the name means, and its label, colour and line in figures and tables.

A name is NAME[:MODELS][@NETWORK][:all]. NAME is features and a distance ("moco_esvm", "pixels_l2"), "random", or a
competing method of `lib.rivals`, followed by its number of models ("trak:20"): networks under study, or other ones
of the profile ("trak:20@vit"). A ranking stays within the target's class unless the name ends in ":all". What a method
computes stands in `lib.rivals.attribution`; here is nothing but names.
"""

import re
from dataclasses import dataclass

OURS, RANDOM = "moco_esvm", "random"
SUBSET_METHODS = ("datamodels", "empirical_influence")  # read from models trained on random subsets
BLUE, ORANGE, GREEN, RED, PINK, BROWN, _, GREY, _, SKY = (  # seaborn's palette "colorblind"
    ["#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#ca9161", "#fbafe4", "#949494", "#ece133", "#56b4e9"]
)
OLIVE, PLUM, DARK = "#7a7a00", "#a8428f", "0.2"
SOLID, DASHED, DOTTED, DASH_DOT = "-", "--", ":", "-."

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
    "esvm_c0.001": ("exemplar SVM, C 0.001", SOLID),
    "esvm_c0.01": ("exemplar SVM, C 0.01", SOLID),
    "esvm_c1": ("exemplar SVM, C 1", SOLID),
    "esvm_c10": ("exemplar SVM, C 10", SOLID),
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
    "own_cosine": ("own last layer, cosine", DARK, DOTTED),
    "own_l2": ("own last layer, L2", DARK, SOLID),
    "knn_shapley": ("KNN-Shapley", DARK, DASH_DOT),
    "typical": ("most typical of the class", GREY, SOLID),
}
DRAWN = {  # those that are drawn otherwise than their parts say
    OURS: ("MoCo, exemplar SVM (ours)", BLUE, SOLID),
    "moco_l2": ("MoCo, L2", SKY, DASHED),
    "supervised_l2": ("supervised, L2", ORANGE, DASH_DOT),
    "pixels": ("raw pixels", GREEN, SOLID),
    "pixels_l2": ("raw pixels, L2", GREEN, DOTTED),
    RANDOM: ("random in the class", GREY, (0, (5, 1, 1, 1, 1, 1))),
    f"{RANDOM}:all": ("random, all classes", "0.7", DOTTED),
}
NETWORKS = {
    "resnet9": "ResNet-9",
    "mobilenetv2": "MobileNetV2",
    "mobilenetv2_shallow": "MobileNetV2, shallow",
    "resnet18": "ResNet-18",
    "vit": "ViT",
}
FORM = re.compile(r"([^:@]+)(?::(\d+))?(?:@(\w+))?(:all)?")


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
    """What a name means; ValueError where it is no method's. Whether a profile has it, `Attribution.parse` says."""
    parts = FORM.fullmatch(name)
    stem, models, network, everywhere = parts.groups() if parts else (name, None, None, None)
    if stem in RIVALS and models:
        return Method(stem, models=int(models), network=network, same_class=not everywhere)
    if parts and not (models or network):
        for feature in FEATURES:
            distance = stem.removeprefix(f"{feature}_")
            if distance != stem and distance in DISTANCES:
                return Method(stem, feature, distance, same_class=not everywhere)
        if stem == RANDOM:
            return Method(stem, same_class=not everywhere)
    raise ValueError(
        f"unknown method {name!r}; give features and a distance ({', '.join(FEATURES)}; {', '.join(DISTANCES)}) like "
        f"{OURS}, or {RANDOM}, or a competing method with its number of models like trak:20 ({', '.join(RIVALS)}), "
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
    if name in RIVALS:  # whatever its number of models
        return RIVALS[name]
    method = parse(name)
    if method.features:
        (features, colour), (distance, line) = FEATURES[method.features], DISTANCES[method.distance]
        return f"{features}, {distance}", colour, line
    shown, colour, line = RIVALS[method.stem]
    network = f" of {NETWORKS[method.network]}" if method.network else ""
    return f"{shown} ({method.models}){network}", colour, line


def label(name: str) -> str:
    """The name of a method in figures and tables."""
    return look(name)[0]
