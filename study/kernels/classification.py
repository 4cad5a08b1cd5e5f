"""The classification loss and its gradient, one kernel each: a target is found where it is used, and never laid out."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from study.bins import BINS
from study.kernels.bins import rows, soft_target, tables
from study.losses.classification import COLORED_AB, ClassificationLoss

_PIXELS = 16  # per program: 16 floats side by side are read at once
_WARPS = 8
_BINS = tl.constexpr(BINS)
_ALL = tl.constexpr(triton.next_power_of_2(BINS))


def cross_entropy(logits: Tensor, ab: Tensor, loss: ClassificationLoss) -> tuple[Tensor, Tensor, Tensor]:
    """The classification loss, a scalar, and what its gradient needs: the log of the sum of exp(logits) of every
    pixel, and the largest |a| or |b| of every image.

    logits: (N,313,h,w), however it lies in memory; ab: (N,2,h,w); both on a card and narrower than float64.
    """
    n, _, height, width = logits.shape
    total = n * height * width
    log_sums = torch.empty(total, dtype=torch.float32, device=logits.device)
    sums = torch.empty(triton.cdiv(total, _PIXELS), dtype=torch.float32, device=logits.device)
    strongest = torch.linalg.vector_norm(ab, torch.inf, dim=(1, 2, 3)) if loss.gray_mask else ab
    _launch(_cross_entropy, logits, ab, log_sums, strongest, loss, sums)
    return sums.sum(), log_sums, strongest


def cross_entropy_gradient(
    logits: Tensor, ab: Tensor, log_sums: Tensor, strongest: Tensor, loss: ClassificationLoss, of_loss: Tensor
) -> Tensor:
    """The gradient of `cross_entropy` times the scalar of_loss, laid out like the logits and of their type."""
    gradient = torch.empty_like(logits)
    _launch(_gradient, logits, ab, log_sums, strongest, loss, of_loss.to(torch.float32), gradient)
    return gradient


def _launch(
    kernel: triton.JITFunction,
    logits: Tensor,
    ab: Tensor,
    log_sums: Tensor,
    strongest: Tensor,
    loss: ClassificationLoss,
    *more: Tensor,
) -> None:
    if not ab[0].is_contiguous():
        ab = ab.contiguous()
    n, _, height, width = logits.shape
    total = n * height * width
    rarity = ab if loss.class_weights is None else loss.class_weights
    with torch.cuda.device_of(logits):
        kernel[(triton.cdiv(total, _PIXELS),)](
            logits, ab, *tables(loss.neighbors, ab.device), strongest, rarity, log_sums, *more,
            height * width, width, total, ab.stride(0), *logits.stride(), -0.5 / loss.sigma**2, COLORED_AB,
            GRAY_MASK=loss.gray_mask, REBALANCED=loss.class_weights is not None, PIXELS=_PIXELS,
            **rows(loss.neighbors, ab.device), num_warps=_WARPS,
        )  # fmt: skip


@triton.jit
def _weighted_target(
    ab, bins, candidates, strongest, rarity, pixel, inside, pixels, total, ab_stride, by_squared, colored,
    GRAY_MASK: tl.constexpr, REBALANCED: tl.constexpr, PIXELS: tl.constexpr,
    K: tl.constexpr, SLOTS: tl.constexpr, ROWS: tl.constexpr, PADDED: tl.constexpr,
):  # fmt: skip
    """The soft target with each pixel's weight in it: v z / P of the classification loss."""
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
def _cross_entropy(
    logits, ab, bins, candidates, strongest, rarity, log_sums, sums, pixels, width, total, ab_stride,
    image_stride, bin_stride, row_stride, column_stride, by_squared, colored,
    GRAY_MASK: tl.constexpr, REBALANCED: tl.constexpr, PIXELS: tl.constexpr,
    K: tl.constexpr, SLOTS: tl.constexpr, ROWS: tl.constexpr, PADDED: tl.constexpr,
):  # fmt: skip
    pixel = tl.program_id(0).to(tl.int64) * PIXELS + tl.arange(0, PIXELS)
    inside = pixel < total
    nearest, shares = _weighted_target(
        ab, bins, candidates, strongest, rarity, pixel, inside, pixels, total, ab_stride, by_squared, colored,
        GRAY_MASK, REBALANCED, PIXELS, K, SLOTS, ROWS, PADDED,
    )  # fmt: skip
    place = _place(pixel, pixels, width, image_stride, row_stride, column_stride)
    bin_ = tl.arange(0, _ALL)[:, None]
    exists = (bin_ < _BINS) & inside[None, :]
    z = tl.load(logits + place[None, :] + bin_.to(tl.int64) * bin_stride, mask=exists, other=0.0).to(tl.float32)
    z = tl.where(bin_ < _BINS, z, float("-inf"))
    largest = tl.max(z, axis=0)
    log_sum = largest + tl.log(tl.sum(tl.exp(z - largest[None, :]), axis=0))
    tl.store(log_sums + pixel, log_sum, mask=inside)
    counts = (tl.arange(0, ROWS)[:, None] < K) & inside[None, :]
    chosen = tl.load(logits + place[None, :] + nearest * bin_stride, mask=counts, other=0.0).to(tl.float32)
    missed = tl.where(counts, shares * (log_sum[None, :] - chosen), 0.0)
    tl.store(sums + tl.program_id(0), tl.sum(tl.sum(missed, axis=0), axis=0))


@triton.jit
def _gradient(
    logits, ab, bins, candidates, strongest, rarity, log_sums, of_loss, gradient, pixels, width, total, ab_stride,
    image_stride, bin_stride, row_stride, column_stride, by_squared, colored,
    GRAY_MASK: tl.constexpr, REBALANCED: tl.constexpr, PIXELS: tl.constexpr,
    K: tl.constexpr, SLOTS: tl.constexpr, ROWS: tl.constexpr, PADDED: tl.constexpr,
):  # fmt: skip
    """softmax(logits) * sum(shares) - shares, the latter only at the bins of the target."""
    pixel = tl.program_id(0).to(tl.int64) * PIXELS + tl.arange(0, PIXELS)
    inside = pixel < total
    nearest, shares = _weighted_target(
        ab, bins, candidates, strongest, rarity, pixel, inside, pixels, total, ab_stride, by_squared, colored,
        GRAY_MASK, REBALANCED, PIXELS, K, SLOTS, ROWS, PADDED,
    )  # fmt: skip
    shares *= tl.load(of_loss)
    place = _place(pixel, pixels, width, image_stride, row_stride, column_stride)
    bin_ = tl.arange(0, _ALL)[:, None]
    exists = (bin_ < _BINS) & inside[None, :]
    at = place[None, :] + bin_.to(tl.int64) * bin_stride
    z = tl.load(logits + at, mask=exists, other=0.0).to(tl.float32)
    log_sum = tl.load(log_sums + pixel, mask=inside, other=0.0)
    slope = tl.exp(z - log_sum[None, :]) * tl.sum(shares, axis=0)[None, :]
    row = tl.arange(0, ROWS)[:, None]
    for rank in tl.static_range(K):
        index = tl.sum(tl.where(row == rank, nearest, 0), axis=0)
        share = tl.sum(tl.where(row == rank, shares, 0.0), axis=0)
        slope -= tl.where(bin_ == index[None, :], share[None, :], 0.0)
    tl.store(gradient + at, slope.to(gradient.dtype.element_ty), mask=exists)


@triton.jit
def _place(pixel, pixels, width, image_stride, row_stride, column_stride):
    """Where the first bin of each pixel lies."""
    offset = pixel % pixels
    return pixel // pixels * image_stride + offset // width * row_stride + offset % width * column_stride
