"""Influence functions by EK-FAC on the last layer of one network, by `dattri`.

python examples/dattri_ekfac.py FOLDER mine.npy
"""

import sys
from pathlib import Path

import numpy as np
import torch
from dattri.algorithm.influence_function import IFAttributorEKFAC
from dattri.task import AttributionTask
from exported import read
from torch.nn import functional as F


def scores(folder: Path, damping: float = 0.1) -> np.ndarray:
    """(n_targets, n_train) of all classes; higher = the training image supports the target more."""
    net, weights, train, targets = read(folder)

    def loss(parameters, data):
        images, labels = data
        return F.cross_entropy(torch.func.functional_call(net, parameters, images), labels)

    attributor = IFAttributorEKFAC(AttributionTask(loss, net, weights[0]), module_name="head", damping=damping)
    attributor.cache(train)
    with torch.no_grad():
        return attributor.attribute(train, targets).T.numpy()


if __name__ == "__main__":
    np.save(sys.argv[2], scores(Path(sys.argv[1])))
