"""What `study evaluate` keeps for the limits: squared errors and colour distances over all pixels of all pictures.

Every value is kept per picture, so that intervals can resample pictures. The mean over pictures is the value of the
set. `study.analysis.limits` turns them into tables, without any network.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from study.analysis.scoring import TestSet
from study.metrics import mean_chroma
from study.metrics.ab_distance import ColorSet, color_transport

POOLED = "pooled"
"""The `region` of these rows in a table of scores."""

BLOCK = 4
"""Side, in pixels, of the blocks whose mean colours are compared too. Colours drawn for every pixel fail there."""

QUANTILES = 256

CURVE_POINTS = 11


@dataclass(frozen=True)
class PooledTruth:
    """The true colours of the test pictures, as every network's colours are compared with them. ab: (N,2,H,W)."""

    ab: Tensor
    names: list[str]

    @classmethod
    def of(cls, test: TestSet) -> PooledTruth:
        """The true colours of `test`."""
        return cls(test.lab[:, 1:], test.names)

    @cached_property
    def colors(self) -> ColorSet:
        """All pixels."""
        return ColorSet(_flat(self.ab))

    @cached_property
    def blocks(self) -> ColorSet:
        """Means of blocks."""
        return ColorSet(_flat(_blocks(self.ab)))

    @cached_property
    def square(self) -> np.ndarray:
        """Mean of a^2 + b^2 of every picture, (N,)."""
        return _mean_product(self.ab, self.ab)

    @cached_property
    def chroma(self) -> np.ndarray:
        """Mean chroma of every picture, (N,)."""
        return mean_chroma(self.ab).double().numpy()

    def floor(self) -> float:
        """Distance of the truth to itself, one half of the pictures to the other (every second picture)."""
        halves = (ColorSet(_flat(self.ab[start::2])) for start in (0, 1))
        return float(np.sqrt(color_transport(*halves).squared)) if len(self.ab) > 1 else float("nan")


def pooled_rows(ab: Tensor, truth: PooledTruth, base: bool = False) -> pd.DataFrame:
    """Values of predictions ab (N,2,H,W) per picture: columns image, region (POOLED), metric, value.

    error: mean of |pred - truth|^2 / 2, the squared error per channel. gray_error: that of a gray picture.
    chroma: mean |pred|; true_chroma: mean |truth|. square: mean |pred|^2. distance: the picture's influence on the
    squared distance between the colours of all pictures and the true ones. distance_blocks: the same for colours
    averaged over blocks. NaN where a colour is not finite.
    base: the predictions are those of the rescaled baseline. Names begin with base_, and what concerns the truth alone
    is left out.
    """
    pictures = len(ab)
    found = {
        "error": _mean_product(ab - truth.ab, ab - truth.ab) / 2,
        "chroma": mean_chroma(ab).double().numpy(),
        "square": _mean_product(ab, ab),
        "distance": np.full(pictures, np.nan),
        "distance_blocks": np.full(pictures, np.nan),
    }
    if bool(ab.isfinite().all()):
        found["distance"] = _influence(ColorSet(_flat(ab)), truth.colors, pictures)
        found["distance_blocks"] = _influence(ColorSet(_flat(_blocks(ab))), truth.blocks, pictures)
    if base:
        found = {f"base_{name}": value for name, value in found.items()}
    else:
        found |= {"gray_error": truth.square / 2, "true_chroma": truth.chroma}
    columns = {"image": truth.names, "region": POOLED}
    parts = [pd.DataFrame(columns | {"metric": name, "value": value}) for name, value in found.items()]
    return pd.concat(parts, ignore_index=True)


def best_gain(ab: Tensor, truth: Tensor) -> float:
    """The gain that minimises the squared error of predictions ab (N,2,H,W): sum(ab truth) / sum(ab^2). 1 for gray."""
    square = float(_mean_product(ab, ab).mean())
    return float(_mean_product(ab, truth).mean()) / square if square > 0 else 1.0


def base_facts(ab: Tensor, truth: PooledTruth) -> dict[str, Any]:
    """What the limits need of the rescaled baseline's predictions ab (N,2,H,W), beside its `pooled_rows`.

    chroma: the mean chroma of each of QUANTILES equal parts of the pixels, sorted by chroma. curves: name -> rows
    (parameter, mean chroma, distance, squared error per channel) of what a constant gain, and a constant lift of the
    chroma, make of the prediction.
    """
    chroma = np.sort(torch.linalg.vector_norm(ab, dim=1).double().numpy().ravel())
    so_far = np.concatenate([[0.0], np.cumsum(chroma)]) / len(chroma)
    edges = np.interp(np.linspace(0, 1, QUANTILES + 1), np.linspace(0, 1, len(so_far)), so_far)
    mean, true = float(chroma.mean()), float(truth.chroma.mean())
    return {
        "chroma": (QUANTILES * np.diff(edges)).tolist(),
        "curves": {
            "gain": _gain_curve(ab, truth, np.linspace(0, max(2.0, 1.25 * true / max(mean, 1e-6)), CURVE_POINTS)),
            "lift": _lift_curve(ab, truth, np.linspace(0, 1.25 * max(true - mean, 4.0), CURVE_POINTS)),
        },
    }


Row = tuple[float, float, float, float]


def _gain_curve(ab: Tensor, truth: PooledTruth, gains: np.ndarray) -> list[Row]:
    own, chroma = ColorSet(_flat(ab)), float(mean_chroma(ab).double().mean())
    square, product = (float(_mean_product(ab, other).mean()) for other in (ab, truth.ab))
    errors = gains**2 * square / 2 - gains * product + truth.square.mean() / 2
    return [
        _row(gain, gain * chroma, ColorSet(gain * own.means, own.mass), truth, error)
        for gain, error in zip(gains, errors, strict=True)
    ]


def _lift_curve(ab: Tensor, truth: PooledTruth, lifts: np.ndarray) -> list[Row]:
    own, chroma = ColorSet(_flat(ab)), float(mean_chroma(ab).double().mean())
    unit = own.means / np.maximum(np.hypot(*own.means.T), 1e-6)[:, None]
    hue = ab / torch.linalg.vector_norm(ab, dim=1, keepdim=True).clamp_min(1e-6)
    start = float(_mean_product(ab - truth.ab, ab - truth.ab).mean()) / 2
    errors = start + lifts**2 / 2 + lifts * float(_mean_product(hue, ab - truth.ab).mean())
    return [
        _row(lift, chroma + lift, ColorSet(own.means + lift * unit, own.mass), truth, error)
        for lift, error in zip(lifts, errors, strict=True)
    ]


def _row(parameter: float, chroma: float, colors: ColorSet, truth: PooledTruth, error: float) -> Row:
    distance = np.sqrt(color_transport(colors, truth.colors).squared)
    return tuple(round(float(value), 6) for value in (parameter, chroma, distance, error))


def _flat(ab: Tensor) -> np.ndarray:
    return ab.movedim(1, -1).reshape(-1, 2).double().numpy()


def _blocks(ab: Tensor) -> Tensor:
    return F.avg_pool2d(ab, min(BLOCK, *ab.shape[-2:]))


def _mean_product(one: Tensor, other: Tensor) -> np.ndarray:
    """Mean over the pixels of the dot product of two sets of ab (N,2,H,W), per picture."""
    return (one * other).sum(1).flatten(1).double().mean(1).numpy()


def _influence(pred: ColorSet, target: ColorSet, pictures: int) -> np.ndarray:
    plan = color_transport(pred, target)
    return plan.pred.reshape(pictures, -1).mean(1) + plan.target.reshape(pictures, -1).mean(1)
