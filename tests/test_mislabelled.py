"""The chapter on wrong labels: what changes and what stays, and tables of known supports."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lib import profiles
from lib.bisection import WRONG_AT_ZERO
from lib.chapters import mislabelled, network
from lib.methods import OURS, RANDOM
from lib.retrain import Retraining
from lib.study import MISLABEL, Study

RECIPE = profiles.load("fashion").recipe
SIX_EPOCHS = {"paper": replace(profiles.PROFILES["paper"], recipe=replace(profiles.PROFILES["paper"].recipe, epochs=6))}


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Iterator[Study]:
    """Its networks train for three epochs, the paper's for six."""
    smoke = profiles.load("smoke", k_max=8, budget=1, moco_epochs=1, train_per_class=26)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "PROFILES", SIX_EPOCHS)
        patch.setattr(mislabelled, "TIMES", (1,))
        yield Study(smoke, "cpu", n_jobs=1, results=tmp_path_factory.mktemp("results"))


@pytest.mark.parametrize(("own", "epochs"), [(3, [3, 6, 12, 24]), (7, [7, 14, 24]), (15, [15, 24]), (30, [30])])
def test_networks_train_up_to_the_papers_epochs_or_are_wider(own, epochs):
    recipes = mislabelled.recipes(replace(RECIPE, epochs=own))
    assert {(one.width, one.epochs) for one in recipes} == {(8, n) for n in epochs} | {(16, own)}
    assert len(recipes) == len(epochs) + 1


@pytest.mark.parametrize(
    ("class_size", "k_max", "few"),
    [(5000, 1280, (29, 29)), (500, 256, (2, 29)), (1281, 384, (7, 29)), (40, 12, (0, 12))],
)
def test_few_are_as_in_the_paper_by_share_and_by_number(class_size, k_max, few):
    assert mislabelled.few(class_size, k_max) == dict(zip(("by_share", "by_number"), few, strict=True))


def test_targets_wrong_labels_and_rankings_stay(study):
    supports = mislabelled.tested(study)
    own, ranked = study.profile.recipe, study.attribution.ranking(OURS)
    assert set(zip(supports["width"], supports["epochs"], strict=True)) == {(8, 3), (8, 6), (16, 3)}
    assert set(supports["target"]) == set(study.targets) and set(supports["kind"]) == {MISLABEL}
    for (width, epochs), rows in supports[supports["ranking"] == OURS].groupby(["width", "epochs"]):
        right = np.flatnonzero(rows["reason"] != WRONG_AT_ZERO)
        every = tuple((int(image), int(study.wrong_labels[i])) for i in right for image in ranked[i])
        most = study.driver.key(Retraining(replace(own, width=width, epochs=epochs), 0, relabelled=every))
        assert len(right) and all(most in keys for keys in rows["keys"].iloc[right])
    same = supports[(supports["epochs"] == 3) & (supports["width"] == 8) & (supports["ranking"] == OURS)]
    plain = study.supports([(MISLABEL, OURS)], united=True)
    assert plain["votes"].tolist() == same["votes"].tolist() and plain["keys"].tolist() == same["keys"].tolist()
    clean = {one["key"]: one["test_accuracy"] for one in study.driver.ledger.records if not one["relabelled"]}
    assert same["accuracy"].unique().tolist() == [next(clean[key] for key in plain["keys"].iloc[0] if key in clean)]


def test_margins_at_few_are_of_each_target_alone_or_united(study):
    for groups, trainings in ((study.groups(united=True), 2), (study.groups(united=False), 6)):
        margins = mislabelled.at_few(study, network.longer(study.profile.recipe, (1,)), groups)
        assert set(margins["k"]) == {0, 8} and margins["epochs"].unique().tolist() == [3, 6]
        assert margins.groupby(["epochs", "k"])["target"].agg(sorted).map(study.targets.tolist().__eq__).all()
        assert len(study.retrainings(margins)) == 2 * trainings


def test_what_is_learnt_is_read_off_the_images_with_wrong_labels(study):
    """A network that trains for longer gives more of them; what it was never shown it gives rarely."""
    given = study, mislabelled.recipes(study.profile.recipe), study.groups(united=True)
    rows = mislabelled.learnt(*given)
    assert rows[["width", "epochs"]].to_numpy().tolist() == [[8, 3], [8, 6], [16, 3]] and (rows["n"] == 5).all()
    own = study.profile.recipe
    longest = mislabelled._learnt(study, replace(own, epochs=40), list(range(5)), 4)
    assert longest["learnt"].shape == (5,) and longest["learnt"].mean() > 0.9 and rows["learnt"].between(0, 1).all()
    assert longest["wrong"].shape == (5,) and longest["wrong"].mean() > 0.2 and set(longest["wrong"]) <= {0, 1}
    assert longest["control"].mean() < 0.5 and longest["fit"].shape == (1,) and longest["fit"] > 0.7
    assert rows["learnt"].tolist() == mislabelled.learnt(*given)["learnt"].tolist()
    fewer = replace(study, profile=replace(study.profile, k_max=4))
    assert mislabelled.learnt(fewer, *given[1:])["learnt"].tolist() != rows["learnt"].tolist()


@pytest.fixture
def supports() -> pd.DataFrame:
    """The longer the network trains, the fewer wrong labels ours needs; random ones flip nothing."""
    rows = []
    for width, epochs in ((8, 3), (8, 6), (16, 3)):
        for i in range(20):
            for ranking, size in ((OURS, (i + 1) * 12 // epochs * 8 // width), (RANDOM, None)):
                reason = WRONG_AT_ZERO if (epochs, i) == (6, 19) else ""
                row = {"kind": MISLABEL, "ranking": ranking, "target": i, "size": size, "reason": reason}
                row |= {"method": f"{ranking}, width {width}, {epochs} epochs", "trainings": 1, "accuracy": 0.8}
                rows.append(row | {"width": width, "epochs": epochs})
    return pd.DataFrame(rows).astype({"size": "Int64"})


def test_tables_of_known_supports(supports):
    rows, pairs = (
        mislabelled.table(supports, ["width", "epochs", "ranking"], 100, 500),
        mislabelled.against_own(supports, RECIPE, 100),
    )
    by = rows.set_index(["width", "epochs", "ranking"])
    assert (rows.loc[rows["ranking"] == RANDOM, ["auc", "by_number"]] == 0).all(axis=None)
    assert by.loc[(8, 3, OURS), "by_number"] == 7 / 20 and by.loc[(8, 6, OURS), "by_number"] == 14 / 19
    assert by.loc[(8, 6, OURS), "by_share"] == 1 / 19 and by.loc[(8, 3, OURS), "by_share"] == 0
    assert pairs[["width", "epochs", "n"]].to_numpy().tolist() == [[8, 6, 19], [16, 3, 20]]
    mean = np.mean([(i + 1) * 2 for i in range(19)]) / 100
    assert pairs["difference"].iloc[0] == pytest.approx(mean) and (pairs["smaller"] == pairs["n"]).all()
    said = mislabelled.finding(rows, pairs, RECIPE, 500, 100)
    assert said.startswith("**29 wrong labels, the paper's number, flip a share of targets of: 3 epochs 0.35 [")
    assert "The paper's share of a class, here 2, flips: 3 epochs 0.00" in said and "the same, 0.47 flip" in said
    assert (
        f"6 epochs {mean:.2f} [" in said and "a width of 16 instead of 8, 0." in said and said.endswith("n = 19 to 20.")
    )


def test_as_many_as_in_the_paper_flip_by_epochs():
    """The third target is wrong without wrong labels; after six epochs a second one flips."""
    clean, few = {0: 1.0, 1: 2.0, 2: -1.0}, {3: {0: 0.5, 1: -0.5, 2: -2.0}, 6: {0: -0.1, 1: -1.0, 2: 1.0}}
    rows = [
        {"kind": MISLABEL, "method": OURS, "epochs": epochs, "target": target, "k": k, "margin": margin}
        for epochs, changed in few.items()
        for k, margins in ((0, clean), (29, changed))
        for target, margin in margins.items()
    ]
    table = mislabelled.flipped(pd.DataFrame(rows))
    assert table[["epochs", "n", "k", "flipped"]].to_numpy().tolist() == [[3, 2, 29, 0.5], [6, 2, 29, 1]]
    said = mislabelled.by_epochs(table, "flipped")
    assert said.startswith("3 epochs 0.50 [") and "; 6 epochs 1.00 [" in said


def test_the_figure_has_a_panel_for_each_change(supports):
    drawn = mislabelled.figure(supports, RECIPE, 100, 500, "title")
    legends = [[text.get_text() for text in axis.get_legend().get_texts()] for axis in drawn.axes]
    last = ["random images", "the paper's k"]
    assert legends == [["epochs 3", "epochs 6", *last], ["width 8", "width 16", *last]]
