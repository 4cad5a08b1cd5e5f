"""Soft encoding over the 313 bins: every pixel is compared with all of them, in double precision."""

from __future__ import annotations

from functools import cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from study.bins import AB_BINS, BINS

PIXELS = 16  # per program: 16 floats side by side are read at once
WARPS = 8
PADDED = tl.constexpr(512)
_LOWEST_BITS = tl.constexpr(511)
_FAR = 1e9  # Lab units: where there is no bin


def soft_encode(ab: Tensor, neighbors: int, sigma: float) -> tuple[Tensor, Tensor]:
    """`study.bins.soft_encode` of ab (N,2,H,W) on a card; meant for few neighbours, of which each costs the same."""
    ab = ab.contiguous()
    n, _, height, width = ab.shape
    indices = torch.empty((n, neighbors, height, width), dtype=torch.int64, device=ab.device)
    weights = torch.empty((n, neighbors, height, width), dtype=torch.float32, device=ab.device)
    pixels = height * width
    with torch.cuda.device_of(ab):
        _soft_encode[(triton.cdiv(n * pixels, PIXELS),)](
            ab, bin_table(ab.device), indices, weights, pixels, n * pixels, -0.5 / sigma**2,
            K=neighbors, ROWS=triton.next_power_of_2(neighbors), PIXELS=PIXELS, num_warps=WARPS,
        )  # fmt: skip
    return indices, weights


@cache
def bin_table(device: torch.device) -> Tensor:
    """(2,512) float64: a and b of the bins, and far away of those that fill up."""
    table = torch.full((2, PADDED.value), _FAR, dtype=torch.float64)
    table[:, :BINS] = AB_BINS.double().t()
    return table.to(device)


@triton.jit
def _soft_encode(
    ab, bins, indices, weights, pixels, total, by_squared, K: tl.constexpr, ROWS: tl.constexpr, PIXELS: tl.constexpr
):
    pixel = tl.program_id(0).to(tl.int64) * PIXELS + tl.arange(0, PIXELS)
    inside = pixel < total
    image, offset = pixel // pixels, pixel % pixels
    at = ab + image * 2 * pixels + offset
    nearest, shares = soft_target(at, at + pixels, inside, bins, by_squared, K, ROWS, PIXELS)
    row = tl.arange(0, ROWS)[:, None]
    there = (image * K * pixels + offset)[None, :] + row * pixels
    tl.store(indices + there, nearest, mask=(row < K) & inside[None, :])
    tl.store(weights + there, shares, mask=(row < K) & inside[None, :])


@triton.jit
def soft_target(at_a, at_b, inside, bins, by_squared, K: tl.constexpr, ROWS: tl.constexpr, PIXELS: tl.constexpr):
    """Bins (ROWS,PIXELS) int64, nearest first, and their shares; rows from K on hold nothing.

    The bits of a positive double order like an integer. The bin goes into the lowest of them (a relative change of
    the squared distance below 1e-13), so that a minimum alone finds distance and bin together.
    """
    a = tl.load(at_a, mask=inside, other=0.0).to(tl.float64)[None, :]
    b = tl.load(at_b, mask=inside, other=0.0).to(tl.float64)[None, :]
    bin_ = tl.arange(0, PADDED)
    da, db = tl.load(bins + bin_)[:, None] - a, tl.load(bins + PADDED + bin_)[:, None] - b
    keys = (da * da + db * db).to(tl.int64, bitcast=True)
    keys = (keys & ~_LOWEST_BITS) | bin_.to(tl.int64)[:, None]
    row = tl.arange(0, ROWS)[:, None]
    nearest = tl.zeros((ROWS, PIXELS), dtype=tl.int64)
    shares = tl.zeros((ROWS, PIXELS), dtype=tl.float32)
    smallest = tl.zeros((PIXELS,), dtype=tl.float64)
    for rank in tl.static_range(K):
        best = tl.min(keys, axis=0)
        keys = tl.where(keys == best[None, :], 0x7FFFFFFFFFFFFFFF, keys)
        squared = (best & ~_LOWEST_BITS).to(tl.float64, bitcast=True)
        if rank == 0:
            smallest = squared
        share = tl.exp(((squared - smallest) * by_squared).to(tl.float32))
        nearest = tl.where(row == rank, (best & _LOWEST_BITS)[None, :], nearest)
        shares = tl.where(row == rank, share[None, :], shares)
    return nearest, shares / tl.sum(shares, axis=0)[None, :]
