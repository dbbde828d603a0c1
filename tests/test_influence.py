"""The chapter that explains: each formula is right where the truth is known, and what is kept has its shapes."""

import numpy as np
import pandas as pd
import pytest

from lib import profiles
from lib.chapters import agreement, influence
from lib.study import Study


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    return Study(profiles.load("smoke"), "cpu", n_jobs=1, results=tmp_path_factory.mktemp("results"))


def test_a_newton_step_is_nearer_to_training_without_an_image_than_its_influence():
    rng = np.random.default_rng(0)
    images = np.hstack([np.ones((60, 1)), rng.normal(size=(60, 8))])
    labels = (images[:, 1] + rng.normal(size=60) > 0).astype(float)
    weights = influence.converged(images, labels)
    assert np.allclose(images.T @ (1 / (1 + np.exp(-images @ weights)) - labels) + weights, 0, atol=1e-6)
    predicted = influence.without_each(images, labels, images[:5], weights)
    without = [influence.converged(np.delete(images, i, 0), np.delete(labels, i), weights) for i in range(60)]
    truth = images[:5] @ (np.stack(without) - weights).T
    first_order, newton = (np.abs(of - truth).mean() for of in predicted)
    assert newton < first_order / 3 and np.corrcoef(predicted[0].ravel(), truth.ravel())[0, 1] > 0.98


def test_a_datamodel_of_linear_margins_is_exact():
    rng = np.random.default_rng(0)
    weights, seen, new = rng.normal(size=(3, 20)), rng.random((30, 20)) < 0.5, rng.random((9, 20)) < 0.5
    assert np.allclose(influence.datamodel(weights, new, seen, seen @ weights.T + 2), new @ weights.T + 2)


def test_trak_does_not_depend_on_the_axes_of_the_gradients():
    rng = np.random.default_rng(0)
    train, targets, unsure = rng.normal(size=(30, 6)), rng.normal(size=(4, 6)), rng.random(30)
    turned = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    scores = influence.trak_scores(train, targets, unsure)
    assert np.allclose(scores, influence.trak_scores(train @ turned, targets @ turned, unsure))


def test_a_threshold_leaves_its_share_and_takes_the_same_from_each():
    scores = np.array([[4.0, -3.0, 2.0, 1.0], [-8.0, 6.0, 4.0, 2.0]])
    half = influence.threshold(scores, 0.5)
    assert (np.count_nonzero(half, axis=1) == 2).all() and np.allclose(half[1], 2 * half[0] * [-1, -1, 1, 1])
    assert (influence.threshold(scores, 1.0) == scores).all()


def test_what_is_kept(study, monkeypatch):
    monkeypatch.setattr(influence, "DIMENSIONS", (8, 256))
    monkeypatch.setattr(influence, "LEFT_OUT", 2)
    logistic, scores = influence.on_logistic(study), influence.by_dimension(study)
    assert {values.shape for values in logistic.values()} == {(2 * influence.PER_CLASS, 4)}
    assert scores.shape == (2, len(study.targets)) and scores[1].mean() > scores[0].mean()
    again = influence.on_logistic(study)
    assert all((again[key] == logistic[key]).all() for key in logistic)


def test_agreement_within_a_target_and_over_all():
    rng = np.random.default_rng(0)
    level = np.arange(4.0)[:, None] * 10
    rows = agreement.table({"noise": (level + rng.normal(size=(4, 50)), level + rng.normal(size=(4, 50)))})
    assert abs(rows["r"][0]) < 0.3 and rows["pooled"][0] > 0.95 and rows["n"][0] == 4 and rows["m"][0] == 50


def test_seeds_are_compared_in_pairs():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 3, 4, 50))
    row = agreement.table({"seeds": (first, second)}).iloc[0]
    alone = [agreement.table({"seeds": pair})["r"][0] for pair in zip(first, second, strict=True)]
    assert row["r"] == pytest.approx(np.mean(alone)) and (row["n"], row["m"]) == (4, 50)


@pytest.mark.parametrize(("noise", "low", "high"), [(0.01, 0.99, 1), (100, -0.2, 0.2)])
def test_exact_predictions_agree_as_far_as_the_noise_lets_them(noise, low, high, monkeypatch):
    monkeypatch.setattr(agreement, "DRAWS", 50)
    rng = np.random.default_rng(0)
    pairs = {"x": (rng.normal(size=(20, 30)), noise * rng.normal(size=(20, 30)))}
    row = agreement.table(pairs, exact="x").set_index("prediction").loc["x, if exact"]
    assert low < row["r_low"] <= row["r"] <= row["r_high"] < high and (row["n"], row["m"]) == (20, 30)


def test_a_projection_is_read_at_the_share_of_weights_that_the_book_has():
    value = {"step": "projection", "value_low": 0.0, "value_high": 1.0}
    rows = pd.DataFrame([{"setting": at, "value": at / 1000} | value for at in (10, 100, 500)])
    said = influence.projected(rows, 1000, 10 * influence.trak.PROJECTION_DIM)
    assert "500 dimensions are 50% of its 1000" in said and "100 dimensions, the narrow network" in said
    assert "by 0.10 [0.00, 1.00]" in said


def test_figure():
    pairs = dict.fromkeys("abcde", (np.ones((2, 3)), np.ones((2, 3))))
    row = {"n": 2, "value": 0.2, "value_low": 0.1, "value_high": 0.3}
    steps = ("projection", "ensemble", "threshold")
    drawn = agreement.figure(pairs, pd.DataFrame([{"step": s, "setting": 1} | row for s in steps]), "title")
    assert (
        drawn.get_suptitle() == "title" and drawn.axes[-1].get_title() == "TRAK: threshold\n2 targets, 95 % intervals"
    )
