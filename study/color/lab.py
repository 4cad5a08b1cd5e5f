"""Colour spaces on tensors (N,3,H,W): sRGB (D65) to CIE Lab and back, chroma, hue.

Every function computes in float32, also for half precision and under autocast; float64 stays float64. Gradients are
finite everywhere, black and gray included. Every device will do. Constants are those of scikit-image, so a picture has
the same Lab values here and there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import threshold

from study.color.dispatch import find_kernel, traced
from study.color.units import UnitWatch, wrong_lightness, wrong_rgb

GRAY_CHROMA = 5.0
"""A pixel whose chroma is below this many Lab units counts as gray."""

# IEC 61966-2-1: the sRGB curve is a line up to its joint and a power above.
_SRGB_JOINT, _SRGB_SLOPE, _SRGB_OFFSET, _SRGB_POWER = 0.04045, 12.92, 0.055, 2.4
_LINEAR_JOINT = 0.0031308
# CIE 15: the cube root of a tristimulus value, and a line below the joint. 7.787 and 0.008856 are the usual rounded
# constants. The exact ones (841/108, 216/24389) would move Lab values 1.6e-4 away from scikit-image's.
_LAB_JOINT, _LAB_SLOPE, _LAB_OFFSET = 0.008856, 7.787, 16.0 / 116.0
_ROOT_JOINT = 0.2068966

_WHITE = np.array([0.95047, 1.0, 1.08883])  # D65, 2 degree observer
_XYZ_FROM_RGB = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)
_TO_XYZ: list[list[float]] = (_XYZ_FROM_RGB / _WHITE[:, None]).tolist()  # XYZ / white from linear RGB
_TO_RGB: list[list[float]] = (np.linalg.inv(_XYZ_FROM_RGB) * _WHITE).tolist()  # linear RGB from XYZ / white

# Both warn about wrong units: see study.color.units.
_RGB, _LAB = UnitWatch("rgb_to_lab", wrong_rgb), UnitWatch("lab_to_rgb", wrong_lightness)

# Pixels per thread that are converted at a time on a CPU. The intermediate planes then stay in its cache.
_CHUNK = 131_072


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """CIE Lab of sRGB pictures (D65 white, 2 degree observer).

    rgb: (N,3,H,W), uint8 in 0..255 or floating point in 0..1. Returns (N,3,H,W), float32 (float64 for float64): L in
    0..100, a in about -86..98, b in about -108..94. It differs from `skimage.color.rgb2lab` by less than 1e-4. As
    there, grays have a chroma of up to 0.006, because the white is rounded.

    An empty batch gives an empty result. Warns once about wrong units (`study.color.units`). Raises ValueError for
    another shape, or an integer type other than uint8.
    """
    _check(rgb, 3, "rgb", integers=True)
    _RGB.look(rgb)
    if kernel := find_kernel("study.color.triton.lab", "rgb_to_lab", rgb):
        return kernel(rgb)
    return _in_chunks(_rgb_to_lab, rgb)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """sRGB pictures in 0..1 of CIE Lab values: the inverse of `rgb_to_lab`, clipped to the gamut.

    lab: (N,3,H,W) floating point, raw Lab units. Returns (N,3,H,W), float32 (float64 for float64). It agrees with
    `skimage.color.lab2rgb`, out of gamut too. A clipped channel has gradient 0.

    An empty batch gives an empty result. Warns once about wrong units (`study.color.units`). Raises ValueError for
    another shape or an integer type.
    """
    _check(lab, 3, "lab")
    _LAB.look(lab)
    return unwatched_lab_to_rgb(lab)


def unwatched_lab_to_rgb(lab: Tensor) -> Tensor:
    """`lab_to_rgb` for callers that check shape and units themselves."""
    if kernel := find_kernel("study.color.triton.lab", "lab_to_rgb", lab):
        return kernel(lab)
    return _in_chunks(_lab_to_rgb, lab)


def chroma(ab: Tensor) -> Tensor:
    """Chroma sqrt(a^2 + b^2) in Lab units: (N,2,H,W) to (N,H,W).

    Its gradient at gray is 0; that of a plain square root is NaN there. Raises ValueError for another shape or an
    integer type.
    """
    _check(ab, 2, "ab")
    a, b = at_least_float32(ab).unbind(1)
    squared = a * a + b * b
    # The clamp stops the gradient below the smallest normal number. The subtraction makes gray exactly 0.
    tiny = torch.finfo(squared.dtype).tiny
    return squared.clamp(min=tiny).sqrt() - math.sqrt(tiny)


def hue(ab: Tensor) -> Tensor:
    """Hue angle atan2(b, a) in radians, -pi..pi: (N,2,H,W) to (N,H,W).

    Exact gray has hue 0 and gradient 0. Near gray the gradient grows as 1/chroma: mask hues, or weight them by chroma.
    Raises ValueError for another shape or an integer type.
    """
    _check(ab, 2, "ab")
    a, b = at_least_float32(ab).unbind(1)
    neutral = a * a + b * b < torch.finfo(a.dtype).tiny
    return torch.atan2(b.masked_fill(neutral, 0.0), a.masked_fill(neutral, 1.0))


def to_uint8(rgb: Tensor) -> np.ndarray:
    """Pictures as they are stored: (N,3,H,W) in 0..1 to a uint8 array (N,H,W,3), rounded to the nearest level.

    Values outside 0..1 are clipped. Raises ValueError for another shape or an integer type.
    """
    _check(rgb, 3, "rgb")
    levels = (at_least_float32(rgb.detach()) * 255.0).round_().clamp_(0.0, 255.0).to(torch.uint8)
    return np.ascontiguousarray(levels.permute(0, 2, 3, 1).cpu().numpy())


def _rgb_to_lab(rgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    linear = _linear_of_levels(rgb) if rgb.dtype == torch.uint8 else _linear_of_srgb(at_least_float32(rgb))
    red, green, blue = linear.unbind(1)
    fx, fy, fz = (_root_of_xyz(_mix(red, green, blue, row)) for row in _TO_XYZ)
    return (fy * 116.0).sub_(16.0), (fx - fy).mul_(500.0), (fy - fz).mul_(200.0)


def _lab_to_rgb(lab: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    lightness, a, b = at_least_float32(lab).unbind(1)
    fy = (lightness + 16.0).mul_(1 / 116.0)
    fx, fz = fy.add(a, alpha=1 / 500.0), fy.sub(b, alpha=1 / 200.0).clamp(min=0.0)
    x, y, z = _xyz_of_root(fx), _xyz_of_root(fy), _xyz_of_root(fz)
    red, green, blue = (_srgb_of_linear(_mix(x, y, z, row)) for row in _TO_RGB)
    return red, green, blue


# Each curve is a power above a joint and a line below it. It is computed as
#   power(max(x, joint)) + slope * (min(x, joint) - joint).
# In power(), an x at or below the joint is replaced by the one whose power is exactly the line's end. Masks would be
# slower than the curve itself on a CPU, and here both halves have finite gradients. Operations work in place only where
# autograd has not kept the tensor. exp2(p * log2(x)) costs half of a pow.


def _power(x: Tensor, exponent: float) -> Tensor:
    return torch.exp2(torch.log2(x).mul_(exponent))


def _below(x: Tensor, joint: float, slope: float) -> Tensor:
    return x.clamp(max=joint).sub_(joint).mul_(slope)


def _linear_of_srgb(c: Tensor) -> Tensor:
    end = (1 + _SRGB_OFFSET) * (_SRGB_JOINT / _SRGB_SLOPE) ** (1 / _SRGB_POWER) - _SRGB_OFFSET
    upper = (threshold(c, _SRGB_JOINT, end) + _SRGB_OFFSET).mul_(1 / (1 + _SRGB_OFFSET))
    return _below(c, _SRGB_JOINT, 1 / _SRGB_SLOPE).add_(_power(upper, _SRGB_POWER))


def _srgb_of_linear(c: Tensor) -> Tensor:
    end = ((_LINEAR_JOINT * _SRGB_SLOPE + _SRGB_OFFSET) / (1 + _SRGB_OFFSET)) ** _SRGB_POWER
    upper = _power(threshold(c, _LINEAR_JOINT, end), 1 / _SRGB_POWER)
    lower = _below(c, _LINEAR_JOINT, _SRGB_SLOPE).sub_(_SRGB_OFFSET)
    return lower.add_(upper, alpha=1 + _SRGB_OFFSET).clamp(0.0, 1.0)


def _root_of_xyz(t: Tensor) -> Tensor:
    end = (_LAB_SLOPE * _LAB_JOINT + _LAB_OFFSET) ** 3
    return _below(t, _LAB_JOINT, _LAB_SLOPE).add_(_power(threshold(t, _LAB_JOINT, end), 1 / 3))


def _xyz_of_root(f: Tensor) -> Tensor:
    end = ((_ROOT_JOINT - _LAB_OFFSET) / _LAB_SLOPE) ** (1 / 3)
    return _below(f, _ROOT_JOINT, 1 / _LAB_SLOPE).add_(threshold(f, _ROOT_JOINT, end).pow(3))


def _mix(x: Tensor, y: Tensor, z: Tensor, row: list[float]) -> Tensor:
    """One row of a 3x3 matrix times (x, y, z). A matmul would be rounded to 8 or 11 bits under autocast or TF32."""
    return (x * row[0]).add_(y, alpha=row[1]).add_(z, alpha=row[2])


def _linear_of_levels(levels: Tensor) -> Tensor:
    n, channels, height, width = levels.shape
    # Channels first: the planes are contiguous from here on.
    planes = levels.transpose(0, 1).to(torch.int32, memory_format=torch.contiguous_format)
    linear = _LINEAR_LEVELS.to(levels.device, non_blocking=True).index_select(0, planes.reshape(-1))
    return linear.view(channels, n, height, width).transpose(0, 1)


# The 256 levels of uint8 in linear light, computed in float64.
_LINEAR_LEVELS = _linear_of_srgb(torch.arange(256, dtype=torch.float64, device="cpu") / 255.0).float()


def _in_chunks(convert: Callable[[Tensor], tuple[Tensor, ...]], pixels: Tensor) -> Tensor:
    """convert(pixels), planes stacked. On a CPU it works piece by piece, unless autograd records or torch traces it."""
    n, channels, height, width = pixels.shape
    whole = pixels.requires_grad and torch.is_grad_enabled()
    if pixels.device.type != "cpu" or whole or traced():
        return torch.stack(convert(pixels), dim=1)
    dtype = torch.float64 if pixels.dtype == torch.float64 else torch.float32
    out = pixels.new_empty((n, channels, height, width), dtype=dtype)
    for images, rows in pieces(n, height, width, _CHUNK * torch.get_num_threads()):
        for channel, plane in enumerate(convert(pixels[images, :, rows])):
            out[images, channel, rows] = plane
    return out


def pieces(n: int, height: int, width: int, size: int) -> Iterator[tuple[slice, slice]]:
    """Slices of images and of rows that cut a batch of pictures into pieces of about `size` pixels."""
    if height * width == 0:
        return
    images = max(1, size // (height * width))
    rows = height if images > 1 else max(1, size // width)
    for i in range(0, n, images):
        for r in range(0, height, rows):
            yield slice(i, i + images), slice(r, r + rows)


def at_least_float32(x: Tensor) -> Tensor:
    """float32 and float64 as they are, everything else (half precision, integers) as float32."""
    return x if x.dtype == torch.float64 else x.float()


def _check(x: Tensor, channels: int, name: str, integers: bool = False) -> None:
    if x.ndim != 4 or x.shape[1] != channels:
        raise ValueError(f"{name} must have shape (N,{channels},H,W), got {tuple(x.shape)}")
    if not x.is_floating_point() and not (integers and x.dtype == torch.uint8):
        kinds = "uint8 or floating point" if integers else "floating point"
        raise ValueError(f"{name} must be {kinds}, got {x.dtype} of shape {tuple(x.shape)}")
