"""Scores of one's own: what does not fit is refused, what does comes out as any method; the ledger stays as it is."""

import zipfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lib import profiles
from lib.bisection import FOUND, LARGER
from lib.chapters import given, judge
from lib.chapters.judge import Judged, JudgedStudy
from lib.features import FeatureRecipe
from lib.methods import OURS, RANDOM
from lib.report import stats
from lib.study import MISLABEL, REMOVAL, Study


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    smoke = profiles.load("smoke", k_max=8, lds_models=4, budget=1)
    quick = replace(smoke, selfsupervised=FeatureRecipe("pixels"), ensembles=())
    return JudgedStudy(quick, "cpu", n_jobs=1, results=tmp_path_factory.mktemp("results"), judged="mine")


def test_scores_of_a_method_come_out_as_the_method_and_go_into_a_ledger_of_their_own(study, monkeypatch):
    committed = Study(study.profile, "cpu", n_jobs=1, results=study.results)
    scores = committed.attribution.scores("pixels_l2")
    of_book = committed.supports([(kind, "pixels_l2") for kind in judge.KINDS], united=True)
    before = (committed.folder / "ledger" / "0000.jsonl").read_bytes()
    ranking, kept = given.ranked(scores, study)
    assert (ranking == committed.attribution.ranking("pixels_l2")).all() and np.isfinite(kept).all()
    mine = replace(study, given={"mine": ranking, "turned": ranking[:, ::-1]})
    own = mine.supports([(kind, "mine") for kind in judge.KINDS], united=True)
    same = ["kind", "target", "size", "reason", "votes"]
    pd.testing.assert_frame_equal(own[same], of_book[same])
    assert not (study.own_folder / "ledger").exists(), "all of it was known"
    mine.supports([(REMOVAL, "turned")], united=True)
    assert (study.own_folder / "ledger" / "0000.jsonl").exists()
    assert (committed.folder / "ledger" / "0000.jsonl").read_bytes() == before
    outputs = [of.outputs("score") for of in (mine, replace(mine, given={"mine": ranking[:, ::-1]}))]
    assert outputs[0] != outputs[1] and {path.parents[1] for path in outputs} == {study.own_folder}


def test_a_ranking_will_do(study):
    known = study.attribution.ranking("pixels_l2")
    longer = np.hstack([known, known[:, :1]])  # beyond k_max nothing is looked at
    ranking, scores = given.ranked(longer, study)
    assert (ranking == known).all() and scores is None
    assert judge.lds_scores(study, [Judged("mine", ranking, None)]).empty


def scores_of(study: Study) -> np.ndarray:
    return np.random.default_rng(0).random((len(study.targets), len(study.dataset.train_labels)))


def spoilt(array: np.ndarray, where, values) -> np.ndarray:
    array[where] = values
    return array


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda s, r: s[:4], r"an array of shape \(4, 200\) does not fit: give a row for each of 5 targets"),
        (lambda s, r: s.T, r"shape \(200, 5\) looks transposed; give \(5, 200\), a row for each target"),
        (lambda s, r: s[0], r"shape \(200,\)"),
        (lambda s, r: s[:, :150], "scores of 150 training images: .* has 200"),
        (lambda s, r: spoilt(s, 2, np.nan), "row 2: a score is not a number or infinite; give -inf"),
        (lambda s, r: spoilt(s, 2, np.inf), "row 2: a score is not a number or infinite"),
        (lambda s, r: spoilt(s, 1, 0.5), "row 1: all images of the target's class score the same"),
        (
            lambda s, r: spoilt(s, 1, np.where(np.arange(200) % 40 < 5, s[1], -np.inf)),
            "row 1: . images of the .* have a score; k_max=8 need",
        ),
        (lambda s, r: s.astype(complex), "an array of complex128 is neither; give scores as floats"),
        (lambda s, r: s > 0.5, "an array of bool is neither"),
        (lambda s, r: s.astype("datetime64[s]"), "an array of datetime64.* is neither"),
        (
            lambda s, r: (100 * s).astype(int) - 50,
            r"train id -?\d+ .*if the int64 are scores",
        ),
        (lambda s, r: r.astype(float), "scores of 8 training images: .*a ranking is of integers, as by .astype.int"),
        (lambda s, r: np.tile(np.arange(200.0), (5, 1)), "the numbers 0 to 199: if that is a ranking, give it"),
        (lambda s, r: r[:, :7], "a ranking of 7 images is too short; give at least k_max=8"),
        (lambda s, r: spoilt(r.copy(), (0, 0), -1), "row 0: train id -1 does not exist; ids are 0 to 199"),
        (lambda s, r: spoilt(r.copy(), (0, 3), 200), "row 0: train id 200 does not exist"),
        (lambda s, r: np.repeat(r[:, :1], 8, axis=1), "row 0: a train id is ranked twice"),
        (lambda s, r: np.tile(np.arange(8), (5, 1)) * 25, r"row 0: image \d+ is not of the target's class"),
    ],
)
def test_what_does_not_fit_is_refused(study, make, message):
    ranking = study.attribution.ranking("pixels_l2")
    with pytest.raises(ValueError, match=message):
        given.ranked(make(scores_of(study), ranking), study)


def test_small_differences_rank_ties_are_said_and_what_is_left_out_scores_lowest(study):
    scores = scores_of(study)
    finely, _ = given.ranked(1e6 + 1e-6 * scores, study)
    ranking, _ = given.ranked(scores, study)
    assert (finely == ranking).mean() > 0.99
    own = study.dataset.test_labels[study.targets][:, None] == study.dataset.train_labels
    _, kept = given.ranked(np.where(own, scores - 5, -np.inf), study)
    assert (kept[~own].reshape(5, -1) == (scores - 5).min(axis=1, where=own, initial=0)[:, None]).all()
    rounded = np.round(scores * 3)
    tied = Judged("mine", *given.ranked(rounded, study))
    assert judge.ties(study, [tied, Judged("other", ranking, scores), Judged("ranking", ranking, None)]) == [
        "Of 5 of 5 targets the last image that mine ranks scores as much as one that it leaves out: "
        "the lower id decides."
    ]


@pytest.mark.parametrize("name", [OURS, "random", "trak:20:all"])
def test_what_is_judged_has_a_name_of_its_own(name):
    parameters = {"kinds": "lds", "scores": None, "features": None, "minutes": None, "name": name, "profile": "smoke"}
    with pytest.raises(ValueError, match=f"name='{name}' is what the book calls a method of its own; give another"):
        judge.open_page(parameters)


def test_files_that_hold_no_array_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file .*none.npy; give scores as numpy.save writes them"):
        given.read(str(tmp_path / "none.npy"))
    (tmp_path / "text.npy").write_text("1 2 3")
    np.save(tmp_path / "objects.npy", np.array([{}, []], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "two.npz", a=np.ones(2), b=np.ones(2))
    header = np.lib.format.header_data_from_array_1_0(np.ones(2)) | {"shape": (10**6, 10**6)}
    with (tmp_path / "huge.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
    for name in ("text.npy", "objects.npy", "huge.npy"):
        with pytest.raises(ValueError, match=f"{name} is not a .npy file of numbers; write the scores with numpy"):
            given.read(str(tmp_path / name))
    with pytest.raises(ValueError, match="two.npz holds several arrays; give one"):
        given.read(str(tmp_path / "two.npz"))
    with pytest.raises(ValueError, match="'speed' is none of removal, mislabel, lds"):
        judge.kinds("removal, speed")


def supports(sizes: dict[str, np.ndarray]) -> pd.DataFrame:
    """A table of supports by both kinds; a size above 40 is none."""
    rows = [
        {"kind": kind, "method": method, "target": i, "size": size if size <= 40 else pd.NA}
        | {"reason": FOUND if size <= 40 else LARGER, "trainings": 1}
        for kind in judge.KINDS
        for method, of_method in sizes.items()
        for i, size in enumerate(of_method)
    ]
    return pd.DataFrame(rows).astype({"size": "Int64"})


def test_comparisons_doubts_and_shares(study):
    rng = np.random.default_rng(1)
    random = rng.integers(15, 45, 30)
    sizes = {"mine": random + 12, OURS: random - 12, "pixels_l2": random + rng.integers(-3, 4, 30), RANDOM: random}
    table = supports(sizes)
    profile = replace(study.profile, k_max=40)
    compared = judge.comparisons(table, ["mine"], profile)
    verdicts = compared[compared["kind"] == REMOVAL].set_index("against")["verdict"].to_dict()
    assert verdicts == dict.fromkeys((OURS, "pixels_l2", RANDOM), "larger supports")
    assert compared["difference"].between(compared["low"], compared["high"]).all()
    assert len(judge.doubts(compared)) == 2 and "is the sign turned round?" in judge.doubts(compared)[0]
    again = judge.comparisons(table.replace({"method": {"mine": "pixels_l2", "pixels_l2": "mine"}}), ["mine"], profile)
    level = again[(again["against"] == RANDOM) & (again["kind"] == MISLABEL)].iloc[0]
    assert level["verdict"] == "undecided" and not judge.doubts(again)
    flipped = judge.shares(table, class_size=80).set_index(["kind", "method", "k"])["flipped"]
    assert flipped[REMOVAL, OURS, "< 8"] == np.mean(sizes[OURS] < 8)
    assert flipped[REMOVAL, OURS, "≤ 20"] == np.mean(sizes[OURS] <= 20)
    assert (MISLABEL, OURS, "< 0") in flipped
    assert judge.instructive(table, "mine", 2)[2:] != judge.instructive(table, "mine", 2)[:2]


def test_the_leaderboard_has_the_books_methods_and_the_judged_one_once(study):
    folder = study.folder / "methods"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(2)
    sizes = {name: rng.integers(4, 50, 30) for name in ("mine", OURS, RANDOM, "tracin:2")}
    stored = supports({name: sizes[name] for name in (OURS, RANDOM, "tracin:2")})
    stored.to_csv(folder / "supports.csv", index=False)
    profile = replace(study.profile, k_max=40)
    own = supports({name: sizes[name] for name in ("mine", OURS, RANDOM)})
    board = judge.leaderboard(replace(study, profile=profile), ["mine"], own)
    assert sorted(board["method"]) == sorted(sizes) and board["judged"].sum() == 1
    assert board["removal_auc"].is_monotonic_decreasing
    expected = stats.summary(own, 40).set_index(["kind", "method"]).loc[(REMOVAL, "mine"), "auc"]
    assert board.loc[board["judged"], "removal_auc"].item() == expected


def features_of(study: Study, path, d: int = 3, **others):
    train, test = (len(labels) for labels in (study.dataset.train_labels, study.dataset.test_labels))
    rng = np.random.default_rng(0)
    np.savez(path, **({"train": rng.random((train, d)), "test": rng.random((test, d))} | others))
    return str(path)


def test_features_are_ranked_by_both_distances_and_have_an_accuracy(study, tmp_path):
    path = features_of(study, tmp_path / "mine.npz")
    judged = judge.by_features("mine", path, study)
    assert [one.name for one in judged] == ["mine, L2", "mine, exemplar SVM"]
    vectors = given.read_features(path, study)
    i, own = 0, study.dataset.train_labels == study.dataset.test_labels[study.targets[0]]
    apart = np.linalg.norm(vectors.train - vectors.test[study.targets[i]], axis=1)
    assert judged[0].ranking[i].tolist() == np.flatnonzero(own)[np.argsort(apart[own], kind="stable")][:8].tolist()
    assert not (judged[0].ranking == judged[1].ranking).all() and judged[1].scores is None
    table = stats.lds_summary(judge.lds_scores(replace(study, profile=replace(study.profile, ensembles=())), judged))
    assert "mine, L2" in set(table["method"])
    assert given.knn_accuracies(vectors, "mine", study)["features"].tolist() == ["mine", "MoCo features", "raw pixels"]


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"test": np.zeros((3, 3))}, r"test has shape \(3, 3\); .* needs \(100, d\)"),
        ({"train": np.zeros(200)}, r"train has shape \(200,\)"),
        ({"test": np.zeros((100, 2))}, r"test has shape \(100, 2\)"),
        ({"train": np.full((200, 3), np.nan)}, "a number of train is not finite"),
        ({"train": np.array([{}] * 200)}, "does not hold features"),
        ({"train": np.full((200, 3), "a")}, "train is of <U1; give real numbers"),
        ({"train": np.ones((200, 3))}, "all images have the same features in train"),
        ({"test": np.full((100, 3), 1e300)}, "a number of test is not finite, as float32"),
    ],
)
def test_features_that_do_not_fit_are_refused(study, tmp_path, others, message):
    path = features_of(study, tmp_path / "mine.npz", **others)
    with pytest.raises(ValueError, match=message):
        given.read_features(path, study)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_damaged_features_and_those_given_twice_are_refused(study, tmp_path):
    path = features_of(study, tmp_path / "mine.npz")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("train.npy", archive.read("train.npy"))
    with pytest.raises(ValueError, match="an array stands in it twice"):
        given.read_features(path, study)
    (tmp_path / "torn.npz").write_bytes((tmp_path / "mine.npz").read_bytes()[:3000])
    with pytest.raises(ValueError, match="torn.npz does not hold features .*give train"):
        given.read_features(str(tmp_path / "torn.npz"), study)


def test_by_the_lds_alone_there_are_no_supports(study):
    none = judge.supports(study, ["mine"], [])
    tables = judge.leaderboard(study, ["mine"], none), judge.shares(none, 40)
    compared = judge.comparisons(none, ["mine"], study.profile)
    assert none.empty and all(table.empty for table in (*tables, compared)) and judge.doubts(compared) == []


def test_one_array_or_none_is_no_features(study, tmp_path):
    np.save(tmp_path / "one.npy", np.zeros((200, 3)))
    with pytest.raises(ValueError, match="does not hold features .*give train"):
        given.read_features(str(tmp_path / "one.npy"), study)
    with pytest.raises(FileNotFoundError, match="there is no file none.npz; give train"):
        given.read_features("none.npz", study)


def test_when_the_minutes_are_over_finished_groups_are_shown_and_all_is_kept(tmp_path, monkeypatch):
    smoke = profiles.load("smoke", k_max=8, lds_models=4, budget=1, n_targets=10)
    quick = replace(smoke, selfsupervised=FeatureRecipe("pixels"), ensembles=())
    timed = JudgedStudy(quick, "cpu", n_jobs=1, results=tmp_path, judged="mine", until=0.0)
    monkeypatch.setattr(judge, "beside", lambda _: [RANDOM])
    monkeypatch.setattr(judge.time, "monotonic", lambda: -1.0)
    timed.targets.tolist()
    first = timed.groups(united=True)[0]
    curves = [(REMOVAL, RANDOM), (REMOVAL, "pixels_l2")]
    timed.supports(curves, among=[first])
    monkeypatch.setattr(judge.time, "monotonic", lambda: 1.0)
    before = len(timed.driver.ledger.records)
    part = judge.supports(timed, ["pixels_l2"], [REMOVAL])
    assert sorted(set(part["target"])) == sorted(timed.targets[first].tolist())
    assert "**5 of 10 targets** were judged" in judge.reached(timed, part)
    again = JudgedStudy(quick, "cpu", n_jobs=1, results=tmp_path, judged="mine")
    assert len(again.driver.ledger.records) == before + 1, "what was under way when time ended is kept"
    whole = judge.supports(again, ["pixels_l2"], [REMOVAL])
    assert judge.reached(again, whole).startswith("All 10 targets are judged; tables leave out those that are wrong")
    rows = whole[whole["target"].isin(part["target"])].sort_values(["method", "target"])
    assert rows["size"].tolist() == part.sort_values(["method", "target"])["size"].tolist()
