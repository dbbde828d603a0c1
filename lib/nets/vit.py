"""A small vision transformer."""

from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torchvision.models import VisionTransformer

from lib.nets.network import Network


class PatchTransformer(VisionTransformer):
    """torchvision's, with an error that says which images it takes.

    Its attention is computed step by step, the form that torch.func differentiates for many images at once.
    """

    def forward(self, x: Tensor) -> Tensor:  # (b, c, h, w) -> (b, hidden_dim)
        height, width = x.shape[-2:]
        if (height, width) != (self.image_size, self.image_size):
            known = " or ".join(f"{stem} ({side} x {side} pixels)" for stem, (_, side) in ViT.STEMS.items())
            raise ValueError(
                f"images of {height} x {width} pixels do not fit a vit with patches of {self.patch_size}; "
                f"choose stem {known}, or another network"
            )
        with sdpa_kernel(SDPBackend.MATH):
            return super().forward(x)


class ViT(Network):
    """A vision transformer of 4 layers, with heads of 16 dimensions; the stem cuts images of one size into squares.

    `embed` gives (b, width), the class token. No dropout; the head starts at 0, as torchvision's does.
    Source: our choice, for transfer to a network that is not made of convolutions.
    """

    STEMS = {"patch7": (7, 28), "patch4": (4, 32)}  # stem: pixels a side of (a patch, an image)
    WIDTH_STEP = 16

    def __init__(self, channels: int, n_classes: int, width: int = 64, stem: str = "patch4"):
        super().__init__()
        patch, side = self.STEMS[stem]
        heads = width // self.WIDTH_STEP
        self.trunk = PatchTransformer(side, patch, 4, heads, hidden_dim=width, mlp_dim=2 * width, num_classes=n_classes)
        self.trunk.conv_proj = nn.Conv2d(channels, width, patch, patch)  # torchvision's takes three channels
        self.head, self.trunk.heads = self.trunk.heads.head, nn.Identity()
        self.n_features = width


ARCHITECTURES = {"vit": ViT}
