"""Regression losses on ab: squared error and Huber."""

from __future__ import annotations

import math
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import huber_loss, mse_loss

from study.losses.base import Loss, check_same_shape, common_precision
from study.losses.registry import register


@register("mse")
class MSELoss(Loss):
    """Mean squared error over the channels given. Its optimum is the mean of all plausible colours.

    Its one term is called `lab`: it is the lab term of the anti-average loss.
    """

    head = "ab"
    terms: ClassVar[dict[str, float]] = {"lab": 1.0}

    def compute(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The term in squared Lab units, computed in float32 at least.

        prediction, target: (N,2,H,W) ab or (N,3,H,W) Lab, raw Lab units. Raises ValueError if the shapes differ or hold
        no pixel, naming both.
        """
        check_same_shape(prediction, target, channels=(2, 3))
        return {"lab": mse_loss(*common_precision(prediction, target))}


@register("huber")
class HuberLoss(Loss):
    """Huber (smooth L1) loss: d^2 / 2 where |d| <= delta, delta (|d| - delta / 2) elsewhere, mean over channels.

    delta: Lab units. The default 1 is that of Zhang et al. 2017 (Real-Time User-Guided Image Colorization); their
    released code has delta = 1/110 on ab / 110. The loss is close to the absolute error, whose optimum is the median of
    each channel: a robust average, but still an average.
    """

    head = "ab"
    terms: ClassVar[dict[str, float]] = {"huber": 1.0}

    def __init__(self, delta: float = 1.0) -> None:
        super().__init__()
        if not (math.isfinite(delta) and delta > 0):
            raise ValueError(f"delta must be a number above 0, got {delta}")
        self.delta = float(delta)

    def compute(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The term in squared Lab units, computed in float32 at least.

        prediction, target: (N,2,H,W) ab or (N,3,H,W) Lab, raw Lab units. Raises ValueError if the shapes differ or hold
        no pixel, naming both.
        """
        check_same_shape(prediction, target, channels=(2, 3))
        return {"huber": huber_loss(*common_precision(prediction, target), delta=self.delta)}
