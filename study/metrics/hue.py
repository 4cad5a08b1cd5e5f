"""Hue diversity: how many different hues an image holds, each pixel counted by its chroma."""

from __future__ import annotations

import math
from numbers import Integral

import torch
from torch import Tensor

from study.color.lab import at_least_float32, chroma, hue
from study.metrics.base import check_images, check_mask, check_pair, image_pieces, pixel_sum
from study.metrics.card import metric


@metric(
    unit="1",
    high=1,
    margin=0.02,
    key=8,
    says="chroma-weighted circular variance of hue: 0 one hue, 1 hues cancel",
    weakness="the faint noise of a nearly gray image counts as diverse; two opposite hues already give 1",
)
@torch.no_grad()
def hue_diversity(ab: Tensor, mask: Tensor | None = None) -> Tensor:
    """Chroma-weighted circular variance of hue, one value per image, in 0..1.

    V = 1 - |sum C e^(ih)| / sum C = 1 - |sum (a, b)| / sum C over the pixels. 0: a single hue, or a gray image.
    1: the hues cancel. Turning all hues by one angle changes nothing, nor does multiplying all chroma by one factor.
    A pixel without chroma does not count. (A plain variance of angles tears hues near +-180 degrees apart and follows
    the noise around gray.)

    ab: (N, 2, H, W). mask: boolean (N, H, W), pixels that count; NaN for an image without any. Returns (N,).
    Raises ValueError for another shape.
    """
    check_images("ab", ab, 2)
    check_mask(mask, ab)
    pieces = list(image_pieces(ab, mask, passes=4))
    room = at_least_float32(torch.empty_like(pieces[0][0][:, 0]))  # shared: new memory takes as long as the roots
    sums = [_chroma_and_ab(at_least_float32(images), inside, room[: len(images)]) for images, inside in pieces]
    total, a, b = torch.cat(sums, dim=1)
    diversity = torch.where(total == 0, torch.zeros_like(total), 1 - torch.hypot(a, b) / total).clamp(0, 1)
    return _nan_where_empty(diversity, ab, mask)


def _chroma_and_ab(ab: Tensor, mask: Tensor | None, room: Tensor) -> Tensor:
    """Sums of chroma, a and b over the pixels of each image, (3, N). room: (N, H, W), is overwritten."""
    kept = ab if mask is None else torch.where(mask[:, None], ab, 0.0)
    of_ab = kept.flatten(2).sum(2)  # first: it reads memory in its order
    a, b = ab.unbind(1)
    strength = torch.mul(a, a, out=room).addcmul_(b, b).sqrt_()
    return torch.cat([pixel_sum(strength, mask)[None], of_ab.t()])


@metric(
    unit="1",
    better="lower",
    high=1,
    margin=0.02,
    says="distance between the hue diversity of the prediction and of the truth",
    weakness="0 for wrong hues that are spread as widely as the true ones",
)
@torch.no_grad()
def hue_diversity_gap(pred_ab: Tensor, target_ab: Tensor, mask: Tensor | None = None) -> Tensor:
    """|hue_diversity(pred_ab) - hue_diversity(target_ab)| of each image, in 0..1.

    pred_ab, target_ab: (N, 2, H, W). mask: boolean (N, H, W), pixels that count; NaN for an image without any.
    Returns (N,). Raises ValueError, naming both shapes, where they differ.
    """
    check_pair(pred_ab, target_ab, 2)
    return (hue_diversity(pred_ab, mask) - hue_diversity(target_ab, mask)).abs()


@metric(
    unit="1",
    high=1,
    margin=0.02,
    says="entropy of the chroma-weighted histogram of 36 hues / ln 36",
    weakness="depends on the bins and grows with the number of pixels; chroma noise counts as diverse",
)
@torch.no_grad()
def hue_entropy(ab: Tensor, bins: int = 36, mask: Tensor | None = None) -> Tensor:
    """Entropy of the chroma-weighted hue histogram divided by its maximum ln(bins), per image, in 0..1.

    The hue circle is cut into `bins` equal bins, and every pixel adds its chroma to the bin of its hue. Values of
    different `bins` cannot be compared. 0: one bin holds all, or the image is gray. 1: all bins hold the same. Two
    opposite hues give ln 2 / ln 36 = 0.19, where hue_diversity is 1. Turning all hues by a multiple of 360 / bins
    degrees changes nothing. Another angle changes the value through binning alone.

    ab: (N, 2, H, W). mask: boolean (N, H, W), pixels that count; NaN for an image without any. Returns (N,).
    Raises ValueError for another shape, and for fewer than 2 bins.
    """
    check_images("ab", ab, 2)
    check_mask(mask, ab)
    if isinstance(bins, bool) or not isinstance(bins, Integral) or bins < 2:
        raise ValueError(f"bins must be a whole number of at least 2, got {bins!r}")
    ab = at_least_float32(ab)
    weight = chroma(ab)
    if mask is not None:
        weight = torch.where(mask, weight, torch.zeros_like(weight))
    turn = hue(ab) * (bins / (2 * math.pi))
    index = turn.floor_().long().remainder_(bins)
    histogram = torch.zeros(ab.shape[0], bins, dtype=ab.dtype, device=ab.device)
    histogram.scatter_add_(1, index.flatten(1), weight.flatten(1))
    total = histogram.sum(1, keepdim=True)
    share = torch.where(total == 0, torch.zeros_like(histogram), histogram / total)
    entropy = torch.xlogy(share, share).sum(1).neg() / math.log(bins)
    return _nan_where_empty(entropy.clamp(0, 1).add(0.0), ab, mask)  # adding 0 turns -0 into 0


def _nan_where_empty(values: Tensor, ab: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return values if ab[:, 0].numel() or not len(ab) else torch.full_like(values, torch.nan)
    return torch.where(mask.flatten(1).any(1), values, torch.full_like(values, torch.nan))
