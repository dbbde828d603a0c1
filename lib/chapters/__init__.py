"""What single chapters of the book compute beyond the paper's figures."""

__all__ = [
    "audit",
    "brittle",
    "changes",
    "comparison",
    "departures",
    "export",
    "given",
    "influence",
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
