"""What metrics are computed from: the inputs that a metric can ask for, and those that follow from two pictures."""

from __future__ import annotations

import torch
from torch import Tensor

from study.color.lab import lab_to_rgb, rgb_to_lab

INPUTS = {
    "ab": "predicted ab, (N, 2, H, W), Lab units",
    "pred_ab": "the same",
    "target_ab": "true ab, (N, 2, H, W), Lab units",
    "rgb": "the predicted picture, (N, 3, H, W), sRGB in 0..1",
    "rgb_pred": "the same",
    "rgb_target": "the true picture, (N, 3, H, W), sRGB in 0..1",
    "pred_lab": "the predicted picture, (N, 3, H, W), Lab",
    "target_lab": "the true picture, (N, 3, H, W), Lab",
    "prior": "frequency of the 313 colour bins in the training pictures, (313,)",
    "true_chroma": "mean chroma of the truth over all pictures of the set, Lab units",
    "kind": "index of every pixel's region kind, (N, H, W), where the colour distribution is known",
    "modes": "possible colours of every kind, (K, M, 2), Lab units",
    "probabilities": "their probabilities, (K, M)",
    "reachable_mse": "smallest expected ab-MSE over all pictures of the set, squared Lab units",
    "lpips": "an LPIPS network",
}
"""What a metric can ask for, by naming a parameter like it."""


@torch.no_grad()
def picture_inputs(ab: Tensor, lab: Tensor) -> dict[str, Tensor]:
    """The inputs that follow from predicted ab (N, 2, H, W) and the true pictures (N, 3, H, W), Lab.

    A prediction is judged as the picture that it makes. For metrics on pictures its ab are therefore clipped to what
    sRGB can show at the true lightness. Metrics on ab take them as they are.
    """
    rgb = lab_to_rgb(torch.cat([lab[:, :1], ab], dim=1))
    return {
        "ab": ab,
        "pred_ab": ab,
        "target_ab": lab[:, 1:],
        "rgb": rgb,
        "rgb_pred": rgb,
        "rgb_target": lab_to_rgb(lab),
        "pred_lab": rgb_to_lab(rgb),
        "target_lab": lab,
    }
