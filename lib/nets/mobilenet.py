"""MobileNetV2, the network that the paper transfers rankings to, and a shallow one."""

from torch import nn
from torchvision.models.mobilenetv2 import InvertedResidual
from torchvision.ops import Conv2dNormActivation

from lib.nets.network import Network


class MobileNetV2(Network):
    """MobileNetV2 for small images; width 32 with stem `conv3` is the published size.

    `embed` gives (b, 40 * width). Initialised as PyTorch does by default, like ResNet-9.
    Source: Paper §4.4 (Fig. 6); Sandler et al., CVPR 2018. The paper does not say how it is adapted to 32 x 32 pixels:
    our choice are the strides of the CIFAR-10 literature, 8 in all instead of 32, and no dropout.
    """

    STAGES = ((1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    DEPTH = 4  # blocks a stage, at most

    def __init__(self, channels: int, n_classes: int, width: int = 32, stem: str = "conv3"):
        super().__init__()
        layers, c_in = [Conv2dNormActivation(channels, width, *self.STEMS[stem], activation_layer=nn.ReLU6)], width
        for expansion, c_published, n_blocks, stride in self.STAGES:
            c_out = max(1, c_published * width // 32)
            for block in range(min(n_blocks, self.DEPTH)):
                layers.append(InvertedResidual(c_in, c_out, 1 if block else stride, expansion))
                c_in = c_out
        self.n_features = 40 * width
        layers.append(Conv2dNormActivation(c_in, self.n_features, 1, activation_layer=nn.ReLU6))
        self.trunk = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(self.n_features, n_classes)


class ShallowMobileNetV2(MobileNetV2):
    """One block per stage, 7 instead of 17. Source: our choice, for laptops."""

    DEPTH = 1


ARCHITECTURES = {"mobilenetv2": MobileNetV2, "mobilenetv2_shallow": ShallowMobileNetV2}
