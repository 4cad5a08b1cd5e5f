"""Warnings about pictures and colours in units that cannot be meant: a glance at a few pixels of every call."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable

from torch import Tensor

from study.color.dispatch import traced
from study.color.units import Mistake, UnitWarning, legible, wrong_ab, wrong_rgb

_PIXELS = 1024  # to glance at; of four images at most


def warn_of_rgb_units(name: str, rgb: Tensor) -> None:
    """Warn where floats (N, 3, H, W) are not sRGB in 0..1 but seem to be in 0..255 or -1..1. Bytes are never wrong."""
    _warn(name, rgb, wrong_rgb)


def warn_of_ab_units(name: str, ab: Tensor) -> None:
    """Warn where true colours ab (N, 2, H, W) are not in Lab units but seem to be divided by 110 or the like."""
    _warn(name, ab, wrong_ab)


def _warn(name: str, images: Tensor, judge: Callable[[Tensor], Mistake | None]) -> None:
    """Warn at the line that called a metric, so that Python shows it once for that line."""
    if traced() or not legible(images) or (mistake := judge(_glance(images))) is None:
        return
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(("study.metrics.", "torch.")):
        level, frame = level + 1, frame.f_back
    warnings.warn(f"{name}: {mistake.says}", UnitWarning, stacklevel=level)


def _glance(images: Tensor) -> Tensor:
    some = images.detach()[:: math.ceil(len(images) / 4)]
    step = max(1, math.isqrt(len(some) * some.shape[2] * some.shape[3] // _PIXELS))
    return some[:, :, ::step, ::step]
