"""Hue diversity as a chroma-weighted circular variance: a loss of its own, and one within the anti-average loss."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from study.losses.anti_average import polar
from study.losses.base import Loss, check_same_shape, common_precision
from study.losses.registry import register

MEAN_CHROMA_FLOOR = 0.1
"""Lab units. The gradient of the circular variance grows as 1 / mean chroma of the image. Below this mean chroma, a
tenth of what the eye can tell from gray, it grows no further."""


def circular_variance(ab: Tensor) -> Tensor:
    """Chroma-weighted circular variance of hue, one value in 0..1 per image: (N,2,H,W) or (N,3,H,W) to (N,).

    V = 1 - |sum C e^(ih)| / sum C. As C e^(ih) = (a, b), no angle is computed. V is 0 for an image of one hue and for
    a gray image. Values are exact and equal `study.metrics.hue_diversity`. The gradient is finite everywhere (see
    MEAN_CHROMA_FLOOR), and 0 where the image is gray.
    """
    return _CircularVariance.apply(*ab[:, -2:].unbind(1))


@register("circular_diversity")
class CircularDiversityLoss(Loss):
    """Squared error plus a hue-diversity term that does not take a variance of angles:

        lab        mean of (pred - target)^2 over pixels and the channels given
        diversity  mean over images of (V_pred - V_target)^2, V = 1 - |sum C e^(ih)| / sum C, without unit, 0..1

    V is the circular variance of directional statistics (Mardia and Jupp 2000, Directional Statistics), with every
    pixel weighted by its chroma. Hues on both sides of 180 degrees stay close. V keeps its value when all hues turn by
    one angle. Gray pixels do not count. As a term of a colorization loss, it is this study's correction of the
    anti-average loss; we know of no publication of it.

    With the default weight, both terms have gradients of about the same norm where averaging ends: the prediction is
    the conditional mean colours of palette_world, in batches of 32 (benchmarks/equal_weights.csv).

    prediction, target: (N,2,H,W) ab or (N,3,H,W) Lab, raw Lab units. Computed in float32 at least, also under autocast.
    Raises ValueError if the shapes differ or hold no pixel, naming both.
    """

    head = "ab"
    terms: ClassVar[dict[str, float]] = {"lab": 1.0, "diversity": 2000.0}

    def compute(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """lab in squared Lab units, diversity without unit."""
        check_same_shape(prediction, target, channels=(2, 3))
        prediction, target = common_precision(prediction, target)
        return {"lab": mse_loss(prediction, target), "diversity": _diversity(prediction, target)}


@register("anti_average_circular")
class AntiAverageCircularLoss(Loss):
    """The anti-average loss with a corrected hue term; with C = sqrt(a^2 + b^2) of every pixel:

        lab         mean of (pred - target)^2 over pixels and the channels given
        saturation  mean of (C_pred - C_target)^2
        diversity   mean over images of (V_pred - V_target)^2, V = 1 - |sum C e^(ih)| / sum C
        confidence  mean of max(C_target - C_pred, 0)

    Terms and default weights are those of `ColorizationAntiAverageLoss` (repository aitivetech/vdeg, raw Lab units).
    Only the diversity is that of `CircularDiversityLoss`. V is at most 1, the variance of an angle at most pi^2: the
    same weight pulls less here. So the two losses side by side show what the correction changes. They do not show which
    hue term is stronger.

    prediction, target: (N,2,H,W) ab or (N,3,H,W) Lab, raw Lab units. Computed in float32 at least, also under autocast.
    Raises ValueError if the shapes differ or hold no pixel, naming both.
    """

    head = "ab"
    terms: ClassVar[dict[str, float]] = {"lab": 1.0, "saturation": 0.01, "diversity": 0.5, "confidence": 1.0}

    def compute(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """lab and saturation in squared Lab units, confidence in Lab units, diversity without unit."""
        check_same_shape(prediction, target, channels=(2, 3))
        prediction, target = common_precision(prediction, target)
        lost = polar(target)[0] - polar(prediction)[0]
        return {
            "lab": mse_loss(prediction, target),
            "saturation": lost.square().mean(),
            "diversity": _diversity(prediction, target),
            "confidence": torch.relu(lost).mean(),
        }


def _diversity(prediction: Tensor, target: Tensor) -> Tensor:
    return (circular_variance(prediction) - circular_variance(target)).square().mean()


class _CircularVariance(torch.autograd.Function):
    """1 - R / S per image, with S the mean chroma and R the length of the mean colour."""

    generate_vmap_rule = True

    @staticmethod
    def forward(a: Tensor, b: Tensor) -> Tensor:
        chroma = torch.hypot(a, b).mean((1, 2))
        resultant = torch.hypot(a.mean((1, 2)), b.mean((1, 2)))
        return torch.where(chroma == 0, 0, 1 - resultant / chroma).clamp(0, 1)  # NaN stays NaN

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs, output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        a, b, variance = ctx.saved_tensors
        chroma, gray = _length(a, b)
        mean_a, mean_b = a.mean((1, 2), keepdim=True), b.mean((1, 2), keepdim=True)
        resultant, _ = _length(mean_a, mean_b)
        share = 1 - variance.view(-1, 1, 1)  # R / S
        mean_chroma = chroma.masked_fill(gray, 0).mean((1, 2), keepdim=True)
        grad = grad.view(-1, 1, 1) / (mean_chroma.clamp(min=MEAN_CHROMA_FLOOR) * a[0].numel())
        return grad * (share * a / chroma - mean_a / resultant), grad * (share * b / chroma - mean_b / resultant)


def _length(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The length of (a, b), and where it is 0. There the length is given as 1: a and b divided by it stay 0."""
    zero = (a == 0) & (b == 0)
    return torch.hypot(a.masked_fill(zero, 1), b), zero
