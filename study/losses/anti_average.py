"""The anti-average loss: squared error with penalties for lost saturation, uniform hue and timid colour."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from study.color.dispatch import find_kernel, in_memory, traced
from study.losses.base import Loss, check_same_shape, common_precision, weighted_sum
from study.losses.registry import register

CHROMA_SQUARED_FLOOR = 1e-6
"""Squared Lab units. Gradients divide by C^2 or by this, whichever is larger, so that the hue's, which grows as
1/C, ends at 1000 per Lab unit. That is at C = 0.001; white turned into Lab has C = 0.005 by rounding alone."""

# Pixels handled at a time on a CPU: the planes in use then stay in its cache.
_CHUNK = 262_144


@dataclass(frozen=True)
class Units:
    """What a, b (with L), chroma and hue are divided by before they enter the terms."""

    lightness: float
    ab: float
    chroma: float
    hue: float


UNITS = {"raw": Units(1.0, 1.0, 1.0, 1.0), "normalized": Units(100.0, 256.0, 181.0, 2 * math.pi)}


@register("anti_average")
class ColorizationAntiAverageLoss(Loss):
    """Weighted sum of four terms. With C = sqrt(a^2 + b^2) and h = atan2(b, a) of every pixel:

        lab         mean of (pred - target)^2 over pixels and the channels given
        saturation  mean of (C_pred - C_target)^2
        diversity   mean over images of (var(h_pred) - var(h_target))^2, sample variance over an image's pixels
        confidence  mean of max(C_target - C_pred, 0)

    units: the two published conventions (repository aitivetech/vdeg). "raw" is that of its document, with the
    default weights: Lab units and radians. "normalized" is that of its code, whose default weights were 1, 2, 1,
    1: L / 100, (a + 128) / 256, (b + 128) / 256, C / 181 and (h + pi) / (2 pi) in place of L, a, b, C and h.
    (That code also averages the variances over the batch before it squares their difference; here, as in the
    document, every image counts by itself.)

    pred, target: (N,2,H,W) ab or (N,3,H,W) Lab, raw Lab units in both conventions. Returns a dict of scalars:
    `total` and the unweighted terms lab, saturation, diversity, confidence. Computed in float32 at least, also
    under autocast. Gradients are finite everywhere: see CHROMA_SQUARED_FLOOR; the chroma's is 0 at gray.

    Raises ValueError naming both shapes where they differ or hold no pixel, and for weights that are negative,
    not finite or all 0.
    """

    head = "ab"
    terms: ClassVar[dict[str, float]] = {"lab": 1.0, "saturation": 0.01, "diversity": 0.5, "confidence": 1.0}

    def __init__(
        self,
        lab_weight: float = 1.0,
        saturation_weight: float = 0.01,
        diversity_weight: float = 0.5,
        confidence_weight: float = 1.0,
        units: str = "raw",
    ) -> None:
        super().__init__()
        self.set_weights(
            {
                "lab": lab_weight,
                "saturation": saturation_weight,
                "diversity": diversity_weight,
                "confidence": confidence_weight,
            }
        )
        if units not in UNITS:
            raise ValueError(f"units must be one of {', '.join(UNITS)}, got {units!r}")
        self.units = UNITS[units]

    def forward(self, pred: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The terms of `compute` and their total; in one pass, but for derived classes with a `compute` or terms of
        their own, targets that require a gradient, torch.compile, torch.jit.trace and torch.func."""
        published = ColorizationAntiAverageLoss
        if type(self).compute is not published.compute or list(self.terms) != list(published.terms):
            return super().forward(pred, target)
        check_same_shape(pred, target, channels=(2, 3))
        if traced() or target.requires_grad:
            return super().forward(pred, target)
        self.target_watch.look(target)
        pred, target = common_precision(pred, target)
        pred, target = pred.contiguous(), target.contiguous()
        if kernel := find_kernel("study.losses.triton.anti_average", "AntiAverage", pred, target, own_gradient=True):
            return dict(zip(("total", *self.terms), kernel.apply(pred, target, self), strict=True))
        training = pred.requires_grad and torch.is_grad_enabled()
        return dict(zip(("total", *self.terms), _OnePass.apply(pred, target, self, training), strict=True))

    def compute(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The four terms as their definitions read."""
        check_same_shape(prediction, target, channels=(2, 3))
        prediction, target = common_precision(prediction, target)
        chroma, hue = polar(prediction)
        true_chroma, true_hue = polar(target)
        lost = (true_chroma - chroma) / self.units.chroma
        gap = (_variance(hue) - _variance(true_hue)) / self.units.hue**2
        lab_unit = _lab_unit(self.units, prediction)
        difference = prediction - target if lab_unit is None else (prediction - target) / lab_unit
        return {
            "lab": difference.square().mean(),
            "saturation": lost.square().mean(),
            "diversity": gap.square().mean(),
            "confidence": torch.relu(lost).mean(),
        }


def _lab_unit(units: Units, like: Tensor) -> Tensor | None:
    """What the channels of `like` are divided by in the lab term; None where that is 1."""
    if units.ab == 1:
        return None
    unit = [units.lightness, units.ab, units.ab][-like.shape[1] :]
    return torch.tensor(unit, dtype=like.dtype, device=like.device).view(-1, 1, 1)


def polar(ab: Tensor) -> tuple[Tensor, Tensor]:
    """Chroma sqrt(a^2 + b^2) and hue atan2(b, a) of the last two channels: (N,C,H,W) to (N,H,W) each.

    Exact values; gradients that are finite everywhere and 0 for the chroma of gray (see CHROMA_SQUARED_FLOOR).
    """
    return _Polar.apply(*ab[:, -2:].unbind(1))


def _variance(hue: Tensor) -> Tensor:
    """Sample variance over the pixels of each image, (N,H,W) to (N,); 0 for an image of one pixel."""
    pixels = hue[0].numel()
    deviation = (hue - hue.mean((1, 2), keepdim=True)).flatten(1)
    return deviation.square().sum(1) / max(pixels - 1, 1)


class _Polar(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return (a * a + b * b).sqrt(), torch.atan2(b, a)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: tuple[Tensor, Tensor]) -> None:
        ctx.save_for_backward(*inputs, output[0])

    @staticmethod
    def backward(ctx: Any, grad_chroma: Tensor, grad_hue: Tensor) -> tuple[Tensor, Tensor]:
        a, b, chroma = ctx.saved_tensors
        squared = (a * a + b * b).clamp(min=CHROMA_SQUARED_FLOOR)
        outwards, around = grad_chroma * chroma / squared, grad_hue / squared
        return outwards * a - around * b, outwards * b + around * a


class _OnePass(torch.autograd.Function):
    """Total and terms and, on the way, the total's gradient: a third of the time that autograd takes.

    The gradient of a second backward is worked out anew; gradients of single terms and gradients of gradients are
    rarer, and left to `compute` and autograd.
    """

    @staticmethod
    def forward(
        ctx: Any, pred: Tensor, target: Tensor, loss: ColorizationAntiAverageLoss, training: bool
    ) -> tuple[Tensor, ...]:
        ctx.gradient = torch.empty_like(pred) if training else None
        ctx.loss, ctx.weights = loss, dict(loss.weights)  # those of now
        ctx.save_for_backward(pred, target)
        ctx.set_materialize_grads(False)
        terms = _sweep(pred, target, loss.units, loss.weights, ctx.gradient)
        return weighted_sum(terms, loss.weights), *terms.values()

    @staticmethod
    def backward(ctx: Any, of_total: Tensor | None, *of_terms: Tensor | None) -> tuple[Tensor | None, ...]:
        if not of_total_alone(of_total, of_terms):
            return by_definition(ctx, of_total, *of_terms), None, None, None
        gradient, ctx.gradient = ctx.gradient, None  # given away: who gets it may write into it
        if gradient is None:
            pred, target = ctx.saved_tensors
            gradient = torch.empty_like(pred)
            _sweep(pred, target, ctx.loss.units, ctx.weights, gradient)
        # total.backward() has the factor 1. (On a card, looking at it would mean waiting.)
        plain = of_total.device.type == "cpu" and of_total == 1
        return gradient if plain else gradient.mul_(of_total), None, None, None


def of_total_alone(of_total: Tensor | None, of_terms: tuple[Tensor | None, ...]) -> bool:
    """Whether a backward pass asks for one gradient of the total and of nothing else, and not for that gradient's."""
    alone = of_total is not None and all(given is None for given in of_terms)
    return alone and not torch.is_grad_enabled() and not traced() and in_memory(of_total)


def by_definition(ctx: Any, of_total: Tensor | None, *of_terms: Tensor | None) -> Tensor | None:
    """The gradient that a backward pass asks for, by `compute` and autograd, with the weights of the forward pass."""
    pred, target, *_ = ctx.saved_tensors
    twice = torch.is_grad_enabled()  # create_graph=True
    with torch.enable_grad():
        pred = pred if twice else pred.detach().requires_grad_()
        terms = ctx.loss.compute(pred, target)
        results = [weighted_sum(terms, ctx.weights), *terms.values()]
        asked = [(result, of) for result, of in zip(results, (of_total, *of_terms), strict=True) if of is not None]
        if not asked:
            return None
        results, factors = zip(*asked, strict=True)
        return torch.autograd.grad(results, pred, factors, create_graph=twice)[0]


def _sweep(
    pred: Tensor, target: Tensor, units: Units, weights: dict[str, float], gradient: Tensor | None
) -> dict[str, Tensor]:
    """The four terms; the gradient of their weighted sum is written into `gradient`, unless that is None.

    A few images at a time on a CPU, in planes that are used again and again, so that they stay in its cache.
    """
    images, channels, height, width = pred.shape
    pixels, freedom = height * width, max(height * width - 1, 1)
    lab_unit = _lab_unit(units, pred)
    # The derivative of each weighted term, but for the pixel's own factor.
    by_lab = 2 * weights["lab"] / pred.numel()
    by_saturation = 2 * weights["saturation"] / (images * pixels * units.chroma**2)
    by_confidence = weights["confidence"] / (images * pixels * units.chroma)
    by_diversity = 4 * weights["diversity"] / (images * freedom * units.hue**4)
    step = max(1, _CHUNK // pixels) if pred.device.type == "cpu" else images
    planes = pred.new_empty((3, min(step, images), height, width))
    channel_planes = pred.new_empty((2, min(step, images), channels, height, width))
    lab, saturation, confidence, gaps = [], [], [], []
    for start in range(0, images, step):
        part = slice(start, start + step)
        p, t = pred[part], target[part]
        (a, b), (true_a, true_b) = p[:, -2:].unbind(1), t[:, -2:].unbind(1)
        squared, chroma, work = planes[:, : len(p)]
        difference, spare = channel_planes[:, : len(p)]
        plane = spare[:, 0]
        if gradient is not None:
            difference = gradient[part]

        torch.sub(p, t, out=difference)
        if lab_unit is not None:
            difference /= lab_unit
        lab.append(torch.mul(difference, difference, out=spare).sum())

        true_spread = _spread(torch.atan2(true_b, true_a, out=work), plane)
        true_chroma = torch.mul(true_a, true_a, out=work).addcmul_(true_b, true_b).sqrt_()
        torch.mul(a, a, out=squared).addcmul_(b, b)
        excess = torch.sub(torch.sqrt(squared, out=chroma), true_chroma, out=work)
        saturation.append(torch.mul(excess, excess, out=plane).sum())
        lost = torch.clamp(excess, max=0, out=plane)
        confidence.append(lost.sum())
        if gradient is not None:
            if by_lab:
                difference *= by_lab if lab_unit is None else by_lab / lab_unit
            else:
                difference.zero_()
            squared.clamp_(min=CHROMA_SQUARED_FLOOR)
            if by_saturation or by_confidence:
                outwards = excess.mul_(by_saturation).add_(lost.sign_(), alpha=by_confidence)
                outwards.mul_(chroma).div_(squared)
                difference[:, -2:].addcmul_(outwards.unsqueeze(1), p[:, -2:])

        hue = torch.atan2(b, a, out=work)
        gap = (_spread(hue, plane) - true_spread) / freedom
        gaps.append(gap)
        if gradient is not None and by_diversity:
            around = hue.div_(squared).mul_((by_diversity * gap).view(-1, 1, 1))
            difference[:, -2].addcmul_(around, b, value=-1)
            difference[:, -1].addcmul_(around, a)
    return {
        "lab": torch.stack(lab).sum() / pred.numel(),
        "saturation": torch.stack(saturation).sum() / (images * pixels * units.chroma**2),
        "diversity": torch.cat(gaps).square().mean() / units.hue**4,
        "confidence": torch.stack(confidence).sum() / (-images * pixels * units.chroma),
    }


def _spread(hue: Tensor, plane: Tensor) -> Tensor:
    """Sum of squared deviations from each image's mean; `hue` becomes the deviations, `plane` is overwritten."""
    hue -= hue.mean((1, 2), keepdim=True)
    return torch.mul(hue, hue, out=plane).sum((1, 2))
