"""Dry runs: what a notebook would compute is counted by running it on a study that trains nothing."""

from dataclasses import replace

import pytest
from matplotlib.figure import Figure

from lib import profiles
from lib.data import manifest
from lib.engine import AT_MOST, EXPECTED, PAPER, Ledger
from lib.engine.counting import CountingDriver, Tally
from lib.engine.driver import Driver, Question
from lib.report import execution, plan, plots, stats
from lib.retrain import Retraining
from lib.study import MISLABEL, REMOVAL

NOTEBOOKS = [name for name in execution.names() if "profile" in execution.declared(name)]


def dry(profile: str | profiles.Profile, **values) -> plan.DryStudy:
    known = profiles.load(profile, **values) if isinstance(profile, str) else profile
    return plan.DryStudy(known, device="cpu")


def items(study: plan.DryStudy) -> dict:
    return plan.trained(study.profile, study.tally)


@pytest.fixture
def undrawn(monkeypatch):
    """No figure is drawn, and intervals are rough, both to be fast."""
    monkeypatch.setattr(stats, "RESAMPLES", 10)
    for name, of in vars(plots).items():
        if getattr(of, "__annotations__", {}).get("return") is Figure and not name.startswith("_"):
            monkeypatch.setattr(plots, name, lambda *_, **__: None)


@pytest.mark.parametrize("profile", ["smoke", "imagenet", "paper"])
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_notebook_says_what_it_would_compute(undrawn, name, profile):
    """With few targets and votes: the larger profiles differ in shapes, and their numbers are tested below."""
    known = execution.declared(name)
    values = {key: parameter["default"] for key, parameter in known.items()} | {"profile": profile}
    small = {"n_targets": 10, "k_max": 64, "n_votes": 1}
    if profile != "smoke":
        values |= {key: value for key, value in small.items() if key in known}
    text = execution.dry_run(name, values)
    assert f"Profile {profile}" in text and "Checked:" in text
    assert ("base models" in text) == (name != "verdicts")


@pytest.mark.parametrize(
    ("profile", "n_targets", "paper", "most", "expected"),
    [("paper", 100, 3500, 4000, 2400), ("paper_imagenet", 30, 210, 240, 240)],
)
def test_the_papers_totals_come_out(profile, n_targets, paper, most, expected):
    """Paper App. A.4: 7 steps x 5 models x 100 targets, 7 x 1 x 30. Ours has the probe at k_max too, 8 instead of 7."""
    study = dry(profile, test_per_class=10)
    supports = study.supports([(REMOVAL, "moco_esvm"), (MISLABEL, "moco_esvm")])
    trained = items(study)
    for purpose in ("removal, separate", "mislabelling, separate"):
        assert [trained[purpose][key] for key in (PAPER, AT_MOST, EXPECTED)] == [paper, most, expected]
    assert trained["unmodified, k = 0"][AT_MOST] == study.profile.n_votes  # the same for all targets
    assert len(supports) == 2 * n_targets and trained["base models"][AT_MOST] == study.profile.n_base


def three_questions(label: int | None, k_max: int = 32) -> list[Question]:
    targets = [(0, 0), (10, 1), (25, 2)]  # test ids of `tiny`, and their classes
    return [
        Question(target, tuple(range(40 * c, 40 * c + k_max)), label if label is None else (c + 1) % 3)
        for target, c in targets
    ]


@pytest.mark.parametrize(("united", "n_votes"), [(False, 1), (True, 4)])
def test_a_real_run_takes_about_what_is_expected_and_no_more_than_the_worst_case(
    tiny, quick, tmp_path, united, n_votes
):
    """From an empty ledger: two kinds of supports, most of a class at least, and margins at two k."""
    recipe = replace(quick, width=4, epochs=4, cutout=0, peak_lr=0.1)
    groups = [tuple(three_questions(label, 32 if united else 40)) for label in (None, 1)]
    groups = groups if united else [(question,) for group in groups for question in group]
    ks = 3, 32
    readings = [
        (Retraining(recipe, seed, removed=tuple(i for q in group for i in q.ranking[:k])), [q.target for q in group])
        for group in groups
        for k in ks
        for seed in range(2)
        if group[0].label is None
    ]
    real = Driver(tiny, recipe, Ledger(tmp_path / "l"), n_jobs=1)
    counted = CountingDriver(tiny, recipe, Tally(), k_max=32 if united else 40)
    for driver in (real, counted):
        driver.supports(groups, budget=4, n_votes=n_votes)
        driver.logits(readings)
    taken = len({record["key"] for record in real.ledger.records})
    counts = counted.ledger.counts.values()
    at_most, expected = sum(count[AT_MOST] for count in counts), sum(count[EXPECTED] for count in counts)
    assert taken <= at_most and expected / 1.5 <= taken <= 1.5 * expected
    assert "unmodified, k = 0" in {purpose for purpose, _ in counted.ledger.counts}


def test_the_worst_case_is_reached_by_the_slowest_votes(tiny, quick):
    """One target, five votes, three steps: 5 x (1 + 1 + 3) trainings, as votes are split at every probe."""
    counted = CountingDriver(tiny, quick, Tally(), k_max=32)
    ((support, names),) = counted.supports([(three_questions(None)[0],)], budget=3, n_votes=5)
    counts = {purpose: count for (purpose, _), count in counted.ledger.counts.items()}
    searched, unmodified = counts["removal, separate"], counts["unmodified, k = 0"]
    assert [count[key] for count in (searched, unmodified) for key in (AT_MOST, EXPECTED)] == [20, 12, 5, 3]
    assert len(set(names)) == 15 == len(counted.ledger.records) and support.size is not None
    counted.supports([(three_questions(None)[0],)], budget=3, n_votes=5)
    assert searched[AT_MOST] == 20 and len(counted.ledger.records) == 15  # nothing is trained twice


def test_united_tests_are_one_a_group_and_methods_train_what_they_look_into():
    study = dry("smoke")
    study.supports([(REMOVAL, method) for method in ("trak:2", "datamodels:40", "moco_l2")], united=True)
    study.attribution.lds(["moco"])
    trained, smoke = items(study), study.profile
    assert trained["removal, united"][AT_MOST] == 3 * (smoke.budget + 1) * smoke.n_votes
    assert not trained["removal, united"][PAPER]
    assert trained["networks, trak, 5 targets"][AT_MOST] == 2 and trained["features, moco"][AT_MOST] == 1
    assert trained["models on subsets of 0.5, Datamodels"][AT_MOST] == 40
    assert trained["models on subsets of 0.5, LDS"][AT_MOST] == 20


def test_margins_and_other_recipes():
    study = dry("smoke", n_targets=20)
    vit = study.profile.network("vit")
    for united, n in ((False, 20), (True, 4)):
        tests = [[(REMOVAL, "moco_l2", i) for i in group] for group in study.groups(united)]
        for recipe in (None, vit):
            study.margins(tests, [0, 8], 3, recipe)
        purpose = f"margins at fixed k, {'united' if united else 'separate'}"
        assert items(study)[purpose][AT_MOST] == items(study)[f"{purpose}, vit"][AT_MOST] == n * 3
    trained = items(study)
    assert trained["unmodified, k = 0"][AT_MOST] == trained["unmodified, k = 0, vit"][AT_MOST] == 3
    assert trained[purpose][plan.FLOPS] != trained[f"{purpose}, vit"][plan.FLOPS]


def test_what_is_published_is_not_trained():
    study = dry("paper", k_max=50, n_targets=10, test_per_class=10)
    study.supports([(REMOVAL, "datamodels:300000")])
    study.attribution.lds(["moco"])
    assert not any("subsets" in purpose for purpose in items(study))
    text = plan.text(study.profile, study.tally)
    assert "datamodels_cifar10_weights (size not published, no checksum is pinned yet) is had by hand" in text
    assert "trak_cifar10_masks" in text
    imagenet = dry("paper_imagenet", k_max=50, test_per_class=10)
    imagenet.supports([(REMOVAL, "moco_l2")])
    assert items(imagenet)["features, moco"][AT_MOST] == 0
    assert "moco_v2_rn50_800ep" in plan.text(imagenet.profile, imagenet.tally)


def test_what_the_ledger_holds_already_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "WRITTEN", tmp_path)
    study = dry("smoke")
    study.margins([[(REMOVAL, "random", 0)]], [1], n_seeds=1)
    assert "The ledger holds" not in plan.text(study.profile, study.tally)
    (tmp_path / "smoke" / "ledger").mkdir(parents=True)
    for name, lines in (("0000", "{}\n{}\n"), ("0001", "{}\n")):
        (tmp_path / "smoke" / "ledger" / f"{name}.jsonl").write_text(lines)
    assert "The ledger holds 3 retrainings already; " in plan.text(study.profile, study.tally)


def test_the_two_published_trainings_give_one_speed():
    """Seconds of published trainings on an NVIDIA A100, each repeated by a profile: the text's arithmetic is true."""
    speeds = []
    for profile, seconds, n_train in ((profiles.PAPER, 36, 50_000), (profiles.PAPER_IMAGENET, 35 * 60, 1_281_167)):
        epochs, total = profile.recipe.epochs, plan.of_training(profile.recipe, plan.stand_in(profile))
        speeds.append(total / seconds)
        step = f"{total / n_train / epochs / 1e9:.2f} GFLOP an image and step x {n_train} images x {epochs} epochs"
        assert f"{step} / {seconds} s = {speeds[-1] / 1e12:.0f} TFLOP/s" in plan.EXPLAINED
    assert speeds[0] == pytest.approx(plan.A100, rel=0.01) and speeds[1] == pytest.approx(speeds[0], rel=0.15)


def test_operations_by_hand():
    """ResNet-9 at the paper's size: the multiplications of its eight convolutions and its head, counted by hand."""
    convolutions = 32**2 * 27 * 64 + 16**2 * (64 * 25 * 128 + 2 * 128 * 9 * 128 + 128 * 9 * 256)
    convolutions += 8**2 * 2 * 256 * 9 * 256 + 6**2 * 256 * 9 * 128 + 128 * 10
    paper = profiles.PAPER
    one_epoch = plan.of_training(replace(paper.recipe, epochs=1), plan.stand_in(paper))
    assert one_epoch == 3 * 50_000 * 2 * convolutions
    published = plan.of_features(profiles.PAPER_IMAGENET.selfsupervised, plan.stand_in(paper))
    assert published == pytest.approx(60_000 * 2 * 4.09e9, rel=0.01)  # torchvision's meta["_ops"] of a ResNet-50


def test_where_a_file_is(tmp_path, monkeypatch):
    entry = manifest.find("cifar10")
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DATA_MIRROR", raising=False)
    assert "would be downloaded from https://www.cs.toronto.edu" in plan.whereabouts(entry)
    (tmp_path / entry.file).touch()
    monkeypatch.setenv("DATA_MIRROR", str(tmp_path))
    assert plan.whereabouts(entry).endswith("sha256 pinned) is in the mirror")


@pytest.mark.parametrize(
    ("profile", "changes", "method", "message"),
    [
        ("paper", {"k_max": 5001}, "moco_l2", "k_max=5001 exceeds the 5000 training images of a class"),
        ("paper", {"n_targets": 105}, "moco_l2", "n_targets=105 must be a multiple of the 10 classes"),
        ("paper", {"train_per_class": 6000}, "moco_l2", "train_per_class=6000 exceeds the 5000 of cifar10"),
        ("imagenet", {"n_classes": 41}, "moco_l2", "n_classes=41 exceeds the 40 of tiny_imagenet_40"),
        ("paper", {"batch_size": 50_000}, "moco_l2", "48720 training images are left, fewer than one batch"),
        ("paper", {}, "trak:7", "unknown method 'trak:7'"),
        ("paper", {"stem": "patch4"}, "moco_l2", "unknown network part 'patch4'"),
        ("paper", {"dataset": "moco_v2_rn50_800ep"}, "moco_l2", "lacks images, shape or n_classes"),
    ],
)
def test_values_that_do_not_fit_are_refused(profile, changes, method, message):
    with pytest.raises(ValueError, match=message):
        dry(profile, **changes).supports([(REMOVAL, method)])


def test_the_stand_in_takes_no_memory():
    dataset = plan.stand_in(profiles.load("paper_imagenet"))
    assert dataset.train_images.shape == (1_281_000, 3, 256, 256) and dataset.train_images.base.size == 1


def test_a_network_that_does_not_take_the_images_is_refused():
    smoke = profiles.load("smoke")
    with pytest.raises(ValueError, match="images of 28 x 28 pixels do not fit a vit with patches of 4"):
        dry(replace(smoke, recipe=replace(smoke.recipe, arch="vit", width=16, stem="patch4")))
