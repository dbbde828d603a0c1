"""Many retrainings and searches at once: it runs what it is given, and knows no figure, no paper and no profile."""

from lib.engine.counting import RECORD, Count, CountingDriver, Tally
from lib.engine.driver import Driver, Group, Question, check_loader, machine_name, retrainings
from lib.engine.ledger import FIELDS, Ledger, seal
from lib.engine.subsets import Subsets

__all__ = [
    "FIELDS",
    "Count",
    "CountingDriver",
    "Driver",
    "Group",
    "Ledger",
    "RECORD",
    "Question",
    "Subsets",
    "Tally",
    "cache",
    "check_loader",
    "machine_name",
    "retrainings",
    "seal",
    "subsets",
    "svm",
    "workers",
]
