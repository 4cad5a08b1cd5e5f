"""The anti-average loss: squared error plus penalties for a wrong chroma, a wrong spread of hues, too little chroma."""

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
"""Squared Lab units. Gradients divide by C^2 or by this, whichever is larger. The gradient of the hue grows as 1/C, so
it ends at 1000 per Lab unit, at C = 0.001. White in Lab has C = 0.005 by rounding alone."""

# Pixels at a time on a CPU. The planes in use then stay in its cache.
_CHUNK = 262_144


@dataclass(frozen=True)
class Units:
    """Divisors of L, of a and b, of chroma and of hue before they enter the terms."""

    lightness: float
    ab: float
    chroma: float
    hue: float


UNITS = {"raw": Units(1.0, 1.0, 1.0, 1.0), "normalized": Units(100.0, 256.0, 181.0, 2 * math.pi)}


@register("anti_average")
class ColorizationAntiAverageLoss(Loss):
    """Weighted sum of four terms, with C = sqrt(a^2 + b^2) and h = atan2(b, a) of every pixel:

        lab         mean of (pred - target)^2 over pixels and the channels given
        saturation  mean of (C_pred - C_target)^2
        diversity   mean over images of (var(h_pred) - var(h_target))^2, sample variance over an image's pixels
        confidence  mean of max(C_target - C_pred, 0)

    units: one of the two published conventions (repository aitivetech/vdeg). "raw" is that of its document: Lab units
    and radians, with the default weights. "normalized" is that of its code: L / 100, (a + 128) / 256, (b + 128) / 256,
    C / 181 and (h + pi) / (2 pi) replace L, a, b, C and h. Its default weights were 1, 2, 1, 1. (That code also
    averages the variances over the batch before it squares their difference. Here every image counts by itself, as in
    the document.)

    pred, target: (N,2,H,W) ab or (N,3,H,W) Lab, raw Lab units in both conventions. Returns a dict of scalars: `total`
    and the unweighted terms lab, saturation, diversity, confidence. Computed in float32 at least, also under autocast.
    Gradients are finite everywhere (see CHROMA_SQUARED_FLOOR); that of the chroma is 0 at gray.

    Raises ValueError if the shapes differ or hold no pixel, naming both, and for weights that are negative, not finite
    or all 0.
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
        """The terms of `compute` and their total, in one pass.

        Not in one pass: derived classes with their own `compute` or terms, targets that ask for a gradient, and
        whatever torch.compile, torch.jit.trace or torch.func trace.
        """
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
        """The four terms, computed as they are defined."""
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
    """The divisor of each channel of `like` in the lab term; None where it is 1."""
    if units.ab == 1:
        return None
    unit = [units.lightness, units.ab, units.ab][-like.shape[1] :]
    return torch.tensor(unit, dtype=like.dtype, device=like.device).view(-1, 1, 1)


def polar(ab: Tensor) -> tuple[Tensor, Tensor]:
    """Chroma sqrt(a^2 + b^2) and hue atan2(b, a) of the last two channels: (N,C,H,W) to (N,H,W) each.

    Values are exact. Gradients are finite everywhere, and 0 for the chroma of gray (see CHROMA_SQUARED_FLOOR).
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
    """Total, terms and the total's gradient in one pass: a third of the time of autograd.

    A second backward pass computes the gradient again. Gradients of single terms and of gradients are rare: `compute`
    and autograd do those.
    """

    @staticmethod
    def forward(
        ctx: Any, pred: Tensor, target: Tensor, loss: ColorizationAntiAverageLoss, training: bool
    ) -> tuple[Tensor, ...]:
        ctx.gradient = torch.empty_like(pred) if training else None
        ctx.loss, ctx.weights = loss, dict(loss.weights)  # a copy: the caller may change the weights later
        ctx.save_for_backward(pred, target)
        ctx.set_materialize_grads(False)
        terms = _sweep(pred, target, loss.units, loss.weights, ctx.gradient)
        return weighted_sum(terms, loss.weights), *terms.values()

    @staticmethod
    def backward(ctx: Any, of_total: Tensor | None, *of_terms: Tensor | None) -> tuple[Tensor | None, ...]:
        if not of_total_alone(of_total, of_terms):
            return by_definition(ctx, of_total, *of_terms), None, None, None
        gradient, ctx.gradient = ctx.gradient, None  # given away: its new owner may write into it
        if gradient is None:
            pred, target = ctx.saved_tensors
            gradient = torch.empty_like(pred)
            _sweep(pred, target, ctx.loss.units, ctx.weights, gradient)
        # total.backward() has the factor 1. (Reading it on a card would mean waiting.)
        plain = of_total.device.type == "cpu" and of_total == 1
        return gradient if plain else gradient.mul_(of_total), None, None, None


def of_total_alone(of_total: Tensor | None, of_terms: tuple[Tensor | None, ...]) -> bool:
    """Whether a backward pass asks only for the gradient of the total, and not for a gradient of that."""
    alone = of_total is not None and all(given is None for given in of_terms)
    return alone and not torch.is_grad_enabled() and not traced() and in_memory(of_total)


def by_definition(ctx: Any, of_total: Tensor | None, *of_terms: Tensor | None) -> Tensor | None:
    """The gradient that a backward pass asks for, by `compute` and autograd, at the weights of the forward pass."""
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
    """The four terms. Unless `gradient` is None, the gradient of their weighted sum is written into it.

    On a CPU it works on a few images at a time, in the same planes again and again. So they stay in its cache.
    """
    images, channels, height, width = pred.shape
    pixels, freedom = height * width, max(height * width - 1, 1)
    lab_unit = _lab_unit(units, pred)
    # The derivative of each weighted term, without the pixel's own factor.
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
    """Sum of squared deviations from each image's mean. `hue` becomes the deviations, `plane` is overwritten."""
    hue -= hue.mean((1, 2), keepdim=True)
    return torch.mul(hue, hue, out=plane).sum((1, 2))
