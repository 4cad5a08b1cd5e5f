"""Colorization as classification over the 313 colour bins, with rebalanced classes (Zhang et al. 2016)."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from study.color.bins import AB_BINS, class_weights, unwatched_soft_encode
from study.color.dispatch import find_kernel, in_memory, traced
from study.color.nearest_bins import LOOKUP_NEIGHBORS
from study.losses.base import Loss
from study.losses.registry import register

COLORED_AB = 5.0
"""Lab units. An image is gray, and teaches nothing, if no |a| or |b| is larger."""

# Logits at a time on a CPU. Their probabilities then stay in its cache.
_CHUNK = 1_300_000


@register("classification")
class ClassificationLoss(Loss):
    """Cross-entropy between predicted bins and the soft-encoded target, weighted by the rarity of its colour.

        cross_entropy = 1/P sum over pixels of  v  sum over bins q of  -z_q log softmax(logits)_q

    z: the target, shared among its `neighbors` nearest bins by a Gaussian of `sigma` Lab units. v: 0 in gray images (no
    |a| or |b| above 5 Lab units; gray_mask=False switches this off), else the class weight of the target's nearest bin,
    w = 1 / ((1 - rebalance) prior + rebalance / 313), scaled to sum(prior w) = 1. P: all pixels of the batch, gray
    images included. So the gradient of an image does not depend on its neighbours in the batch.

    The gradient is the published one. The published code averages the cross-entropy without weights and multiplies
    each pixel's gradient by v.

    prior: (313,) frequencies of the bins in the training set. With prior=None or rebalance=None, all colours weigh the
    same: v is 1, or 0 in gray images.

    prediction: logits (N,313,h,w). target: (N,2,h,w) ab or (N,3,h,w) Lab, raw Lab units; no gradient flows to it.
    Computed in float32 at least. The target is never spread over all bins. So memory is that of the logits' gradient,
    and time about that of a softmax and its gradient. Raises ValueError if the shapes do not match or hold no pixel,
    naming both.
    """

    head = "bins"
    terms: ClassVar[dict[str, float]] = {"cross_entropy": 1.0}
    needs_prior = True

    def __init__(
        self,
        prior: np.ndarray | Tensor | None = None,
        rebalance: float | None = 0.5,
        neighbors: int = 5,
        sigma: float = 5.0,
        gray_mask: bool = True,
    ) -> None:
        super().__init__()
        if isinstance(neighbors, bool) or not isinstance(neighbors, Integral) or not 1 <= neighbors <= len(AB_BINS):
            raise ValueError(f"neighbors must be a whole number in 1..{len(AB_BINS)}, got {neighbors!r}")
        if not sigma > 0:
            raise ValueError(f"sigma must be above 0, got {sigma}")
        self.neighbors, self.sigma, self.gray_mask = int(neighbors), sigma, gray_mask
        weights = None if prior is None or rebalance is None else class_weights(prior, rebalance)
        self.register_buffer("class_weights", weights, persistent=False)

    def compute(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The weighted cross-entropy, averaged over pixels."""
        _check(prediction, target)
        ab = target[:, -2:].detach()
        if traced():
            return {"cross_entropy": _by_definition(prediction, ab, self)}
        if self.neighbors <= LOOKUP_NEIGHBORS:
            where = "study.losses.triton.classification"
            if kernel := find_kernel(where, "CrossEntropy", prediction, ab, own_gradient=True):
                return {"cross_entropy": kernel.apply(prediction, ab, self)}
        training = prediction.requires_grad and torch.is_grad_enabled()
        return {"cross_entropy": _SparseCrossEntropy.apply(prediction, ab, self, training)}

    @torch.no_grad()
    def _soft_target(self, ab: Tensor, pixels: int) -> tuple[Tensor, Tensor]:
        """Bins and shares v z / P of every pixel, (N,K,h,w) each; pixels: P."""
        indices, shares = unwatched_soft_encode(ab, self.neighbors, self.sigma)
        pixel_weight = torch.full_like(shares[:, :1], 1 / pixels)
        if self.class_weights is not None:
            pixel_weight *= self.class_weights.to(shares)[indices[:, :1]]  # the nearest bin comes first
        if self.gray_mask:
            pixel_weight *= (ab.abs().amax((1, 2, 3), keepdim=True) > COLORED_AB).to(shares)
        return indices, shares * pixel_weight


class _SparseCrossEntropy(torch.autograd.Function):
    """The sum of -shares * log_softmax(logits)[indices] over bins and pixels, with its gradient in the same pass.

    The gradient comes from the same softmax as the loss and waits in its final memory for the backward pass. In two
    cases the backward pass computes it from logits and colours: for a second backward pass, and for logits narrower
    than float32, whose gradient could vanish before it is multiplied by that of the loss.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, ab: Tensor, loss: ClassificationLoss, training: bool) -> Tensor:
        ctx.loss, ctx.gradient = loss, None
        ctx.save_for_backward(logits, ab)
        if training and logits.dtype.itemsize >= 4:
            ctx.gradient = torch.empty_like(logits)
        return _cross_entropy(logits, ab, loss, ctx.gradient)

    @staticmethod
    def backward(ctx: Any, of_loss: Tensor) -> tuple[Tensor, None, None, None]:
        logits, ab = ctx.saved_tensors
        if left_to_definition(of_loss):
            return gradient_by_definition(logits, ab, ctx.loss, of_loss), None, None, None
        gradient, ctx.gradient = ctx.gradient, None
        if gradient is None:
            gradient = torch.empty_like(logits)
            _cross_entropy(logits, ab, ctx.loss, gradient, of_loss)
        elif gradient.device.type != "cpu" or of_loss != 1:  # reading it on a card would mean waiting
            gradient *= of_loss
        return gradient, None, None, None


def left_to_definition(of_loss: Tensor) -> bool:
    """Whether the definition and autograd do a backward pass: if its own gradient is wanted, or torch traces it."""
    return torch.is_grad_enabled() or traced() or not in_memory(of_loss)


def gradient_by_definition(logits: Tensor, ab: Tensor, loss: ClassificationLoss, of_loss: Tensor) -> Tensor:
    """The gradient of the loss times of_loss, by the definition. With create_graph=True it can be differentiated."""
    twice = torch.is_grad_enabled()
    with torch.enable_grad():
        logits = logits if twice else logits.detach().requires_grad_()
        value = _by_definition(logits, ab, loss)
        return torch.autograd.grad(value, logits, of_loss, create_graph=twice)[0]


def _by_definition(logits: Tensor, ab: Tensor, loss: ClassificationLoss) -> Tensor:
    indices, shares = loss._soft_target(ab, ab[:, 0].numel())
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return -(shares * logits.log_softmax(1).gather(1, indices)).sum()


def _cross_entropy(
    logits: Tensor, ab: Tensor, loss: ClassificationLoss, gradient: Tensor | None = None, of_loss: Tensor | float = 1.0
) -> Tensor:
    """The cross-entropy, a few images at a time.

    Its gradient times of_loss is written to `gradient`, which has the layout of the logits. It is
    softmax(logits) * sum(shares) - shares, where shares are 0 but at the bins of the target.
    """
    dtype = torch.promote_types(logits.dtype, torch.float32)
    total = torch.zeros((), dtype=dtype, device=logits.device)
    last = logits.is_contiguous(memory_format=torch.channels_last) and not logits.is_contiguous()
    dim = 3 if last else 1  # of the bins, in the order of memory
    step = max(1, _CHUNK // logits[0].numel()) if logits.device.type == "cpu" else len(logits)
    for start in range(0, len(logits), step):
        part = slice(start, start + step)
        pieces = (*loss._soft_target(ab[part], pixels=ab[:, 0].numel()), logits[part])
        index, share, z = (x.permute(0, 2, 3, 1) if last else x for x in pieces)
        slot = None if gradient is None else gradient[part].permute(0, 2, 3, 1) if last else gradient[part]
        room = slot if slot is not None and slot.dtype == dtype else torch.empty_like(z, dtype=dtype)
        softmax = torch.softmax(z, dim, dtype, out=room)
        # -log_softmax, starting from the strongest bin. Its softmax is at least 1/313, so no logarithm of 0 is taken.
        # Logits enter as differences: those stay exact however large the logits are.
        missed = z.amax(dim, keepdim=True).to(dtype) - z.gather(dim, index)
        missed -= softmax.amax(dim, keepdim=True).log_()
        total += (missed * share).sum()
        if slot is not None:
            share = share.to(dtype) * of_loss
            softmax.mul_(share.sum(dim, keepdim=True)).scatter_add_(dim, index, -share)
            if softmax is not slot:
                slot.copy_(softmax)
    return total


def _check(logits: Tensor, target: Tensor) -> None:
    bins = len(AB_BINS)
    if logits.ndim != 4 or target.ndim != 4 or logits.shape[1] != bins or target.shape[1] not in (2, 3):
        raise ValueError(f"logits must be (N,{bins},h,w) and target (N,2,h,w) or (N,3,h,w), {_both(logits, target)}")
    if logits.shape[0] != target.shape[0] or logits.shape[2:] != target.shape[2:]:
        raise ValueError(f"logits and target must agree in N, h and w, {_both(logits, target)}")
    if target.numel() == 0:
        raise ValueError(f"a loss needs at least one pixel, {_both(logits, target)}")


def _both(logits: Tensor, target: Tensor) -> str:
    return f"got logits {tuple(logits.shape)} and target {tuple(target.shape)}"
