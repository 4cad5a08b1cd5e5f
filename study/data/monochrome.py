"""Pictures whose colour is no colour of the scene: scans of gray, sepia prints, gray with chroma noise.

Their colours lie on one hue line: at each lightness they have one hue, the tone of the print, in more or less of it.
What noise adds averages out over neighbouring pixels, which the colours of a scene do not.
"""

from __future__ import annotations

import numpy as np

from study.color.lab import rgb_to_lab
from study.color.tensors import images_to_tensor

LEVELS = 24  # of lightness, each with as many pixels, at which the tone is taken
GRID = 16  # blocks a side, over which what is off the line is averaged
TOLERANCE = 3.0  # Lab units
SHARE = 0.99  # of the blocks
STRONGEST = 30.0  # mean chroma of a toned print, Lab units; skies and leaves of one hue have more


def is_monochrome(pixels: np.ndarray) -> bool:
    """Whether the colours of a picture, uint8 (S,S,3) sRGB, lie on one hue line.

    The tone at a lightness is the median a and b of the pixels about as light. A colour's distance from the line is
    that from the ray from gray through the tone. The picture is monochrome when in 99 % of up to 16x16 blocks the mean
    of these differences is at most 3 Lab units, plus what noise leaves, and its mean chroma at most 30.
    Of 1,472 pictures of Tiny ImageNet with some colour, 3 % are: old prints, things of metal, white on white.
    """
    lab = rgb_to_lab(images_to_tensor(pixels[None]))[0].numpy().astype(np.float64)
    lightness, ab = lab[0].ravel(), lab[1:].reshape(2, -1)
    if np.hypot(*ab).mean() > STRONGEST:
        return False
    groups = np.array_split(np.argsort(lightness, kind="stable"), LEVELS)
    middles = [np.median(lightness[group]) for group in groups]
    tone = np.array([np.interp(lightness, middles, [np.median(channel[group]) for group in groups]) for channel in ab])
    hue = tone / np.maximum(np.hypot(*tone), 1e-9)
    off_line = ab - np.maximum((ab * hue).sum(0), 0) * hue
    side = max(1, len(pixels) // GRID)
    across = len(pixels) // side
    squares = off_line.reshape(lab[1:].shape)[:, : across * side, : across * side]
    distance = np.hypot(*squares.reshape(2, across, side, across, side).mean((2, 4)))
    return bool(np.mean(distance <= TOLERANCE + 3 * _noise(lab) / side) >= SHARE)


def _noise(lab: np.ndarray) -> float:
    # Standard deviation of a and b, from the median difference of neighbours: the edges in a picture count little.
    steps = np.diff(lab[1:], axis=2)
    return float(np.median(np.abs(steps)) / (0.6745 * np.sqrt(2)))
