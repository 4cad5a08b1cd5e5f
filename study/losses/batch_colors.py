"""Distances between the colours of a whole batch and the true ones, as sets: losses that compare distributions.

For a single picture, the best answer to "which set of colours?" is still an average of the possible sets. Over a batch,
a network can give one object its red and another its blue, and the sets agree.
"""

from __future__ import annotations

import math
from numbers import Integral
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from study.color.bins import AB_BINS
from study.losses.anti_average import polar
from study.losses.base import Loss, check_same_shape, common_precision
from study.losses.registry import register

GOLDEN = math.pi * (3 - math.sqrt(5))  # turns that spread points over a sphere evenly


class _BatchColors(Loss):
    """What the losses here share: which colours of a batch they look at."""

    head = "ab"

    def __init__(self, colors: int) -> None:
        super().__init__()
        if isinstance(colors, bool) or not isinstance(colors, Integral) or colors < 2:
            raise ValueError(f"colors must be a whole number of at least 2, got {colors!r}")
        self.colors = int(colors)

    def _sets(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Colours of the same pixels of both batches, (P,C) each: evenly spaced ones, at most `colors`."""
        one, other = (x.transpose(0, 1).flatten(1).T for x in (prediction, target))
        step = -(-len(one) // self.colors)
        if step > 1:
            step |= 1  # odd, so that it does not pick the same columns of every picture
        return one[::step], other[::step]


def _chance(target: Tensor) -> Tensor:
    """A number in 0..1 that follows from the target, like one drawn at random: equal inputs give equal bits."""
    return (target.detach().abs().mean() * 997.0).frac()


def _sliced(prediction: Tensor, target: Tensor, directions: Tensor) -> Tensor:
    """Mean squared difference of sorted projections of two sets (P,C) on unit vectors (D,C)."""
    # Sums, because autocast would compute a matrix product in half precision.
    one, other = ((x[:, None] * directions).sum(-1).sort(dim=0, stable=True).values for x in (prediction, target))
    return (one - other).square().mean()


@register("batch_wasserstein")
class BatchWassersteinLoss(_BatchColors):
    """Squared error plus the sliced Wasserstein distance between the colours of the whole batch:

        lab          mean of (pred - target)^2 over pixels and the channels given
        wasserstein  mean over directions and pixels of (sort(<d, pred>) - sort(<d, target>))^2

    The term is the squared sliced 2-Wasserstein distance in the ab plane (Rabin, Peyre, Delon and Bernot 2011) between
    two sets of at most `colors` colours, evenly spaced over the batch. With weight w and the squared error of both
    channels' mean, theory for round distributions expects a distance of W2(mean, truth) / (1 + w).

    directions: how many unit vectors, evenly spaced. turned: turn them by an angle that follows from the target, so
    that in time all directions are seen.
    prediction, target: (N,2,H,W) ab or (N,3,H,W) Lab, raw Lab units. Computed in float32 at least, also under autocast.
    Raises ValueError if the shapes differ or hold no pixel, naming both, and for options out of range.
    """

    terms: ClassVar[dict[str, float]] = {"lab": 1.0, "wasserstein": 1.0}

    def __init__(self, directions: int = 8, turned: bool = True, colors: int = 8192) -> None:
        super().__init__(colors)
        if isinstance(directions, bool) or not isinstance(directions, Integral) or directions < 2:
            raise ValueError(f"directions must be a whole number of at least 2, got {directions!r}")
        self.directions, self.turned = int(directions), bool(turned)

    def compute(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Both terms in squared Lab units."""
        check_same_shape(prediction, target, channels=(2, 3))
        prediction, target = common_precision(prediction, target)
        turns = torch.arange(self.directions, dtype=target.dtype, device=target.device)
        angles = (turns + _chance(target) * self.turned) * (math.pi / self.directions)
        vectors = torch.stack([angles.cos(), angles.sin()], dim=1)
        term = _sliced(*self._sets(prediction[:, -2:], target[:, -2:]), vectors)
        return {"lab": mse_loss(prediction, target), "wasserstein": term}


@register("batch_wasserstein_lab")
class BatchWassersteinLabLoss(_BatchColors):
    """Like BatchWassersteinLoss, but between the sets of (L, a, b) of whole pictures: colours go with their lightness.

    prediction, target: (N,3,H,W) Lab pictures. Directions are spread over the half sphere, and turned about the L axis.
    """

    terms: ClassVar[dict[str, float]] = {"lab": 1.0, "wasserstein": 1.0}
    needs_lightness = True

    def __init__(self, directions: int = 16, colors: int = 8192) -> None:
        super().__init__(colors)
        if isinstance(directions, bool) or not isinstance(directions, Integral) or directions < 2:
            raise ValueError(f"directions must be a whole number of at least 2, got {directions!r}")
        self.directions = int(directions)

    def compute(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Both terms in squared Lab units; `lab` is over a and b, as lightness is given."""
        check_same_shape(prediction, target, channels=(3,))
        prediction, target = common_precision(prediction, target)
        turns = torch.arange(self.directions, dtype=target.dtype, device=target.device)
        height = 1 - (turns + 0.5) / self.directions
        around, radius = (turns + _chance(target)) * GOLDEN, (1 - height.square()).sqrt()
        vectors = torch.stack([height, radius * around.cos(), radius * around.sin()], dim=1)
        term = _sliced(*self._sets(prediction, target), vectors)
        return {"lab": mse_loss(prediction[:, 1:], target[:, 1:]), "wasserstein": term}


@register("energy_distance")
class EnergyDistanceLoss(_BatchColors):
    """Squared error plus the energy distance between the colours of the whole batch:

        lab     mean of (pred - target)^2 over pixels and the channels given
        energy  E|X - Y| - E|X - X'| / 2 - E|Y - Y'| / 2

    X, X' are predicted colours, Y, Y' true ones, drawn from at most `colors` evenly spaced pixels each (Szekely and
    Rizzo 2013, "Energy statistics"). The term is 0 only for equal sets.

    prediction, target: (N,2,H,W) ab or (N,3,H,W) Lab, raw Lab units. Computed in float32 at least, also under autocast.
    Raises ValueError if the shapes differ or hold no pixel, naming both, and for options out of range.
    """

    terms: ClassVar[dict[str, float]] = {"lab": 1.0, "energy": 30.0}

    def __init__(self, colors: int = 768) -> None:
        super().__init__(colors)

    def compute(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """lab in squared Lab units, energy in Lab units."""
        check_same_shape(prediction, target, channels=(2, 3))
        prediction, target = common_precision(prediction, target)
        one, other = self._sets(prediction[:, -2:], target[:, -2:])
        between = _distances(one, other)
        return {
            "lab": mse_loss(prediction, target),
            "energy": between - _distances(one, one) / 2 - _distances(other, other) / 2,
        }


def _distances(one: Tensor, other: Tensor) -> Tensor:
    """Mean distance of all pairs; its gradient at distance 0 is 0."""
    squared = (one[:, None] - other[None]).square().sum(-1)
    apart = squared > 0
    return torch.where(apart, torch.where(apart, squared, 1.0).sqrt(), 0.0).mean()


@register("color_histogram")
class ColorHistogramLoss(_BatchColors):
    """Squared error plus the difference of the batch's histograms over the 313 bins of Zhang et al. (2016):

        lab        mean of (pred - target)^2 over pixels and the channels given
        histogram  313 times the sum over bins of (p - q)^2

    p and q are means of soft assignments over at most `colors` evenly spaced pixels. A colour belongs to the bins with
    weights exp(-d^2 / 2 sigma^2), which sum to 1. sigma: Lab units; bins are 10 apart.

    prediction, target: (N,2,H,W) ab or (N,3,H,W) Lab, raw Lab units. Computed in float32 at least, also under autocast.
    Raises ValueError if the shapes differ or hold no pixel, naming both, and for options out of range.
    """

    terms: ClassVar[dict[str, float]] = {"lab": 1.0, "histogram": 100.0}

    def __init__(self, sigma: float = 10.0, colors: int = 2048) -> None:
        super().__init__(colors)
        if not 0 < sigma < math.inf:
            raise ValueError(f"sigma must be above 0, got {sigma}")
        self.sigma = float(sigma)

    def compute(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """lab in squared Lab units, histogram without a unit."""
        check_same_shape(prediction, target, channels=(2, 3))
        prediction, target = common_precision(prediction, target)
        bins = torch.as_tensor(AB_BINS, dtype=target.dtype, device=target.device)
        p, q = (
            torch.softmax((x[:, None] - bins).square().sum(-1) / (-2 * self.sigma**2), dim=1).mean(0)
            for x in self._sets(prediction[:, -2:], target[:, -2:])
        )
        return {"lab": mse_loss(prediction, target), "histogram": len(bins) * (p - q).square().sum()}


@register("hue_histogram")
class HueHistogramLoss(_BatchColors):
    """Squared error plus the difference of the batch's chroma by hue, in place of the variance of an angle:

        lab  mean of (pred - target)^2 over pixels and the channels given
        hue  mean over `hues` directions of (p - q)^2

    p and q: mean over pixels of the chroma times exp(sharpness (cos(h - direction) - 1)), a von Mises window. So gray
    pixels count for nothing, hues near +-180 degrees are neighbours, and the amount of colour counts as well.

    prediction, target: (N,2,H,W) ab or (N,3,H,W) Lab, raw Lab units. Computed in float32 at least, also under autocast.
    Raises ValueError if the shapes differ or hold no pixel, naming both, and for options out of range.
    """

    terms: ClassVar[dict[str, float]] = {"lab": 1.0, "hue": 10.0}

    def __init__(self, hues: int = 24, sharpness: float = 10.0, colors: int = 8192) -> None:
        super().__init__(colors)
        if isinstance(hues, bool) or not isinstance(hues, Integral) or hues < 3:
            raise ValueError(f"hues must be a whole number of at least 3, got {hues!r}")
        if not 0 < sharpness < math.inf:
            raise ValueError(f"sharpness must be above 0, got {sharpness}")
        angles = [2 * math.pi * k / hues for k in range(int(hues))]
        self.vectors = [(math.cos(angle), math.sin(angle)) for angle in angles]
        self.sharpness = float(sharpness)

    def compute(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Both terms in squared Lab units."""
        check_same_shape(prediction, target, channels=(2, 3))
        prediction, target = common_precision(prediction, target)
        p, q = (self._by_hue(x) for x in self._sets(prediction[:, -2:], target[:, -2:]))
        return {"lab": mse_loss(prediction, target), "hue": (p - q).square().mean()}

    def _by_hue(self, ab: Tensor) -> Tensor:
        chroma = polar(ab.T[None, :, None])[0].flatten()
        unit = ab / chroma.clamp(min=1e-6)[:, None]
        toward = (unit[:, None] * ab.new_tensor(self.vectors)).sum(-1)
        return (chroma[:, None] * torch.exp(self.sharpness * (toward - 1))).mean(0)
