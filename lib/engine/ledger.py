"""The memory of everything ever trained: append-only files of JSON lines, one line a retraining.

Every consumer asks the ledger first, so nothing is trained twice. A file that has grown to FULL never changes again:
the next record opens a new one. `pandas.read_json(path, lines=True)` reads each.
"""

import json
from pathlib import Path

import numpy as np

from lib.engine.records import Records

FIELDS = ("key", "recipe", "seed", "removed", "relabelled", "targets", "logits", "test_accuracy", "seconds", "machine")
FULL = 2**21  # bytes


class Ledger(Records):
    """An index over a folder's files: (key, target) -> logits (n_classes,), and the records themselves.

    below: another ledger, whose records are known here too; what is appended goes into this one alone.
    Raises ValueError, naming file and line, where a whole line is not a record: that is damage, not a torn tail.
    """

    pattern = "*.jsonl"

    def __init__(self, folder: Path, below: "Ledger | None" = None):
        self.records: list[dict] = list(below.records) if below else []
        self._logits: dict[tuple[str, int], np.ndarray] = dict(below._logits) if below else {}
        super().__init__(folder)

    def logits(self, key: str, target: int) -> np.ndarray | None:
        """Logits (n_classes,) float64 that the retraining `key` gave the target, or None where it is not known."""
        return self._logits.get((key, target))

    def append(self, record: dict) -> None:
        """Write one record (see FIELDS)."""
        line = json.dumps({field: record[field] for field in FIELDS}, separators=(",", ":")) + "\n"
        self.write(line.encode(), self._last)

    def _last(self) -> Path:
        """The file to append to."""
        files = self.files()
        if files and files[-1].stat().st_size < FULL:
            return files[-1]
        return self.folder / f"{len(files):04d}.jsonl"

    def split(self, content: bytes) -> list[bytes]:
        return [line for line in content.splitlines(keepends=True) if line.endswith(b"\n")]

    def take(self, line: bytes, path: Path, number: int) -> None:
        try:
            record = json.loads(line)
            logits = np.asarray(record["logits"], dtype=np.float64)
            if set(FIELDS) - set(record) or len(logits) != len(record["targets"]):
                raise ValueError("fields are missing")
        except (ValueError, KeyError, TypeError) as error:
            where = f"{path}, line {number + 1}"
            raise ValueError(f"{where} is damaged ({error}); restore the file or delete the line") from error
        self.records.append(record)
        for target, row in zip(record["targets"], logits, strict=True):
            self._logits.setdefault((record["key"], target), row)
