"""Colour casts: brown and purple beyond the truth's. Averaging paints them where it is unsure."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from study.color.lab import at_least_float32, chroma
from study.metrics.base import check_mask, check_pair, pixel_mean
from study.metrics.card import metric

SEPIA_HUE = 65.0
"""Degrees, the middle of brown and orange in Lab: the hue of sepia in old photographs, #704214."""

PURPLE_HUE = 315.0
"""Degrees, the middle of purple in Lab; CSS purple, #800080, is at 328."""


@metric(
    unit="Lab",
    better="lower",
    margin=0.5,
    key=4,
    says="chroma per pixel that brown and orange (hues around 65 degrees, any chroma) have beyond the truth's",
    weakness="0 for a gray image; blind to brown in the wrong place; people mind brown only where it is strong",
)
@torch.no_grad()
def sepia_cast(pred_ab: Tensor, target_ab: Tensor, mask: Tensor | None = None) -> Tensor:
    """How much more brown and orange the prediction holds than the truth, one value per image, Lab units, from 0.

    max(m(pred_ab) - m(target_ab), 0). m(ab) is the mean over the pixels of chroma x weight of the hue. The weight is
    cos(2 (hue - 65 degrees)): 1 in the middle, 1/2 at a distance of 30 degrees, and 0 from 45 degrees on.
    0: no more brown than in the truth, as in a gray picture. 15: the whole picture is sepia of chroma 15, and the truth
    has none. Brown that is missing does not count, nor does the place of it.

    On 528 rated versions of eight photographs (Mullery and Whelan 2022), pictures with a cast above 5 look less natural
    than the others. Below that the two do not hang together (rank correlation 0.08): a faint warm tint pleases.

    pred_ab, target_ab: (N, 2, H, W). mask: boolean (N, H, W), pixels that count. Returns (N,), NaN for an image without
    pixels that count or with a colour that is not finite. Raises ValueError, naming both shapes, where they differ.
    """
    return _excess(pred_ab, target_ab, SEPIA_HUE, mask)


@metric(
    unit="Lab",
    better="lower",
    margin=0.5,
    says="chroma per pixel that purple (hues around 315 degrees, any chroma) has beyond the truth's",
    weakness="0 for a gray image; blind to purple in the wrong place",
)
@torch.no_grad()
def purple_cast(pred_ab: Tensor, target_ab: Tensor, mask: Tensor | None = None) -> Tensor:
    """How much more purple (hues around 315 degrees) the prediction holds than the truth: see `sepia_cast`."""
    return _excess(pred_ab, target_ab, PURPLE_HUE, mask)


def _excess(pred_ab: Tensor, target_ab: Tensor, degrees: float, mask: Tensor | None) -> Tensor:
    check_pair(pred_ab, target_ab, 2)
    check_mask(mask, pred_ab)
    own, true = (_mass(at_least_float32(ab), math.radians(degrees), mask) for ab in (pred_ab, target_ab))
    return (own - true).clamp_(min=0)


def _mass(ab: Tensor, middle: float, mask: Tensor | None) -> Tensor:
    a, b = ab.unbind(1)
    along, across = a * math.cos(middle) + b * math.sin(middle), b * math.cos(middle) - a * math.sin(middle)
    strength = chroma(ab)
    # C cos(2 dh) = (along^2 - across^2) / C. A colour that is not finite stays so.
    weighted = (along.square() - across.square()) / strength
    return pixel_mean(torch.where(along > across.abs(), weighted, strength * 0), mask)
