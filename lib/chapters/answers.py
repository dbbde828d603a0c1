"""What a study of one's own images answered, as tables and sentences: supports, doubts, accuracies."""

import hashlib
from collections import defaultdict
from itertools import chain

import numpy as np
import pandas as pd

from lib.bisection import FOUND, LARGER
from lib.chapters.mistakes import RIGHT_AT_ZERO, MistakeStudy
from lib.chapters.own import RANKED, SHOWN, Files, OwnStudy
from lib.methods import label
from lib.report import stats

VOTES = "votes, k:right-wrong"
HARDLY = 0.2  # of the way from guessing to perfect: less is hardly better than guessing


def removed(supports: pd.DataFrame, names: Files) -> dict[tuple[str, str], int]:
    """How many of the images shown the support removes, by the target's name and the method."""
    rows = supports.loc[supports["reason"] == FOUND, ["target", "method", "size"]].itertuples(index=False)
    return {(names.test[target], method): min(int(size), SHOWN) for target, method, size in rows}


def doubts(study: OwnStudy, knn: pd.DataFrame) -> list[str]:
    """Why the answers may mean little, a sentence each. knn: `Attribution.knn_accuracies` of moco and pixels."""
    sentences, accuracy = [], knn.set_index("features")["knn_accuracy"]
    if study.accuracy - study.guessing < HARDLY * (1 - study.guessing):
        sentences.append(
            f"The retrained model is right on {study.accuracy:.0%} of the test images, hardly better than guessing "
            f"({study.guessing:.0%}): what flips its predictions is mostly chance. Raise epochs or add images."
        )
    if accuracy["moco"] <= accuracy["pixels"]:
        sentences.append(
            f"As a nearest-neighbour classifier MoCo ({accuracy['moco']:.0%}) is no better than raw pixels "
            f"({accuracy['pixels']:.0%}): its ranking may be no better either. Raise moco_epochs or add images."
        )
    return sentences


def copies(study: OwnStudy, names: Files) -> list[str]:
    """Which exact copies of an image spoil the answers, a sentence for each kind."""
    dataset, of_image, sentences = study.dataset, defaultdict(list), []
    for name, image in zip(names.train + names.test, chain(dataset.train_images, dataset.test_images), strict=True):
        of_image[hashlib.sha256(image).digest()].append(name)
    for part, words in ((0, "among the training and among the test images"), (1, "in two classes")):
        twice = [same for same in of_image.values() if len({name.split("/")[part] for name in same}) > 1]
        if twice:
            sentences.append(
                f"{len(twice)} of the images are {words}, the first of them as {' and '.join(twice[0])}: a support may "
                f"count copies and nothing else. Keep one of each."
            )
    return sentences


def finding(study: OwnStudy, supports: pd.DataFrame) -> str:
    """The page's first line, in Markdown."""
    does = "repairs" if isinstance(study, MistakeStudy) else "flips"
    flipped, n, k_max = supports[supports["reason"] == FOUND], supports["target"].nunique(), study.profile.k_max
    counts = [f"{(flipped['method'] == name).sum()} by {label(name)}" for name in supports["method"].unique()]
    text = f"**Removing at most {k_max} training images {does}, of {n} target{'s' * (n != 1)}: {'; '.join(counts)}.**"
    if len(flipped):
        row = flipped.loc[flipped["size"].astype(int).idxmin()]
        of_class = row["wrong_label" if isinstance(study, MistakeStudy) else "label"]
        size, of_all = int(row["size"]), np.bincount(study.dataset.train_labels)[of_class]
        text += (
            f" The smallest support found is {size} image{'s' * (size != 1)}, {size / of_all:.0%} of the class, by "
            f"{label(row['method'])}."
        )
    return f"{text} So few targets tell of these targets, and not which ranking is better."


def accuracies(study: OwnStudy, knn: pd.DataFrame) -> pd.DataFrame:
    """Shares of the test images that are right, with their intervals: of the model, of guessing, of neighbours.

    knn: as for `doubts`. Columns: classifier, test_accuracy, test_accuracy_low, test_accuracy_high, n.
    """
    n = len(study.dataset.test_labels)
    right = {f"retrained model, mean of {study.profile.n_base}": study.accuracy, "guessing": study.guessing}
    right |= {f"nearest neighbours, {label(row.features)}": row.knn_accuracy for row in knn.itertuples()}
    counted = {name: np.arange(n) < round(share * n) for name, share in right.items()}
    rows = [
        {"classifier": name} | stats.mean("test_accuracy", yes, stats.share_interval) for name, yes in counted.items()
    ]
    return pd.DataFrame(rows).assign(n=n)


def table(study: OwnStudy, supports: pd.DataFrame, names: Files) -> pd.DataFrame:
    """The supports as a reader reads them, by target: target, images_of (a class), method, support, second_choice or
    taken_for (a class), votes.
    """
    mistake, classes = isinstance(study, MistakeStudy), study.dataset.class_names
    rows, counts = supports.sort_values("target", kind="stable"), np.bincount(study.dataset.train_labels)
    of = rows["wrong_label" if mistake else "label"]
    shown = {
        "target": [names.test[i] for i in rows["target"]],
        "images_of": [classes[c] for c in of],
        "method": rows["method"],
        "support": [in_words(row, counts[c]) for (_, row), c in zip(rows.iterrows(), of, strict=True)],
        "taken_for" if mistake else "second_choice": [classes[wrong] for wrong in rows["wrong_label"]],
        VOTES: rows["votes"],
    }
    return pd.DataFrame(shown)


def cost(study: OwnStudy, supports: pd.DataFrame) -> pd.DataFrame:
    """Columns: what, and core_seconds, or seconds on CUDA."""
    trained = study.retrainings(supports)
    seconds = {
        "learning the features": study.attribution.seconds("moco_esvm"),
        f"{len(trained)} retrainings for the supports": trained["seconds"].sum(),
    }
    unit = "core_seconds" if study.driver.device == "cpu" else "seconds"
    return pd.DataFrame(seconds.items(), columns=["what", unit])


def ranking(study: OwnStudy, names: Files) -> pd.DataFrame:
    """The training images of every target by file, most supportive first: method, target, rank, train."""
    return pd.DataFrame(
        {"method": method, "target": names.test[target], "rank": rank, "train": names.train[train]}
        for method in RANKED
        for target, row in zip(study.targets, study.attribution.ranking(method), strict=True)
        for rank, train in enumerate(row, start=1)
    )


def in_words(row: pd.Series, class_size: int) -> str:
    """The support in a row of `Study.supports`, as a share of the class too, and doubt where votes at k = 0 differ."""
    if row["reason"] not in (FOUND, LARGER):
        return f"{'right' if row['reason'] == RIGHT_AT_ZERO else 'wrong'} without any removal"
    ks = sorted({row["low"] + 1, row["high"]}) if row["reason"] == FOUND else [row["low"]]
    more = "" if row["reason"] == FOUND else "more than "
    number, share = (" to ".join(numbers) for numbers in (map(str, ks), (f"{k / class_size:.0%}" for k in ks)))
    right, wrong = row["votes"].split()[0].removeprefix("0:").split("-")
    doubt = "" if "0" in (right, wrong) else f"; in doubt: {right} votes right and {wrong} wrong without any removal"
    return f"{more}{number} ({share} of the class){doubt}"
