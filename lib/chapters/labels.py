"""Wrong labels: which scores find them, among labels that people gave and among planted ones of the same number.

    labels of a study -> `noises` -> `scores` of each -> `table`, `curves`, `differences`; `judged_test_labels`

Higher scores are more suspicious. A label is wrong where it is not the dataset's own.
"""

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pandas as pd
from scipy.special import softmax
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from lib import esvm
from lib.chapters import detection, people
from lib.data import Dataset, one_thread, resident
from lib.report import Page, plan, stats
from lib.retrain import Recipe, Retraining, fit, predict
from lib.study import Study

CLEANLAB = find_spec("cleanlab") is not None
INSTALL = "" if CLEANLAB else " To compute rows of confident learning here takes cleanlab: `pip install -e .[uses]`."
K, TEMPERATURE = 20, 0.1  # of the neighbours' vote: those of `lib.features.knn_accuracy`
FOLDS = 5  # of logistic regression; the network has two
SEED = 0  # of the folds, the networks and the planted labels
RATES = {"9 %": 0.09, "40 %": 0.40}  # of planted labels where people gave none: CIFAR-10N's two
PEOPLE = "people"
SETS = {"MoCo": "moco", "pixels": "pixels"}  # of features, whose neighbours vote
NETWORK = ("loss", "self-influence", "cleanlab, network")


def noises(study: Study) -> dict[str, np.ndarray]:
    """Labels (n_train,) by their name: those of people, and planted ones as many as those; else planted ones alone."""
    own, rng = study.dataset.train_labels, np.random.default_rng(SEED)
    n_classes = len(study.dataset.class_names)
    if not people.of_cifar10(study.profile):
        return {
            f"uniform, {name}": uniform(own, round(rate * len(own)), n_classes, rng) for name, rate in RATES.items()
        }
    sets = people.training_labels()
    ids, named = people.original_ids(own, sets[people.CLEAN]), {}
    for name, key in (("aggregate", people.AGGREGATE), ("worst", people.WORST)):
        given = sets[key][ids]
        named[f"{PEOPLE}, {name}"] = given
        named[f"uniform, {name}"] = uniform(own, int((given != own).sum()), n_classes, rng)
        named[f"by class, {name}"] = by_class(own, given, rng)
    del named["by class, worst"]  # one decides where the difference comes from
    return named


def uniform(own: np.ndarray, n_wrong: int, n_classes: int, rng: np.random.Generator) -> np.ndarray:
    """Labels (n,) of which n_wrong at random are another class at random. own: (n,), right."""
    labels, wrong = own.copy(), rng.permutation(len(own))[:n_wrong]
    labels[wrong] = (own[wrong] + rng.integers(1, n_classes, n_wrong)) % n_classes
    return labels


def by_class(own: np.ndarray, given: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The given labels (n,), dealt out anew within each class: as often confused, and of images at random."""
    labels = given.copy()
    for label in np.unique(own):
        ids = np.flatnonzero(own == label)
        labels[ids] = given[rng.permutation(ids)]
    return labels


def neighbours(train: np.ndarray, others: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The K training images of largest cosine: ids (n, K) and the weight of their votes (n, K).

    train: (n_train, d). others: (n, d), whose neighbours these are; None: each training image's, itself left out.
    """
    distances, ids = NearestNeighbors(n_neighbors=K, metric="cosine", n_jobs=1).fit(train).kneighbors(others)
    return ids, np.exp((1 - distances) / TEMPERATURE)


def disagreement(near: tuple[np.ndarray, np.ndarray], labels: np.ndarray, of_near: np.ndarray) -> np.ndarray:
    """Share of the neighbours' votes for another label, (n,). near: of `neighbours`. of_near: the labels that vote."""
    ids, weights = near
    return ((of_near[ids] != labels[:, None]) * weights).sum(axis=1) / weights.sum(axis=1)


def own_margin(vectors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How far each image lies beyond its exemplar SVM's boundary to the images of its label, (n,): large for outliers.

    It is among the negatives itself, one of its class, which moves all values alike.
    """
    margins = np.empty(len(labels))
    for label in np.unique(labels):
        ids = np.flatnonzero(labels == label)
        margins[ids] = np.diag(esvm.decision_values(vectors[ids], vectors[ids]))
    return margins


def confident(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Suspicion (n,) by confident learning: probability of the label, less the class's mean. Source: cleanlab 2.9."""
    from cleanlab.rank import get_label_quality_scores

    return -get_label_quality_scores(labels, probabilities, method="self_confidence", adjust_pred_probs=True)


def flagged(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Which labels (n,) cleanlab would have us check, bool. probabilities: (n, n_classes), out of fold."""
    from cleanlab.filter import find_label_issues

    return find_label_issues(labels, probabilities, n_jobs=1)


def of_network(dataset: Dataset, recipe: Recipe, device: str) -> dict[str, np.ndarray]:
    """What a network trained on a dataset's labels says of its training images: loss and self-influence, as ranks (n,).

    In the layer before the last: the squared gradient of the loss. Source: Pruthi et al. 2020 (captum's TracInCPFast).
    """
    pool = as_test(dataset)
    images, labels, n = resident(pool, device), dataset.train_labels, len(dataset.train_labels)
    net = fit(pool, Retraining(recipe, SEED), device, images=images)
    given = softmax(predict(net, images), axis=1)
    embedded = np.concatenate([net.embed(images.normalised(part)).detach().cpu() for part in images.train.split(500)])
    wrong = given - np.eye(given.shape[1])[labels]
    influence = (wrong**2).sum(axis=1) * (embedded**2).sum(axis=1)
    ranks = {"loss": rankdata(-np.log(given[range(n), labels])), "self-influence": rankdata(influence)}
    return {name: of.astype(np.uint32) for name, of in ranks.items()}


def out_of_fold(dataset: Dataset, recipe: Recipe, device: str) -> dict[str, np.ndarray]:
    """What cleanlab says by two networks, of a half each: "cleanlab, network" as ranks (n,), and `flagged`."""
    pool, labels = as_test(dataset), dataset.train_labels
    images, out = resident(pool, device), np.empty((len(labels), len(dataset.class_names)))
    for i, (_, held_out) in enumerate(StratifiedKFold(2, shuffle=True, random_state=SEED).split(labels, labels)):
        half = fit(pool, Retraining(recipe, SEED + 1 + i, removed=tuple(held_out.tolist())), device, images=images)
        out[held_out] = softmax(predict(half, images), axis=1)[held_out]
    ranks = rankdata(confident(labels, out)).astype(np.uint32)
    return {"cleanlab, network": ranks, "flagged": flagged(labels, out)}


def as_test(dataset: Dataset) -> Dataset:
    """The dataset with its training images for test images too."""
    return replace(dataset, test_images=dataset.train_images, test_labels=dataset.train_labels)


def kept(study: Study, labels: np.ndarray) -> dict[str, np.ndarray]:
    """What networks say of these labels, kept among the study's scores; of `out_of_fold` where cleanlab is here."""
    noisy, device = replace(study.dataset, train_labels=labels), study.driver.device

    def stored(name: str, ask: Callable, n_networks: int) -> dict[str, np.ndarray]:
        def make() -> dict[str, np.ndarray]:
            with one_thread(device):
                return ask(noisy, study.profile.recipe, device)

        return study.attribution.kept(name, {"labels": noisy.checksum}, n_networks, make, dict)

    return stored("labels", of_network, 1) | (stored("out_of_fold", out_of_fold, 2) if CLEANLAB else {})


def scores(study: Study, labels: np.ndarray, near: dict) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Suspicion (n_train,) by each score, and what cleanlab flags. near: `neighbours` of each set of features."""
    vectors = study.attribution.features("moco").train
    values = {f"neighbours, {features}": disagreement(of, labels, labels) for features, of in near.items()}
    values["exemplar SVM, MoCo"] = own_margin(vectors, labels)
    stored = kept(study, labels)
    values |= {key: stored[key] for key in NETWORK if key in stored}
    if CLEANLAB:
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
        scaled, model = StandardScaler().fit_transform(vectors), LogisticRegression(max_iter=1000)
        out = cross_val_predict(model, scaled, labels, cv=folds, method="predict_proba")
        values["cleanlab, MoCo"] = confident(labels, out)
    return values, stored.get("flagged")


TABLES = ("rows", "curves", "differences", "flagged")


def measured(page: Page) -> dict[str, pd.DataFrame]:
    """The page's TABLES. rows, curves: a noise and a score each. flagged: by cleanlab. A dry run ends here."""
    if page.missing:
        return {name: page.table(name, pd.DataFrame) for name in TABLES}
    study, rows, curves, cut, pseudo = page.study, [], [], [], {}
    if page.tally is not None:
        kept(study, study.dataset.train_labels)
        raise plan.Counted(plan.text(page.values, page.tally))
    near = {label: neighbours(study.attribution.features(name).train) for label, name in SETS.items()}
    for noise, labels in noises(study).items():
        suspicions, marked = scores(study, labels, near)
        wrong = labels != study.dataset.train_labels
        for score, suspicion in suspicions.items():
            named = {"noise": noise, "score": score}
            rows.append(named | detection.row(suspicion, wrong))
            curves.append(detection.curve(suspicion, wrong).assign(**named))
            pseudo[noise, score] = detection.placed(suspicion, wrong)
        if marked is not None:
            row = {"noise": noise, "flagged": marked.sum(), "wrong": wrong.sum()}
            row |= stats.mean("precision", wrong[marked], stats.share_interval)
            cut.append(row | stats.mean("recall", marked[wrong], stats.share_interval))
    tables = pd.DataFrame(rows), pd.concat(curves), differences(pseudo), pd.DataFrame(cut)
    return dict(zip(TABLES, tables, strict=True))


def differences(pseudo: dict[tuple[str, str], np.ndarray]) -> pd.DataFrame:
    """AUROC of planted labels less that of people's, by (noise, score): noise, score, difference, low and high.

    Paired by image: each has a label of either kind.
    """
    rows = []
    for (noise, score), values in pseudo.items():
        kind, _, rate = noise.partition(", ")
        if kind != PEOPLE and (of_people := pseudo.get((f"{PEOPLE}, {rate}", score))) is not None:
            rows.append({"noise": noise, "score": score} | detection.with_interval("difference", values - of_people))
    return pd.DataFrame(rows, columns=["noise", "score", "difference", "difference_low", "difference_high"])


def finding(tables: dict[str, pd.DataFrame], name: str) -> str:
    """The page's first line, in Markdown. name: of the data."""
    rows, gaps = tables["rows"], tables["differences"]
    noise = rows["noise"].iloc[0]
    best = rows[rows["noise"] == noise].nlargest(1, "auroc").iloc[0]
    n = f"n = {best['n']} images, {best['n_wrong']} labels wrong"
    first = ", ".join(f"{100 * best[key]:.0f}" for key in ("first_low", "first_high"))
    text = f"**On {name} ({noise}; {n}) {best['score']} finds them best: AUROC {stats.said_of(best, 'auroc', 3)}.** "
    text += f"Of the {best['n_wrong']} most suspicious, {100 * best['first']:.0f} % [{first}] are wrong."
    flattered = "; ".join(flattery(gaps, noise) for noise in gaps["noise"].unique() if noise.startswith("uniform"))
    return text + (f" As many labels planted at random flatter the scores: {flattered}." if flattered else "")


def flattery(gaps: pd.DataFrame, noise: str) -> str:
    """By how much planted labels flatter, over the scores, for a sentence. gaps: of `differences`."""
    of, kind = gaps[gaps["noise"] == noise], noise.partition(", ")[2]
    text = f"*{kind}* by {of['difference'].min():.2f} to {of['difference'].max():.2f} of AUROC"
    unclear = of[of["difference_low"] <= 0]
    named = ", ".join(f"{row['score']} {stats.said_of(row, 'difference', 3)}" for _, row in unclear.iterrows())
    return text + (f" ({named})" if named else "")


def to_see(tables: dict[str, pd.DataFrame]) -> str:
    """What the tables show, in Markdown; nothing where no labels are people's."""
    if not len(tables["differences"]):
        return ""
    gaps, areas = tables["differences"], tables["rows"]
    above = gaps[gaps["difference_low"] > 0].groupby("noise").size()
    counts = " and ".join(f"{above[noise]} on *{noise.partition(', ')[2]}*" for noise in above.index if "uni" in noise)
    of_people = areas[areas["noise"] == areas["noise"].iloc[0]].set_index("score")
    by_score = gaps.pivot(index="score", columns="noise", values="difference")
    share = by_score["by class, aggregate"] / by_score["uniform, aggregate"]
    own, n = "exemplar SVM, MoCo", len(of_people)
    rank = int(of_people["auroc"].rank(ascending=False)[own])
    lines = [
        f"**Planting flatters.** Of {n} scores {counts} look better on labels planted at random, with intervals above "
        f"zero.",
        f"**Why.** With labels planted by class, {share.min():.2f} to {share.max():.2f} of that is left, by score "
        f"(median {share.median():.2f}; one draw of labels, no interval): that much would be for *which images* people "
        f"get wrong, the rest for *which classes* they confuse.",
        f"**The paper's method**, as adapted here, is {'the weakest' if rank == n else f'number {rank}'} of {n}: AUROC "
        f"{stats.said_of(of_people.loc[own], 'auroc', 3)}. It was made to find what a prediction rests on.",
    ]
    return "\n".join(f"- {line}" for line in lines)
