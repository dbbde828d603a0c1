"""What single chapters of the book compute beyond the paper's figures."""

__all__ = [
    "audit",
    "changes",
    "comparison",
    "departures",
    "export",
    "given",
    "judge",
    "leaderboard",
    "moved",
    "own",
    "quality",
    "ridge",
    "seeds",
    "validity",
    "zoo",
]
