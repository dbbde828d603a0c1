"""What single chapters of the book compute beyond the paper's figures."""

__all__ = ["comparison", "judge", "own", "quality", "ridge", "validity", "zoo"]
