"""Where things are, and writing them so that a reader sees the old file or the new one, never half.

Paths are absolute, so that a notebook runs the same from any working directory.
"""

import os
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
RESULTS = ROOT / "results"  # what came with the repository
WRITTEN = Path(os.environ.get("COMPANION_RESULTS", RESULTS)).absolute()  # where studies keep what they compute
DAY = 86400  # seconds; no file takes so long to write
STANDING = "COMPANION_FROM"  # names the folder that the user stands in, where a page is run from another


def given(path: str | Path) -> Path:
    """A path that the user gives, absolute: from where the user stands."""
    return Path(os.environ.get(STANDING, ".")).absolute() / Path(path).expanduser()


@contextmanager
def replacing(path: Path):
    """Yields a temporary path in the same folder; on success it becomes `path`, if its bytes differ."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{path.stem}-*{path.suffix}"):  # by a run that was killed
        with suppress(FileNotFoundError):  # another run may be faster
            if time.time() - left.stat().st_mtime > DAY:
                left.unlink()
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix, delete=False) as file:
        temporary = Path(file.name)
    try:
        yield temporary
        if path.exists() and path.read_bytes() == temporary.read_bytes():
            return
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
