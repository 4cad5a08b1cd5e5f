"""Colour on tensors, for any training loop.

`lab` converts between sRGB and CIE Lab. `bins` encodes and decodes colours over the 313 bins of Zhang et al. 2016.
"""

from __future__ import annotations

from study.color.lab import chroma, hue, lab_to_rgb, rgb_to_lab, to_uint8

__all__ = ["chroma", "hue", "lab_to_rgb", "rgb_to_lab", "to_uint8"]
