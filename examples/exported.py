"""What the examples read of an export: networks, and images as these take them, by the lines of its README."""

import json
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from lib import nets, retrain

BATCH = 250


def read(folder: Path) -> tuple[torch.nn.Module, list[dict], DataLoader, DataLoader]:
    """A network to load weights into, the weights of each network, and loaders of training images and of targets."""
    told = json.loads((folder / "recipe.json").read_text())
    net = nets.build(retrain.Recipe(**told["recipe"]), told["channels"], told["n_classes"], seed=0).eval()
    net.to(memory_format=torch.contiguous_format)
    weights = [torch.load(folder / f"network_{i}.pt", weights_only=True) for i in range(told["n_networks"])]
    mean, std = (torch.tensor(told[key]).view(1, -1, 1, 1) for key in ("mean", "std"))
    arrays = {path.stem: np.load(path, allow_pickle=False) for path in folder.glob("t*.npy")}
    targets = arrays["targets"]

    def loader(images: np.ndarray, labels: np.ndarray) -> DataLoader:
        images = (torch.tensor(images).float() - mean) / std
        return DataLoader(TensorDataset(images, torch.tensor(labels)), batch_size=BATCH)

    train = loader(arrays["train_images"], arrays["train_labels"])
    return net, weights, train, loader(arrays["test_images"][targets], arrays["test_labels"][targets])
