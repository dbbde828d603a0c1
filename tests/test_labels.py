"""Wrong labels: planted as asked, found where they are plain, and measured as scikit-learn measures."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix, roc_auc_score

from lib.chapters import detection, judged, labels
from lib.report import stats


def test_planted_labels_are_as_many_as_asked_and_all_wrong():
    own, rng = np.repeat(np.arange(4), 50), np.random.default_rng(0)
    planted = labels.uniform(own, 30, 4, rng)
    assert (planted != own).sum() == 30 and set(planted) == set(range(4))
    dealt = labels.by_class(own, planted, rng)
    assert (confusion_matrix(own, dealt) == confusion_matrix(own, planted)).all() and (dealt != planted).any()


def test_auroc_and_its_interval():
    rng = np.random.default_rng(0)
    wrong = rng.random(400) < 0.2
    for suspicion in (rng.normal(size=400) + wrong, rng.integers(0, 4, 400) + wrong):  # the latter with ties
        pseudo = detection.placed(suspicion, wrong)
        assert pseudo.mean() == pytest.approx(roc_auc_score(wrong, suspicion))
    drawn = [rng.integers(0, 400, 400) for _ in range(100)]
    spread = np.std([roc_auc_score(wrong[ids], suspicion[ids]) for ids in drawn])
    assert pseudo.std() / 20 == pytest.approx(spread, rel=0.3)
    row = detection.with_interval("auroc", pseudo)
    assert row["auroc_high"] - row["auroc_low"] == pytest.approx(2 * 1.96 * pseudo.std(ddof=1) / 20, rel=1e-3)


def test_what_is_found_among_the_first():
    wrong = np.array([True, False, True, False, False, True])
    row = detection.row(-np.arange(6.0), wrong)
    assert (row["n"], row["n_wrong"], row["first"], row["half"]) == (6, 3, 2 / 3, 2 / 3)
    curve = detection.curve(-np.arange(6.0), wrong).set_index("inspected")["found"]
    assert (curve.iloc[0], curve.iloc[-1]) == (0, 1) and curve.iloc[13] == 2 / 3
    assert stats.said_of(pd.Series({"a": 0.5, "a_low": 0.25, "a_high": 1}), "a", 3) == "0.500 [0.250, 1.000]"


def test_scores_find_plain_errors(tiny, quick):
    planted = labels.uniform(tiny.train_labels, 8, 3, np.random.default_rng(0))
    wrong, noisy = planted != tiny.train_labels, replace(tiny, train_labels=planted)
    vectors = tiny.train_images.reshape(len(planted), -1).astype(np.float32) / 255 - 0.4
    near = labels.neighbours(vectors)
    found = {"neighbours": labels.disagreement(near, planted, planted), "svm": labels.own_margin(vectors, planted)}
    recipe = replace(quick, epochs=4)
    found |= labels.of_network(noisy, recipe, "cpu") | labels.out_of_fold(noisy, recipe, "cpu")
    marked = found.pop("flagged", None)
    areas = {name: roc_auc_score(wrong, of) for name, of in found.items()}
    assert min(areas.values()) > 0.8, areas
    assert set(labels.NETWORK) <= set(found) or not labels.CLEANLAB
    assert marked is None or marked.dtype == bool
    ids, _ = labels.neighbours(vectors, vectors[:2])
    assert ids[:, 0].tolist() == [0, 1]  # of others, each is its own nearest
    assert not (near[0] == np.arange(len(planted))[:, None]).any()


def test_differences_are_paired_by_rate():
    pseudo = {("people, a", "x"): np.array([0.5, 0.7]), ("uniform, a", "x"): np.array([0.8, 0.8])}
    rows = labels.differences(pseudo | {("uniform, b", "x"): np.array([1.0, 1.0])})
    assert rows[["noise", "score"]].to_numpy().tolist() == [["uniform, a", "x"]]
    assert rows["difference"][0] == pytest.approx(0.2)


NOISES = ("people, aggregate", "uniform, aggregate", "by class, aggregate", "people, worst", "uniform, worst")


def tables(scores=("loss", "exemplar SVM, MoCo")) -> dict[str, pd.DataFrame]:
    row = {"n": 1000, "n_wrong": 91, "auroc_low": 0.6, "auroc_high": 0.8, "first": 0.45, "first_low": 0.41}
    rows = [
        {"noise": noise, "score": score, "auroc": 0.8 - 0.1 * i} | row | {"first_high": 0.48}
        for noise in NOISES
        for i, score in enumerate(scores)
    ]
    gaps = [
        {"noise": noise, "score": score, "difference": gap - 0.02 * i, "difference_low": gap - 0.05}
        for noise, gap in ((NOISES[1], 0.1), (NOISES[2], 0.06), (NOISES[4], 0.04))
        for i, score in enumerate(scores)
    ]
    return {"rows": pd.DataFrame(rows), "differences": pd.DataFrame(gaps).assign(difference_high=0.2)}


def test_the_first_line_says_both_rates_and_which_scores_are_not_clearly_flattered():
    said = labels.finding(tables(), "Tiny")
    assert "Of the 91 most suspicious, 45 % [41, 48] are wrong" in said and len(said.split()) < 75
    assert "*aggregate* by 0.08 to 0.10 of AUROC; *worst* by 0.02 to 0.04 of AUROC (loss 0.040 [-0.010, 0.200]," in said
    seen = labels.to_see(tables())
    assert "Of 2 scores 2 on *aggregate* look better" in seen and "is the weakest of 2: AUROC 0.700" in seen
    assert "0.50 to 0.60 of that is left" in seen.replace("0.60 to 0.50", "0.50 to 0.60")


def test_scores_among_the_judged_are_told_from_chance_by_their_intervals():
    row = {"n": 275, "n_wrong": 54, "auroc": 0.5}
    rows = [row | {"among": "all test labels", "auroc_low": 0.6, "auroc_high": 0.7}]
    rows += [row | {"among": "the judged", "auroc_low": low, "auroc_high": 0.8} for low in (0.4, 0.45)]
    assert "there none of the 2 scores is told from chance" in judged.to_see(pd.DataFrame(rows))
    assert judged.to_see(pd.DataFrame()) == ""


def test_no_two_lines_of_the_figure_look_alike():
    curves = pd.DataFrame({"inspected": [0.0, 1.0], "found": [0.0, 1.0]})
    scores = "abcdefg"
    drawn = detection.figure(
        pd.concat([curves.assign(score=s, panel=p) for p in "xy" for s in scores]), "panel", "title"
    )
    looks = {(line.get_color(), line.get_linestyle()) for line in drawn.axes[0].lines}
    assert len(looks) == 8 and drawn.get_suptitle() == "title"
