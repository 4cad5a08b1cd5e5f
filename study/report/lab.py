"""sRGB pictures to a and b of Lab, and Lab to sRGB (D65), for what a report shows; as scikit-image does it.

By hand, as importing scikit-image and with it scipy takes longer than drawing a figure.
"""

from __future__ import annotations

from functools import cache

import numpy as np

# Linear sRGB (D65) to XYZ over the white point, and the constants of CIE Lab.
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
) / np.array([[0.95047], [1.0], [1.08883]])
BEND, SLOPE = 216 / 24389, 24389 / 27 / 116


@cache
def _curve() -> np.ndarray:
    value = np.arange(256) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).astype(np.float32)


def ab_of(pictures: np.ndarray) -> np.ndarray:
    """a and b of uint8 sRGB pictures (...,3) as float32 (...,2)."""
    xyz = _curve()[pictures] @ TO_XYZ.T.astype(np.float32)
    f = np.where(xyz > BEND, np.cbrt(xyz), xyz * np.float32(SLOPE) + np.float32(16 / 116))
    return np.stack([500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


def rgb_of(lab: np.ndarray) -> np.ndarray:
    """sRGB in 0..1 of Lab colours (...,3), cut to what a screen can show."""
    lightness, a, b = np.moveaxis(np.asarray(lab, float), -1, 0)
    middle = (lightness + 16) / 116
    f = np.stack([middle + a / 500, middle, (middle - b / 200).clip(0)], axis=-1)
    xyz = np.where(f**3 > BEND, f**3, (f - 16 / 116) / SLOPE)
    linear = (xyz @ np.linalg.inv(TO_XYZ).T).clip(0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
