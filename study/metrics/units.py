"""Warnings about pictures and colours in units that cannot be meant: a glance at a few pixels."""

from __future__ import annotations

import math
import sys
import warnings

from torch import Tensor

from study.color.dispatch import in_memory, traced

_PIXELS = 1024  # to glance at; of four images at most


def warn_of_rgb_units(name: str, rgb: Tensor) -> None:
    """Warn where floats (N, 3, H, W) are not sRGB in 0..1 but seem to be in 0..255 or -1..1.

    Some slack is left for networks whose output is not clipped. Bytes are never wrong.
    """
    if not rgb.is_floating_point() or not _has_values(rgb):
        return
    low, high = (float(x) for x in _glance(rgb).aminmax())
    if high > 2:
        found, mend = f"values up to {high:.4g}", "divide by 255, or pass uint8"
    elif low < -0.25:
        found, mend = f"values down to {low:.3g}", "from -1..1, take (rgb + 1) / 2"
    else:
        return
    _warn(f"{name} has {found}, but sRGB in 0..1 is expected: {mend}")


def warn_of_ab_units(name: str, ab: Tensor) -> None:
    """Warn where true colours ab (N, 2, H, W) are not in Lab units but seem to be divided by 110 or the like.

    Such colours all lie within -1..1. So do those of gray and of nearly black pictures, but not many different ones:
    a byte more or less of a gray makes 1 Lab unit, and black up to 2 bytes has 27 colours.
    """
    if not ab.is_floating_point() or not _has_values(ab):
        return
    some = _glance(ab)
    largest = float(some.abs().amax())
    if not 0.1 < largest < 1:  # nor NaN
        return
    colors = some.transpose(0, 1).flatten(1).t()
    if len(colors) >= 64 and len(colors.unique(dim=0)) > min(256, 0.6 * len(colors)):
        _warn(
            f"{name} has values within -{largest:.2g}..{largest:.2g}, but a and b in Lab units, about -110..110, are "
            "expected: multiply by what they were divided by, such as 110 or 128"
        )


def _has_values(x: Tensor) -> bool:
    return x.numel() > 0 and not x.is_meta and not traced() and in_memory(x)


def _glance(images: Tensor) -> Tensor:
    some = images.detach()[:: math.ceil(len(images) / 4)]
    step = max(1, math.isqrt(len(some) * some.shape[2] * some.shape[3] // _PIXELS))
    return some[:, :, ::step, ::step]


def _warn(message: str) -> None:
    """Warn at the line that called a metric, so that Python shows it once for that line."""
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(("study.metrics.", "torch.")):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, UserWarning, stacklevel=level)
