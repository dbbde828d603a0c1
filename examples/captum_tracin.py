"""TracIn on the last layer by `captum` (pip install -e .[examples]), summed over the networks.

python examples/captum_tracin.py FOLDER mine.npy
"""

import sys
from pathlib import Path

import numpy as np
import torch
from captum.influence import TracInCPFast
from exported import read


def scores(folder: Path) -> np.ndarray:
    """(n_targets, n_train) of all classes; higher = the training image supports the target more."""
    net, weights, train, targets = read(folder)

    def load(net: torch.nn.Module, state: dict) -> float:
        net.load_state_dict(state)
        return 1.0  # the learning rate: of finished networks all weigh the same

    tracin = TracInCPFast(
        net,
        net.head,
        train,
        checkpoints=weights,
        checkpoints_load_func=load,
        loss_fn=torch.nn.CrossEntropyLoss(reduction="sum"),
    )
    return np.concatenate([tracin.influence(tuple(batch)).detach().numpy() for batch in targets])


if __name__ == "__main__":
    np.save(sys.argv[2], scores(Path(sys.argv[1])))
