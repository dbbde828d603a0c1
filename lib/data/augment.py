"""Random augmentations of whole batches held as tensors: one parameter draw an image, no Python loop over images.

Inputs are normalised images (b, c, h, w), so that 0 is the mean colour and every fill is the mean. All randomness comes
from the generator passed in. Used by `lib.retrain` (the paper's flip, translation, cutout, resized crop) and
`lib.ssl` (views).
"""

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))  # from RGB; NTSC, 1953


def flip(x: Tensor, rng: Generator) -> Tensor:
    """Mirror each image left to right with probability 1/2."""
    mirrored = torch.rand(len(x), 1, 1, 1, generator=rng, device=x.device) < 0.5
    return torch.where(mirrored, x.flip(3), x)


def translate(x: Tensor, reach: int, rng: Generator) -> Tensor:
    """Shift each image by -reach..reach pixels in both directions, filling with the mean."""
    b, _, h, w = x.shape
    windows = F.pad(x, (reach,) * 4).unfold(2, h, 1).unfold(3, w, 1)  # a view: (b, c, 2 reach + 1, 2 reach + 1, h, w)
    dy, dx = torch.randint(2 * reach + 1, (2, b), generator=rng, device=x.device)
    return windows[torch.arange(b, device=x.device), :, dy, dx]


def cutout(x: Tensor, size: int, rng: Generator) -> Tensor:
    """Fill one size x size square an image, wholly inside it, with the mean."""
    b, _, h, w = x.shape
    top = torch.randint(h - size + 1, (b, 1), generator=rng, device=x.device)
    left = torch.randint(w - size + 1, (b, 1), generator=rng, device=x.device)
    rows, cols = torch.arange(h, device=x.device), torch.arange(w, device=x.device)
    in_rows = (rows >= top) & (rows < top + size)  # (b, h)
    in_cols = (cols >= left) & (cols < left + size)  # (b, w)
    return x.masked_fill((in_rows[:, :, None] & in_cols[:, None, :])[:, None], 0.0)


def crop(x: Tensor, smallest: float, rng: Generator) -> Tensor:
    """Zoom into one square window an image, `smallest` to 1 of its area, and resize it back bilinearly."""
    area, right, down = torch.rand(3, len(x), generator=rng, device=x.device)
    side = (smallest + (1 - smallest) * area).sqrt()
    return _zoomed(x, side, side, right, down, x.shape[2:])


def resized_crop(x: Tensor, size: int, smallest: float, rng: Generator) -> Tensor:
    """Resize one window an image bilinearly to (b, c, size, size); a window is wholly inside its image.

    It has `smallest` to 1 of the area, and is 3/4 to 4/3 as wide as high. Source: torchvision's RandomResizedCrop,
    which draws a window anew that is longer than the image; here its length is cut off.
    """
    area, shape, right, down = torch.rand(4, len(x), generator=rng, device=x.device)
    area, ratio = smallest + (1 - smallest) * area, (4 / 3) ** (2 * shape - 1)
    width, height = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    return _zoomed(x, width, height, right, down, (size, size))


def _zoomed(x: Tensor, width: Tensor, height: Tensor, right: Tensor, down: Tensor, size: tuple[int, int]) -> Tensor:
    """One window an image, resized to `size`. width, height: shares of the image's; right, down: 0 to 1; (b,) each."""
    zero = torch.zeros_like(width)
    rows = [
        torch.stack([width, zero, (1 - width) * (2 * right - 1)], 1),  # the centre can move by half of what is left
        torch.stack([zero, height, (1 - height) * (2 * down - 1)], 1),
    ]
    grid = F.affine_grid(torch.stack(rows, 1), (*x.shape[:2], *size), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def jitter(x: Tensor, strength: float, rng: Generator) -> Tensor:
    """Change contrast by a factor of 1 -/+ strength and brightness by -/+ strength standard deviations."""
    contrast, brightness = strength * (2 * torch.rand(2, len(x), 1, 1, 1, generator=rng, device=x.device) - 1)
    return x * (1 + contrast) + brightness


def colour(x: Tensor, saturation: float, hue: float, grey: float, rng: Generator) -> Tensor:
    """Scale each image's saturation by 1 -/+ saturation and turn its hue by -/+ hue of the circle; grey: their share.

    x: (b, 3, h, w). In the plane of YIQ's two colour channels, where both are one linear map of the three channels.
    """
    scale, turn, lot = torch.rand(3, len(x), generator=rng, device=x.device)
    scale = (1 + saturation * (2 * scale - 1)) * (lot >= grey)
    angle = 2 * torch.pi * hue * (2 * turn - 1)
    a, b, zero, one = scale * angle.cos(), scale * angle.sin(), torch.zeros_like(scale), torch.ones_like(scale)
    turned = torch.stack([one, zero, zero, zero, a, -b, zero, b, a], 1).view(-1, 3, 3)
    yiq = torch.tensor(YIQ, device=x.device)
    return (torch.linalg.inv(yiq) @ turned @ yiq @ x.flatten(2)).view(x.shape)
