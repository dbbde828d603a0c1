"""What single chapters of the book compute beyond the paper's figures."""

__all__ = ["comparison", "own", "ridge", "validity", "zoo"]
