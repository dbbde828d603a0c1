"""Models trained on random subsets of the training set: what Datamodels, empirical influence and the LDS rest on.

Model i of a campaign is trained on its own random share of all training ids, drawn from (seed, i), so that only what
it says is stored: the correct-class margins of all test images, one packed record a model, appended when it is done, in
files of 500 models, so that one that is full never changes again.
"""

import zlib
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lib.data import Dataset
from lib.engine import workers
from lib.engine.records import Records
from lib.retrain import Recipe, Retraining, margins, retrain, short_hash

FIRST_SEED = 10_000  # of the trainings; votes use 0, 1, ..., base models 1000, 1001, ...
AGAIN = 10_000_000  # further on for each repeat
SHARD = 500  # models a file
SAVED = np.float16  # a step of 0.008 at margins of 8 to 16, far below the difference between two seeds


@dataclass(frozen=True)
class Subsets:
    """A family of random subsets: model i sees the share `alpha` of the training ids, drawn from (seed, i).

    repeat: trainings of other seeds on the same subsets.
    """

    dataset: Dataset
    recipe: Recipe
    alpha: float = 0.5
    seed: int = 0
    repeat: int = 0

    def __post_init__(self):
        least = self.recipe.batch_size / len(self.dataset.train_labels)
        if not least <= self.alpha < 1:
            raise ValueError(f"alpha={self.alpha} must be at least {least:.3f}, one batch, and less than 1")

    def mask(self, i: int) -> np.ndarray:
        """Which training ids model i sees: (n_train,) bool, round(alpha n_train) of them true."""
        n = len(self.dataset.train_labels)
        mask = np.zeros(n, dtype=bool)
        mask[np.random.default_rng([self.seed, i]).permutation(n)[: round(self.alpha * n)]] = True
        return mask

    def retraining(self, i: int) -> Retraining:
        seed = FIRST_SEED + i + AGAIN * self.repeat
        return Retraining(self.recipe, seed, removed=tuple(np.flatnonzero(~self.mask(i)).tolist()))

    def path(self, folder: Path) -> Path:
        """The folder of margins within a folder, named by everything that they depend on."""
        identity = [self.dataset.checksum, self.recipe.identity, self.alpha, self.seed, *filter(None, [self.repeat])]
        return folder / f"margins-{self.alpha:g}-{short_hash(identity)}"


class Store(Records):
    """Margins of all test images (n_test,) by model number, in a folder. A record: i (int32), CRC-32 (uint32), margins.

    Raises ValueError, naming file and record, where a whole record is damaged.
    """

    pattern = "*.bin"

    def __init__(self, folder: Path, n_test: int):
        self.known: dict[int, np.ndarray] = {}
        self._form = np.dtype([("i", "<i4"), ("crc", "<u4"), ("margins", SAVED, (n_test,))])
        super().__init__(folder)

    def append(self, i: int, margins: np.ndarray) -> None:
        saved = margins.astype(SAVED)
        if not np.isfinite(saved).all():
            raise ValueError(f"margins of model {i} are not finite: its training diverged; lower peak_lr")
        record = np.array([(i, zlib.crc32(saved.tobytes(), i), saved)], self._form)
        self.write(record.tobytes(), lambda: self.folder / f"{i // SHARD:04d}.bin")

    def split(self, content: bytes) -> list[bytes]:
        size = self._form.itemsize
        return [content[end - size : end] for end in range(size, len(content) + 1, size)]

    def take(self, record: bytes, path: Path, number: int) -> None:
        i, crc, saved = np.frombuffer(record, self._form)[0]
        if crc != zlib.crc32(saved.tobytes(), int(i)):
            raise ValueError(f"{path}, record {number} is damaged; restore the file, or delete it to train again")
        self.known[int(i)] = saved


def train(
    subsets: Subsets, models: range, folder: Path, device: str = "cpu", n_jobs: int = -1, scheduler: str | None = None
) -> np.ndarray:
    """Margins (n_models, n_test) float32 of these models on all test images; trains those not in the folder yet.

    n_jobs, scheduler: see `lib.engine.workers.pool`.
    """
    store = Store(subsets.path(folder), len(subsets.dataset.test_labels))
    missing = [i for i in models if i not in store.known]
    if missing:
        with workers.pool(subsets.dataset, n_jobs, scheduler, device) as pool:
            calls = ((i, subsets.retraining(i), pool.shared, device) for i in missing)
            done = workers.stream(pool, _margins, partial(islice, calls))
            for i, row in tqdm(done, total=len(missing), unit=" trainings", delay=5, mininterval=5, leave=False):
                store.append(i, row)
    return np.array([store.known[i] for i in models], dtype=np.float32)


def masks(subsets: Subsets, models: range) -> np.ndarray:
    """Which training ids each model sees: (n_models, n_train) bool."""
    return np.array([subsets.mask(i) for i in models])


def published(masks: Path, margins: Path, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """What others' models saw, (n_models, n_train) bool, and their margins, (n_models, n_test), memory-mapped.

    masks, margins: files .npy of these shapes, as the authors of TRAK publish them for CIFAR-10; their margin is the
    correct logit minus the log of the sum of the others' exponentials. Raises ValueError where a file is not such an
    array or does not fit the dataset: the masks count its training images.
    """
    arrays = []
    for path, n, split in ((masks, len(dataset.train_labels), "training"), (margins, len(dataset.test_labels), "test")):
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise ValueError(f"{path} is no array of numbers ({error}); fetch it again") from error
        if array.ndim != 2 or array.shape[1] != n:
            raise ValueError(f"{path} has shape {array.shape}; {dataset.name} has {n} {split} images: (models, {n})")
        arrays.append(array)
    n_masks, n_margins = map(len, arrays)
    if n_masks != n_margins:
        raise ValueError(f"{masks} is of {n_masks} models, {margins} of {n_margins}; fetch both from one source")
    return arrays[0].astype(bool, copy=False), arrays[1]


def _margins(i: int, retraining: Retraining, shared: Dataset | Path, device: str) -> tuple[int, np.ndarray]:
    dataset = workers.opened(shared)
    return i, margins(retrain(dataset, retraining, device).logits, dataset.test_labels)
