"""The networks that are retrained and that features are taken from.

Each network maps images (b, c, h, w) float32 to logits (b, n_classes), and `embed` to the vector before the last
linear layer. Used by `lib.retrain` (the model under study) and `lib.selfsupervised` (the backbone).
"""

import torch
from torch import Tensor, nn

STEMS = {"conv3": (3, 1), "conv5s2": (5, 2)}  # name: (kernel size, stride); conv3 is the paper's


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


class ResNet9(nn.Module):
    """The paper's ResNet-9 at width 64 with stem `conv3`; narrower and strided for laptops.

    Input at least 11 pixels a side after the stem. `embed` gives (b, 2 * width).
    Source: Paper §4.1, footnote 1 (the network of the CIFAR-10 speed-training literature).
    """

    def __init__(self, channels: int, n_classes: int, width: int = 64, stem: str = "conv3"):
        super().__init__()
        w, (kernel_size, stride) = width, STEMS[stem]
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

    def embed(self, x: Tensor) -> Tensor:  # (b, c, h, w) -> (b, 2 * width)
        return self.trunk(x)

    def forward(self, x: Tensor) -> Tensor:  # (b, c, h, w) -> (b, n_classes)
        return 0.2 * self.head(self.embed(x))


ARCHITECTURES = {"resnet9": ResNet9}


def check(recipe) -> None:
    """Refuse an unknown architecture or stem, or a width below 1."""
    for value, known in ((recipe.arch, ARCHITECTURES), (recipe.stem, STEMS)):
        if value not in known:
            raise ValueError(f"unknown network part {value!r}; choose one of {', '.join(known)}")
    if recipe.width < 1:
        raise ValueError(f"width={recipe.width} must be at least 1")


def build(recipe, channels: int, n_classes: int, seed: int) -> nn.Module:
    """The network of a recipe (`arch`, `width`, `stem`), initialised from the seed, channels last."""
    check(recipe)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = ARCHITECTURES[recipe.arch](channels, n_classes, recipe.width, recipe.stem)
    return net.to(memory_format=torch.channels_last)
