"""A network of the user's own, by where it stands: `package.module:Name`, built as Name(n_classes=…, channels=…).

To name one is to run its code. It is found from the folder that the user stands in, too.
"""

import hashlib
import importlib
import inspect
import sys
from functools import cache

from torch import nn

from lib.data import given


def build(arch: str, channels: int, n_classes: int) -> nn.Module:
    """The network, from images (b, c, h, w) to logits (b, n_classes). ValueError where it takes other numbers."""
    try:
        return named(arch)(n_classes=n_classes, channels=channels)
    except TypeError as problem:
        raise ValueError(f"{arch} is not built by n_classes={n_classes}, channels={channels}: {problem}") from problem


@cache
def named(arch: str) -> type[nn.Module]:
    """The class of that name. Raises ValueError where there is none, or it is no module."""
    module, _, name = arch.partition(":")
    if (here := str(given("."))) not in sys.path:
        sys.path.append(here)
    try:
        made = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as problem:
        raise ValueError(f"there is no network {arch!r} ({problem}); give package.module:Name") from problem
    if not (inspect.isclass(made) and issubclass(made, nn.Module)):
        raise ValueError(f"{arch} is no torch.nn.Module; name a class that is one")
    return made


@cache
def source(arch: str) -> str:
    """A checksum of the file that the class stands in, so that a changed network is another network."""
    return hashlib.sha256(inspect.getsource(inspect.getmodule(named(arch))).encode()).hexdigest()
