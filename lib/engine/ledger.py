"""The memory of everything ever trained: append-only files of JSON lines, one line a retraining.

Every consumer asks the ledger first, so nothing is trained twice. A record counts once its line is whole; a torn last
line (a run killed while writing) is ignored when reading and cut off before the next append. Appends are made under a
file lock, so that two runs at once interleave whole lines. A file that has grown to FULL never changes again: the next
record opens a new one. `pandas.read_json(path, lines=True)` reads each.
"""

import json
import os
from pathlib import Path

import numpy as np
from filelock import FileLock

FIELDS = ("key", "recipe", "seed", "removed", "relabelled", "targets", "logits", "test_accuracy", "seconds", "machine")
FULL = 2**21  # bytes


class Ledger:
    """An index over a folder's files: (key, target) -> logits (n_classes,), and the records themselves.

    Raises ValueError, naming file and line, where a whole line is not a record: that is damage, not a torn tail.
    """

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.records: list[dict] = []
        self._logits: dict[tuple[str, int], np.ndarray] = {}
        self._read: dict[Path, tuple[int, int]] = {}  # bytes and lines of each file that are in the index
        self.refresh()

    def refresh(self) -> None:
        """Take in what other runs have appended since."""
        for path in self._files():
            read_to, n_lines = self._read.get(path, (0, 0))
            with open(path, "rb") as file:
                file.seek(read_to)
                whole = file.read().rpartition(b"\n")[0]
            lines = whole.splitlines()
            for number, line in enumerate(lines, start=n_lines + 1):
                self._index(line, f"{path}, line {number}")
            self._read[path] = read_to + len(whole) + bool(whole), n_lines + len(lines)

    def logits(self, key: str, target: int) -> np.ndarray | None:
        """Logits (n_classes,) float64 that the retraining `key` gave the target, or None where it is not known."""
        return self._logits.get((key, target))

    def append(self, record: dict) -> None:
        """Write one record (see FIELDS) and take in others' on the way."""
        line = json.dumps({field: record[field] for field in FIELDS}, separators=(",", ":")) + "\n"
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.folder}.lock"), open(self._last(), "ab+") as file:
            _cut_torn_tail(file)
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
        self.refresh()

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.jsonl"))

    def _last(self) -> Path:
        """The file to append to."""
        files = self._files()
        if files and files[-1].stat().st_size < FULL:
            return files[-1]
        return self.folder / f"{len(files):04d}.jsonl"

    def _index(self, line: bytes, where: str) -> None:
        try:
            record = json.loads(line)
            logits = np.asarray(record["logits"], dtype=np.float64)
            if set(FIELDS) - set(record) or len(logits) != len(record["targets"]):
                raise ValueError("fields are missing")
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{where} is damaged ({error}); restore the file or delete the line") from error
        self.records.append(record)
        for target, row in zip(record["targets"], logits, strict=True):
            self._logits.setdefault((record["key"], target), row)


def _cut_torn_tail(file) -> None:
    """Truncate a file, open for appending and reading, behind its last newline."""
    size = file.seek(0, os.SEEK_END)
    block, end = 65536, size
    while end > 0:
        start = max(0, end - block)
        file.seek(start)
        newline = file.read(end - start).rfind(b"\n")
        if newline >= 0:
            break
        end = start
    keep = start + newline + 1 if end > 0 else 0
    if keep < size:
        file.truncate(keep)
