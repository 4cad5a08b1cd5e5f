"""The classification loss in one kernel, its gradient in another. Soft targets are computed in them, never stored."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from study.color.bins import BINS
from study.color.triton.bins import rows, soft_target, tables
from study.color.triton.launch import Kernel, counters, is_last, kernel
from study.losses.classification import (
    COLORED_AB,
    ClassificationLoss,
    gradient_by_definition,
    left_to_definition,
)

_BINS = tl.constexpr(BINS)
_LOWEST = tl.constexpr(torch.finfo(torch.float32).min)  # not -inf: -inf minus -inf is NaN
_PIXELS = 32  # of one image, per program
_PART = 64  # bins at a time
_BLOCK = tl.constexpr(1024)  # other numbers at a time


class CrossEntropy(torch.autograd.Function):
    """The classification loss. A kernel computes its gradient, the definition gradients of gradients."""

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
    """The classification loss, a scalar, and what its gradient needs.

    That is the logits, the colours, and for every pixel the largest logit and the sum of exp(logit - largest),
    (2,pixels). logits: (N,313,h,w), copied if they are neither contiguous nor channels_last. ab: (N,2,h,w). Both lie on
    a card and are narrower than float64.
    """
    if not (logits.is_contiguous() or logits.is_contiguous(memory_format=torch.channels_last)):
        logits = logits.contiguous()
    if not ab[0].is_contiguous():
        ab = ab.contiguous()
    pixels = ab[:, 0].numel()
    normalizers = torch.empty((2, pixels), dtype=torch.float32, device=logits.device)
    value = torch.empty((), dtype=torch.float32, device=logits.device)
    sums = torch.empty(_programs(ab), dtype=torch.float32, device=logits.device)
    _start(_cross_entropy, logits, ab, loss, normalizers, sums, value, counters(1, logits.device))
    return value, logits, ab, normalizers


def cross_entropy_gradient(
    logits: Tensor, ab: Tensor, normalizers: Tensor, loss: ClassificationLoss, of_loss: Tensor
) -> Tensor:
    """The gradient of `cross_entropy` times the scalar of_loss, from what that returned, in the type of the logits."""
    gradient = torch.empty_like(logits)
    _start(_gradient, logits, ab, loss, normalizers, of_loss, gradient)
    return gradient


def _programs(ab: Tensor) -> int:
    n, _, height, width = ab.shape
    return n * -(-height * width // _PIXELS)


def _start(start: Kernel, logits: Tensor, ab: Tensor, loss: ClassificationLoss, *more: Tensor) -> None:
    n, _, height, width = ab.shape
    pixels, device, weights = height * width, ab.device, loss.class_weights
    rarity = ab if weights is None else weights.to(device)
    start(
        _programs(ab),
        (logits, ab, *tables(loss.neighbors, device), rarity, *more),
        (pixels, n, ab.stride(0), 1 / (n * pixels), -0.5 / loss.sigma**2, COLORED_AB),
        (
            loss.gray_mask, weights is not None, not logits.is_contiguous(), _PIXELS, _PART,
            *rows(loss.neighbors, device),
        ),
    )  # fmt: skip


@kernel(warps=8)
def _cross_entropy(
    logits, ab, bins, candidates, rarity, normalizers, sums, value, done,
    pixels, images, ab_stride, by_pixel, by_squared, colored,
    GRAY_MASK: tl.constexpr, REBALANCED: tl.constexpr, BINS_LAST: tl.constexpr, PIXELS: tl.constexpr,
    PART: tl.constexpr, K: tl.constexpr, SLOTS: tl.constexpr, ROWS: tl.constexpr, PADDED: tl.constexpr,
):  # fmt: skip
    """The loss of some pixels; the last program to finish sums it up.

    The largest logit of every pixel and the sum of exp(logit - largest) are updated from one PART of the bins to the
    next, first for each row of a part.
    """
    image, offset, inside = _pixels_of_program(tl.program_id(0), pixels, PIXELS)
    nearest, shares = _target(
        ab + image * ab_stride, offset, inside, bins, candidates, rarity, pixels, by_pixel, by_squared, colored,
        GRAY_MASK, REBALANCED, PIXELS, K, SLOTS, ROWS, PADDED,
    )  # fmt: skip
    at = logits + _first_bin(image, offset, pixels, BINS_LAST)
    bin_stride = 1 if BINS_LAST else pixels
    largest_of_row = tl.full((PART, PIXELS), _LOWEST, dtype=tl.float32)
    sum_of_row = tl.zeros((PART, PIXELS), dtype=tl.float32)
    for first in range(0, _BINS, PART):
        bin_ = first + tl.arange(0, PART)[:, None]
        z = tl.load(at + bin_.to(tl.int64) * bin_stride, mask=(bin_ < _BINS) & inside[None, :], other=0.0)
        z = tl.where(bin_ < _BINS, z.to(tl.float32), float("-inf"))
        before, largest_of_row = largest_of_row, tl.maximum(largest_of_row, z)
        sum_of_row = sum_of_row * tl.exp(before - largest_of_row) + tl.exp(z - largest_of_row)
    largest = tl.max(largest_of_row, axis=0)
    sum_ = tl.sum(sum_of_row * tl.exp(largest_of_row - largest[None, :]), axis=0)
    pixel = image * pixels + offset
    tl.store(normalizers + pixel, largest, mask=inside)
    tl.store(normalizers + images.to(tl.int64) * pixels + pixel, sum_, mask=inside)
    counts = (tl.arange(0, ROWS)[:, None] < K) & inside[None, :]
    chosen = tl.load(at + nearest * bin_stride, mask=counts, other=0.0).to(tl.float32)
    # Logits enter as differences: those stay exact however large the logits are.
    missed = tl.where(counts, shares * ((largest[None, :] - chosen) + tl.log(sum_)[None, :]), 0.0)
    tl.store(sums + tl.program_id(0), tl.sum(tl.sum(missed, axis=0), axis=0))
    programs = tl.num_programs(0)
    if is_last(done, programs):
        total = 0.0
        for start in range(0, programs, _BLOCK):
            each = start + tl.arange(0, _BLOCK)
            total += tl.sum(tl.load(sums + each, mask=each < programs, other=0.0, cache_modifier=".cg"))
        tl.store(value, total)


@kernel(warps=8)
def _gradient(
    logits, ab, bins, candidates, rarity, normalizers, of_loss, gradient,
    pixels, images, ab_stride, by_pixel, by_squared, colored,
    GRAY_MASK: tl.constexpr, REBALANCED: tl.constexpr, BINS_LAST: tl.constexpr, PIXELS: tl.constexpr,
    PART: tl.constexpr, K: tl.constexpr, SLOTS: tl.constexpr, ROWS: tl.constexpr, PADDED: tl.constexpr,
):  # fmt: skip
    """softmax(logits) * sum(shares) - shares, where shares are 0 but at the bins of the target."""
    # Last pixels first: their logits may still be in the card's cache.
    image, offset, inside = _pixels_of_program(tl.num_programs(0) - 1 - tl.program_id(0), pixels, PIXELS)
    nearest, shares = _target(
        ab + image * ab_stride, offset, inside, bins, candidates, rarity, pixels, by_pixel, by_squared, colored,
        GRAY_MASK, REBALANCED, PIXELS, K, SLOTS, ROWS, PADDED,
    )  # fmt: skip
    shares *= tl.load(of_loss).to(tl.float32)
    pixel = image * pixels + offset
    largest = tl.load(normalizers + pixel, mask=inside, other=0.0)[None, :]
    sum_ = tl.load(normalizers + images.to(tl.int64) * pixels + pixel, mask=inside, other=1.0)
    scale = (tl.sum(shares, axis=0) / sum_)[None, :]
    place = _first_bin(image, offset, pixels, BINS_LAST)
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
    tl.debug_barrier()  # the stores below overwrite what was just read
    slope = tl.exp(chosen - largest) * scale - shares
    tl.store(gradient + at, slope.to(gradient.dtype.element_ty), mask=counts)


@triton.jit
def _pixels_of_program(program, pixels, PIXELS: tl.constexpr):
    """The image, places in it, and which of them exist. All lie in one image, so they are side by side in memory."""
    tiles = tl.cdiv(pixels, PIXELS)
    offset = program % tiles * PIXELS + tl.arange(0, PIXELS)
    return (program // tiles).to(tl.int64), offset, offset < pixels


@triton.jit
def _target(
    ab, offset, inside, bins, candidates, rarity, pixels, by_pixel, by_squared, colored,
    GRAY_MASK: tl.constexpr, REBALANCED: tl.constexpr, PIXELS: tl.constexpr,
    K: tl.constexpr, SLOTS: tl.constexpr, ROWS: tl.constexpr, PADDED: tl.constexpr,
):  # fmt: skip
    """The soft target times each pixel's weight: bins (ROWS,PIXELS), nearest first, and v z / P of the loss.

    Rows from K on hold nothing: their values are 0. ab: that of the image.
    """
    at = ab + offset
    nearest, shares = soft_target(at, at + pixels, inside, bins, candidates, by_squared, PIXELS, K, SLOTS, ROWS, PADDED)
    weight = tl.where(inside, by_pixel, 0.0)
    if REBALANCED:
        row = tl.arange(0, ROWS)[:, None]
        weight *= tl.load(rarity + tl.sum(tl.where(row == 0, nearest, 0), axis=0))
    if GRAY_MASK:  # most images show a colour among their first pixels
        strongest = 0.0
        start = 0
        while (start < 2 * pixels) & (strongest <= colored):
            each = start + tl.arange(0, _BLOCK)
            values = tl.load(ab + each, mask=each < 2 * pixels, other=0.0).to(tl.float32)
            strongest = tl.max(tl.abs(values))
            start += _BLOCK
        weight *= tl.where(strongest > colored, 1.0, 0.0)
    return nearest, shares * weight[None, :]


@triton.jit
def _first_bin(image, offset, pixels, BINS_LAST: tl.constexpr):
    """Where the first bin of each pixel lies in memory, (1,PIXELS)."""
    place = (image * pixels + offset) * _BINS if BINS_LAST else image * _BINS * pixels + offset
    return place[None, :]
