"""What several tests share: a dataset that is small, separable and made here."""

import numpy as np
import pytest

from lib.data import Dataset
from lib.retrain import Recipe


@pytest.fixture(scope="session")
def tiny() -> Dataset:
    """Three classes of 40 training and 10 test images, 24 x 24: a bright band high, in the middle, or low, in noise."""
    rng = np.random.default_rng(0)

    def split(per_class: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.repeat(np.arange(3), per_class)
        images = rng.integers(0, 90, (len(labels), 1, 24, 24))
        for image, label in zip(images, labels, strict=True):
            image[:, 8 * label : 8 * label + 8] += 120
        return images.astype(np.uint8), labels

    return Dataset("tiny", *split(40), *split(10), ("high", "middle", "low"))


@pytest.fixture(scope="session")
def quick() -> Recipe:
    """A training of a few hundredths of a second."""
    return Recipe(width=2, stem="conv5s2", epochs=2, warmup_epochs=0.5, batch_size=20, translate=1, cutout=4)
