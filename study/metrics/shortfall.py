"""Shortfall of chroma: how much colour is missing where there is too little, whatever there is too much elsewhere."""

from __future__ import annotations

import torch
from torch import Tensor

from study.color.lab import at_least_float32, chroma
from study.metrics.base import check_mask, check_pair, pixel_mean


@torch.no_grad()
def chroma_shortfall(pred_ab: Tensor, target_ab: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean over the pixels of max(C_target - C_pred, 0), with C = sqrt(a^2 + b^2), per image, Lab units.

    What the confidence term of the anti-average loss penalises. 0: no pixel is duller than its truth; for a gray
    prediction it is the truth's mean chroma. Too much chroma in one place does not make up for too little in another.

    pred_ab, target_ab: (N, 2, H, W). mask: boolean (N, H, W), pixels that count; an image without any gives NaN.
    Returns (N,). Raises ValueError, naming both shapes, where they differ.
    """
    check_pair(pred_ab, target_ab, 2)
    check_mask(mask, pred_ab)
    missing = chroma(at_least_float32(target_ab)) - chroma(at_least_float32(pred_ab))
    return pixel_mean(missing.clamp_(min=0), mask)
