"""Quantile regression of chroma: a vividness between timid and garish that can be chosen."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from study.losses.anti_average import polar
from study.losses.base import Loss, check_same_shape, common_precision
from study.losses.registry import register


@register("pinball")
class PinballLoss(Loss):
    """Squared error plus the pinball (quantile) loss on chroma; with d = C_target - C_pred of every pixel:

        lab      mean of (pred - target)^2 over pixels and the channels given
        pinball  mean of max(quantile d, (quantile - 1) d)

    quantile: in 0..1, both excluded. Alone, the term is smallest at this quantile of the possible chromas (Koenker
    and Bassett 1978, Regression Quantiles): with 0.75 too little chroma costs three times as much as too much. The
    published confidence term is its limit at quantile 1, which never lowers chroma; 0.5 is half the absolute error.
    Like every per-pixel term it leaves the hue that of the mean colour.

    With the default weight the gradients of both terms have about the same norm on palette_world where the prediction
    has the target's hue and half its chroma (benchmarks/equal_weights.csv).

    prediction, target: (N,2,H,W) ab or (N,3,H,W) Lab, raw Lab units. Computed in float32 at least, also under autocast.
    Raises ValueError naming both shapes where they differ or hold no pixel, and for a quantile out of range.
    """

    head = "ab"
    terms: ClassVar[dict[str, float]] = {"lab": 1.0, "pinball": 30.0}

    def __init__(self, quantile: float = 0.75) -> None:
        super().__init__()
        if not 0 < quantile < 1:
            raise ValueError(f"quantile must be above 0 and below 1, got {quantile}")
        self.quantile = float(quantile)

    def compute(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """lab in squared Lab units, pinball in Lab units."""
        check_same_shape(prediction, target, channels=(2, 3))
        prediction, target = common_precision(prediction, target)
        lost = polar(target)[0] - polar(prediction)[0]
        tilted = self.quantile * torch.relu(lost) + (1 - self.quantile) * torch.relu(-lost)
        return {"lab": mse_loss(prediction, target), "pinball": tilted.mean()}
