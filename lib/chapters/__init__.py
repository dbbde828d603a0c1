"""What single chapters of the book compute beyond the paper's figures."""

__all__ = ["audit", "comparison", "judge", "own", "ridge", "validity", "zoo"]
