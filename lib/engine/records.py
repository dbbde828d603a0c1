"""Records in the files of a folder, appended one by one: a record counts once it is whole.

A run may be killed at any instant, and two may write at once. A torn last record is ignored when reading and cut off
before the next append; appends are made under a file lock, so that whole records interleave.
"""

import os
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock


class Records:
    """What a folder holds. A subclass says where a record ends (`split`) and what is done with one (`take`)."""

    pattern: str  # of the files' names

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self._read: dict[Path, tuple[int, int]] = {}  # bytes and records of each file that are taken in
        self.refresh()

    def files(self) -> list[Path]:
        return sorted(self.folder.glob(self.pattern))

    def refresh(self) -> None:
        """Take in what other runs have appended since."""
        for path in self.files():
            n_bytes, n_records = self._read.get(path, (0, 0))
            with open(path, "rb") as file:
                file.seek(n_bytes)
                records = self.split(file.read())
            for number, record in enumerate(records, start=n_records):
                self.take(record, path, number)
            self._read[path] = n_bytes + sum(map(len, records)), n_records + len(records)

    def write(self, record: bytes, choose: Callable[[], Path]) -> None:
        """Append to the file that `choose` names under the lock, and take in others' records on the way."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.folder}.lock"):
            self.refresh()
            with open(path := choose(), "ab") as file:
                file.truncate(min(file.tell(), self._read.get(path, (0, 0))[0]))
                file.write(record)
                file.flush()
                os.fsync(file.fileno())
        self.refresh()
