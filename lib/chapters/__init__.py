"""What single chapters of the book compute beyond the paper's figures."""

__all__ = [
    "audit",
    "brittle",
    "changes",
    "comparison",
    "export",
    "given",
    "influence",
    "judge",
    "leaderboard",
    "own",
    "ridge",
    "shortcuts",
    "validity",
    "zoo",
]
