"""What every network is: a trunk to n_features numbers, then a linear head."""

from torch import Tensor, nn

CONVOLUTIONS = {"conv3": (3, 1), "conv5s2": (5, 2)}  # stem: (kernel size, stride); conv3 is the paper's for CIFAR-10


class Network(nn.Module):
    """A trunk and a head. A subclass takes (channels, n_classes, width, stem), makes both and says `n_features`."""

    STEMS: dict = CONVOLUTIONS  # that the subclass can be built with
    WIDTH_STEP = 1  # its width is a multiple of this

    def embed(self, x: Tensor) -> Tensor:  # (b, c, h, w) -> (b, n_features)
        return self.trunk(x)

    def forward(self, x: Tensor) -> Tensor:  # (b, c, h, w) -> (b, n_classes)
        return self.head(self.embed(x))
