"""Soft encoding over the 313 bins in one kernel.

As in `study.color.nearest_bins`, each pixel is compared in float64 with the few bins that can be among its nearest.
"""

from __future__ import annotations

from functools import cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from study.color.bin_table import AB_BINS, BINS
from study.color.nearest_bins import CELL, CELLS_ACROSS, REACH, candidates
from study.color.triton.launch import kernel

_PIXELS = 128  # per program
_CELL, _REACH = tl.constexpr(CELL), tl.constexpr(REACH)
_ACROSS = tl.constexpr(CELLS_ACROSS)
_CELLS = tl.constexpr(CELLS_ACROSS**2)
_BINS = tl.constexpr(BINS)
_CHUNK = tl.constexpr(32)  # bins at a time where all are searched
_LOWEST_BITS = tl.constexpr(511)
_REST = tl.constexpr(0x7FFFFFFFFFFFFFFF & ~511)  # without the sign: a NaN may have one
_NONE = tl.constexpr(0x7FFFFFFFFFFFFFFF)


def soft_encode(ab: Tensor, neighbors: int, sigma: float) -> tuple[Tensor, Tensor]:
    """`study.color.bins.soft_encode` of ab (N,2,H,W) on a card, for up to LOOKUP_NEIGHBORS neighbours."""
    ab = ab.contiguous()
    n, _, height, width = ab.shape
    indices = torch.empty((n, neighbors, height, width), dtype=torch.int64, device=ab.device)
    weights = torch.empty((n, neighbors, height, width), dtype=torch.float32, device=ab.device)
    pixels = height * width
    _soft_encode(
        -(-n * pixels // _PIXELS),
        (ab, *tables(neighbors, ab.device), indices, weights),
        (pixels, n * pixels, -0.5 / sigma**2),
        (_PIXELS, *rows(neighbors, ab.device)),
    )
    return indices, weights


@cache
def tables(neighbors: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """a and b of the bins (2,313) float64, and the candidates of each cell (C,cells) int32."""
    index = candidates(neighbors, device).index
    return AB_BINS.double().t().contiguous().to(device), index.int().contiguous()


@cache
def rows(neighbors: int, device: torch.device) -> tuple[int, int, int, int]:
    """K, SLOTS, ROWS, PADDED: the numbers of neighbours and of candidates, and the powers of two that hold them."""
    slots = len(tables(neighbors, device)[1])
    return neighbors, slots, triton.next_power_of_2(neighbors), triton.next_power_of_2(slots)


@kernel()
def _soft_encode(
    ab, bins, candidates, indices, weights, pixels, total, by_squared,
    PIXELS: tl.constexpr, K: tl.constexpr, SLOTS: tl.constexpr, ROWS: tl.constexpr, PADDED: tl.constexpr,
):  # fmt: skip
    pixel = tl.program_id(0).to(tl.int64) * PIXELS + tl.arange(0, PIXELS)
    inside = pixel < total
    image, offset = pixel // pixels, pixel % pixels
    at = ab + image * 2 * pixels + offset
    nearest, shares = soft_target(at, at + pixels, inside, bins, candidates, by_squared, PIXELS, K, SLOTS, ROWS, PADDED)
    row = tl.arange(0, ROWS)[:, None]
    there = (image * K * pixels + offset)[None, :] + row * pixels
    tl.store(indices + there, nearest, mask=(row < K) & inside[None, :])
    tl.store(weights + there, shares, mask=(row < K) & inside[None, :])


@triton.jit
def soft_target(
    at_a, at_b, inside, bins, candidates, by_squared,
    PIXELS: tl.constexpr, K: tl.constexpr, SLOTS: tl.constexpr, ROWS: tl.constexpr, PADDED: tl.constexpr,
):  # fmt: skip
    """Bins (ROWS,PIXELS) int64, nearest first, and their shares. Rows from K on hold nothing.

    The bits of a positive double order like an integer. The bin goes into the lowest bits of the squared distance (a
    relative change below 1e-12). So a minimum alone finds distance and bin together.
    """
    a, b = tl.load(at_a, mask=inside, other=0.0).to(tl.float64), tl.load(at_b, mask=inside, other=0.0).to(tl.float64)
    known = tl.max(tl.maximum(tl.abs(a), tl.abs(b))) < _REACH
    cell = _clamped(tl.floor(a / _CELL).to(tl.int32)) * _ACROSS + _clamped(tl.floor(b / _CELL).to(tl.int32))
    slot = tl.arange(0, PADDED)[:, None]
    candidate = tl.load(candidates + slot * _CELLS + cell[None, :], mask=slot < SLOTS, other=0)
    keys = tl.where(slot < SLOTS, _keys(a, b, candidate, bins), _NONE)
    row = tl.arange(0, ROWS)[:, None]
    nearest = tl.zeros((ROWS, PIXELS), dtype=tl.int64)
    shares = tl.zeros((ROWS, PIXELS), dtype=tl.float32)
    smallest = tl.zeros((PIXELS,), dtype=tl.float64)
    last = tl.zeros((PIXELS,), dtype=tl.int64) - 1
    for rank in tl.static_range(K):
        if known:  # noqa: SIM108 - a conditional expression would compute both
            best = tl.min(tl.where(keys > last[None, :], keys, _NONE), axis=0)
        else:
            best = _next_of_all(a, b, bins, last)
        last = best
        squared = (best & _REST).to(tl.float64, bitcast=True)
        if rank == 0:
            smallest = squared
        share = tl.exp(((squared - smallest) * by_squared).to(tl.float32))
        nearest = tl.where(row == rank, (best & _LOWEST_BITS)[None, :], nearest)
        shares = tl.where(row == rank, share[None, :], shares)
    return nearest, shares / tl.sum(shares, axis=0)[None, :]


@triton.jit
def _clamped(cell):
    """The place of a cell along an axis. Values outside of all cells, and NaN, give any cell."""
    return tl.minimum(tl.maximum(cell + _ACROSS // 2, 0), _ACROSS - 1)


@triton.jit
def _keys(a, b, bin_, bins):
    da, db = tl.load(bins + bin_) - a[None, :], tl.load(bins + _BINS + bin_) - b[None, :]
    return ((da * da + db * db).to(tl.int64, bitcast=True) & _REST) | bin_.to(tl.int64)


@triton.jit
def _next_of_all(a, b, bins, last):
    """The smallest key above `last` among all bins, for colours outside of the cells."""
    best = tl.zeros_like(last) + _NONE
    for start in range(0, _BINS, _CHUNK):
        bin_ = start + tl.arange(0, _CHUNK)[:, None]
        keys = _keys(a, b, tl.minimum(bin_, _BINS - 1), bins)
        best = tl.minimum(best, tl.min(tl.where(keys > last[None, :], keys, _NONE), axis=0))
    return best
