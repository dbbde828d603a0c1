"""What single chapters of the book compute beyond the paper's figures."""

__all__ = ["changes", "comparison", "export", "given", "judge", "leaderboard", "own", "ridge", "validity", "zoo"]
