"""Checks of shapes and types, and means over pixels, that all metrics share."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat

import torch
from torch import Tensor

from study.color.dispatch import has_float64
from study.color.lab import at_least_float32
from study.metrics.units import warn_of_ab_units, warn_of_rgb_units


def check_images(name: str, images: Tensor, channels: int) -> None:
    """Raise ValueError unless `images` is (N, channels, H, W)."""
    if images.ndim != 4 or images.shape[1] != channels:
        raise ValueError(f"{name} must be (N, {channels}, H, W), got {tuple(images.shape)}")


def check_pair(prediction: Tensor, target: Tensor, channels: int) -> None:
    """Raise ValueError, naming both shapes, unless both are the same (N, channels, H, W).

    Two channels are a and b: warn where those of the target are surely not in Lab units. (A prediction may be gray.)
    """
    if prediction.shape != target.shape:
        raise ValueError(f"prediction and target differ in shape: {tuple(prediction.shape)} and {tuple(target.shape)}")
    check_images("prediction", prediction, channels)
    if channels == 2:
        warn_of_ab_units("target", target)


def check_pixels(name: str, pixels: Tensor, images: Tensor) -> None:
    """Raise ValueError, naming both shapes, unless `pixels` is the (N, H, W) that belongs to `images`."""
    if pixels.shape != images.shape[:1] + images.shape[2:]:
        raise ValueError(
            f"{name} must be (N, H, W) of the images it belongs to: {name} is {tuple(pixels.shape)}, "
            f"images are {tuple(images.shape)}"
        )


def check_mask(mask: Tensor | None, images: Tensor) -> None:
    """Raise ValueError unless `mask` is None or a boolean (N, H, W) that belongs to `images`."""
    if mask is not None:
        check_pixels("mask", mask, images)
        if mask.dtype != torch.bool:
            raise ValueError(f"mask must be boolean, got {mask.dtype}")


def check_rgb(rgb: Tensor) -> None:
    """Raise ValueError unless the pictures are uint8 or floating point; warn where floats are surely not in 0..1."""
    if not (rgb.is_floating_point() or rgb.dtype == torch.uint8):
        raise ValueError(f"rgb must be uint8 or floating point, got {rgb.dtype} of shape {tuple(rgb.shape)}")
    warn_of_rgb_units("rgb", rgb)


def unit_rgb(rgb: Tensor) -> Tensor:
    """sRGB as float in [0, 1]: uint8 is divided by 255, floats stay as they are.

    Raises ValueError for other integers, whose range nobody knows. Warns where floats are surely not in [0, 1].
    """
    check_rgb(rgb)
    return rgb.float() / 255 if rgb.dtype == torch.uint8 else at_least_float32(rgb)


def widest_float(device: torch.device) -> torch.dtype:
    """float64 where the device has it, else float32."""
    return torch.float64 if has_float64(device) else torch.float32


def length(a: Tensor, b: Tensor) -> Tensor:
    """sqrt(a^2 + b^2), without gradients. (`study.color.lab.chroma` has them.)"""
    return (a * a).addcmul_(b, b).sqrt_()


def pixels_per_pass(images: Tensor) -> int:
    """How many pixels to work on at a time. On a CPU a dozen working rows of them stay in a core's cache."""
    return 65_536 if images.device.type == "cpu" else 1 << 22


def image_pieces(images: Tensor, mask: Tensor | None, passes: int = 2) -> Iterator[tuple[Tensor, Tensor | None]]:
    """The images and their masks, a few at a time: as many as fill `passes` passes, and one piece if there are none.

    That is enough work for one call, and fits into the processor's cache.
    """
    step = max(1, passes * pixels_per_pass(images) // max(1, images.shape[2] * images.shape[3]))
    masks = repeat(None) if mask is None else mask.split(step)
    return zip(images.split(step), masks, strict=False)


def pixel_sum(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Sum over the pixels of each image, inside `mask` where one is given: (N, H, W) -> (N,)."""
    kept = values if mask is None else torch.where(mask, values, torch.zeros_like(values))
    return kept.flatten(1).sum(1)


def pixel_mean(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean over the pixels of each image, inside `mask` where one is given; NaN where the mask is empty.

    (N, H, W) -> (N,)
    """
    if mask is None:
        return values.flatten(1).mean(1)
    return pixel_sum(values, mask) / mask.flatten(1).sum(1)
