"""Limits: the smallest error that any prediction can have at a given amount, or spread, of colour.

With f(x) = E[ab | x], what squared error asks for, every prediction p costs E|p - f|^2 / 2 beyond the error of f (per
channel; E over all pixels). So the least error is a question about p and f alone:

- at a mean chroma of c: lift the chroma of f by the same number of Lab units everywhere (`least_error_at_chroma`);
- at a 2-Wasserstein distance of P between predicted and true colours: move f along the optimal transport to the truth
  (`least_error_at_distance`; Freirich, Michaeli and Meir 2021).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from study.data.color_distribution import ColorDistribution
from study.metrics.ab_distance import transport


def least_error_at_chroma(ab: Tensor | np.ndarray, chroma: float, shares: np.ndarray | None = None) -> float:
    """Squared error per channel that is added, at least, when the mean chroma of `ab` is brought to `chroma`.

    ab: (P, 2), E[ab | x] of every pixel, Lab units. shares: (P,), how much each counts; all the same without them.
    Above the mean chroma of `ab`, every pixel is lifted by the same delta. It costs delta^2 / 2. Below it, the chroma
    of each becomes max(|ab| - delta, 0), which costs E min(|ab|, delta)^2 / 2. ValueError for a negative chroma.
    """
    lengths = np.linalg.norm(np.asarray(ab, dtype=float), axis=1)
    shares = np.full(len(lengths), 1 / len(lengths)) if shares is None else shares / shares.sum()
    change = chroma_change(lengths, shares, chroma)
    return change**2 / 2 if change >= 0 else float(shares @ np.square(np.minimum(lengths, -change)) / 2)


def chroma_change(lengths: np.ndarray, shares: np.ndarray, chroma: float) -> float:
    """By how many Lab units the chromas `lengths` (P,) change at least cost until their mean is `chroma`.

    shares: (P,), summing to 1. Negative where chroma shrinks; none falls below 0. ValueError for a negative chroma.
    """
    if chroma < 0:
        raise ValueError(f"chroma must be at least 0, got {chroma}")
    mean = float(shares @ lengths)
    if chroma >= mean:
        return chroma - mean
    order = np.argsort(-lengths)
    # Where the k largest stay above 0: their sum, less delta times their share, is the chroma.
    deltas = (np.cumsum((shares * lengths)[order]) - chroma) / np.cumsum(shares[order])
    left = np.flatnonzero(deltas < lengths[order])
    return -float(deltas[left[-1]] if len(left) else lengths.max())


def least_error_at_distance(base_error: float, base_distance: float, distance: float) -> float:
    """Least squared error per channel of predictions whose colours are `distance` from the true ones.

    base_error + max(base_distance - distance, 0)^2 / 2 (Freirich, Michaeli and Meir 2021, Theorem 1; halved, because
    the error is per channel and the distance Euclidean in the plane). base_error, base_distance: of E[ab | x].
    distance: 2-Wasserstein, Lab units (`study.metrics.ab_distance`). It is a bound over predictions that may draw at
    random. A table over colours may not reach it. ValueError for a negative distance.
    """
    if distance < 0:
        raise ValueError(f"distance must be at least 0, got {distance}")
    return base_error + max(base_distance - distance, 0.0) ** 2 / 2


@dataclass(frozen=True)
class Law:
    """What is known of a generated world: its best prediction E[ab | x], before any training.

    error: its squared error per channel. distance: of its colours to the true ones. mean (K, 2): the prediction per
    kind of region. shares (K,): of the pixels. true_chroma: mean chroma of the truth.
    """

    error: float
    distance: float
    mean: np.ndarray
    shares: np.ndarray
    true_chroma: float

    @classmethod
    def of(cls, known: ColorDistribution, shares: np.ndarray) -> Law:
        """The law of a world whose kinds of regions cover these shares of the pixels, (K,)."""
        shares = shares / shares.sum()
        present = shares > 0
        probabilities = shares[:, None] * known.probabilities / known.probabilities.sum(1, keepdims=True)
        real = probabilities > 0
        squared, _, _ = transport(known.mean[present], shares[present], known.modes[real], probabilities[real])
        return cls(
            error=float(shares @ known.variance),
            distance=float(np.sqrt(squared)),
            mean=known.mean,
            shares=shares,
            true_chroma=float(shares @ known.mean_chroma),
        )

    @property
    def chroma(self) -> float:
        """Mean chroma of the best prediction, Lab units."""
        return float(self.shares @ np.linalg.norm(self.mean, axis=1))

    def error_at_chroma(self, chroma: float) -> float:
        """Least squared error per channel at this mean chroma."""
        return self.error + least_error_at_chroma(self.mean, chroma, self.shares)
