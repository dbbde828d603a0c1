"""Colour augmentation: a linear map of an image's three channels that leaves its luma alone."""

import pytest
import torch

from lib.data import augment

LUMA = torch.tensor([0.299, 0.587, 0.114])  # of red, green and blue


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(n: int = 50) -> torch.Tensor:
    """Normalised, (n, 3, 5, 4)."""
    return torch.randn(n, 3, 5, 4, generator=rng())


def luma(x: torch.Tensor) -> torch.Tensor:
    return torch.einsum("c,bchw->bhw", LUMA, x)


def chroma(x: torch.Tensor) -> torch.Tensor:
    """Distance from grey in the plane of YIQ's two colour channels, (b, h, w)."""
    return torch.einsum("kc,bchw->bkhw", torch.tensor(augment.YIQ)[1:], x).norm(dim=1)


def test_nothing_asked_for_is_nothing_changed():
    torch.testing.assert_close(augment.colour(images(), 0, 0, 0, rng()), images(), atol=1e-5, rtol=0)


def test_grey_images_have_three_channels_of_their_luma():
    grey = augment.colour(images(), 0.4, 0.1, 1, rng())
    for channel in range(3):
        torch.testing.assert_close(grey[:, channel], luma(images()), atol=1e-5, rtol=0)


def test_grey_is_a_share_of_the_images():
    x = images(2000)
    spared = (augment.colour(x, 0, 0, 0.3, rng()) - x).abs().amax(dim=(1, 2, 3)) < 1e-4
    assert abs(spared.float().mean() - 0.7) < 0.05  # a standard error is 0.01


@pytest.mark.parametrize(("saturation", "hue"), [(0, 0.5), (0.8, 0), (0.8, 0.5)])
def test_colours_change_and_luma_does_not(saturation, hue):
    x = images()
    changed = augment.colour(x, saturation, hue, 0, rng())
    torch.testing.assert_close(luma(changed), luma(x), atol=1e-5, rtol=0)
    assert (changed - x).abs().amax(dim=(1, 2, 3)).min() > 1e-3


def test_hue_turns_and_saturation_scales():
    x = images()
    torch.testing.assert_close(chroma(augment.colour(x, 0, 0.5, 0, rng())), chroma(x), atol=1e-5, rtol=0)
    scale = (chroma(augment.colour(x, 0.4, 0, 0, rng())) / chroma(x)).flatten(1)
    torch.testing.assert_close(scale, scale[:, :1].expand_as(scale), atol=1e-3, rtol=0)
    assert 0.6 <= scale.min() < 0.75 and 1.25 < scale.max() <= 1.4


def test_each_image_has_a_draw_of_its_own_from_the_generator():
    same = images(1).expand(20, -1, -1, -1).contiguous()
    drawn = augment.colour(same, 0.4, 0.1, 0, rng(1))
    assert len({image.numpy().tobytes() for image in drawn}) == 20
    assert torch.equal(drawn, augment.colour(same, 0.4, 0.1, 0, rng(1)))
    assert not torch.equal(drawn, augment.colour(same, 0.4, 0.1, 0, rng(2)))
