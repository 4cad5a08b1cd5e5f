"""The table of the 313 ab bins of Zhang et al. 2016."""

from __future__ import annotations

import torch
from torch import Tensor

# a, lowest b, highest b, on a grid of 10 Lab units. This is the published table. Bins derived from the sRGB gamut
# differ: there are 261, 233, 289, 309 ... of them, depending on the rule.
_ROWS = (
    (-90, 50, 90), (-80, 20, 90), (-70, 0, 90), (-60, -20, 90), (-50, -30, 100),
    (-40, -40, 100), (-30, -50, 100), (-20, -50, 100), (-10, -60, 100), (0, -70, 100),
    (10, -80, 90), (20, -80, 90), (30, -90, 90), (40, -100, 90), (50, -100, 80),
    (60, -110, 80), (70, -110, 80), (80, -110, 70), (90, -110, 70), (100, -90, 0),
)  # fmt: skip

AB_BINS: Tensor = torch.tensor(
    [(a, b) for a, low, high in _ROWS for b in range(low, high + 1, 10)], dtype=torch.float32, device="cpu"
)
"""(313,2) the a and b of every bin's centre, ordered by a, then b."""

BINS = len(AB_BINS)
