"""Heads: the last layer of a network, which turns a trunk's features into what a loss compares, and that into colours.

A loss names its head: "ab", "bins", or a class of its own, `torch.nn.Module`, with the two methods that `Head` lists.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from study.color.bins import AB_BINS, annealed_mean

# The regression head's outputs are multiplied by this many Lab units. So weights of order one give colours of ordinary
# chroma, and both heads start at the same scale.
AB_SCALE = 50.0


class Head(Protocol):
    """What a head does. Its constructor takes the trunk's number of channels."""

    def __call__(self, features: Tensor) -> Tensor:
        """Raw output (N,K,h,w), which the loss is given, for features (N,C,h,w)."""

    def decode(self, output: Tensor, temperature: float) -> Tensor:
        """ab (N,2,h,w) in raw Lab units from the raw output."""


class AbHead(nn.Conv2d):
    """Colours: ab (N,2,h,w) in raw Lab units."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 2, 1)

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features) * AB_SCALE

    def decode(self, output: Tensor, temperature: float) -> Tensor:
        return output


class BinsHead(nn.Conv2d):
    """Logits (N,313,h,w) over `study.color.bins.AB_BINS`, decoded by their annealed mean."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, len(AB_BINS), 1)

    def decode(self, output: Tensor, temperature: float) -> Tensor:
        return annealed_mean(output, temperature)


HEADS = {"ab": AbHead, "bins": BinsHead}
