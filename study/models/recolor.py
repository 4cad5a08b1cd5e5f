"""What a control makes of predicted colours, at the picture's resolution: a lift of the chroma, or a transport.

Both take lightness (N,1,H,W) in 0..100 and ab (N,2,H,W), and return ab. They are fitted in `study.training.controls`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEVELS = 24
NODES = 32

DRAW = 7.3109
"""Turns of the draw for every unit of a picture's mean lightness."""


class Lift(nn.Module):
    """The chroma of every pixel, plus the same number of Lab units, but not below 0. Gray stays gray."""

    def __init__(self, lift: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("lift", torch.tensor(float(lift)))

    def forward(self, lightness: Tensor, ab: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(ab, dim=1, keepdim=True)
        return ab * ((length + self.lift).clamp_min(0) / length.clamp_min(1e-6))


class Transport(nn.Module):
    """Colours moved towards where an optimal transport takes them, a share `strength` of the way.

    A colour that occurs often has several goals. A draw per picture says which: all equal colours of a picture get the
    same one. table: (LEVELS,2,NODES,NODES), the goal by draw, a and b, linear in between. low, high: the a and b of its
    first and last nodes.

    The draw is no random number. It is a remainder of the picture's mean lightness. So a picture always looks the same,
    and over many pictures all draws are equally likely.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.zeros(LEVELS, 2, NODES, NODES))
        self.register_buffer("low", torch.zeros(2))
        self.register_buffer("high", torch.ones(2))
        self.register_buffer("strength", torch.tensor(1.0))

    def forward(self, lightness: Tensor, ab: Tensor) -> Tensor:
        draw = (lightness.flatten(1).mean(1) * DRAW).remainder(1)
        table = self.table[(draw * LEVELS).long().clamp(0, LEVELS - 1)]
        low, high = (edge.view(1, 2, 1, 1) for edge in (self.low, self.high))
        place = 2 * (ab - low) / (high - low) - 1
        # grid_sample wants the last axis of the table, b, first.
        goal = F.grid_sample(table, place.flip(1).movedim(1, -1), padding_mode="border", align_corners=True)
        return ab + self.strength * (goal - ab)


def recolor_of(state: Mapping[str, Tensor]) -> nn.Module | None:
    """An empty module for the weights `recolor.*` of a network; None where it has none."""
    for name, module in (("recolor.lift", Lift), ("recolor.table", Transport)):
        if name in state:
            return module()
    return None
