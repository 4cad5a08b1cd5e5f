"""The classification loss: one kernel for the loss of all pixels, one for its gradient. A target is found where it is
used, and never laid out."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from study.bins import BINS
from study.kernels.bins import rows, soft_target, tables
from study.losses.classification import (
    COLORED_AB,
    ClassificationLoss,
    gradient_by_definition,
    left_to_definition,
)

_BINS = tl.constexpr(BINS)
_LOWEST = tl.constexpr(torch.finfo(torch.float32).min)  # not -inf, from which -inf cannot be subtracted
# Pixels per program and bins at a time. Where the pixels of a bin lie side by side, a thread takes one pixel, and few
# bins at a time: a card's memory is slow to write to many places at once.
_CONTIGUOUS = {"BINS_LAST": False, "PIXELS": 128, "PART": 8, "num_warps": 4}
_CHANNELS_LAST = {"BINS_LAST": True, "PIXELS": 32, "PART": 64, "num_warps": 4}


class CrossEntropy(torch.autograd.Function):
    """The classification loss; its gradient by a kernel, and gradients of gradients by the definition."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, ab: Tensor, loss: ClassificationLoss) -> Tensor:
        value, *kept = cross_entropy(logits, ab, loss)
        ctx.loss = loss
        ctx.save_for_backward(logits, ab, *kept)
        return value

    @staticmethod
    def backward(ctx: Any, of_loss: Tensor) -> tuple[Tensor, None, None]:
        logits, ab, *kept = ctx.saved_tensors
        if left_to_definition(of_loss):
            return gradient_by_definition(logits, ab, ctx.loss, of_loss), None, None
        return cross_entropy_gradient(*kept, ctx.loss, of_loss), None, None


def cross_entropy(logits: Tensor, ab: Tensor, loss: ClassificationLoss) -> tuple[Tensor, ...]:
    """The classification loss, a scalar, and what its gradient needs: the logits, the colours, the largest |a| or |b|
    of every image, and of every pixel the largest logit and the sum of exp(logit - largest), (2,pixels).

    logits: (N,313,h,w), copied where they are neither contiguous nor channels_last; ab: (N,2,h,w); both on a card and
    narrower than float64.
    """
    if not (logits.is_contiguous() or logits.is_contiguous(memory_format=torch.channels_last)):
        logits = logits.contiguous()
    if not ab[0].is_contiguous():
        ab = ab.contiguous()
    strongest = torch.linalg.vector_norm(ab, torch.inf, dim=(1, 2, 3)) if loss.gray_mask else ab
    n, _, height, width = ab.shape
    pixels = n * height * width
    normalizers = torch.empty((2, pixels), dtype=torch.float32, device=logits.device)
    sums = torch.empty(-(-pixels // _tile(logits)["PIXELS"]), dtype=torch.float32, device=logits.device)
    _launch(_cross_entropy, logits, ab, strongest, loss, normalizers, sums)
    return sums.sum(), logits, ab, strongest, normalizers


def cross_entropy_gradient(
    logits: Tensor, ab: Tensor, strongest: Tensor, normalizers: Tensor, loss: ClassificationLoss, of_loss: Tensor
) -> Tensor:
    """The gradient of `cross_entropy`, from what it returned, times the scalar of_loss; of the type of the logits."""
    gradient = torch.empty_like(logits)
    _launch(_gradient, logits, ab, strongest, loss, normalizers, of_loss, gradient)
    return gradient


def _tile(logits: Tensor) -> dict[str, int]:
    return _CONTIGUOUS if logits.is_contiguous() else _CHANNELS_LAST


@cache
def _constants(contiguous: bool, neighbors: int, device: torch.device, **switches: bool) -> dict[str, Any]:
    """What a kernel is compiled for."""
    return {**(_CONTIGUOUS if contiguous else _CHANNELS_LAST), **rows(neighbors, device), **switches}


def _launch(
    kernel: triton.JITFunction, logits: Tensor, ab: Tensor, strongest: Tensor, loss: ClassificationLoss, *more: Tensor
) -> None:
    n, _, height, width = ab.shape
    pixels, device, weights = height * width, ab.device, loss.class_weights
    total = n * pixels
    rarity = ab if weights is None else weights.to(device)
    constants = _constants(
        logits.is_contiguous(), loss.neighbors, device, GRAY_MASK=loss.gray_mask, REBALANCED=weights is not None
    )
    with torch.cuda.device_of(logits):
        kernel[(-(-total // constants["PIXELS"]),)](
            logits, ab, *tables(loss.neighbors, device), strongest, rarity, *more,
            pixels, total, ab.stride(0), -0.5 / loss.sigma**2, COLORED_AB, **constants,
        )  # fmt: skip


@triton.jit
def _cross_entropy(
    logits, ab, bins, candidates, strongest, rarity, normalizers, sums, pixels, total, ab_stride, by_squared, colored,
    GRAY_MASK: tl.constexpr, REBALANCED: tl.constexpr, K: tl.constexpr, SLOTS: tl.constexpr, ROWS: tl.constexpr,
    PADDED: tl.constexpr, BINS_LAST: tl.constexpr, PIXELS: tl.constexpr, PART: tl.constexpr,
):  # fmt: skip
    """The loss of some pixels; the largest logit and the sum of exp(logit - largest) are found as one goes along."""
    pixel = tl.program_id(0).to(tl.int64) * PIXELS + tl.arange(0, PIXELS)
    inside = pixel < total
    nearest, shares = _target(
        ab, bins, candidates, strongest, rarity, pixel, inside, pixels, total, ab_stride, by_squared, colored,
        GRAY_MASK, REBALANCED, PIXELS, K, SLOTS, ROWS, PADDED,
    )  # fmt: skip
    at = logits + _first_bin(pixel, pixels, BINS_LAST)
    bin_stride = 1 if BINS_LAST else pixels
    largest = tl.full((PIXELS,), _LOWEST, dtype=tl.float32)
    sum_ = tl.zeros((PIXELS,), dtype=tl.float32)
    for first in range(0, _BINS, PART):
        bin_ = first + tl.arange(0, PART)[:, None]
        z = tl.load(at + bin_.to(tl.int64) * bin_stride, mask=(bin_ < _BINS) & inside[None, :], other=0.0)
        z = tl.where(bin_ < _BINS, z.to(tl.float32), float("-inf"))
        before, largest = largest, tl.maximum(largest, tl.max(z, axis=0))
        sum_ = sum_ * tl.exp(before - largest) + tl.sum(tl.exp(z - largest[None, :]), axis=0)
    tl.store(normalizers + pixel, largest, mask=inside)
    tl.store(normalizers + total + pixel, sum_, mask=inside)
    counts = (tl.arange(0, ROWS)[:, None] < K) & inside[None, :]
    chosen = tl.load(at + nearest * bin_stride, mask=counts, other=0.0).to(tl.float32)
    # The logits meet as differences, which stay exact however large they are.
    missed = tl.where(counts, shares * ((largest[None, :] - chosen) + tl.log(sum_)[None, :]), 0.0)
    tl.store(sums + tl.program_id(0), tl.sum(tl.sum(missed, axis=0), axis=0))


@triton.jit
def _gradient(
    logits, ab, bins, candidates, strongest, rarity, normalizers, of_loss, gradient, pixels, total, ab_stride,
    by_squared, colored, GRAY_MASK: tl.constexpr, REBALANCED: tl.constexpr, K: tl.constexpr, SLOTS: tl.constexpr,
    ROWS: tl.constexpr, PADDED: tl.constexpr, BINS_LAST: tl.constexpr, PIXELS: tl.constexpr, PART: tl.constexpr,
):  # fmt: skip
    """softmax(logits) * sum(shares) - shares, the latter only at the bins of the target."""
    pixel = tl.program_id(0).to(tl.int64) * PIXELS + tl.arange(0, PIXELS)
    inside = pixel < total
    nearest, shares = _target(
        ab, bins, candidates, strongest, rarity, pixel, inside, pixels, total, ab_stride, by_squared, colored,
        GRAY_MASK, REBALANCED, PIXELS, K, SLOTS, ROWS, PADDED,
    )  # fmt: skip
    shares *= tl.load(of_loss).to(tl.float32)
    largest = tl.load(normalizers + pixel, mask=inside, other=0.0)[None, :]
    scale = (tl.sum(shares, axis=0) / tl.load(normalizers + total + pixel, mask=inside, other=1.0))[None, :]
    place = _first_bin(pixel, pixels, BINS_LAST)
    bin_stride = 1 if BINS_LAST else pixels
    for first in range(0, _BINS, PART):
        bin_ = first + tl.arange(0, PART)[:, None]
        at = place + bin_.to(tl.int64) * bin_stride
        exists = (bin_ < _BINS) & inside[None, :]
        z = tl.load(logits + at, mask=exists, other=0.0).to(tl.float32)
        tl.store(gradient + at, (tl.exp(z - largest) * scale).to(gradient.dtype.element_ty), mask=exists)
    at = place + nearest * bin_stride
    counts = (tl.arange(0, ROWS)[:, None] < K) & inside[None, :]
    chosen = tl.load(logits + at, mask=counts, other=0.0).to(tl.float32)
    tl.debug_barrier()  # what follows is written over it
    slope = tl.exp(chosen - largest) * scale - shares
    tl.store(gradient + at, slope.to(gradient.dtype.element_ty), mask=counts)


@triton.jit
def _target(
    ab, bins, candidates, strongest, rarity, pixel, inside, pixels, total, ab_stride, by_squared, colored,
    GRAY_MASK: tl.constexpr, REBALANCED: tl.constexpr, PIXELS: tl.constexpr,
    K: tl.constexpr, SLOTS: tl.constexpr, ROWS: tl.constexpr, PADDED: tl.constexpr,
):  # fmt: skip
    """The soft target with each pixel's weight in it: bins (ROWS,PIXELS), nearest first, and v z / P of the loss; 0 in
    rows that hold nothing."""
    image, offset = pixel // pixels, pixel % pixels
    at = ab + image * ab_stride + offset
    nearest, shares = soft_target(at, at + pixels, inside, bins, candidates, by_squared, PIXELS, K, SLOTS, ROWS, PADDED)
    weight = tl.where(inside, 1.0, 0.0) / total
    if REBALANCED:
        row = tl.arange(0, ROWS)[:, None]
        weight *= tl.load(rarity + tl.sum(tl.where(row == 0, nearest, 0), axis=0))
    if GRAY_MASK:
        weight *= tl.where(tl.load(strongest + image, mask=inside, other=0.0).to(tl.float32) > colored, 1.0, 0.0)
    return nearest, shares * weight[None, :]


@triton.jit
def _first_bin(pixel, pixels, BINS_LAST: tl.constexpr):
    """Where the first bin of each pixel lies, (1,PIXELS)."""
    place = pixel * _BINS if BINS_LAST else pixel // pixels * _BINS * pixels + pixel % pixels
    return place[None, :]
