"""The ledger survives whatever moment a run is killed at, and two runs at once."""

import numpy as np
import pandas as pd
import pytest
from conftest import seal

from lib.base import forks
from lib.engine import Ledger, ledger
from lib.engine.ledger import parted


def record(key: str, targets=(3,), value=1.5) -> dict:
    logits = [[value, -value] for _ in targets]
    return {"key": key, "recipe": "r", "seed": 0, "removed": 2, "relabelled": 0, "targets": list(targets)} | {
        "logits": logits,
        "test_accuracy": 0.5,
        "seconds": 0.1,
        "machine": "m",
    }


def test_remembers_across_openings(tmp_path):
    folder = tmp_path / "deep" / "ledger"
    Ledger(folder).append(record("a", targets=(3, 5)))
    again = Ledger(folder)
    np.testing.assert_array_equal(again.logits("a", 5), [1.5, -1.5])
    assert again.logits("a", 4) is None and again.logits("b", 3) is None
    assert pd.read_json(folder / "0000.jsonl", lines=True)["removed"].tolist() == [2]


def test_more_targets_of_a_known_retraining_are_added(tmp_path):
    known = Ledger(tmp_path / "l")
    known.append(record("a", targets=(3,)))
    known.append(record("a", targets=(4,), value=2.0))
    np.testing.assert_array_equal(known.logits("a", 3), [1.5, -1.5])
    np.testing.assert_array_equal(known.logits("a", 4), [2.0, -2.0])


def test_torn_at_every_byte_of_the_last_record(tmp_path):
    path = tmp_path / "0000.jsonl"
    for key in ("a", "b"):
        Ledger(tmp_path).append(record(key))
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in range(first, len(whole)):
        path.write_bytes(whole[:cut])
        torn = Ledger(tmp_path)
        assert torn.logits("a", 3) is not None and torn.logits("b", 3) is None
        torn.append(record("c"))
        mended = Ledger(tmp_path)
        assert [r["key"] for r in mended.records] == ["a", "c"] == [r["key"] for r in torn.records]


def test_only_a_torn_first_record(tmp_path):
    (tmp_path / "0000.jsonl").write_bytes(b'{"key": "a"')
    opened = Ledger(tmp_path)
    assert opened.records == []
    opened.append(record("b"))
    assert [r["key"] for r in Ledger(tmp_path).records] == ["b"]


def test_a_torn_tail_longer_than_one_block(tmp_path):
    Ledger(tmp_path).append(record("a"))
    with open(tmp_path / "0000.jsonl", "ab") as file:
        file.write(b"x" * 200_000)
    Ledger(tmp_path).append(record("b"))
    assert [r["key"] for r in Ledger(tmp_path).records] == ["a", "b"]


def test_a_full_file_is_followed_by_another_and_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(ledger, "FULL", 400)
    writing = Ledger(tmp_path)
    for number in range(9):
        writing.append(record(f"k{number}"))
    files = sorted(tmp_path.glob("*.jsonl"))
    assert [file.name for file in files] == ["0000.jsonl", "0001.jsonl", "0002.jsonl"]
    assert all(400 <= file.stat().st_size < 600 for file in files)
    before = files[0].read_bytes(), files[1].read_bytes()
    with open(files[2], "ab") as file:
        file.write(b"torn")
    Ledger(tmp_path).append(record("k9"))
    writing.refresh()
    for opened in (writing, Ledger(tmp_path)):
        assert [r["key"] for r in opened.records] == [f"k{number}" for number in range(10)]
    assert before == (files[0].read_bytes(), files[1].read_bytes())


def test_damage_in_the_middle_is_an_error_that_names_the_line(tmp_path):
    path = tmp_path / "0000.jsonl"
    Ledger(tmp_path).append(record("a"))
    path.write_bytes(path.read_bytes() + b'{"key":"x"}\n')
    with pytest.raises(ValueError, match="0000.jsonl, line 2 is damaged"):
        Ledger(tmp_path)


@pytest.mark.parametrize("sealed", [False, True])
def test_every_changed_byte_of_a_record_is_named(tmp_path, sealed):
    path = tmp_path / "0000.jsonl"
    for key in ("a", "b"):
        Ledger(tmp_path).append(record(key))
    if sealed:  # as records that were written without a checksum
        lines = [parted(line)[0] for line in path.read_bytes().splitlines()]
        path.write_bytes(b"\n".join(lines) + b"\n")
        with pytest.raises(ValueError, match="line 1 is damaged .it has no checksum"):
            Ledger(tmp_path)
        seal(tmp_path)
    whole = path.read_bytes()
    assert [r["key"] for r in Ledger(tmp_path).records] == ["a", "b"]
    for i in range(whole.index(b"\n")):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :])
        with pytest.raises(ValueError, match="0000.jsonl, line 1 is damaged .*; restore the file or delete the line"):
            Ledger(tmp_path)


def test_what_was_sealed_grows_and_a_blank_line_is_no_damage(tmp_path):
    path = tmp_path / "0000.jsonl"
    Ledger(tmp_path).append(record("a"))
    path.write_bytes(parted(path.read_bytes())[0] + b"\n\n")
    seal(tmp_path)
    Ledger(tmp_path).append(record("b"))
    assert [r["key"] for r in Ledger(tmp_path).records] == ["a", "b"]
    seal(tmp_path)
    assert [r["key"] for r in Ledger(tmp_path).records] == ["a", "b"]
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:1]))
    with pytest.raises(ValueError, match="0000.jsonl has 1 of 3 records; restore the file"):
        Ledger(tmp_path)


def test_a_missing_file_is_named_and_nothing_is_appended_to_a_full_one(tmp_path, monkeypatch):
    monkeypatch.setattr(ledger, "FULL", 300)
    for number in range(4):
        Ledger(tmp_path).append(record(f"k{number}"))
    (tmp_path / "0000.jsonl").unlink()
    Ledger(tmp_path).append(record("k4"))
    assert [file.name for file in sorted(tmp_path.glob("*.jsonl"))] == ["0001.jsonl", "0002.jsonl"]
    (tmp_path / "0000.crc32").write_text("00000000\n")
    with pytest.raises(ValueError, match="0000.jsonl has 0 of 1 records; restore the file"):
        Ledger(tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_never_kept(tmp_path, value):
    opened = Ledger(tmp_path)
    with pytest.raises(ValueError, match="not JSON compliant"):
        opened.append(record("a", value=value))
    assert not list(tmp_path.glob("*.jsonl"))


def test_a_ledger_on_another_knows_what_that_knows_and_leaves_it_alone(tmp_path):
    below = Ledger(tmp_path / "below")
    below.append(record("a"))
    above = Ledger(tmp_path / "above", below=below)
    above.append(record("b"))
    assert above.logits("a", 3) is not None and [r["key"] for r in above.records] == ["a", "b"]
    assert [r["key"] for r in Ledger(tmp_path / "below").records] == ["a"]
    assert [r["key"] for r in Ledger(tmp_path / "above").records] == ["b"]


def test_sees_what_another_run_appends(tmp_path):
    one, other = Ledger(tmp_path / "l"), Ledger(tmp_path / "l")
    one.append(record("a"))
    other.append(record("b"))
    assert other.logits("a", 3) is not None
    one.refresh()
    assert one.logits("b", 3) is not None


def _append_many(path, name):
    opened = Ledger(path)
    for i in range(50):
        opened.append(record(f"{name}{i}", targets=tuple(range(30))))


def test_two_runs_at_once_do_not_corrupt_each_other(tmp_path):
    runs = [forks.start(_append_many, tmp_path / "l", name) for name in "ab"]
    for run in runs:
        run.join()
    keys = [r["key"] for r in Ledger(tmp_path / "l").records]
    assert sorted(keys) == sorted(f"{name}{i}" for name in "ab" for i in range(50))
