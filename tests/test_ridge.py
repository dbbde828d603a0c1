"""The chapter on TRAK's ridge: its scores are those of the rival, for each setting, and its rankings are testable."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lib import profiles
from lib.chapters import ridge
from lib.features import FeatureRecipe
from lib.methods import OURS
from lib.rivals import ensembles
from lib.study import MISLABEL, REMOVAL, Study


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    smoke = profiles.load("smoke", k_max=8, lds_models=4, budget=1)
    quick = replace(smoke, selfsupervised=FeatureRecipe("pixels"))
    return Study(quick, "cpu", n_jobs=1, results=tmp_path_factory.mktemp("results"))


def test_grid_and_supports(study, monkeypatch):
    settings = ((0.3, 0.0), (0.3, 1.0))
    monkeypatch.setattr(ridge, "GREY", ridge.Compared(settings, (REMOVAL, MISLABEL), 4))
    grid = ridge.grid(study, n_networks=2)
    n_train, free = len(study.dataset.train_labels), ridge.free_images(study)
    assert not np.intersect1d(free, study.targets).size and len(free) == ridge.FREE * 5
    assert grid["lds"].shape == (2, 5) and grid["lds_free"].shape == (2, len(free))
    for (_, damping), ranking in zip(settings, grid["ranking"], strict=True):
        where = study.dataset, study.profile.recipe, np.concatenate([study.targets, free]), (2,)
        by_rival = ensembles.from_networks("trak", *where, projection_dim=round(0.3 * n_train), damping=damping)
        for i, target in enumerate(study.targets):
            own = np.flatnonzero(study.dataset.train_labels == study.dataset.test_labels[target])
            scores = by_rival[2].scores[i, own]
            assert ranking[i].tolist() == own[np.argsort(-scores, kind="stable")[:8]].tolist()
    names = [ridge.name(*setting) for setting in settings]
    given = replace(study, given=dict(zip(names, grid["ranking"], strict=True)))
    curves = [(kind, method) for kind in (REMOVAL, MISLABEL) for method in (OURS, *names)]
    rows = ridge.table(settings, grid["lds_free"], given.supports(curves, united=True), k_max=8)
    assert rows[["share", "damping"]].to_numpy().tolist() == [[0.3, 0.0], [0.3, 1.0]]
    assert np.allclose(rows["lds"], grid["lds_free"].mean(axis=1)) and (rows["n_free"] == len(free)).all()
    assert ridge.said(rows, 0.3, 1.0, "lds").startswith(f"{rows['lds'][1]:z.2f} [")
    assert ridge.findings(rows) == ""
    paper = rows.assign(share=ridge.PAPER_SHARE)
    assert ridge.findings(paper).count("\n- ") == 1 and ridge.said(paper, 0.41, 0.0, "lds") in ridge.findings(paper)
    assert rows["against_removal"].between(rows["against_removal_low"], rows["against_removal_high"]).all()


def test_a_given_ranking_has_to_fit(study):
    shape = (len(study.targets), study.profile.k_max)
    few = replace(study, given={"mine": np.zeros((shape[0], 3), dtype=int)})
    with pytest.raises(ValueError, match=r"the ranking of mine has shape \(5, 3\); expected .* = \(5, 8\)"):
        few.attribution.ranking("mine")
    wrong = np.stack([np.flatnonzero(study.dataset.train_labels == label)[: shape[1]] for label in study.wrong_labels])
    of_wrong = replace(study, given={"mine": wrong})
    assert (of_wrong.attribution.ranking("mine") == wrong).all()
    with pytest.raises(ValueError, match="mine ranks images that carry the wrong label already"):
        of_wrong.attribution.ranking("mine", without=study.wrong_labels)


def test_figure():
    row = {"damping": 0.0, "share": 0.1} | dict.fromkeys(("lds", "against_removal", "against_mislabel"), 0.2)
    row |= {f"{key}_{end}": v for key in list(row)[2:] for end, v in (("low", 0.1), ("high", 0.4))}
    drawn = ridge.figure(pd.DataFrame([row, row | {"damping": 1.0}]), "title")
    assert drawn.axes[0].get_title() == "LDS of TRAK" and drawn.get_suptitle() == "title"
