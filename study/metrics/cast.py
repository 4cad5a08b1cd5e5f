"""Colour casts: faint brown and faint purple beyond the truth's. Averaging paints them where it is unsure."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from study.color.lab import GRAY_CHROMA, at_least_float32, chroma, hue
from study.metrics.base import check_mask, check_pair, pixel_mean
from study.metrics.card import metric

SEPIA_HUES = (40.0, 90.0)
"""Degrees. Faint colours between these Lab hues look brown; the sepia of old photographs, #704214, is at 65."""

PURPLE_HUES = (290.0, 340.0)
"""Degrees. Faint colours between these Lab hues look purple; CSS purple, #800080, is at 328."""

MOST_CAST_CHROMA = 25.0
"""Lab units of chroma. From here on a colour is no cast but a colour of its own."""


@metric(
    unit="Lab",
    better="lower",
    high=25,
    margin=0.25,
    key=4,
    says="chroma per pixel that faint brown (chroma 5..25, hue 40..90 degrees) has beyond the truth's",
    weakness="0 for a gray image; blind to brown that is strong, or in the wrong place",
)
@torch.no_grad()
def sepia_cast(pred_ab: Tensor, target_ab: Tensor, mask: Tensor | None = None) -> Tensor:
    """How much more faint brown the prediction holds than the truth, one value per image, Lab units, 0..25.

    max(m(pred_ab) - m(target_ab), 0), where m(ab) is the mean over the pixels of C if 5 <= C < 25 and the hue is in
    40..90 degrees, else of 0. A value of 0: no more faint brown than in the truth, as in a gray picture. 15: the whole
    picture is painted in brown of chroma 15, and the truth has none. Brown that is missing does not count, nor does the
    place of it.

    pred_ab, target_ab: (N, 2, H, W). mask: boolean (N, H, W), pixels that count. Returns (N,), NaN for an image without
    pixels that count or with a colour that is not finite. Raises ValueError, naming both shapes, where they differ.
    """
    return _excess(pred_ab, target_ab, SEPIA_HUES, mask)


@metric(
    unit="Lab",
    better="lower",
    high=25,
    margin=0.25,
    says="chroma per pixel that faint purple (chroma 5..25, hue 290..340 degrees) has beyond the truth's",
    weakness="0 for a gray image; blind to purple that is strong, or in the wrong place",
)
@torch.no_grad()
def purple_cast(pred_ab: Tensor, target_ab: Tensor, mask: Tensor | None = None) -> Tensor:
    """How much more faint purple (hues of 290..340 degrees) the prediction holds than the truth: see `sepia_cast`."""
    return _excess(pred_ab, target_ab, PURPLE_HUES, mask)


def _excess(pred_ab: Tensor, target_ab: Tensor, hues: tuple[float, float], mask: Tensor | None) -> Tensor:
    check_pair(pred_ab, target_ab, 2)
    check_mask(mask, pred_ab)
    own, true = (_faint_mass(at_least_float32(ab), hues, mask) for ab in (pred_ab, target_ab))
    return (own - true).clamp_(min=0)


def _faint_mass(ab: Tensor, hues: tuple[float, float], mask: Tensor | None) -> Tensor:
    strength = chroma(ab)
    turn = hue(ab).remainder_(2 * math.pi).rad2deg_()
    inside = (strength >= GRAY_CHROMA) & (strength < MOST_CAST_CHROMA) & (turn >= hues[0]) & (turn < hues[1])
    return pixel_mean(torch.where(inside, strength, strength * 0), mask)  # NaN stays NaN
