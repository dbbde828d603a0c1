"""The memory of everything ever trained: append-only files of JSON lines, one line a retraining.

Every consumer asks the ledger first, so nothing is trained twice. A file that has grown to FULL never changes again:
the next record opens a new one. `pandas.read_json(path, lines=True)` reads each. A record ends with a checksum of what
stands before it; those of records without one stand beside their file, a line each.
"""

import json
import re
import zlib
from pathlib import Path

import numpy as np

from lib.engine.records import Records

FIELDS = ("key", "recipe", "seed", "removed", "relabelled", "targets", "logits", "test_accuracy", "seconds", "machine")
FULL = 2**21  # bytes
CHECKED = re.compile(rb',"crc32":"([0-9a-f]{8})"}\s*$')


class Ledger(Records):
    """An index over a folder's files: (key, target) -> logits (n_classes,), and the records themselves.

    below: another ledger, whose records are known here too; what is appended goes into this one alone.
    Raises ValueError, naming file and line, where a whole line is not a record, or not the one that was written: that
    is damage, not a torn tail; and where a file lacks some.
    """

    pattern = "*.jsonl"

    def __init__(self, folder: Path, below: "Ledger | None" = None):
        self.records: list[dict] = list(below.records) if below else []
        self._logits: dict[tuple[str, int], np.ndarray] = dict(below._logits) if below else {}
        self._sums = {path.with_suffix(".jsonl"): path.read_text().split() for path in Path(folder).glob("*.crc32")}
        super().__init__(folder)
        for path, sums in self._sums.items():
            if (n := self._read.get(path, (0, 0))[1]) < len(sums):
                raise ValueError(f"{path} has {n} of {len(sums)} records; restore the file")

    def logits(self, key: str, target: int) -> np.ndarray | None:
        """Logits (n_classes,) float64 that the retraining `key` gave the target, or None where it is not known."""
        return self._logits.get((key, target))

    def append(self, record: dict) -> None:
        """Write one record (see FIELDS). ValueError where a number is not finite."""
        content = json.dumps({field: record[field] for field in FIELDS}, separators=(",", ":"), allow_nan=False)
        self.write(f'{content[:-1]},"crc32":"{checksum(content.encode())}"}}\n'.encode(), self._last)

    def _last(self) -> Path:
        """The file to append to."""
        files = self.files()
        if files and files[-1].stat().st_size < FULL:
            return files[-1]
        return self.folder / f"{int(files[-1].stem) + 1 if files else 0:04d}.jsonl"

    def split(self, content: bytes) -> list[bytes]:
        return [line + b"\n" for line in content.split(b"\n")[:-1]]

    def take(self, line: bytes, path: Path, number: int) -> None:
        if not line.strip():
            return
        try:
            record = json.loads(vouched(line, self._sums.get(path, [])[number : number + 1]))
            logits = np.asarray(record["logits"], dtype=np.float64)
            known = {(record["key"], target): row for target, row in zip(record["targets"], logits, strict=True)}
            if not np.isfinite(logits).all():
                raise ValueError("a logit is not finite")
        except (ValueError, KeyError, TypeError) as error:
            where = f"{path}, line {number + 1}"
            raise ValueError(f"{where} is damaged ({error}); restore the file or delete the line") from error
        self.records.append(record)
        self._logits |= {reading: row for reading, row in known.items() if reading not in self._logits}


def parted(line: bytes) -> tuple[bytes, str | None]:
    """What a line says, and its checksum, where it has one."""
    if match := CHECKED.search(line):
        return line[: match.start()] + b"}", match[1].decode()
    return line.strip(), None


def vouched(line: bytes, beside: list[str]) -> bytes:
    """What a line says. beside: its checksum, where one stands beside the file. ValueError where it says another."""
    content, stated = parted(line)
    if checksum(content) not in ([stated] if stated else beside):
        raise ValueError("its checksum is another" if stated or beside else "it has no checksum")
    return content


def damaged(path: Path) -> list[str]:
    """What is wrong with a file, by its checksums alone: a line each, without taking in its records."""
    beside, wrong = path.with_suffix(".crc32"), []
    sums = beside.read_text().split() if beside.exists() else []
    *lines, torn = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines):
        try:
            if line.strip():
                vouched(line, sums[number : number + 1])
        except ValueError as error:
            wrong.append(f"line {number + 1} is damaged ({error})")
    return wrong + ["it ends in half a record"] * bool(torn) + ["it lacks records"] * (len(lines) < len(sums))


def checksum(content: bytes) -> str:
    """CRC-32 in eight hexadecimal digits: it tells every change of a few bits."""
    return f"{zlib.crc32(content):08x}"
