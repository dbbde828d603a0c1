"""ResNet-9, the network of the paper on CIFAR-10, and ResNet-18, that on ImageNet."""

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock
from torchvision.ops import Conv2dNormActivation

from lib.nets.network import Network


class Residual(nn.Module):
    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:  # (b, c, h, w) -> (b, c, h, w)
        return x + self.layers(x)


class ResNet9(Network):
    """The paper's ResNet-9 at width 64 with stem `conv3`; narrower and strided for laptops.

    Input at least 11 pixels a side after the stem. `embed` gives (b, 2 * width).
    Source: Paper §4.1, footnote 1 (the network of the CIFAR-10 speed-training literature).
    """

    def __init__(self, channels: int, n_classes: int, width: int = 64, stem: str = "conv3"):
        super().__init__()
        w, (kernel_size, stride) = width, self.STEMS[stem]
        self.trunk = nn.Sequential(
            Conv2dNormActivation(channels, w, kernel_size, stride),
            Conv2dNormActivation(w, 2 * w, kernel_size=5, stride=2),
            Residual(Conv2dNormActivation(2 * w, 2 * w), Conv2dNormActivation(2 * w, 2 * w)),
            Conv2dNormActivation(2 * w, 4 * w),
            nn.MaxPool2d(2),
            Residual(Conv2dNormActivation(4 * w, 4 * w), Conv2dNormActivation(4 * w, 4 * w)),
            Conv2dNormActivation(4 * w, 2 * w, padding=0),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
        )
        self.head = nn.Linear(2 * w, n_classes, bias=False)
        self.n_features = 2 * w

    def forward(self, x: Tensor) -> Tensor:  # (b, c, h, w) -> (b, n_classes)
        return 0.2 * super().forward(x)


class ResNet18(Network):
    """At width 64 torchvision's ResNet-18 with stem `conv7s2pool`, for ImageNet; lightly's with `conv3`, for CIFAR-10.

    `embed` gives (b, 8 * width). Initialised as torchvision's.
    Source: Paper §4.1: the classifier on ImageNet, and the backbone of MoCo on CIFAR-10.
    DEPARTURE: lightly's CIFAR-10 benchmark, which the paper runs, loses the ReLU of the stem where it takes the network
    apart, and normalises a batch of MoCo in eight parts; ours has the ReLU and normalises a batch as a whole.
    """

    STEMS = {"conv3": (3, 1), "conv7s2pool": (7, 2)}  # stem: (kernel size, stride)
    WIDTH_STEP = 8  # on processors with AVX2, torch 2.14 frees memory twice behind a strided 1 x 1 convolution of fewer

    def __init__(self, channels: int, n_classes: int, width: int = 64, stem: str = "conv7s2pool"):
        super().__init__()
        layers, c_in = [Conv2dNormActivation(channels, width, *self.STEMS[stem])], width
        if stem == "conv7s2pool":
            layers.append(nn.MaxPool2d(3, stride=2, padding=1))
        for c_out, stride in ((width, 1), (2 * width, 2), (4 * width, 2), (8 * width, 2)):
            shrink = Conv2dNormActivation(c_in, c_out, 1, stride, activation_layer=None)
            layers += [BasicBlock(c_in, c_out, stride, shrink if stride > 1 else None), BasicBlock(c_out, c_out)]
            c_in = c_out
        self.n_features = 8 * width
        self.trunk = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(self.n_features, n_classes)
        for module in self.trunk.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


ARCHITECTURES = {"resnet9": ResNet9, "resnet18": ResNet18}
