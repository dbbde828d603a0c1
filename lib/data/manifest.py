"""What data_manifest.yaml declares, and how a file of it is fetched: from a mirror folder, the cache or the network.

A file is used only when its checksum is the declared one, wherever it lies. `lib.data` reads what is fetched here as
images; weights and published results are opened by the pages that use them.
"""

import os
import re
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

import pandas as pd
import pooch
import yaml

from lib.data.files import ROOT

MANIFEST = ROOT / "data_manifest.yaml"
KINDS = ("embedded", "folder", "cifar-python", "weights", "artefact")
PUBLISHED = ("title", "file", "urls", "sha256", "bytes", "licence", "citation", "used_by", "manual")  # required keys
TIMEOUT = 10  # seconds without an answer until an address counts as unreachable


def is_text(pattern: str):
    """A test for strings of that form."""
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value)


def is_list(kind: type):
    """A test for lists of that type."""
    return lambda value: isinstance(value, list) and all(isinstance(item, kind) for item in value)


def is_counts(length: int):
    """A test for lists of so many whole numbers above 0."""
    return lambda value: is_list(int)(value) and len(value) == length and min(value) > 0


FORMS = {  # of the keys for which a slip would pass unnoticed: whether a value fits, and what is expected
    "path": (is_text(".+"), "a string"),
    "file": (is_text(r"\w[\w.-]*"), "a name without folders"),
    "sha256": (is_text("[0-9a-f]{64}"), "64 hexadecimal digits in quotes"),
    "md5": (is_text("[0-9a-f]{8,32}"), "8 to 32 hexadecimal digits in quotes"),
    "urls": (is_list(str), "a list"),
    "used_by": (is_list(str), "a list"),
    "classes": (is_list(str), "a list of strings"),
    "size": (is_counts(2), "[height, width] in pixels"),
    "images": (is_counts(2), "[training images, test images]"),
    "shape": (is_counts(3), "[channels, height, width]"),
    "n_classes": (lambda value: isinstance(value, int) and value > 1, "a whole number of at least 2"),
}


@dataclass(frozen=True)
class Entry:
    """One entry. The comments at the top of data_manifest.yaml explain each key."""

    name: str
    kind: str
    title: str = ""
    path: str | None = None
    file: str | None = None
    urls: tuple[str, ...] = ()
    sha256: str | None = None
    md5: str | None = None
    bytes: int | None = None
    licence: str = "yours"
    citation: str = ""
    used_by: tuple[str, ...] = ()
    manual: str = "Put it where the manifest's `path` says, or change `path`."
    classes: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    images: tuple[int, int] | None = None
    shape: tuple[int, int, int] | None = None
    n_classes: int | None = None


def entries(manifest: Path | str = MANIFEST) -> dict[str, Entry]:
    """All entries by name, in the manifest's order. Raises ValueError on an entry that cannot be meant."""
    try:
        declared = _parsed(Path(manifest).read_text(encoding="utf-8"))
    except yaml.YAMLError as problem:
        raise ValueError(f"{manifest} is not YAML: {problem}") from problem
    if not isinstance(declared, dict) or not all(isinstance(keys, dict) for keys in declared.values()):
        raise ValueError(f"{manifest} has to map names to entries, each entry being a map of keys")
    return {name: as_entry(str(name), keys) for name, keys in declared.items()}


@lru_cache(maxsize=1)  # a tenth of a second
def _parsed(text: str):
    return yaml.safe_load(text)


def as_entry(name: str, keys: dict) -> Entry:
    """Check the keys of one entry."""
    known = [field.name for field in fields(Entry)][1:]
    unknown = [key for key in keys if key not in known]
    if unknown:
        raise ValueError(f"manifest entry {name}: key {unknown[0]!r} is unknown; the keys are {', '.join(known)}")
    if keys.get("kind") not in KINDS:
        raise ValueError(f"manifest entry {name}: kind is {keys.get('kind')!r}; the kinds are {', '.join(KINDS)}")
    missing = [key for key in PUBLISHED if key not in keys]
    if missing and not keys.get("path"):
        raise ValueError(f"manifest entry {name} lacks {', '.join(missing)}; data of your own needs only kind and path")
    if keys["kind"] == "embedded" and not keys.get("classes"):
        raise ValueError(f"manifest entry {name} lacks classes, the names of its classes; embedded data needs them")
    if keys["kind"] == "cifar-python" and not keys.get("sha256"):
        raise ValueError(f"manifest entry {name} lacks sha256; pickles are read only from a file with a known sha256")
    if keys.get("size") and keys["kind"] != "folder":
        raise ValueError(f"manifest entry {name}: size is for kind folder only; remove it")
    for key, (fits, form) in FORMS.items():
        if keys.get(key) is not None and not fits(keys[key]):
            raise ValueError(f"manifest entry {name}: {key} is {keys[key]!r}; it has to be {form}")
    return Entry(name, **{key: tuple(value) if isinstance(value, list) else value for key, value in keys.items()})


def find(name: str | Entry, manifest: Path | str = MANIFEST) -> Entry:
    """The entry of that name, or the entry given. Raises ValueError, listing the known names."""
    if isinstance(name, Entry):
        return name
    known = entries(manifest)
    if name not in known:
        raise ValueError(f"{name!r} is not in {Path(manifest).name}, which has {', '.join(known)}; add an entry for it")
    return known[name]


def fetch(name: str | Entry, mirror: Path | str | None = None, manifest: Path | str = MANIFEST) -> Path:
    """Where the file of an entry lies, its checksum verified. A `path` of your own is returned as it is.

    Looked for in the mirror folder (the parameter, else the environment variable DATA_MIRROR), then in the cache folder
    (COMPANION_CACHE, else the user's cache), then downloaded into the cache. A download counts once it is whole.
    Raises FileNotFoundError where it cannot be had, ValueError where the checksum is another or none is pinned.
    """
    entry = find(name, manifest)
    if entry.path:
        path = Path(manifest).parent / Path(entry.path).expanduser()
        if not path.exists():
            raise FileNotFoundError(f"{entry.name}: {path} does not exist. {entry.manual}")
        return verified(path, entry) if entry.sha256 or entry.md5 else path
    if not entry.file:
        raise FileNotFoundError(f"{entry.name} is several files and is not fetched as one. {entry.manual}")
    folders = places(mirror)
    for folder in folders.values():
        if (folder / entry.file).is_file():
            return verified(folder / entry.file, entry)
    return verified(download(entry, folders["cache"]), entry)


def places(mirror: Path | str | None = None) -> dict[str, Path]:
    """The folders that a file is looked for in, in their order, by name: "mirror", where there is one, and "cache".

    Raises FileNotFoundError where the mirror is not a folder.
    """
    mirror = mirror or os.environ.get("DATA_MIRROR")
    cache = cache_folder()
    if mirror and not Path(mirror).is_dir():
        raise FileNotFoundError(f"the mirror {mirror} is not a folder; correct DATA_MIRROR or unset it")
    return {"mirror": Path(mirror), "cache": cache} if mirror else {"cache": cache}


def cache_folder() -> Path:
    """Where what can be had again is kept: COMPANION_CACHE, else a folder in the user's cache."""
    return Path(os.environ.get("COMPANION_CACHE") or pooch.os_cache("data-attribution-companion"))


def download(entry: Entry, cache: Path) -> Path:
    """Download into the cache folder from the first address that answers; tried once each, without waiting long."""

    def download_verified(url, partial, _):
        pooch.HTTPDownloader(progressbar=True, timeout=TIMEOUT)(url, partial, None)
        if entry.sha256 or entry.md5:  # else whoever asked hears from `verified` which sha256 to pin
            verified(Path(partial), entry, source=url)

    pooch.get_logger().setLevel("WARNING")  # its own advice on checksums would contradict ours
    failures = []
    for url in entry.urls:
        try:
            return Path(pooch.retrieve(url, None, fname=entry.file, path=cache, downloader=download_verified))
        except OSError as problem:  # all errors of the network are
            failures.append(f"{url}: {problem}")
    raise FileNotFoundError(
        f"{entry.name}: {entry.file} could not be downloaded ({'; '.join(failures) or 'it has no address'}). "
        f"Put it into a folder and name that folder in the environment variable DATA_MIRROR. {entry.manual}"
    )


def verified(path: Path, entry: Entry, source: str | None = None) -> Path:
    """The path, if the file has the declared checksum; else ValueError. The file is left as it is."""
    algorithm, expected = ("sha256", entry.sha256) if entry.sha256 else ("md5", entry.md5)
    if not expected:
        raise ValueError(
            f"{entry.name}: no checksum is pinned, so {path} is not used. Make sure that it came from where the "
            f'manifest says, then write `sha256: "{pooch.file_hash(path)}"` into the entry and run again'
        )
    found = pooch.file_hash(path, alg=algorithm)
    if not found.startswith(expected):  # of an md5 sometimes only the first digits are published
        raise ValueError(
            f"{entry.name}: {source or path} has {algorithm} {found}, the manifest expects {expected}. It is not used, "
            f"and nothing was changed. Delete it where it lies on your disk and fetch it again. {entry.manual}"
        )
    return path


def manifest_table(manifest: Path | str = MANIFEST) -> pd.DataFrame:
    """One row an entry, for the book: what it is, how large, how it is verified, its licence and what uses it."""
    rows = []
    for entry in entries(manifest).values():
        md5 = f"md5 {entry.md5}" if entry.md5 else "none published"
        rows.append(
            {
                "name": entry.name,
                "what": entry.title,
                "size": f"{entry.bytes / 1e6:.1f} MB" if entry.bytes else "not published",
                "checksum": f"sha256 {entry.sha256[:12]}" if entry.sha256 else md5,
                "licence": entry.licence,
                "used by": ", ".join(entry.used_by),
            }
        )
    return pd.DataFrame(rows)
