"""The networks that are retrained and that features are taken from.

Each maps images (b, c, h, w) float32 to logits (b, n_classes): a `trunk` to n_features numbers, then a linear `head`.
Used by `lib.retrain` (the model under study) and `lib.selfsupervised` (the backbone).
"""

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torchvision.models import VisionTransformer
from torchvision.models.mobilenetv2 import InvertedResidual
from torchvision.models.resnet import BasicBlock
from torchvision.ops import Conv2dNormActivation

CONVOLUTIONS = {"conv3": (3, 1), "conv5s2": (5, 2)}  # stem: (kernel size, stride); conv3 is the paper's for CIFAR-10


class Network(nn.Module):
    """A trunk and a head. A subclass takes (channels, n_classes, width, stem), makes both and says `n_features`."""

    STEMS: dict = CONVOLUTIONS  # that the subclass can be built with
    WIDTH_STEP = 1  # its width is a multiple of this

    def embed(self, x: Tensor) -> Tensor:  # (b, c, h, w) -> (b, n_features)
        return self.trunk(x)

    def forward(self, x: Tensor) -> Tensor:  # (b, c, h, w) -> (b, n_classes)
        return self.head(self.embed(x))


def conv_bn_relu(c_in: int, c_out: int, kernel_size: int = 3, stride: int = 1, padding: int | None = None):
    """Convolution without bias, batch norm, ReLU: the one block that ResNet-9 is made of."""
    padding = kernel_size // 2 if padding is None else padding
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, kernel_size, stride, padding, bias=False),
        nn.BatchNorm2d(c_out),
        nn.ReLU(inplace=True),
    )


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
            conv_bn_relu(channels, w, kernel_size, stride),
            conv_bn_relu(w, 2 * w, kernel_size=5, stride=2),
            Residual(conv_bn_relu(2 * w, 2 * w), conv_bn_relu(2 * w, 2 * w)),
            conv_bn_relu(2 * w, 4 * w),
            nn.MaxPool2d(2),
            Residual(conv_bn_relu(4 * w, 4 * w), conv_bn_relu(4 * w, 4 * w)),
            conv_bn_relu(4 * w, 2 * w, padding=0),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
        )
        self.head = nn.Linear(2 * w, n_classes, bias=False)
        self.n_features = 2 * w

    def forward(self, x: Tensor) -> Tensor:  # (b, c, h, w) -> (b, n_classes)
        return 0.2 * super().forward(x)


class MobileNetV2(Network):
    """MobileNetV2 for small images; width 32 with stem `conv3` is the published size.

    `embed` gives (b, 40 * width). Initialised as PyTorch does by default, like ResNet-9.
    Source: Paper §4.2 (Fig. 6); Sandler et al., CVPR 2018. The paper does not say how it is adapted to 32 x 32 pixels:
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
    """One block a stage, 7 instead of 17. Source: our choice, for laptops."""

    DEPTH = 1


class ResNet18(Network):
    """At width 64 torchvision's ResNet-18 with stem `conv7s2pool`, for ImageNet; lightly's with `conv3`, for CIFAR-10.

    `embed` gives (b, 8 * width). Initialised as torchvision's.
    Source: Paper §4.1: the classifier on ImageNet, and the backbone of MoCo on CIFAR-10.
    DEPARTURE: lightly's CIFAR-10 benchmark, which the paper runs, loses the ReLU of the stem where it takes the network
    apart, and normalises a batch of MoCo in eight parts; ours has the ReLU and normalises a batch as a whole.
    """

    STEMS = {"conv3": (3, 1), "conv7s2pool": (7, 2)}  # stem: (kernel size, stride)

    def __init__(self, channels: int, n_classes: int, width: int = 64, stem: str = "conv7s2pool"):
        super().__init__()
        layers, c_in = [conv_bn_relu(channels, width, *self.STEMS[stem])], width
        if stem == "conv7s2pool":
            layers.append(nn.MaxPool2d(3, stride=2, padding=1))
        for c_out, stride in ((width, 1), (2 * width, 2), (4 * width, 2), (8 * width, 2)):
            shrink = nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out))
            layers += [BasicBlock(c_in, c_out, stride, shrink if stride > 1 else None), BasicBlock(c_out, c_out)]
            c_in = c_out
        self.n_features = 8 * width
        self.trunk = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(self.n_features, n_classes)
        for module in self.trunk.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


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


ARCHITECTURES = {
    "resnet9": ResNet9,
    "mobilenetv2": MobileNetV2,
    "mobilenetv2_shallow": ShallowMobileNetV2,
    "resnet18": ResNet18,
    "vit": ViT,
}


def check(recipe) -> None:
    """Refuse an unknown architecture, or a stem or width that it does not have."""
    if recipe.arch not in ARCHITECTURES:
        raise ValueError(f"unknown network part {recipe.arch!r}; choose one of {', '.join(ARCHITECTURES)}")
    stems, step = ARCHITECTURES[recipe.arch].STEMS, ARCHITECTURES[recipe.arch].WIDTH_STEP
    if recipe.stem not in stems:
        raise ValueError(
            f"unknown network part {recipe.stem!r}; choose one of {', '.join(stems)}, {recipe.arch}'s stems"
        )
    if recipe.width < 1:
        raise ValueError(f"width={recipe.width} must be at least 1")
    if recipe.width % step:
        raise ValueError(f"width={recipe.width} must be a multiple of {step} for {recipe.arch}")


def build(recipe, channels: int, n_classes: int, seed: int) -> nn.Module:
    """The network of a recipe (`arch`, `width`, `stem`), initialised from the seed, channels last."""
    check(recipe)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = ARCHITECTURES[recipe.arch](channels, n_classes, recipe.width, recipe.stem)
    return net.to(memory_format=torch.channels_last)


def size(net: nn.Module) -> int:
    """How many numbers a network learns."""
    return sum(parameter.numel() for parameter in net.parameters())
