"""The chapter on the size of the training set: smaller studies keep all else; tables of known supports."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from lib import profiles
from lib.chapters import network, scale
from lib.methods import OURS, RANDOM
from lib.study import MISLABEL, REMOVAL, Study


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    smoke = profiles.load("smoke", k_max=16, budget=1, moco_epochs=1)
    return Study(smoke, "cpu", n_jobs=1, results=tmp_path_factory.mktemp("results"))


def test_fewer_images_keep_the_share_and_the_features(study):
    small, whole = scale.fewer(study, 20), study.dataset
    assert len(small.dataset.train_labels) == 100 and small.profile.k_max == 8
    assert small.profile.trak["projection_dim"] == 512 and small.profile.recipe == study.profile.recipe
    kept = [
        np.flatnonzero((whole.train_images == image).all(axis=(1, 2, 3)))[0] for image in small.dataset.train_images
    ]
    vectors, target = study.attribution.features("moco"), small.targets[0]
    ranking = small.attribution.ranking(OURS)
    own = whole.train_labels[kept] == whole.test_labels[target]
    assert own[ranking].all(axis=1)[0] and ranking.shape == (5, 8)
    far = np.linalg.norm(vectors.train[kept][own] - vectors.test[target], axis=1)
    assert np.isin(np.flatnonzero(own)[far.argsort()[:2]], ranking[0]).any()


def test_all_images_belong_to_one_profile_alone(study):
    sizes = [len(of.dataset.train_labels) for of in scale.studies(study)]
    assert sizes == [100, 200]
    assert profiles.load(scale.ALL).k_max / 5000 == pytest.approx(profiles.load(scale.WHOLE).k_max / 1000)


def supports(sizes: dict[int, dict[str, list]]) -> pd.DataFrame:
    """By images of a class and ranking, a size a target."""
    rows = [
        {"kind": REMOVAL, "method": method, "target": i, "size": size, "reason": "", "trainings": 1}
        | {"images": 10 * per_class, "per_class": per_class, "k_max": per_class * 256 // 1000, "accuracy": 0.5}
        for per_class, of in sizes.items()
        for method, values in of.items()
        for i, size in enumerate(values)
    ]
    return pd.DataFrame(rows).astype({"size": "Int64"})


def test_tables_of_known_supports():
    names = {OURS: 1, "trak:10": 2, RANDOM: 5}
    table = supports({n: {name: [n // 10 - 1, n // 10, None] for name in names} for n in (100, 1000)})
    table.loc[table["method"] == RANDOM, "size"] = pd.NA
    rows = scale.table(table).set_index(["images", "method"])
    assert rows.loc[(1000, OURS), "few"] == pytest.approx(1 / 3) and rows.loc[(1000, OURS), "many"] == pytest.approx(
        2 / 3
    )
    assert (rows.xs(RANDOM, level="method")["many"] == 0).all() and (rows["n"] == 3).all()
    pairs = scale.against(table)
    assert pairs["worse"].tolist() == ["trak:10", RANDOM] * 2 and pairs["difference"].tolist()[::2] == [0, 0]
    words = scale.finding(rows.reset_index(), pairs)
    assert "it moves by 0.00 [0.00, 0.00]" in words
    assert "10000" in words and "flips 0.67" in words and "0.55 of 100" in words
    assert len(scale.figure(rows.reset_index(), "title").axes) == 2


def test_few_wrong_labels_at_each_size():
    """Ours flips the first target by 9 and 99 labels, the second by 10 and 100, and with more images a third by 5."""
    table = supports({n: {OURS: [n // 10 - 1, n // 10, None], RANDOM: [None] * 3} for n in (100, 1000)})
    table.loc[(table["images"] == 10_000) & (table["target"] == 2) & (table["method"] == OURS), "size"] = 5
    rows = scale.few_labels(table.assign(kind=MISLABEL)).set_index(["images", "method"])
    assert rows.loc[(1000, OURS), ["by_share", "by_number"]].tolist() == pytest.approx([0, 2 / 3])
    assert rows.loc[(10_000, OURS), ["by_share", "by_number"]].tolist() == pytest.approx([1 / 3, 1 / 3])
    assert (rows.xs(RANDOM, level="method")["by_number"] == 0).all() and (rows["n"] == 3).all()
    pairs = scale.against(table.assign(kind=MISLABEL))
    assert pairs["kind"].tolist() == [MISLABEL] * 2 and pairs["smaller"].tolist() == [2, 3]


def test_raw_pixels_are_removed_at_every_size(study):
    assert all("pixels_l2" in scale.methods(of) for of in scale.studies(study))


def test_wrong_labels_are_tested_from_the_own_size_on(study):
    table = scale.mislabelled(SimpleNamespace(study=study))
    assert set(table["kind"]) == {MISLABEL} and set(table["images"]) == {200}
    assert set(table["method"]) == {OURS, "trak:2", RANDOM} and set(table["target"]) == set(study.targets)


def test_all_images_are_tested_and_what_that_took_is_counted(study, monkeypatch):
    whole = replace(study.profile, name="all", train_per_class=60, n_targets=10)
    monkeypatch.setattr(scale, "PROFILES", {"few": study.profile, "all": whole})
    for name, value in {"WHOLE": "few", "ALL": "all", "LONGER_GROUPS": 1}.items():
        monkeypatch.setattr(scale, name, value)
    page = SimpleNamespace(study=study, values=study.profile)
    labelled = scale.mislabelled(page)
    of_all = labelled[labelled["images"] == 300]
    assert set(labelled["images"]) == {200, 300} and set(of_all["method"]) == {OURS, "trak:2", RANDOM}
    assert of_all["target"].nunique() == 10 and of_all["label"].nunique() == 5
    monkeypatch.setattr(network, "PROFILES", {"paper": study.profile})
    by_epochs = scale.by_epochs(page)
    assert by_epochs["target"].nunique() == 5 and set(by_epochs["target"]) < set(of_all["target"])
    assert by_epochs["epochs"].unique().tolist() == [3]
    keys = set().union(*by_epochs["keys"])
    assert scale.behind(page, [by_epochs]).startswith(
        f"**On all images**, by profile `all` and in its ledger: {len(keys)} "
    )
    more = keys.union(*of_all["keys"])
    assert f"in its ledger: {len(more)} " in scale.behind(page, [labelled, by_epochs]) and len(more) > len(keys)


def test_a_difference_of_other_targets_moves_within_both_intervals():
    first, last = (pd.Series({"difference": d, "low": d - w, "high": d + w}) for d, w in ((-0.3, 0.03), (-0.1, 0.04)))
    assert scale.moved(first, last) == pytest.approx((0.2, 0.15, 0.25))
