"""Sets that grow one image at a time: is the head of a ranking the smallest set that flips a prediction?

A ranking scores each training image as if it alone were removed. Here the next image of a set is the one that scores
highest when those before it are gone: the exemplar SVM is fitted anew without them, and so is TRAK's linear model.

features, networks -> rankings of both kinds, by `rankings` -> supports, by `lib.study` -> `table`
"""

from dataclasses import replace

import numpy as np
import pandas as pd
from tqdm import tqdm

from lib.data import one_thread
from lib.esvm import decision_values
from lib.methods import OURS, RANDOM
from lib.report import plots, stats
from lib.rivals import networks, trak
from lib.study import REMOVAL, Study

OURS_GREEDY, TRAK_LIST, TRAK_GREEDY = "ours, one by one", "TRAK, list", "TRAK, one by one"
PAIRS = ((OURS_GREEDY, OURS), (TRAK_GREEDY, TRAK_LIST))  # one by one, and the list of the same scores


def rankings(study: Study, n_networks: int) -> dict[str, np.ndarray]:
    """Of each name above but OURS: (n_targets, k_max) train ids of the target's class, kept among the scores."""
    attribution, k_max, names = study.attribution, study.profile.k_max, (OURS_GREEDY, TRAK_LIST, TRAK_GREEDY)
    identity = {"k_max": k_max, "features": study.profile.selfsupervised.identity}
    identity |= {"trak": study.profile.trak} if study.profile.trak else {}

    def make() -> dict[str, np.ndarray]:
        return dict(zip(names, (by_exemplar_svm(study), *by_trak(study, n_networks)), strict=True))

    def stand_in() -> dict[str, np.ndarray]:
        random, shuffled = attribution.ranking(RANDOM), map(np.random.default_rng, range(len(names)))
        return {name: random[:, rng.permutation(k_max)] for name, rng in zip(names, shuffled, strict=True)}

    return attribution.kept("one_by_one", identity, n_networks, make, stand_in)


def by_exemplar_svm(study: Study) -> np.ndarray:
    """Train ids (n_targets, k_max): each time the most similar image, by an SVM whose negatives are those left."""
    vectors, dataset, k_max = study.attribution.features("moco"), study.dataset, study.profile.k_max
    rows = np.empty((len(study.targets), k_max), dtype=np.int64)
    for row, target in zip(rows, tqdm(study.targets, desc="exemplar SVMs", unit="target", delay=5), strict=True):
        left = np.flatnonzero(dataset.train_labels == dataset.test_labels[target])
        for k in range(k_max):
            values = decision_values(vectors.test[[target]], vectors.train[left])[0]
            row[k] = left[values.argmax()]
            left = np.delete(left, values.argmax())
    return rows


def by_trak(study: Study, n_networks: int) -> tuple[np.ndarray, np.ndarray]:
    """Train ids (n_targets, k_max) of TRAK's list, and one by one; see `one_by_one`.

    The damping and the dimensions are the profile's. DEPARTURE: traker divides each network's inverse by its mean
    entry; here it is left as it is, since a model without an image follows from the inverse itself.
    """
    dataset, k_max, labels = study.dataset, study.profile.k_max, study.dataset.test_labels[study.targets]
    of_class = {c: np.flatnonzero(dataset.train_labels == c) for c in np.unique(labels)}
    kernels, products, weights = _linear_models(study, n_networks, of_class)
    rankings = np.empty((2, len(labels), k_max), dtype=np.int64)
    for i, c in enumerate(labels):
        ids = of_class[c]
        to_target, weight = products[:, i, ids], weights[ids]
        listed = np.argsort(-to_target.mean(axis=0) * weight, kind="stable")[:k_max]
        rankings[:, i] = ids[listed], ids[one_by_one(kernels[c], to_target, weight, k_max)]
    return tuple(rankings)


def one_by_one(kernels: np.ndarray, to_target: np.ndarray, weights: np.ndarray, k: int) -> np.ndarray:
    """Positions (k,) of the images that score highest, each in models that are fitted without those before it.

    kernels: (m, n, n), φ'H⁻¹φ between images in each of m networks, H = Φ'Φ plus its damping. to_target: (m, n), φ'H⁻¹φ
    with the target. weights: (n,), TRAK's 1 - p, which stay. A score is the mean over networks, times the weight. To
    leave image i out takes its outer product from H; by Sherman and Morrison the kernel gains u u', where
    u = K[:, i] / √(1 - K[i, i]), and the products likewise. Cost: m n k² operations.
    """
    m, n, _ = kernels.shape
    updates, to_target, chosen = np.zeros((m, k, n), dtype=kernels.dtype), to_target.copy(), np.empty(k, dtype=int)
    for s in range(k):
        scores = to_target.mean(axis=0) * weights
        scores[chosen[:s]] = -np.inf
        chosen[s] = i = scores.argmax()
        before = updates[:, :s]
        column = kernels[:, i] + np.einsum("mj,mjn->mn", before[:, :, i], before, optimize=True)
        root = np.sqrt(1 - column[:, [i]])
        updates[:, s] = column / root
        to_target += updates[:, s] * (to_target[:, [i]] / root)
    return chosen


def _linear_models(study: Study, n_networks: int, of_class: dict[int, np.ndarray]) -> tuple:
    """Kernels by class, (m, n_class, n_class) each; products (m, n_targets, n_train); mean weights (n_train,)."""
    dataset, device, settings = study.dataset, study.driver.device, study.profile.trak
    dim, damping = settings.get("projection_dim", trak.PROJECTION_DIM), settings.get("damping", trak.DAMPING)
    inputs = networks.inputs(dataset, study.targets, device)
    kernels, products, weights = {c: [] for c in of_class}, [], []
    trainings = networks.trainings(dataset, study.profile.recipe, n_networks, halves=True)
    with one_thread(device):
        for i, training in enumerate(tqdm(trainings, desc="networks", unit="network", delay=5, mininterval=5)):
            net = networks.trained(dataset, training, device)
            train, targets, weight = trak.projected(net, replace(inputs, network=i), dim)
            train, targets = train.cpu().double().numpy(), targets.cpu().double().numpy()
            hessian = train.T @ train
            hessian += damping * np.trace(hessian) / dim * np.eye(dim)
            solved = np.linalg.solve(hessian, train.T)  # (dim, n_train)
            for c, ids in of_class.items():
                kernels[c].append((train[ids] @ solved[:, ids]).astype(np.float32))
            products.append((targets @ solved).astype(np.float32))
            weights.append(weight)
    return {c: np.stack(of) for c, of in kernels.items()}, np.stack(products), np.mean(weights, axis=0)


def table(supports: pd.DataFrame, rankings: dict[str, np.ndarray], k_max: int) -> pd.DataFrame:
    """One by one against the list of the same scores, a row each of PAIRS: the row of `stats.paired`, and overlap, the
    mean share that both have in common of their first half of k_max, with _low and _high.

    supports: of `Study.supports`. rankings: by name, (n_targets, k_max).
    """
    rows = []
    for chosen, listed in PAIRS:
        halves = zip(rankings[chosen][:, : k_max // 2], rankings[listed][:, : k_max // 2], strict=True)
        overlap = np.array([len(np.intersect1d(*pair)) / len(pair[0]) for pair in halves])
        rows.append(stats.paired(supports, REMOVAL, chosen, listed, k_max) | stats.mean("overlap", overlap))
    return pd.DataFrame(rows)


def compared(verdict: str) -> str:
    """A verdict of `stats.paired`, for a sentence."""
    return (
        f"{plots.COMPARED[verdict]} than" if verdict in plots.COMPARED else "supports that cannot be told from those of"
    )


def finding(rows: pd.DataFrame) -> str:
    """What the section says first, in Markdown. rows: of `table`."""
    lines = [
        f"- **{row['better']}** has {compared(row['verdict'])} the list of the same scores: "
        f"difference of AUC {stats.said_of(row, 'difference')}, n = {row['n']} targets. The two have "
        f"{stats.said_of(row, 'overlap')} of the first half of the images in common."
        for row in rows.to_dict("records")
    ]
    return "\n".join(lines)
