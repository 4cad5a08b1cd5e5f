"""Vividness: how strong the colours of an image are, alone and beside the ground truth."""

from __future__ import annotations

from math import inf

import torch
from torch import Tensor

from study.color.lab import GRAY_CHROMA, at_least_float32, chroma
from study.metrics.base import (
    check_images,
    check_mask,
    check_pair,
    check_rgb,
    image_pieces,
    pixel_mean,
)
from study.metrics.card import metric

MIN_TRUE_CHROMA = 1.0
"""Mean chroma (Lab units) below which the truth counts as colourless and a ratio to it is undefined."""


@metric(
    unit="1",
    margin=1.0,
    key=7,
    says="Hasler-Suesstrunk M3 in sRGB: 0 gray, 15 slightly, 45 averagely, 109 extremely colourful",
    weakness="higher is not better: wrong or garish colours score too; compare with the truth",
)
@torch.no_grad()
def colorfulness(rgb: Tensor, mask: Tensor | None = None) -> Tensor:
    """Colorfulness M3 of Hasler and Suesstrunk (2003), one value per image.

    On the 0..255 sRGB scale, with signed opponents rg = R - G and yb = (R + G) / 2 - B:
    M3 = sqrt(var(rg) + var(yb)) + 0.3 * sqrt(mean(rg)^2 + mean(yb)^2), population variances over the pixels.
    0 for gray, about 15 "slightly", 45 "averagely", 109 "extremely" colourful. Half red, half green is 293.25.

    rgb: (N, 3, H, W), uint8, or float in [0, 1]. mask: boolean (N, H, W), pixels that count; NaN for an image without
    any. Returns (N,), float64 for float64 input, else float32.
    Raises ValueError for another shape or an integer type other than uint8.
    """
    check_images("rgb", rgb, 3)
    check_rgb(rgb)
    check_mask(mask, rgb)
    scale = 1.0 if rgb.dtype == torch.uint8 else 255.0
    pieces = list(image_pieces(rgb, mask, passes=4))
    room = _room(pieces[0][0])
    moments = [_opponent_moments(images, inside, *room) for images, inside in pieces]
    mean_rg, mean_yb, variance_rg, variance_yb = torch.cat(moments, dim=1) * scale
    spread = ((variance_rg + variance_yb / 4) * scale).sqrt_()
    return spread + 0.3 * (mean_rg.square() + mean_yb.square() / 4).sqrt_()


def _room(rgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Memory for a piece of images: for its channels with a sign, its opponents, and these as floats.

    Pieces share it, because new memory takes as long as the arithmetic.
    """
    # 16 bits hold the opponents of bytes exactly, and go twice as fast as floats.
    signed = torch.int16 if rgb.dtype == torch.uint8 else torch.promote_types(rgb.dtype, torch.float32)
    channels = torch.empty_like(rgb, dtype=signed)
    opponents = channels.new_empty((2, len(rgb), *rgb.shape[2:]))
    return channels, opponents, at_least_float32(opponents)


def _opponent_moments(rgb: Tensor, mask: Tensor | None, channels: Tensor, opponents: Tensor, floats: Tensor) -> Tensor:
    """Means of rg and 2 yb over the pixels of each image, and their variances, (4, N)."""
    n = len(rgb)
    red, green, blue = (rgb if rgb.dtype == channels.dtype else channels[:n].copy_(rgb)).unbind(1)
    rg, yb = opponents[:, :n]
    torch.sub(red, green, out=rg)
    torch.add(red, green, out=yb).sub_(blue, alpha=2)
    values = floats[:, :n] if floats is opponents else floats[:, :n].copy_(opponents[:, :n])
    values = values.flatten(0, 1)
    inside = None if mask is None else mask.repeat(2, 1, 1)
    mean = pixel_mean(values, inside)
    values -= mean[:, None, None]
    return torch.cat([mean, pixel_mean(values.square_(), inside)]).view(4, -1)


@metric(
    unit="1",
    better="lower",
    margin=1.0,
    says="distance between the colorfulness of the prediction and of the truth",
    weakness="0 for wrong colours of the right strength",
)
@torch.no_grad()
def colorfulness_gap(rgb_pred: Tensor, rgb_target: Tensor, mask: Tensor | None = None) -> Tensor:
    """|colorfulness(rgb_pred) - colorfulness(rgb_target)| of each image.

    rgb_pred, rgb_target: (N, 3, H, W), uint8, or float in [0, 1]. mask: boolean (N, H, W), pixels that count; NaN for
    an image without any. Returns (N,). Raises ValueError, naming both shapes, where they differ.
    """
    check_pair(rgb_pred, rgb_target, 3)
    return (colorfulness(rgb_pred, mask) - colorfulness(rgb_target, mask)).abs()


@metric(
    "chroma",
    unit="Lab",
    margin=0.5,
    regions="all",
    says="mean chroma",
    weakness="higher is not better: says nothing about hue; compare with the truth",
)
@torch.no_grad()
def mean_chroma(ab: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean CIE Lab chroma C = sqrt(a^2 + b^2) over the pixels of each image, in Lab units.

    ab: (N, 2, H, W). mask: boolean (N, H, W), pixels that count; NaN for an image without any. Returns (N,).
    Raises ValueError for another shape.
    """
    check_images("ab", ab, 2)
    check_mask(mask, ab)
    return pixel_mean(chroma(at_least_float32(ab)), mask)


@metric(
    unit="1",
    better="target",
    target=1.0,
    low=-inf,
    margin=0.03,
    key=1,
    ratio_of_sums=True,
    says="mean chroma of the predictions / mean chroma of the truth, both over all test pictures",
    weakness="1 for wrong hues of the right strength; colourful pictures count more than dull ones",
)
@torch.no_grad()
def chroma_ratio(
    pred_ab: Tensor, target_ab: Tensor, true_chroma: float | None = None, mask: Tensor | None = None
) -> Tensor:
    """1 + (C_pred - C_target) / true_chroma, with the mean chroma C over the pixels of each image.

    1 is as vivid as the truth, below 1 is duller ("sepia"), above 1 is oversaturated.
    true_chroma: the mean of C_target over a whole set of images, in Lab units. The mean over that set is then
    mean C_pred / mean C_target, where an image counts as much as it has colour to lose. Without it every image is
    compared with itself: C_pred / C_target. Do not average these: the dullest images would decide.
    NaN where the divisor is below MIN_TRUE_CHROMA (1 Lab unit, all but gray) or the mask is empty.

    pred_ab, target_ab: (N, 2, H, W). mask: boolean (N, H, W), pixels that count. Returns (N,).
    Raises ValueError, naming both shapes, where they differ.
    """
    check_pair(pred_ab, target_ab, 2)
    truth = mean_chroma(target_ab, mask)
    unit = truth if true_chroma is None else torch.full_like(truth, true_chroma)
    ratio = 1 + (mean_chroma(pred_ab, mask) - truth) / unit
    return torch.where(unit < MIN_TRUE_CHROMA, torch.full_like(ratio, torch.nan), ratio)


@metric(
    unit="Lab",
    better="lower",
    margin=0.5,
    says="mean over the pixels of the chroma that is missing where there is too little",
    weakness="falls with any gain on all colours, wrong ones too; blind to too much colour",
)
@torch.no_grad()
def chroma_shortfall(pred_ab: Tensor, target_ab: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean over the pixels of max(C_target - C_pred, 0), with C = sqrt(a^2 + b^2), per image, Lab units.

    The confidence term of the anti-average loss penalises it. 0: no pixel is duller than its truth. A gray prediction
    gets the truth's mean chroma. Too much chroma in one place does not make up for too little in another.

    pred_ab, target_ab: (N, 2, H, W). mask: boolean (N, H, W), pixels that count; NaN for an image without any.
    Returns (N,). Raises ValueError, naming both shapes, where they differ.
    """
    check_pair(pred_ab, target_ab, 2)
    check_mask(mask, pred_ab)
    missing = chroma(at_least_float32(target_ab)) - chroma(at_least_float32(pred_ab))
    return pixel_mean(missing.clamp_(min=0), mask)


@metric(
    unit="1",
    high=1,
    margin=0.02,
    says="share of pixels with chroma below 5 Lab units",
    weakness="a threshold: chroma 4.9 and 5.1 look alike; many true pixels are gray",
)
@torch.no_grad()
def gray_share(ab: Tensor, mask: Tensor | None = None) -> Tensor:
    """Share of the pixels of each image with chroma below GRAY_CHROMA (5 Lab units), in 0..1.

    ab: (N, 2, H, W). mask: boolean (N, H, W), pixels that count. Returns (N,), NaN for an image without pixels that
    count or with a colour that is not finite. Raises ValueError for another shape.
    """
    check_images("ab", ab, 2)
    check_mask(mask, ab)
    strength = chroma(at_least_float32(ab))
    gray = (strength < GRAY_CHROMA).to(strength.dtype)
    return pixel_mean(torch.where(ab.isfinite().all(1), gray, torch.nan), mask)
