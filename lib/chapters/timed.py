"""A ledger that stops what fills it when the minutes are over; the first training that ends later is still kept."""

import time
from pathlib import Path

from lib.engine import Ledger


class OutOfTime(RuntimeError):
    """The minutes are over; what was trained is in the ledger."""


class TimedLedger(Ledger):
    """until: when the first record that comes later raises OutOfTime, once it is written; of time.monotonic()."""

    def __init__(self, folder: Path, until: float, below: Ledger | None = None):
        self.until = until
        super().__init__(folder, below)

    def append(self, record: dict) -> None:
        super().append(record)
        if time.monotonic() > self.until:
            raise OutOfTime("the minutes are over; what was trained is kept: run it again to go on, or give more")
