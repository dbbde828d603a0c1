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
    """The network, from images (b, c, h, w) to logits (b, n_classes). ValueError where that fails."""
    network = named(arch)
    try:
        return network(n_classes=n_classes, channels=channels)
    except (Exception, SystemExit) as problem:
        raise ValueError(f"{arch} is not built by n_classes={n_classes}, channels={channels}: {problem!r}") from problem


@cache
def named(arch: str) -> type[nn.Module]:
    """The class of that name. Raises ValueError where there is none, its file fails, or it is no module."""
    module, _, name = arch.partition(":")
    if (here := str(given("."))) not in sys.path:
        sys.path.append(here)
    try:
        made = getattr(importlib.import_module(module), name)
    except (Exception, SystemExit) as problem:
        raise ValueError(f"there is no network {arch!r} ({problem!r}); give package.module:Name") from problem
    if not (inspect.isclass(made) and issubclass(made, nn.Module)):
        raise ValueError(f"{arch} is no torch.nn.Module; name a class that is one")
    try:
        inspect.signature(made).bind(n_classes=2, channels=1)
    except TypeError as problem:
        raise ValueError(f"{arch} is not built by n_classes=…, channels=… ({problem}); give it these") from problem
    return made


@cache
def source(arch: str) -> str:
    """A checksum of the files of the class and of those that it extends, but torch's: a changed one is another."""
    modules = dict.fromkeys(inspect.getmodule(cls) for cls in named(arch).__mro__)
    own = [module for module in modules if module.__name__.split(".")[0] not in ("builtins", "torch")]
    return hashlib.sha256("".join(map(inspect.getsource, own)).encode()).hexdigest()
