"""What data_manifest.yaml declares, and how a file of it is fetched: from a mirror folder, the cache or the network.

A file is used only when its checksum is the declared one, wherever it lies. `lib.data` reads what is fetched here as
images; weights and published results are opened by the pages that use them.
"""

import json
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

TEXT, COUNT = r'"([^"\\]|\\.)*"', "[1-9][0-9]*"  # a string in JSON, a whole number above 0
NAMES = rf"\[({TEXT}(, {TEXT})*)?\]"
FORMS = {  # of the keys for which a slip would pass unnoticed: the form of a value, as JSON, and in words
    "path": ('".+"', "a string"),
    "file": (r'"\w[\w.-]*"', "a name without folders"),
    "sha256": ('"[0-9a-f]{64}"', "64 hexadecimal digits in quotes"),
    "md5": ('"[0-9a-f]{8,32}"', "8 to 32 hexadecimal digits in quotes"),
    "urls": (NAMES, "a list"),
    "used_by": (NAMES, "a list"),
    "classes": (NAMES, "a list of strings"),
    "size": (rf"\[{COUNT}, {COUNT}\]", "[height, width] in pixels"),
    "images": (rf"\[{COUNT}, {COUNT}\]", "[training images, test images]"),
    "shape": (rf"\[{COUNT}, {COUNT}, {COUNT}\]", "[channels, height, width]"),
    "n_classes": ("[2-9]|[1-9][0-9]+", "a whole number of at least 2"),
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
    return dict(_checked(Path(manifest).read_text(encoding="utf-8"), str(manifest)))


@lru_cache(maxsize=1)  # a tenth of a second, asked for again and again
def _checked(text: str, manifest: str) -> dict[str, Entry]:
    try:
        declared = yaml.safe_load(text)
    except yaml.YAMLError as problem:
        raise ValueError(f"{manifest} is not YAML: {problem}") from problem
    if not isinstance(declared, dict) or not all(isinstance(keys, dict) for keys in declared.values()):
        raise ValueError(f"{manifest} has to map names to entries, each entry being a map of keys")
    return {name: as_entry(str(name), keys) for name, keys in declared.items()}


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
    for key, (form, words) in FORMS.items():
        value = json.dumps(keys.get(key), ensure_ascii=False, default=lambda other: {})
        if value != "null" and not re.fullmatch(form, value):
            raise ValueError(f"manifest entry {name}: {key} is {keys[key]!r}; it has to be {words}")
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

    Looked for in the folders of `places`, then downloaded into the cache folder. A download counts once it is whole.
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
    here = [folder / entry.file for folder in places(mirror).values() if (folder / entry.file).is_file()]
    return verified(here[0] if here else download(entry), entry)


def places(mirror: Path | str | None = None) -> dict[str, Path]:
    """The folders that a file is looked for in, in their order, by name: "mirror", where there is one, and "cache".

    mirror: else the environment variable DATA_MIRROR. Raises FileNotFoundError where it is not a folder.
    """
    mirror = mirror or os.environ.get("DATA_MIRROR")
    if mirror and not Path(mirror).is_dir():
        raise FileNotFoundError(f"the mirror {mirror} is not a folder; correct DATA_MIRROR or unset it")
    return ({"mirror": Path(mirror)} if mirror else {}) | {"cache": cache_folder()}


def cache_folder() -> Path:
    """Where what can be had again is kept: COMPANION_CACHE, else a folder in the user's cache."""
    return Path(os.environ.get("COMPANION_CACHE") or pooch.os_cache("data-attribution-companion"))


def download(entry: Entry) -> Path:
    """Download into the cache folder from the first address that answers; tried once each, without waiting long."""

    def download_verified(url, partial, _):
        pooch.HTTPDownloader(progressbar=True, timeout=TIMEOUT)(url, partial, None)
        if entry.sha256 or entry.md5:  # else whoever asked hears from `verified` which sha256 to pin
            verified(Path(partial), entry, source=url)

    pooch.get_logger().setLevel("WARNING")  # its own advice on checksums would contradict ours
    failures = []
    for url in entry.urls:
        try:
            return Path(pooch.retrieve(url, None, entry.file, cache_folder(), downloader=download_verified))
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
    actual = pooch.file_hash(path, alg=algorithm)
    if not actual.startswith(expected):  # of an md5 sometimes only the first digits are published
        raise ValueError(
            f"{entry.name}: {source or path} has {algorithm} {actual}, the manifest expects {expected}. It is not "
            f"used, and nothing was changed. Delete it where it lies on your disk and fetch it again. {entry.manual}"
        )
    return path


def manifest_table() -> pd.DataFrame:
    """One row an entry, for the book: what it is, how large, how it is verified, its licence and what uses it."""
    rows = []
    for entry in entries().values():
        size = f"{entry.bytes / 1e6:.1f} MB" if entry.bytes else "not published"
        checksum = f"md5 {entry.md5}" if entry.md5 else "none published"
        checksum = f"sha256 {entry.sha256[:12]}" if entry.sha256 else checksum
        rows.append([entry.name, entry.title, size, checksum, entry.licence, ", ".join(entry.used_by)])
    return pd.DataFrame(rows, columns=["name", "what", "size", "checksum", "licence", "used by"])
