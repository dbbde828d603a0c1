"""What single chapters of the book compute beyond the paper's figures."""

__all__ = [
    "audit",
    "changes",
    "comparison",
    "detection",
    "export",
    "given",
    "judge",
    "judged",
    "labels",
    "leaderboard",
    "leakage",
    "own",
    "people",
    "repair",
    "ridge",
    "spaces",
    "validity",
    "zoo",
]
