"""Files on disk are whole or absent, and are never silently wrong."""

import os

import numpy as np
import pytest

from lib.data import replacing
from lib.engine import cache
from lib.retrain import short_hash


def test_computed_once_then_read(tmp_path):
    calls = []

    def make():
        calls.append(1)
        return {"x": np.arange(3), "name": np.array("a")}

    for _ in range(2):
        stored = cache.arrays(tmp_path / "deep", "features", {"seed": 0}, make)
        np.testing.assert_array_equal(stored["x"], [0, 1, 2])
    assert len(calls) == 1
    cache.arrays(tmp_path / "deep", "features", {"seed": 1}, make)
    next((tmp_path / "deep").glob("features-*.npz")).unlink()
    for seed in (0, 1):
        cache.arrays(tmp_path / "deep", "features", {"seed": seed}, make)
    assert len(calls) == 3


def test_stored_arrays_are_the_same_bytes_each_time(tmp_path):
    identity, make = {"a": [1, 2]}, lambda: {"x": np.arange(100.0)}
    for folder in ("one", "two"):
        cache.arrays(tmp_path / folder, "x", identity, make)
    one, two = (next((tmp_path / folder).glob("*.npz")).read_bytes() for folder in ("one", "two"))
    assert one == two


@pytest.mark.parametrize("damage", [b"", b"not a zip", None])
def test_a_damaged_file_is_an_error_that_names_it(tmp_path, damage):
    cache.arrays(tmp_path, "x", {}, lambda: {"x": np.arange(1000)})
    path = next(tmp_path.glob("*.npz"))
    path.write_bytes(path.read_bytes()[:-40] if damage is None else damage)
    with pytest.raises(ValueError, match=f"{path.name} is damaged .*delete it to compute it again"):
        cache.arrays(tmp_path, "x", {}, lambda: {"x": np.arange(1000)})


def test_a_file_that_describes_something_else_is_an_error(tmp_path):
    cache.arrays(tmp_path, "x", {"a": 1}, lambda: {"x": np.arange(3)})
    stored = next(tmp_path.glob("*.npz"))
    stored.rename(tmp_path / f"x-{short_hash({'a': 2})}.npz")
    with pytest.raises(ValueError, match="describes something else"):
        cache.arrays(tmp_path, "x", {"a": 2}, lambda: {"x": np.arange(3)})


def test_pickles_are_refused(tmp_path):
    path = tmp_path / f"x-{short_hash({})}.npz"
    np.savez(path, identity=np.array("{}"), x=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="is damaged"):
        cache.arrays(tmp_path, "x", {}, dict)


def test_a_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_what_killed_runs_left_is_removed(tmp_path):
    old, new = tmp_path / ".table-old.csv", tmp_path / ".table-new.csv"
    for path in (old, new):
        path.write_text("half")
    os.utime(old, (0, 0))
    with replacing(tmp_path / "table.csv") as temporary:
        temporary.write_text("whole")
    assert {path.name for path in tmp_path.iterdir()} == {new.name, "table.csv"}


def test_unchanged_content_is_left_alone(tmp_path):
    path = tmp_path / "table.csv"
    for text in ("a", "a", "b"):
        before = path.stat().st_mtime_ns if path.exists() else None
        with replacing(path) as temporary:
            temporary.write_text(text)
        if text == "a" and before:
            assert path.stat().st_mtime_ns == before
    assert path.read_text() == "b" and path.stat().st_mode & 0o777 == 0o644
