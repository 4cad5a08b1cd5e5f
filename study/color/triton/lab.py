"""sRGB to CIE Lab and back in one kernel each, by the formulas and constants of `study.color.lab`."""

from __future__ import annotations

from functools import cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from study.color import lab as color
from study.color.triton.launch import Kernel, kernel

_BLOCK = 1024  # pixels per program

_C = tl.constexpr
_SRGB_JOINT, _SRGB_SLOPE = _C(color._SRGB_JOINT), _C(color._SRGB_SLOPE)
_SRGB_OFFSET, _SRGB_POWER = _C(color._SRGB_OFFSET), _C(color._SRGB_POWER)
_LINEAR_JOINT = _C(color._LINEAR_JOINT)
_LAB_JOINT, _LAB_SLOPE, _LAB_OFFSET = _C(color._LAB_JOINT), _C(color._LAB_SLOPE), _C(color._LAB_OFFSET)
_ROOT_JOINT = _C(color._ROOT_JOINT)
_XR, _XG, _XB = map(_C, color._TO_XYZ[0])
_YR, _YG, _YB = map(_C, color._TO_XYZ[1])
_ZR, _ZG, _ZB = map(_C, color._TO_XYZ[2])
_RX, _RY, _RZ = map(_C, color._TO_RGB[0])
_GX, _GY, _GZ = map(_C, color._TO_RGB[1])
_BX, _BY, _BZ = map(_C, color._TO_RGB[2])


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """`study.color.lab.rgb_to_lab` of pictures (N,3,H,W) on a card, uint8 or floats narrower than float64."""
    levels = _levels(rgb.device) if rgb.dtype == torch.uint8 else rgb
    return _convert(_rgb_to_lab, rgb, (levels,), (rgb.dtype == torch.uint8,))


def lab_to_rgb(lab: Tensor) -> Tensor:
    """`study.color.lab.lab_to_rgb` of pictures (N,3,H,W) on a card, floats narrower than float64."""
    return _convert(_lab_to_rgb, lab)


def _convert(
    convert: Kernel, source: Tensor, tables: tuple[Tensor, ...] = (), constants: tuple[int, ...] = ()
) -> Tensor:
    source = source.contiguous()
    out = torch.empty(source.shape, dtype=torch.float32, device=source.device)
    pixels = source[0, 0].numel()
    total = len(source) * pixels
    convert(-(-total // _BLOCK), (source, *tables, out), (pixels, total), (_BLOCK, *constants))
    return out


@cache
def _levels(device: torch.device) -> Tensor:
    return color._LINEAR_LEVELS.to(device)


@kernel()
def _rgb_to_lab(rgb, levels, lab, pixels, total, BLOCK: tl.constexpr, FROM_LEVELS: tl.constexpr):
    at, inside = _red_of_block(pixels, total, BLOCK)
    if FROM_LEVELS:
        red = tl.load(levels + tl.load(rgb + at, mask=inside, other=0).to(tl.int32))
        green = tl.load(levels + tl.load(rgb + at + pixels, mask=inside, other=0).to(tl.int32))
        blue = tl.load(levels + tl.load(rgb + at + 2 * pixels, mask=inside, other=0).to(tl.int32))
    else:
        red = _linear_of_srgb(tl.load(rgb + at, mask=inside, other=0.0).to(tl.float32))
        green = _linear_of_srgb(tl.load(rgb + at + pixels, mask=inside, other=0.0).to(tl.float32))
        blue = _linear_of_srgb(tl.load(rgb + at + 2 * pixels, mask=inside, other=0.0).to(tl.float32))
    fx = _root_of_xyz(red * _XR + green * _XG + blue * _XB)
    fy = _root_of_xyz(red * _YR + green * _YG + blue * _YB)
    fz = _root_of_xyz(red * _ZR + green * _ZG + blue * _ZB)
    tl.store(lab + at, 116.0 * fy - 16.0, mask=inside)
    tl.store(lab + at + pixels, 500.0 * (fx - fy), mask=inside)
    tl.store(lab + at + 2 * pixels, 200.0 * (fy - fz), mask=inside)


@kernel()
def _lab_to_rgb(lab, rgb, pixels, total, BLOCK: tl.constexpr):
    at, inside = _red_of_block(pixels, total, BLOCK)
    lightness = tl.load(lab + at, mask=inside, other=0.0).to(tl.float32)
    a = tl.load(lab + at + pixels, mask=inside, other=0.0).to(tl.float32)
    b = tl.load(lab + at + 2 * pixels, mask=inside, other=0.0).to(tl.float32)
    fy = (lightness + 16.0) * (1 / 116.0)
    x = _xyz_of_root(fy + a * (1 / 500.0))
    y = _xyz_of_root(fy)
    z = _xyz_of_root(_at_least(fy - b * (1 / 200.0), 0.0))
    tl.store(rgb + at, _srgb_of_linear(x * _RX + y * _RY + z * _RZ), mask=inside)
    tl.store(rgb + at + pixels, _srgb_of_linear(x * _GX + y * _GY + z * _GZ), mask=inside)
    tl.store(rgb + at + 2 * pixels, _srgb_of_linear(x * _BX + y * _BY + z * _BZ), mask=inside)


@triton.jit
def _red_of_block(pixels, total, BLOCK: tl.constexpr):
    """For the pixels of this program's block: where their first channels lie in (N,3,H,W), and which pixels exist."""
    index = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    return index // pixels * (3 * pixels) + index % pixels, index < total


@triton.jit
def _at_least(x, low):
    """The larger one of two. NaN stays NaN."""
    return tl.where(x < low, low, x)


@triton.jit
def _power(x, exponent):
    return tl.exp2(tl.log2(x) * exponent)


@triton.jit
def _linear_of_srgb(c):
    upper = (_at_least(c, _SRGB_JOINT) + _SRGB_OFFSET) * (1 / (1 + _SRGB_OFFSET))
    upper = upper * upper * _power(upper, _SRGB_POWER - 2)  # it rounds less than the whole power
    return tl.where(c <= _SRGB_JOINT, c * (1 / _SRGB_SLOPE), upper)


@triton.jit
def _srgb_of_linear(c):
    upper = (1 + _SRGB_OFFSET) * _power(_at_least(c, _LINEAR_JOINT), 1 / _SRGB_POWER) - _SRGB_OFFSET
    encoded = tl.where(c <= _LINEAR_JOINT, c * _SRGB_SLOPE, upper)
    return _at_least(tl.where(encoded > 1.0, 1.0, encoded), 0.0)


@triton.jit
def _root_of_xyz(t):
    above = _at_least(t, _LAB_JOINT)
    root = _power(above, 1 / 3)
    root = (2 * root + above / (root * root)) * (1 / 3)  # a Newton step makes the approximate power exact
    return tl.where(t <= _LAB_JOINT, t * _LAB_SLOPE + _LAB_OFFSET, root)


@triton.jit
def _xyz_of_root(f):
    return tl.where(f <= _ROOT_JOINT, (f - _LAB_OFFSET) * (1 / _LAB_SLOPE), f * f * f)
