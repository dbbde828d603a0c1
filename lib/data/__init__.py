"""Images: what data_manifest.yaml declares, how it is fetched and read, and how batches of it are made.

An id is an index into a dataset's arrays, everywhere. `beton` (FFCV files) needs an extra, so it is not imported here.
"""

from lib.data.datasets import Dataset, load, opened, splits, subset
from lib.data.device import clock, one_thread, pick_device
from lib.data.files import BOOK, RESULTS, ROOT, STANDING, WRITTEN, given, replacing
from lib.data.images import EVAL_BATCH, Images, resident
from lib.data.manifest import MANIFEST, Entry, as_entry, cache_folder, entries, fetch, find, manifest_table, places

__all__ = [
    "BOOK",
    "EVAL_BATCH",
    "MANIFEST",
    "RESULTS",
    "ROOT",
    "STANDING",
    "WRITTEN",
    "Dataset",
    "Entry",
    "Images",
    "as_entry",
    "augment",
    "beton",
    "cache_folder",
    "clock",
    "entries",
    "fetch",
    "find",
    "given",
    "load",
    "manifest_table",
    "one_thread",
    "opened",
    "pick_device",
    "places",
    "replacing",
    "resident",
    "splits",
    "subset",
]
