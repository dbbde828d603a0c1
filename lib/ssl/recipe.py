"""How features are made, in one frozen value whose content names their file."""

from dataclasses import asdict, dataclass

from lib.retrain import Recipe


@dataclass(frozen=True)
class FeatureRecipe:
    """How features are made. All fields but the first three belong to the methods of `lib.ssl`.

    The defaults were chosen for "moco" by kNN accuracy on training images held out of the embedded Fashion-MNIST subset
    (benchmarks/moco_choice.py). What it costs there is on the page of Figure 1.
    """

    method: str = "moco"  # or another of METHODS, "supervised", "pixels", the manifest's name of published weights
    seed: int = 0
    classifier: Recipe | None = None  # of "supervised": how its network is trained
    arch: str = "resnet9"
    width: int = 32
    stem: str = "conv5s2"
    epochs: int = 50
    batch_size: int = 128  # the last batch of an epoch is dropped when short
    peak_lr: float = 0.03  # falls to 0 along half a cosine
    weight_decay: float = 5e-4
    temperature: float = 0.1  # of moco, simclr, swav and dino's student
    momentum: float = 0.99  # of moco, byol, dino: of the encoder that follows the trained one
    memory_bank: int = 1024  # of moco: past keys that serve as negatives
    output_dim: int = 64  # of the projection in which the loss compares; simsiam and barlow_twins have their own
    crop: float = 0.7  # smallest area of a view; 1: none
    flip: bool = True
    jitter: float = 0.4  # of contrast and brightness
    cutout: int = 8  # pixels a side; 0: none
    saturation: float = 0.0  # these three for RGB images alone: see `lib.data.augment.colour`
    hue: float = 0.0
    grey: float = 0.0

    @property
    def identity(self) -> dict:
        """What names this recipe in files: its fields, without those that came later and change nothing."""
        unused = [key for key in ("saturation", "hue", "grey") if not getattr(self, key)]
        content = {key: value for key, value in asdict(self).items() if key not in unused}
        return content | {"classifier": self.classifier and self.classifier.identity}
