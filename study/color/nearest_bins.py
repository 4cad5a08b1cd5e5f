"""The nearest of the 313 bins, exactly and fast: each colour is compared with the few bins that can be near it.

The ab plane is cut into square cells. A table lists the bins that can be among the nearest of a point in each cell.
Squared distances are compared in float64, or in float32 on devices without float64.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from study.color.bin_table import AB_BINS
from study.color.dispatch import has_float64

# Side of the cells, and how far they reach in a and b. Their edges lie on the bisectors of the grid of bins: that
# keeps the lists short.
CELL, REACH = 5.0, 130.0
CELLS_ACROSS = int(2 * REACH / CELL)
LOOKUP_NEIGHBORS = 16  # with more, the lists are too long for a kernel, and a plain search is as fast


def nearest_bins(ab: Tensor, neighbors: int) -> Tensor:
    """Indices of the nearest bins, nearest first: ab (2,n) to (K,n) int16. Anything where a or b is NaN.

    In float32 two bins may change places if their squared distances are equal to within rounding.
    """
    ab = ab.double() if has_float64(ab.device) else ab.float()
    if neighbors > LOOKUP_NEIGHBORS:
        return _search(ab, neighbors)
    if ab.abs().amax() < REACH:
        return _look_up(ab, neighbors)
    inside = (ab.abs() < REACH).all(0)  # False for NaN
    outside = inside.logical_not().nonzero().flatten()
    indices = _look_up(ab.where(inside, 0.0), neighbors)
    indices[:, outside] = _search(ab[:, outside], neighbors)
    return indices


class Candidates(NamedTuple):
    """For every cell (column), the bins that can be among the nearest of one of its points."""

    a: Tensor  # (C, cells)
    b: Tensor  # (C, cells)
    index: Tensor  # (C, cells) int16
    length: Tensor  # (cells,) int64: how many of the C are needed


@lru_cache(maxsize=16)
def candidates(neighbors: int, device: torch.device, dtype: torch.dtype = torch.float64) -> Candidates:
    """The table for `neighbors` neighbours; a and b are of type `dtype`.

    A cell's list leaves a bin out if K other bins are nearer, or as near, everywhere in the cell. The squared
    distances of two bins differ by a linear function of the point. Its maximum over a square cell is its value at the
    centre plus half a side times the sum of the sizes of its slopes. All of this is exact in floats.
    """
    bins = AB_BINS.numpy().astype(np.float64)
    centers = np.arange(CELLS_ACROSS) * CELL + CELL / 2 - REACH
    lists = []
    for center in np.stack(np.meshgrid(centers, centers, indexing="ij"), axis=-1):  # (cells, 2)
        distance = ((center[:, None] - bins) ** 2).sum(-1)
        # A bin among the K nearest of a point is no further from the centre than the centre's K-th nearest, plus
        # twice the cell's radius. Only those need comparing.
        kth = np.sqrt(np.partition(distance, neighbors - 1, axis=1)[:, neighbors - 1])
        near = np.sqrt(distance) <= kth[:, None] + CELL * 2**0.5 + 1e-6
        # Stable, so that bins equally near to a colour come in the same order on every processor.
        order = np.argsort(distance, axis=1, kind="stable")[:, : near.sum(1).max()]
        some, some_distance = bins[order], np.take_along_axis(distance, order, 1)
        slopes = 2 * np.abs(some[:, None] - some[:, :, None]).sum(-1)  # [cell, i, j]
        nearer = some_distance[:, None] - some_distance[:, :, None] + slopes * (CELL / 2) <= 0
        nearer[:, np.arange(order.shape[1]), np.arange(order.shape[1])] = False
        lists.append((order, nearer.sum(-1) >= neighbors))
    length = np.concatenate([(~left_out).sum(1) for _, left_out in lists])
    # Shorter lists are filled up with bins that were left out. That is harmless: they are never among the nearest.
    kept_first = [(order, np.argsort(left_out, axis=1, kind="stable")) for order, left_out in lists]
    index = np.concatenate([np.take_along_axis(order, kept, 1)[:, : length.max()] for order, kept in kept_first]).T
    floats = bins.astype(np.float64 if dtype == torch.float64 else np.float32)
    with torch.inference_mode(False):
        tables = (floats[index, 0], floats[index, 1], index.astype(np.int16), length)
        return Candidates(*(torch.from_numpy(np.ascontiguousarray(table)).to(device) for table in tables))


def _search(ab: Tensor, neighbors: int) -> Tensor:
    """The nearest of all 313 bins."""
    bins = AB_BINS.to(ab)
    distances = _distances if ab.dtype == torch.float64 else _distances_up_to_a_constant
    indices = torch.empty((neighbors, ab.shape[1]), dtype=torch.int16, device=ab.device)
    for start in range(0, ab.shape[1], 512):
        part = slice(start, start + 512)
        indices[:, part] = distances(bins, ab[:, part]).topk(neighbors, dim=0, largest=False)[1]
    return indices


def _distances(bins: Tensor, ab: Tensor) -> Tensor:
    """Squared distances (313,n)."""
    return (bins[:, :1] - ab[0]).square_() + (bins[:, 1:] - ab[1]).square_()


def _distances_up_to_a_constant(bins: Tensor, ab: Tensor) -> Tensor:
    """Squared distances (313,n), less what is the same for all bins: else float32 would round their differences away.

    With p the colour and r the nearest point within reach, |q - p|^2 = |q - r|^2 + 2 (q - r)(r - p) + |r - p|^2.
    """
    within = ab.clamp(-REACH, REACH)
    terms = ((bins[:, axis, None] - within[axis], within[axis] - ab[axis]) for axis in (0, 1))
    a, b = (apart.square() + 2 * apart * beyond for apart, beyond in terms)
    return a + b


def _look_up(ab: Tensor, neighbors: int) -> Tensor:
    """The nearest among the candidates of each pixel's cell."""
    table = candidates(neighbors, ab.device, ab.dtype)
    cell = (ab / CELL).floor_().int().add_(CELLS_ACROSS // 2)
    cell = torch.add(cell[1], cell[0], alpha=CELLS_ACROSS)
    slots = int(table.length.index_select(0, cell).max())
    double = ab.dtype == torch.float64
    # The bits of a positive double order like an integer. The slot goes into the lowest bits of the distance (a
    # relative change below 1e-14). So minimum and maximum alone sort distance and slot together.
    low = (1 << (slots - 1).bit_length()) - 1
    planes = ab.new_empty((slots, len(cell)))
    other = torch.empty_like(planes[0])
    for slot, squared in enumerate(planes):
        torch.index_select(table.a[slot], 0, cell, out=squared).sub_(ab[0]).square_()
        squared += torch.index_select(table.b[slot], 0, cell, out=other).sub_(ab[1]).square_()
        if double:
            squared.view(torch.int64).bitwise_and_(~low).bitwise_or_(slot)
    if double:
        best = _smallest(planes.view(torch.int64), other.view(torch.int64), neighbors).bitwise_and_(low)
    else:
        best = planes.topk(neighbors, dim=0, largest=False)[1]
    flat = torch.add(cell, best, alpha=CELLS_ACROSS**2)
    return table.index.view(-1).index_select(0, flat.view(-1)).view(best.shape)


def _smallest(planes: Tensor, spare: Tensor, wanted: int) -> Tensor:
    """The smallest keys, smallest first: (C,n) to (K,n). Overwrites its inputs."""
    keys = list(planes)
    for i, j, lower, upper in sorting_network(len(keys), wanted):
        if lower:
            torch.minimum(keys[i], keys[j], out=spare)
        if upper:
            torch.maximum(keys[i], keys[j], out=keys[j])
        if lower:
            keys[i], spare = spare, keys[i]
    return torch.stack(keys[:wanted])


@lru_cache
def sorting_network(count: int, wanted: int) -> list[tuple[int, int, bool, bool]]:
    """Batcher's odd-even merge sort (1968) of `count` values, without what the `wanted` smallest do not need.

    Steps (i, j, lower, upper): the smaller of values i and j goes to i, the larger to j; whether i and j are needed.
    """
    steps = []
    for merged in (2**k for k in range((count - 1).bit_length())):
        apart = merged
        while apart:
            for first in range(apart % merged, count - apart, 2 * apart):
                for i in range(first, first + min(apart, count - first - apart)):
                    if i // (2 * merged) == (i + apart) // (2 * merged):
                        steps.append((i, i + apart))
            apart //= 2
    needed, kept = set(range(wanted)), []
    for i, j in reversed(steps):
        if needed & {i, j}:
            kept.append((i, j, i in needed, j in needed))
            needed |= {i, j}
    return kept[::-1]
