"""What is stored is checked byte by byte and row by row; stored votes are compared with votes of trainings done now."""

import json
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import seal

from lib import bisection, profiles
from lib.chapters import audit, checks
from lib.data import RESULTS
from lib.engine import processor
from lib.features import FeatureRecipe
from lib.study import MISLABEL, REMOVAL, Study

CURVES = [(REMOVAL, "pixels_l2"), (MISLABEL, "random")]


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """A study of raw pixels with its table of supports, by separate tests and by united ones."""
    smoke = profiles.load("smoke", k_max=8, budget=1, n_classes=3, n_targets=3)
    results = tmp_path_factory.mktemp("results")
    pixels = Study(replace(smoke, selfsupervised=FeatureRecipe("pixels")), "cpu", n_jobs=1, results=results)
    for name, united in (("supports", False), ("supports_united", True)):
        pixels.supports(CURVES, united).to_csv(results / f"{name}.csv", index=False)
    return pixels


def replay(study: Study, name: str = "supports") -> tuple[checks.Replay, list[str]]:
    once_more = checks.Replay(study)
    return once_more, once_more.wrong(study.results / f"{name}.csv")


def test_foreign_targets_are_named_but_on_the_page_that_has_its_own(opened, tmp_path):
    table = pd.read_csv(opened.results / "supports.csv")
    for page, n_wrong in (("fig03", len(table)), ("repair", 0)):
        path = tmp_path / page / "supports.csv"
        path.parent.mkdir()
        table.assign(target=table["target"] + 1000).to_csv(path, index=False)
        assert len(checks.Replay(opened).wrong(path)) == n_wrong


def test_of_several_sizes_of_the_training_set_those_of_the_study_have_to_follow(opened, tmp_path):
    table, n = pd.read_csv(opened.results / "supports.csv"), len(opened.dataset.train_labels)
    smaller = table.assign(images=n // 2, k_max=4, votes="0:9-9")
    for votes, n_wrong in ((table["votes"], 0), ("0:9-9", len(table))):
        pd.concat([smaller, table.assign(images=n, k_max=8, votes=votes)]).to_csv(tmp_path / "supports.csv")
        assert len(checks.Replay(opened).wrong(tmp_path / "supports.csv")) == n_wrong


def with_ledger(study: Study, folder, change) -> Study:
    """The same study on a copy of its results, of which each record was changed and vouched for."""
    shutil.copytree(study.results, folder, dirs_exist_ok=True)
    (path,) = (folder / study.folder.name / "ledger").glob("*.jsonl")
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for record in records:
        del record["crc32"]
    path.write_text("".join(json.dumps(record | change(record)) + "\n" for record in records))
    seal(path.parent)
    again = Study(study.profile, "cpu", n_jobs=1, results=folder)
    again.__dict__.update({key: study.__dict__[key] for key in ("base_logits", "targets", "wrong_labels")})
    return again


def test_a_sweep_is_of_several_values():
    table = pd.read_csv(RESULTS / "fashion" / "sweep" / "supports.csv")
    assert checks.swept(table) and not checks.swept(table.drop(columns="budget"))


def test_committed_files_are_those_of_the_list_and_all_are_listed():
    assert checks.files() == []
    committed = subprocess.run(["git", "ls-files"], cwd=RESULTS, capture_output=True, text=True, check=True).stdout
    unlisted = {name for name in committed.splitlines() if not name.endswith(".jsonl")} - {checks.SUMS}
    assert unlisted == set(checks.listed()), "run `python -m lib.audit --seal`"


def test_each_of_200_random_bytes_is_named(tmp_path):
    ledgers = {path.relative_to(RESULTS).as_posix(): None for path in RESULTS.glob("*/ledger/*.jsonl")}
    stated, rng = checks.listed() | ledgers, np.random.default_rng(0)
    names = [*rng.choice(sorted(stated), 150), *rng.choice(sorted(ledgers), 50)]
    for name in map(str, names):
        content, path = bytearray((RESULTS / name).read_bytes()), tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if (beside := (RESULTS / name).with_suffix(".crc32")).exists():
            shutil.copy(beside, path.with_suffix(".crc32"))
        i = rng.integers(len(content))
        content[i] ^= rng.integers(1, 256)
        path.write_bytes(content)
        said = checks.file(name, stated[name], tmp_path)
        assert said and all(line.startswith(f"results/{name}") for line in said), f"{name}, byte {i}"


def test_a_missing_file_and_half_a_record_are_named(tmp_path, opened):
    assert checks.file("fashion/x.csv", "0", tmp_path) == ["results/fashion/x.csv is missing; restore it"]
    (path,) = (opened.folder / "ledger").glob("*.jsonl")
    (tmp_path / "a.jsonl").write_bytes(path.read_bytes()[:-2])
    assert checks.file("a.jsonl", None, tmp_path) == ["results/a.jsonl: it ends in half a record; restore the file"]


@pytest.mark.parametrize("n_votes", [1, 2, 3, 5])
@pytest.mark.parametrize("n", [1, 3])
def test_algorithm_1_once_more_is_the_library_s(n, n_votes):
    rng = np.random.default_rng(n_votes)
    for _ in range(40):
        k_max, budget = (int(value) for value in rng.integers(1, (30, 8)))
        rates = rng.random((n, k_max + 1)) * rng.choice([0.2, 1.0, 3.0])
        right = rng.random((20, n, k_max + 1)) < rates[None]

        search = bisection.united(n, k_max, budget, n_votes)
        probe = next(search)
        while True:
            try:
                probe = search.send([[right[seed, i, probe.ks[i]] for i in range(n)] for seed in probe.seeds])
            except StopIteration as stop:
                expected = stop.value
                break
        rows = checks.plain(n, lambda ks, seed, i, of=right: of[seed, i, ks[i]], k_max, budget, n_votes)
        for support, row in zip(expected, rows, strict=True):
            votes = " ".join(f"{vote.k}:{vote.right}-{vote.wrong}" for vote in support.votes)
            assert row == [support.size, support.reason, support.low, support.high, votes, support.trainings]


@pytest.mark.parametrize("name", ["supports", "supports_united"])
def test_supports_follow_from_ledger_and_rankings(opened, tmp_path, name):
    once_more, wrong = replay(opened, name)
    assert wrong == [] and once_more.readings
    table = pd.read_csv(opened.results / f"{name}.csv")
    for column, value in (("votes", "0:0-9"), ("trainings", 99), ("reason", "found, perhaps"), ("high", 7.5)):
        path = tmp_path / f"{column}.csv"
        table.assign(**{column: table[column].where(table.index != 2, value)}).to_csv(path, index=False)
        expected = f"removal, pixels_l2, target {table['target'][2]} does not follow from the ledger"
        assert once_more.wrong(path) == [f"{path.name}: {expected}"]


def test_a_vote_that_the_ledger_lacks_is_named(opened, tmp_path):
    lacking = with_ledger(opened, tmp_path, lambda record: {"key": record["key"][::-1]} if record["removed"] else {})
    wrong = replay(lacking)[1]
    assert wrong and all("supports.csv: removal, pixels_l2, target" in line for line in wrong)


def test_tables_follow_from_supports(tmp_path):
    folder = tmp_path / "fashion" / "fig10"
    shutil.copytree(RESULTS / "fashion" / "fig10", folder)
    assert audit.derived(folder) == []
    for name, column, said in (
        ("claims.csv", "larger", "claims.csv, row 1 does not follow from the supports"),
        ("summary.csv", "auc", "summary.csv does not follow from supports.csv"),
    ):
        table = pd.read_csv(folder / name)
        table.assign(**{column: table[column] + [1, *[0] * (len(table) - 1)]}).to_csv(folder / name, index=False)
        assert any(line.endswith(said) for line in audit.derived(folder))


def test_the_record_of_a_page_that_is_not_true_is_named(opened, tmp_path):
    folder = tmp_path / "fig03"
    folder.mkdir()
    record = {"figure": "fig03", "profile": opened.profile.content, "recipe": opened.profile.recipe.hash}
    record["dataset"] = {"name": opened.dataset.name, "checksum": opened.dataset.checksum}
    for change, differs in (({}, []), ({"recipe": "x"}, ["recipe"]), ({"profile": {"k_max": 9}}, ["profile k_max"])):
        (folder / "record.json").write_text(json.dumps(record | change))
        said = [f"fig03/record.json: {key} is not what it is now" for key in differs]
        assert [line[line.index("fig03/") :] for line in audit.record(folder, opened)] == said


def test_a_file_of_the_manifest_that_is_another_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_MIRROR", str(tmp_path))
    entry = next(entry for entry in audit.entries().values() if entry.file and entry.sha256)
    (tmp_path / entry.file).write_bytes(b"another")
    (said,) = audit.manifest()
    assert entry.file in said and "the manifest expects" in said


def test_a_training_of_this_machine_is_done_again_to_the_bit(opened):
    known = audit.stored(opened, replay(opened)[0].readings)
    rows = audit.again(opened, known, n=3)
    assert rows["key"].nunique() == 3 and rows["same_bits"].all() and (rows["stored"] == rows["now"]).all()
    pairs = audit.between_seeds(opened, known)
    assert len(pairs) == len(opened.targets), "two base models on every target, since each probe has one vote"
    line = audit.compared(rows, pairs)
    assert line["stored_on"] == line["here"] == processor("cpu") and line["same_votes"] == line["same_bits"] == 1
    assert audit.wrong(rows, pairs, line["p"]) == []


def test_a_forged_vote_is_named(opened, tmp_path):
    forged = with_ledger(opened, tmp_path, lambda record: {"logits": (-2 * np.array(record["logits"])).tolist()})
    once_more = checks.Replay(forged)
    once_more.wrong(tmp_path / "supports.csv")
    known = audit.stored(forged, once_more.readings)
    rows = audit.again(forged, known, n=len(known))
    pairs = audit.between_seeds(opened, audit.stored(opened, replay(opened)[0].readings))
    wrong = audit.wrong(rows, pairs, audit.compared(rows, pairs)["p"])
    named = [said.split(", ")[1] for said in wrong if "/ledger, " in said]
    assert not rows["same_bits"].any() and named and set(named) <= set(known)


def test_votes_differ_as_often_as_chance_allows():
    """Of 100 audits of votes that another seed could have cast hardly one fails; of tosses of a coin, most."""
    rng = np.random.default_rng(0)
    margins = rng.normal(size=(5000, 1)) + rng.normal(size=(5000, 2)) / 2
    at_random = np.stack([margins[:, 0], rng.choice([-1.0, 1.0], 5000)], axis=1)

    def fails(drawn: np.ndarray) -> bool:
        rows = pd.DataFrame(drawn, columns=["stored", "now"])
        rows = rows.assign(key="k", same_bits=False, profile="p", stored_on="m")
        return audit.compared(rows, margins[:1000])["p"] < audit.LEVEL

    assert sum(map(fails, np.split(margins, 100))) <= 1
    assert sum(map(fails, np.split(at_random, 100)[:20])) >= 15


def test_pairs_of_seeds_are_the_first_two_votes_of_a_probe(opened):
    known = audit.stored(opened, replay(opened)[0].readings)
    retraining, margins = next(iter(known.values()))
    two = {"a": (replace(retraining, seed=0), margins), "b": (replace(retraining, seed=1), margins)}
    assert audit.between_seeds(opened, two).tolist() == [[margin] * 2 for margin in margins.values()]


@pytest.mark.parametrize("n", [-1, 10_000])
def test_a_number_that_cannot_be_drawn_is_refused(opened, n):
    known = audit.stored(opened, replay(opened)[0].readings)
    with pytest.raises(ValueError, match=rf"n={n} retrainings cannot be drawn; give 1 to \d+"):
        audit.again(opened, known, n)


@pytest.mark.parametrize(("problems", "status"), [([], 0), (["results/x.csv is missing; restore it"], 1)])
def test_the_command_names_what_is_wrong_and_ends_so(monkeypatch, capsys, tmp_path, problems, status):
    monkeypatch.setattr(audit.checks, "files", lambda: problems)
    monkeypatch.setattr(audit.checks, "across", list)
    monkeypatch.setattr(audit, "manifest", list)
    monkeypatch.setattr(audit, "Study", lambda profile: profile)
    monkeypatch.setattr(audit, "audit", lambda study, n, seed: ([], [{"profile": study.name, "n": n, "seed": seed}]))
    monkeypatch.setattr(audit, "TRAININGS", tmp_path / "trainings.csv")
    assert audit.main(["--profile", "fashion", "-n", "7", "--seed", "3", "--write"]) == status
    said = capsys.readouterr().out
    assert all(problem in said for problem in problems) and audit.counted(problems) in said.splitlines()[-1]
    assert pd.read_csv(tmp_path / "trainings.csv").iloc[0].tolist() == ["fashion", 7, 3]


def test_an_audit_of_one_profile_keeps_the_lines_of_others(tmp_path, monkeypatch):
    monkeypatch.setattr(audit, "TRAININGS", tmp_path / "trainings.csv")
    for name, votes in (("imagenet", 3), ("fashion", 4), ("imagenet", 5)):
        audit.write(pd.DataFrame({"profile": [name], "votes": votes}))
    assert pd.read_csv(tmp_path / "trainings.csv").to_numpy().tolist() == [["fashion", 4], ["imagenet", 5]]


def test_committed_votes_are_no_further_from_training_now_than_another_seed_is(tmp_path):
    """One of the default profile's, live."""
    study = Study(profiles.load("fashion"), n_jobs=1)
    table = pd.read_csv(RESULTS / "fashion" / "fig10" / "supports.csv")
    table.query("kind == 'removal' and method == 'moco_esvm'").to_csv(tmp_path / "s.csv", index=False)
    once_more = checks.Replay(study)
    assert once_more.wrong(tmp_path / "s.csv") == []
    known = audit.stored(study, once_more.readings)
    rows, pairs = audit.again(study, known, n=1), audit.between_seeds(study, known)
    assert len(pairs) > 200 and audit.wrong(rows, pairs, audit.compared(rows, pairs)["p"]) == []
