"""What a user gives to be judged: scores or a ranking (.npy), or features, (train, test) vectors (.npz).

Everything that does not fit is refused here, before anything is trained.
"""

import numpy as np
import pandas as pd

from lib import data, distances, lds
from lib.engine import cache
from lib.features import Features, knn_accuracy
from lib.methods import label
from lib.study import Study

DISTANCES = ("l2", "esvm")  # that features are ranked by
UNREADABLE = (*cache.DAMAGED, MemoryError)


def read(path: str) -> np.ndarray:
    """The array in a .npy file. ValueError where there is none, FileNotFoundError where there is no file."""
    try:
        values = np.load(data.given(path), mmap_mode="r", allow_pickle=False)  # a header may promise what is not there
    except FileNotFoundError as error:
        raise FileNotFoundError(f"there is no file {path}; give scores as numpy.save writes them") from error
    except UNREADABLE as error:
        raise ValueError(f"{path} is not a .npy file of numbers; write the scores with numpy.save") from error
    if not isinstance(values, np.ndarray):
        raise ValueError(f"{path} holds several arrays; give one, as numpy.save writes it")
    return values


def ranked(values: np.ndarray, study: Study) -> tuple[np.ndarray, np.ndarray | None]:
    """The ranking (n_targets, k_max) of each target's class by scores or a ranking, and the scores, if it is these.

    values: scores (n_targets, n_train), higher = more supportive, -inf where an image is not ranked: in the scores that
    are given back it has the lowest of its row; or a ranking (n_targets, at least k_max) of train ids. Rows are in the
    order of `study.targets`.
    """
    n_targets, k_max, n_train = len(study.targets), study.profile.k_max, len(study.dataset.train_labels)
    if values.dtype.kind not in "fiu":
        raise ValueError(f"an array of {values.dtype} is neither; give scores as floats, or a ranking as integers")
    if values.ndim != 2 or len(values) != n_targets:
        if values.shape == (n_train, n_targets):
            raise ValueError(
                f"an array of shape {values.shape} looks transposed; give ({n_targets}, {n_train}), a row "
                f"for each target, as by scores.T"
            )
        raise ValueError(f"an array of shape {values.shape} does not fit: give a row for each of {n_targets} targets")
    of_class = study.dataset.test_labels[study.targets][:, None] == study.dataset.train_labels
    if values.dtype.kind in "iu":
        return _checked_ranking(values, of_class, k_max), None
    if values.shape[1] != n_train:
        raise ValueError(
            f"scores of {values.shape[1]} training images: {study.dataset.name} has {n_train}, in order; "
            "a ranking is of integers, as by .astype(int)"
        )
    values = np.array(values, dtype=np.promote_types(values.dtype, np.float32))
    for row, scores in enumerate(values):
        if np.isnan(scores).any() or np.isposinf(scores).any():
            raise ValueError(f"row {row}: a score is not a number or infinite; give -inf to images that are not ranked")
        own = scores[of_class[row] & np.isfinite(scores)]
        if len(own) < k_max:
            raise ValueError(f"row {row}: {len(own)} images of the target's class have a score; k_max={k_max} need one")
        if len(np.unique(own)) == 1:
            raise ValueError(f"row {row}: all images of the target's class score the same, which is no ranking")
    if (np.sort(values, axis=1) == np.arange(n_train)).all():
        raise ValueError(f"each row has the numbers 0 to {n_train - 1}: if that is a ranking, give it .astype(int)")
    lowest = np.where(np.isfinite(values), values, np.inf).min(axis=1, keepdims=True)
    own = np.where(of_class, values, -np.inf)
    return distances.ranking(own, k_max), np.where(np.isfinite(values), values, lowest)


def tied(scores: np.ndarray, ranking: np.ndarray, study: Study) -> int:
    """Of how many targets the last image that is ranked scores as much as one that is not: ids decide between them."""
    of_class = study.dataset.test_labels[study.targets][:, None] == study.dataset.train_labels
    last = np.take_along_axis(scores, ranking[:, -1:], axis=1)
    return int((((scores >= last) & of_class).sum(axis=1) > ranking.shape[1]).sum())


def _checked_ranking(values: np.ndarray, of_class: np.ndarray, k_max: int) -> np.ndarray:
    n_train = of_class.shape[1]
    if values.shape[1] < k_max:
        raise ValueError(f"a ranking of {values.shape[1]} images is too short; give at least k_max={k_max}")
    for row, ids in enumerate(values := values[:, :k_max]):
        if outside := [i for i in ids if not 0 <= i < n_train]:
            raise ValueError(
                f"row {row}: train id {outside[0]} does not exist; ids are 0 to {n_train - 1}; if the {values.dtype} "
                "are scores, give them .astype(float)"
            )
        if len(set(ids)) < k_max:
            raise ValueError(f"row {row}: a train id is ranked twice; name each once")
        if not of_class[row, ids].all():
            foreign = ids[~of_class[row, ids]][0]
            raise ValueError(f"row {row}: image {foreign} is not of the target's class; rank those of its class alone")
    return values.astype(np.int64)


def read_features(path: str, study: Study) -> Features:
    """The arrays `train` (n_train, d) and `test` (n_test, d) of a file as numpy.savez writes it.

    Raises FileNotFoundError, and ValueError where they are not numbers, or not of the study's images.
    """
    form = "give train (n_train, d) and test (n_test, d) as numpy.savez writes them"
    try:
        with data.given(path).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            if len(file.files) > len(set(file.files)):
                raise ValueError("an array stands in it twice")
            train, test = (file[name] for name in ("train", "test"))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"there is no file {path}; {form}") from error
    except (*UNREADABLE, TypeError, AttributeError) as error:
        raise ValueError(f"{path} does not hold features ({error}); {form}") from error
    for name, array, labels in (
        ("train", train, study.dataset.train_labels),
        ("test", test, study.dataset.test_labels),
    ):
        if array.ndim != 2 or array.shape != (len(labels), train.shape[-1]) or not array.shape[1]:
            raise ValueError(f"{path}: {name} has shape {array.shape}; {study.dataset.name} needs ({len(labels)}, d)")
        if array.dtype.kind not in "fiu":
            raise ValueError(f"{path}: {name} is of {array.dtype}; give real numbers")
        if not (np.abs(array) <= np.finfo(np.float32).max).all():  # nan is not, either
            raise ValueError(f"{path}: a number of {name} is not finite, as float32; extract the features again")
        if not np.ptp(array, axis=0).any():
            raise ValueError(f"{path}: all images have the same features in {name}, which is no ranking")
    return Features(train.astype(np.float32), test.astype(np.float32))


def by_features(vectors: Features, study: Study) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Rankings (n_targets, k_max) of each target's class, by each of DISTANCES; and scores (n_targets, n_train) for the
    LDS, as the paper takes them from features, see `lds.signed_inverse_l2`.
    """
    labels, train_labels = study.dataset.test_labels[study.targets], study.dataset.train_labels
    arguments = vectors.test[study.targets], vectors.train, labels, train_labels
    scores = {name: distances.scores(distances.DISTANCES[name], *arguments) for name in DISTANCES}
    rankings = {name: distances.ranking(values, study.profile.k_max) for name, values in scores.items()}
    return rankings, lds.signed_inverse_l2(*arguments)


def knn_accuracies(vectors: Features, name: str, study: Study) -> pd.DataFrame:
    """kNN accuracy of the features beside that of MoCo's and of pixels; see `Attribution.knn_accuracies`."""
    row = {"features": name, "size": vectors.train.shape[1], "knn_accuracy": knn_accuracy(vectors, study.dataset)}
    others = study.attribution.knn_accuracies(["moco", "pixels"])
    others = others.assign(features=others["features"].map(label))
    return pd.concat([pd.DataFrame([row | {"n": len(vectors.test)}]), others], ignore_index=True)
