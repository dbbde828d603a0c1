"""Many retrainings and searches at once: it runs what it is given, and knows no figure, no paper and no profile."""

from lib.engine.counting import AT_MOST, EXPECTED, PAPER, CountingDriver, Tally
from lib.engine.driver import Driver, Group, Question, check_loader, machine_name, processor, retrainings
from lib.engine.ledger import FIELDS, Ledger, damaged
from lib.engine.subsets import Subsets

__all__ = [
    "AT_MOST",
    "FIELDS",
    "CountingDriver",
    "Driver",
    "EXPECTED",
    "Group",
    "Ledger",
    "PAPER",
    "Question",
    "Subsets",
    "Tally",
    "cache",
    "check_loader",
    "damaged",
    "machine_name",
    "processor",
    "retrainings",
    "subsets",
    "svm",
    "workers",
]
