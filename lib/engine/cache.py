"""Arrays that are computed once and then read, each file under a hash of everything that it depends on."""

import json
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from filelock import FileLock

from lib.data import replacing
from lib.retrain import short_hash

# What reading a damaged .npz raises.
DAMAGED = (ValueError, KeyError, OSError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile)


def arrays(folder: Path, name: str, identity: dict, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Arrays that `make` computes, kept in folder/name-HASH.npz under a hash of their identity.

    identity: everything that the arrays depend on, as JSON. Computed once, then read; deleting the file recomputes it.
    Of two runs that need them at once, one computes and the other waits. Raises ValueError where the file is damaged.
    """
    path = folder / f"{name}-{short_hash(identity)}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if not path.exists():
                content = make()
                with replacing(path) as temporary:
                    np.savez_compressed(temporary, identity=np.array(json.dumps(identity, sort_keys=True)), **content)
    try:
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
            stored = dict(file)
        if json.loads(str(stored.pop("identity"))) != json.loads(json.dumps(identity)):
            raise ValueError("it describes something else")
    except DAMAGED as error:
        raise ValueError(f"{path} is damaged ({error}); delete it to compute it again") from error
    return stored
