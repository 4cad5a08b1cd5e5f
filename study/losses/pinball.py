"""Quantile regression of chroma: the quantile sets how vivid the prediction is."""

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
    """Squared error plus the pinball (quantile) loss on chroma, with d = C_target - C_pred of every pixel:

        lab      mean of (pred - target)^2 over pixels and the channels given
        pinball  mean of max(quantile d, (quantile - 1) d)

    quantile: above 0 and below 1. Alone, the term is smallest at this quantile of the possible chromas (Koenker and
    Bassett 1978, Regression Quantiles). At 0.75, too little chroma costs three times as much as too much. The published
    confidence term is the limit at quantile 1; it never lowers chroma. At 0.5 the term is half of the absolute error.
    Like every per-pixel term, it keeps the hue of the mean colour.

    With the default weight, both terms have gradients of about the same norm on palette_world if the prediction has
    the target's hue and half of its chroma (benchmarks/equal_weights.csv).

    prediction, target: (N,2,H,W) ab or (N,3,H,W) Lab, raw Lab units. Computed in float32 at least, also under autocast.
    Raises ValueError if the shapes differ or hold no pixel, naming both, and for a quantile out of range.
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
