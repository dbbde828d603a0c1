"""TRAK as its authors use their library `traker`: featurize every network, then score.

python examples/traker_trak.py FOLDER mine.npy
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from exported import read
from trak import TRAKer
from trak.projectors import BasicProjector, ProjectionType


def scores(folder: Path, projection_dim: int = 512) -> np.ndarray:
    """(n_targets, n_train) of all classes; higher = the training image supports the target more."""
    net, weights, train, targets = read(folder)
    n_train, n_targets = len(train.dataset), len(targets.dataset)
    size = sum(parameter.numel() for parameter in net.parameters())
    projector = BasicProjector(
        size, projection_dim, 0, ProjectionType.rademacher, "cpu", block_size=projection_dim // 2
    )
    with tempfile.TemporaryDirectory() as store:
        settings = {"projector": projector, "device": "cpu", "use_half_precision": False}
        traker = TRAKer(net, "image_classification", n_train, store, **settings)
        for model_id, state in enumerate(weights):
            traker.load_checkpoint(state, model_id)
            for batch in train:
                traker.featurize(batch, num_samples=len(batch[1]))
        traker.finalize_features()
        for model_id, state in enumerate(weights):
            traker.start_scoring_checkpoint("targets", state, model_id, n_targets)
            for batch in targets:
                traker.score(batch, num_samples=len(batch[1]))
        return np.array(traker.finalize_scores("targets")).T


if __name__ == "__main__":
    np.save(sys.argv[2], scores(Path(sys.argv[1])))
