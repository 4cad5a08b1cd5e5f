"""Losses for colorization, for any training loop, and the registry that finds them by name.

A loss takes a prediction and a target. It returns a dict: `total`, the weighted sum, and every unweighted term.
PerceptualLoss returns a scalar. `Loss` shows how to add a loss of your own.
"""

from __future__ import annotations

from study.losses.anti_average import ColorizationAntiAverageLoss
from study.losses.base import Loss, check_same_shape, common_precision
from study.losses.batch_colors import (
    BatchWassersteinLabLoss,
    BatchWassersteinLoss,
    ColorHistogramLoss,
    EnergyDistanceLoss,
    HueHistogramLoss,
)
from study.losses.circular import AntiAverageCircularLoss, CircularDiversityLoss
from study.losses.classification import ClassificationLoss
from study.losses.combined import AntiAverageLPIPSLoss
from study.losses.hue import HueLoss
from study.losses.perceptual import PerceptualLoss, perceptual_availability
from study.losses.pinball import PinballLoss
from study.losses.registry import build_loss, head_of, loss_names, register, source_of
from study.losses.regression import HuberLoss, MSELoss
from study.losses.sliced_wasserstein import SlicedWassersteinLoss

__all__ = [
    "AntiAverageCircularLoss",
    "AntiAverageLPIPSLoss",
    "BatchWassersteinLabLoss",
    "BatchWassersteinLoss",
    "CircularDiversityLoss",
    "ClassificationLoss",
    "ColorHistogramLoss",
    "ColorizationAntiAverageLoss",
    "EnergyDistanceLoss",
    "HuberLoss",
    "HueHistogramLoss",
    "HueLoss",
    "Loss",
    "MSELoss",
    "PerceptualLoss",
    "PinballLoss",
    "SlicedWassersteinLoss",
    "build_loss",
    "check_same_shape",
    "common_precision",
    "head_of",
    "loss_names",
    "perceptual_availability",
    "register",
    "source_of",
]
