"""Results of elsewhere join those that are here: once, whole, and only where they belong."""

from pathlib import Path

import numpy as np
import pytest

from lib.chapters import merge
from lib.engine import FIELDS, Ledger, subsets
from lib.profiles import PROFILES

RECORD = dict.fromkeys(FIELDS, 0) | {"key": "a", "targets": [1], "logits": [[0.0, 1.0]], "machine": "here"}
RECORD["recipe"] = PROFILES["smoke"].recipe.hash


def store(folder: Path) -> subsets.Store:
    """Of models on one family of subsets of smoke, which has 100 test images."""
    return subsets.Store(folder / "smoke" / "subsets" / "margins-0.5-1", 100)


@pytest.fixture
def folders(tmp_path):
    """Results that are here and elsewhere, of one retraining each, and an array elsewhere."""
    for name, record in (("here", RECORD), ("there", RECORD | {"key": "b", "machine": "there"})):
        Ledger(tmp_path / name / "smoke" / "ledger").append(record)
    array = tmp_path / "there" / "smoke" / "features" / "moco-1.npz"
    array.parent.mkdir()
    np.savez(array, train=np.zeros(3))
    store(tmp_path / "there").append(7, np.arange(100))
    return tmp_path / "there", tmp_path / "here"


def test_ledgers_merge_without_doubles(tmp_path):
    mine, other = Ledger(tmp_path / "mine"), Ledger(tmp_path / "other")
    mine.append(RECORD)
    for more in (RECORD, RECORD | {"key": "b"}, RECORD | {"targets": [1, 2], "logits": [[0.0, 1.0], [2.0, 0.0]]}):
        other.append(more)
    assert merge.ledgers(mine, other) == 2 and merge.ledgers(mine, other) == 0
    assert list(Ledger(tmp_path / "mine").records[0])[: len(FIELDS)] == list(FIELDS)
    assert mine.logits("b", 1) is not None and mine.logits("a", 2)[0] == 2


def test_merging_twice_is_merging_once(folders, capsys):
    there, here = folders
    for n in (1, 0):
        assert merge.results(there, here) == [
            f"smoke: {n} of 1 records, {n} models on subsets and {n} of 1 files of arrays joined"
        ]
    assert [record["machine"] for record in Ledger(here / "smoke" / "ledger").records] == ["here", "there"]
    assert np.load(here / "smoke" / "features" / "moco-1.npz")["train"].shape == (3,)
    assert store(here).known.keys() == {7} and (store(here).known[7] == np.arange(100)).all()


def test_what_the_networks_of_an_unfinished_ensemble_gave_joins_too(folders):
    there, here = folders
    of_network = Path("smoke") / "scores" / "trak-1.checkpoint" / "0-1.npz"
    (there / of_network).parent.mkdir(parents=True)
    np.savez(there / of_network, result=np.ones(2))
    assert merge.results(there, here)[0].endswith("2 of 2 files of arrays joined")
    assert np.load(here / of_network)["result"].tolist() == [1, 1]
    (here / of_network).unlink()
    (here / "smoke" / "scores" / "trak-1.npz").write_bytes(b"the whole")
    (there / of_network).with_name(".0-2-left.npz").write_bytes(b"of a run that was killed")
    assert merge.results(there, here)[0].endswith("0 of 2 files of arrays joined")
    assert not (here / of_network).exists()


def test_a_damaged_array_is_named_before_anything_is_written(folders):
    there, here = folders
    array = there / "smoke" / "features" / "moco-1.npz"
    array.write_bytes(array.read_bytes()[:-30])
    with pytest.raises(ValueError, match=r"moco-1\.npz is damaged .*compute it again there, or delete it"):
        merge.results(there, here)
    assert len(Ledger(here / "smoke" / "ledger").records) == 1


def test_what_is_here_stays(folders):
    there, here = folders
    own = here / "smoke" / "features" / "moco-1.npz"
    own.parent.mkdir()
    own.write_bytes(b"own")
    assert merge.results(there, here) == [
        "smoke: 1 of 1 records, 1 models on subsets and 0 of 1 files of arrays joined"
    ]
    assert own.read_bytes() == b"own"


def test_another_recipe_is_refused_before_anything_is_written(folders):
    there, here = folders
    Ledger(there / "smoke" / "ledger").append(RECORD | {"key": "c", "recipe": "0" * 16})
    with pytest.raises(ValueError, match="by the recipe 0000000000000000, which is none of profile smoke"):
        merge.results(there, here)
    assert len(Ledger(here / "smoke" / "ledger").records) == 1 and not (here / "smoke" / "features").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "usage: python -m lib.chapters.merge FOLDER"),
        (["--help"], "usage: python -m lib.chapters.merge FOLDER"),
        (["nowhere"], "nowhere has no folder of a profile"),
        ([str(merge.RESULTS)], "is where results are merged into; name another folder"),
    ],
)
def test_the_command_says_what_is_wrong(arguments, message, capsys):
    assert merge.main(arguments) == 2 and message in capsys.readouterr().err
