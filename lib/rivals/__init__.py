"""Competing attribution methods, a file each; one loop for their ensembles; the scores of all methods, ours included.

`Attribution` is the way in. `ensembles`, which brings libraries that take seconds to import, is imported where needed.
"""

from lib.rivals.attribution import HALF, Attribution, largest, on_subsets, sizes

__all__ = ["HALF", "Attribution", "ensembles", "gradients", "largest", "networks", "on_subsets", "sizes", "trak"]
