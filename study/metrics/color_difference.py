"""CIEDE2000 colour difference, with exact identities in place of almost all of its trigonometry."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from study.color.lab import at_least_float32, pieces
from study.metrics.base import check_mask, check_pair, length, pixel_mean, pixels_per_pass
from study.metrics.card import metric
from study.metrics.units import warn_of_ab_units

# Colourless pixels have no hue. These keep 0 / 0 at 0, and underflow of very small chroma in float32 harmless.
_TINY, _TINY_SQUARE = 1e-10, 1e-30

_COS6, _SIN6 = math.cos(math.radians(6)), math.sin(math.radians(6))
_COS30, _SIN30 = math.cos(math.radians(30)), math.sin(math.radians(30))
_COS63, _SIN63 = math.cos(math.radians(63)), math.sin(math.radians(63))


@metric(
    unit="CIEDE2000",
    better="lower",
    margin=0.25,
    key=3,
    says="mean CIEDE2000 colour difference to the truth",
    weakness="rewards averaging, a little less than the error in ab",
)
@torch.no_grad()
def ciede2000(pred_lab: Tensor, target_lab: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean CIEDE2000 difference over the pixels of each image. 1 is about a just-noticeable difference.

    pred_lab, target_lab: (N, 3, H, W), CIE Lab in raw units. mask: boolean (N, H, W), pixels that count; NaN for an
    image without any. Returns (N,). Raises ValueError, naming both shapes, where they differ.
    """
    check_mask(mask, pred_lab)
    return pixel_mean(ciede2000_map(pred_lab, target_lab), mask)


@torch.no_grad()
def ciede2000_map(pred_lab: Tensor, target_lab: Tensor) -> Tensor:
    """CIEDE2000 difference of every pixel, kL = kC = kH = 1 (Sharma, Wu and Dalal 2005).

    pred_lab, target_lab: (N, 3, H, W), CIE Lab in raw units -> (N, H, W). Computed in float64 if an input is float64
    (agrees with scikit-image to 1e-10), else in float32 (to about 1e-4 on random colours). The formula jumps where two
    hues are opposite: there rounding decides, as in any implementation. Raises ValueError, naming both shapes, where
    they differ.
    """
    check_pair(pred_lab, target_lab, 3)
    warn_of_ab_units("target_lab", target_lab[:, 1:])
    dtype = torch.promote_types(at_least_float32(pred_lab).dtype, at_least_float32(target_lab).dtype)
    if torch.jit.is_tracing():  # a trace of pieces would serve pictures of this size only
        return _difference(pred_lab.to(dtype).unbind(1), target_lab.to(dtype).unbind(1))
    n, _, height, width = pred_lab.shape
    out = torch.empty((n, height, width), dtype=dtype, device=target_lab.device)
    for images, rows in pieces(n, height, width, pixels_per_pass(out)):
        prediction, target = (lab[images, :, rows].to(dtype).unbind(1) for lab in (pred_lab, target_lab))
        out[images, rows] = _difference(prediction, target)
    return out


def _difference(lab1: Sequence[Tensor], lab2: Sequence[Tensor]) -> Tensor:
    """CIEDE2000 of two sets of colours, three planes of any shape each -> one plane.

    The hue difference dh and the mean hue h enter only through sines and cosines. These follow from products of
    (a', b'): P = C1 C2, d = P cos(dh) and x = P sin(dh). As P - |d| = x^2 / (P + |d|), nothing cancels. With
    r = sqrt(P + |d|) the pair sqrt(2P) * (cos, sin)(dh / 2) is (r, x / r) for dh below 90 degrees and
    (|x| / r, r with the sign of x) above. The mean hue is hue 1 turned by dh / 2. Its multiples are polynomials.
    One arctangent is left, for the rotation term of the blue region.
    """
    l1, a1, b1 = lab1
    l2, a2, b2 = lab2
    a1, a2 = _stretched(a1, b1, a2, b2)
    c1, c2 = length(a1, b1), length(a2, b2)

    product = c1 * c2
    dot = (a1 * a2).addcmul_(b1, b2)
    cross = (a1 * b2).sub_(a2 * b1)
    long = dot.abs().add_(product).sqrt_()
    short = cross / long.clamp_min(_TINY)
    acute = dot.sign_().add_(1).mul_(0.5)  # 1 or 0, a choice by arithmetic: faster than torch.where
    # exactly opposite hues, x = 0: the standard's mean hue is h1 + 90 degrees where h1 < 180, else h1 - 90
    sign = cross.add_(b1, alpha=1e-25).add_(a1, alpha=1e-35).sign_()
    cos_half = torch.lerp(short.abs(), long, acute)
    sin_half = torch.lerp(sign.mul_(long), short, acute)

    cos_h = (a1 * cos_half).addcmul_(b1, sin_half, value=-1)
    sin_h = (b1 * cos_half).addcmul_(a1, sin_half)
    scale = (cos_h * cos_h).addcmul_(sin_h, sin_h).clamp_min_(_TINY_SQUARE).rsqrt_()
    cos_h.mul_(scale)
    sin_h.mul_(scale)
    cos_2h = (cos_h * cos_h).addcmul_(sin_h, sin_h, value=-1)
    sin_2h = (cos_h * sin_h).mul_(2)

    # T = 1 - .17 cos(h - 30) + .24 cos(2h) + .32 cos(3h + 6) - .20 cos(4h - 63), sorted by cos h, sin h, cos 2h
    t = (cos_2h * (-0.4 * _COS63)).add_(sin_2h, alpha=-0.4 * _SIN63).add_(0.24).mul_(cos_2h)
    t.addcmul_((cos_2h * (0.64 * _COS6)).sub_(0.17 * _COS30 + 0.32 * _COS6), cos_h)
    t.addcmul_((cos_2h * (-0.64 * _SIN6)).sub_(0.17 * _SIN30 + 0.32 * _SIN6), sin_h)
    t.add_(1 + 0.2 * _COS63)

    c_mean = (c1 + c2).mul_(0.5)
    l_offset = (l1 + l2).mul_(0.5).sub_(50).square_()
    l_term = (l2 - l1).div_((l_offset * 0.015).div_((l_offset + 20).sqrt_()).add_(1))
    c_term = (c2 - c1).div_((c_mean * 0.045).add_(1))
    h_term = sin_half.mul_(math.sqrt(2)).div_(t.mul_(c_mean).mul_(0.015).add_(1))

    # h - 180 degrees without a branch at h = 0, where the standard jumps; adding 0 turns -0 into 0
    h_minus_half_turn = torch.atan2(sin_h.add_(0.0).neg_(), cos_h.neg_())
    blue = h_minus_half_turn.sub_(math.radians(275 - 180)).mul_(1 / math.radians(25)).square_().neg_()
    blue.clamp_min_(-80)  # exp of less is denormal in float32: slow, and 1e-35 of a rotation in any case
    rotation = blue.exp_().mul_(math.radians(60)).sin_().mul_(_seventh_power_share(c_mean)).mul_(-2)
    square = rotation.mul_(h_term).add_(c_term).mul_(c_term)
    return square.addcmul_(h_term, h_term).addcmul_(l_term, l_term).clamp_min_(0).sqrt_()


def _stretched(a1: Tensor, b1: Tensor, a2: Tensor, b2: Tensor) -> tuple[Tensor, Tensor]:
    """a' = (1 + G) a, with G = (1 - sqrt(C^7 / (C^7 + 25^7))) / 2 at the mean chroma C of both colours."""
    c_mean = length(a1, b1).add_(length(a2, b2)).mul_(0.5)
    factor = _seventh_power_share(c_mean).mul_(-0.5).add_(1.5)
    return a1 * factor, a2 * factor


def _seventh_power_share(c: Tensor) -> Tensor:
    """sqrt(c^7 / (c^7 + 25^7))"""
    c3 = (c * c).mul_(c)
    c7 = (c3 * c3).mul_(c)
    return c7.div_(c7 + 25.0**7).sqrt_()
