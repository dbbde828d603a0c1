"""Training images in one FFCV file (.beton): for data that does not fit in memory. Needs the extra `.[ffcv]`.

`write` makes the file once; `opened` gives what `lib.retrain.fit` takes instead of images in memory. Any ids in any
order are read from the one file, under any labels, so that removal and mislabelling need no other. Beside the file,
NAME.json says what is in it; a file is whole once that is there. Source: Leclerc et al. 2023.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty

import joblib
import numpy as np
import torch
from pooch import file_hash
from torch import Tensor
from tqdm import tqdm

from lib.data.datasets import Dataset
from lib.data.device import one_thread
from lib.data.files import replacing
from lib.data.images import Images, mean_and_std, tensor

try:
    with one_thread("cpu"):  # FFCV sets torch's number of threads when it is imported
        from ffcv.fields import IntField, RGBImageField
        from ffcv.loader import Loader
        from ffcv.loader.epoch_iterator import EpochIterator
        from ffcv.memory_allocator import MemoryAllocator
        from ffcv.writer import DatasetWriter, handle_sample
except ImportError as error:
    raise ImportError(
        f"FFCV does not load ({error}); on Debian: apt install g++ libopencv-dev libturbojpeg0-dev pkg-config, then "
        f".venv/bin/pip install -e '.[ffcv]' -c constraints.txt. Or train from memory, which needs none of this"
    ) from error


def write(dataset: Dataset, path: Path | str, jpeg: int | None = None) -> None:
    """Write the training images, labels and ids, unless the file is there and holds them.

    jpeg: quality, 1 to 100; None keeps every pixel as it is. Grey images are stored as three equal channels. In one
    process; the dataset may be memory-mapped.
    Raises ValueError where the file holds something else or is damaged.
    """
    path = Path(path)
    if jpeg is not None and not 1 <= jpeg <= 100:
        raise ValueError(f"{jpeg} is no quality of a JPEG; give 1 to 100, or None for exact pixels")
    if path.exists() and _about(path).exists():
        if (there := verified(dataset, path)["jpeg"]) != jpeg:
            raise ValueError(f"{path} was written with jpeg={there}, not jpeg={jpeg}; choose another path")
        return
    for half in (path, _about(path)):  # left by a kill between the two
        half.unlink(missing_ok=True)
    with replacing(path) as temporary:
        _encode(dataset, temporary, jpeg)
    content = {"dataset": dataset.checksum, "sha256": file_hash(path), "jpeg": jpeg}
    statistics = mean_and_std(tensor(dataset.train_images))
    content |= {key: numbers.flatten().tolist() for key, numbers in zip(("mean", "std"), statistics, strict=True)}
    with replacing(_about(path)) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _about(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _encode(dataset: Dataset, path: Path, jpeg: int | None) -> None:
    """FFCV's own `from_indexed_dataset` in this process: its child processes outlive a kill and hang on a full disk."""
    image = RGBImageField("raw") if jpeg is None else RGBImageField("jpg", jpeg_quality=jpeg)
    fields = {"image": image, "label": IntField(), "id": IntField()}
    writer = DatasetWriter(str(path), fields, num_workers=1)
    writer.num_samples = len(dataset.train_labels)
    writer.prepare()
    try:
        metadata = np.zeros(writer.num_samples, writer.metadata_type)
        allocator = MemoryAllocator(writer.fname, writer.data_region_start, writer.page_size)
        pairs = zip(dataset.train_images, dataset.train_labels.tolist(), strict=True)
        progress = tqdm(pairs, f"writing {path.suffix}", writer.num_samples, unit=" images", delay=2, leave=False)
        with allocator:
            for i, (pixels, label) in enumerate(progress):
                rgb = np.broadcast_to(pixels, (3, *pixels.shape[1:])).transpose(1, 2, 0)
                handle_sample((rgb, label, i), i, metadata.dtype.names, metadata, allocator, fields)
        writer.metadata_sm.buf[: metadata.nbytes] = metadata.tobytes()
        writer.finalize(allocator.allocations)
    finally:
        writer.metadata_sm.close()
        writer.metadata_sm.unlink()


def verified(dataset: Dataset, path: Path) -> dict:
    """What the file's NAME.json says. Reads the whole file.

    Raises FileNotFoundError where there is no whole file, ValueError where it is another dataset's or damaged.
    """
    if not (path.exists() and _about(path).exists()):
        raise FileNotFoundError(
            f"{path} and {_about(path).name} are not both there; write them with lib.data.beton.write"
        )
    try:
        content = json.loads(_about(path).read_text(encoding="utf-8"))
        checksum, sha256, *_ = (content[key] for key in ("dataset", "sha256", "jpeg", "mean", "std"))
    except (ValueError, KeyError, TypeError) as problem:
        raise ValueError(f"{_about(path)} is damaged ({problem!r}); remove it and write the images again") from problem
    if checksum != dataset.checksum:
        raise ValueError(
            f"{path} holds the dataset of checksum {checksum[:16]}…, not {dataset.name} of {dataset.checksum[:16]}…; "
            f"choose another path"
        )
    if file_hash(path) != sha256:
        raise ValueError(f"{path} is damaged: its SHA-256 is not that of {_about(path).name}; remove both, write again")
    return content


def opened(dataset: Dataset, path: Path | str, device: str = "cpu") -> "Beton":
    """The file as the training images, with the test images on the device. Raises what `verified` raises.

    The first batch compiles; open a file once a process. On a CPU one thread decodes, since FFCV gives torch as many
    threads as decode, and the bits of a training depend on those; on CUDA all cores do.
    """
    content = verified(dataset, Path(path))
    with one_thread("cpu"):
        workers = 1 if device == "cpu" else joblib.cpu_count()
        loader = Loader(str(path), batch_size=1, num_workers=workers, seed=0)
    mean, std = (torch.tensor(content[key], device=device).view(1, -1, 1, 1) for key in ("mean", "std"))
    return Beton(loader, tensor(dataset.test_images, device), mean, std)


@dataclass(frozen=True)
class Beton(Images):
    """`Images` whose training images are read batch by batch, a few ahead."""

    train: Loader

    def batches(self, ids: Tensor, size: int, labels: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """As `Images.batches`; without labels, those of the file.

        Raises ValueError for ids that do not exist, and RuntimeError where FFCV cannot read.
        """
        n, device = self.train.reader.num_samples, self.test.device
        if len(ids) and not 0 <= ids.min() <= ids.max() < n:
            raise ValueError(f"ids {ids.min()} to {ids.max()} are asked for; {self.train.fname} has 0 to {n - 1}")
        self.train.batch_size = size
        epoch = Epoch(self.train, ids.numpy())  # as the loader does, in an order of ours, without compiling anew
        try:
            for images, own, read in epoch:  # views of memory that FFCV will write the next batches to
                images = images.permute(0, 3, 1, 2)[:, : self.test.shape[1]]
                images, read = images.clone(memory_format=torch.contiguous_format), read.flatten().clone()
                yield images.to(device), (own.flatten().clone() if labels is None else labels[read]).to(device), read
            if epoch.error:
                raise RuntimeError(f"FFCV cannot read {self.train.fname} ({epoch.error!r})") from epoch.error
        finally:
            epoch.stop()


class Epoch(EpochIterator):
    """FFCV's reading thread, that passes its error on instead of leaving us to wait, and ends when it is told to."""

    error: BaseException | None = None

    def run(self):
        try:
            super().run()
        except BaseException as error:
            self.error = error
            self.output_queue.put(None)

    def stop(self):
        self.iter_ixes = iter(())
        while self.is_alive():
            with suppress(Empty):
                self.output_queue.get_nowait()
            self.join(0.01)
        self.close()
