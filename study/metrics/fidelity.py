"""Fidelity: how far a prediction is from the truth in a and b."""

from __future__ import annotations

import torch
from torch import Tensor

from study.color.lab import at_least_float32
from study.metrics.base import check_mask, check_pair, pixel_mean
from study.metrics.card import metric


@metric(
    unit="Lab",
    better="lower",
    margin=0.25,
    key=2,
    regions="all",
    says="root mean squared error of a and b",
    weakness="the average of all plausible colours has the smallest error, so it rewards sepia",
)
@torch.no_grad()
def ab_rmse(pred_ab: Tensor, target_ab: Tensor, mask: Tensor | None = None) -> Tensor:
    """Root of the mean squared error over the pixels and the two channels a and b, per image, in Lab units.

    pred_ab, target_ab: (N, 2, H, W). mask: boolean (N, H, W), pixels that count; NaN for an image without any.
    Returns (N,). Raises ValueError, naming both shapes, where they differ.
    """
    check_pair(pred_ab, target_ab, 2)
    check_mask(mask, pred_ab)
    error = at_least_float32(pred_ab) - at_least_float32(target_ab)
    return pixel_mean(error.square_().mean(1), mask).sqrt()
