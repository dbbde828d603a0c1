"""What all else rests on: the limits of parameters, and `forks`, processes that start with all of lib imported.

Nothing that takes long to import is used here.
"""

from lib.base.limits import LIMITS, check

__all__ = ["LIMITS", "check", "forks"]
