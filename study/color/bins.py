"""The 313 ab bins of Zhang et al. 2016: soft targets, the prior over bins, class weights, and decoding.

R. Zhang, P. Isola, A. Efros, "Colorful Image Colorization", ECCV 2016. All ab values are in raw Lab units.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from study.color.dispatch import find_kernel
from study.color.lab import pieces

# a, lowest b, highest b, on a grid of 10 Lab units. The published table: deriving the bins from the sRGB
# gamut gives other sets (261, 233, 289, 309 ... bins, depending on the rule).
_ROWS = (
    (-90, 50, 90), (-80, 20, 90), (-70, 0, 90), (-60, -20, 90), (-50, -30, 100),
    (-40, -40, 100), (-30, -50, 100), (-20, -50, 100), (-10, -60, 100), (0, -70, 100),
    (10, -80, 90), (20, -80, 90), (30, -90, 90), (40, -100, 90), (50, -100, 80),
    (60, -110, 80), (70, -110, 80), (80, -110, 70), (90, -110, 70), (100, -90, 0),
)  # fmt: skip

AB_BINS: Tensor = torch.tensor(
    [(a, b) for a, low, high in _ROWS for b in range(low, high + 1, 10)], dtype=torch.float32, device="cpu"
)
"""(313,2) the a and b of every bin's centre, ordered by a, then b."""

BINS = len(AB_BINS)

# soft_encode looks candidates up by square cells of this side, over -_REACH.._REACH in a and b. Cell edges on
# the bisectors of the grid keep the lists short.
_CELL, _REACH = 5.0, 130.0
_CELLS_ACROSS = int(2 * _REACH / _CELL)
LOOKUP_NEIGHBORS = 16  # with more, the lists are too long for a kernel, and a plain search is as fast
# Pixels at a time, to look bins up and to weight them. On a CPU the intermediates then fit into the memory that the
# result takes anyway, and into a third of a megabyte beside it.
_CHUNK, _CHUNK_WEIGHTS, _CHUNK_ELSEWHERE = 16_384, 4_096, 524_288
_PRIOR_FLOOR = 1e-8  # one pixel in a hundred million: keeps a smoothed prior, and so 1/p, finite


def soft_encode(ab: Tensor, neighbors: int = 5, sigma: float = 5.0) -> tuple[Tensor, Tensor]:
    """Soft targets over the bins: the nearest bins of every pixel and their Gaussian weights.

    ab: (N,2,H,W). Returns indices (N,K,H,W) int64 into AB_BINS, nearest bin first, and weights (N,K,H,W)
    float32, exp(-d^2 / 2 sigma^2) divided by their sum over the K = neighbors bins. The distance of the
    nearest bin is taken out of the exponent, so a colour far outside the gamut has weights as well. Exact:
    the same as a comparison with all 313 bins in double precision, which the device must have. A target: no
    gradient flows to ab. An empty batch gives empty tensors, an a or b that is not finite NaN weights. Raises
    ValueError for another shape, neighbors outside 1..313, or sigma <= 0.
    """
    _check_ab(ab)
    if not 1 <= neighbors <= BINS:
        raise ValueError(f"neighbors must be in 1..{BINS}, got {neighbors}")
    if not sigma > 0:
        raise ValueError(f"sigma must be positive, got {sigma}")
    return torch.ops.colorization_study.soft_encode(ab.detach(), neighbors, sigma)


def _soft_encode(ab: Tensor, neighbors: int, sigma: float) -> tuple[Tensor, Tensor]:
    if neighbors <= LOOKUP_NEIGHBORS and (kernel := find_kernel("study.color.triton.bins", "soft_encode", ab)):
        return kernel(ab, neighbors, sigma)
    # Bins in 16 bits at first: what the rest of the result will take serves as room to look them up.
    indices = _nearest_bins(ab, neighbors).long()
    weights = torch.empty(indices.shape, dtype=torch.float32, device=ab.device)
    bins = AB_BINS.to(ab.device, torch.float64).t().contiguous()
    for images, rows in _pieces(ab, _CHUNK_WEIGHTS):
        _gaussian(ab[images, :, rows], indices[images, :, rows], bins, sigma, weights[images, :, rows])
    return indices, weights


def _nearest_bins(ab: Tensor, neighbors: int) -> Tensor:
    """Indices of the nearest bins, nearest first: (N,2,H,W) to (N,K,H,W) int16."""
    n, _, height, width = ab.shape
    found = torch.empty((n, neighbors, height, width), dtype=torch.int16, device=ab.device)
    for images, rows in _pieces(ab, _CHUNK):
        piece = ab[images, :, rows]
        nearest = _nearest(piece.transpose(0, 1).reshape(2, -1).double(), neighbors)
        shape = (neighbors, piece.shape[0], piece.shape[2], width)
        found[images, :, rows] = nearest.view(shape).transpose(0, 1)
    return found


def _gaussian(ab: Tensor, indices: Tensor, bins: Tensor, sigma: float, weights: Tensor) -> None:
    """Fills in the weights of the bins (2,313) that `indices` (n,K,h,w) name for the pixels of ab (n,2,h,w), nearest
    bin first."""
    squared, other = (channel.index_select(0, indices.reshape(-1)).view(indices.shape) for channel in bins)
    squared.sub_(ab[:, :1]).square_().add_(other.sub_(ab[:, 1:]).square_())
    further = torch.sub(squared, squared[:, :1], out=other)
    del squared  # half of what is in use here
    scores = further.mul_(-0.5 / sigma**2).float().exp_()
    torch.div(scores, scores.sum(1, keepdim=True), out=weights)


def _pieces(ab: Tensor, size: int) -> Iterator[tuple[slice, slice]]:
    n, _, height, width = ab.shape
    return pieces(n, height, width, size if ab.device.type == "cpu" else _CHUNK_ELSEWHERE)


def _empty_targets(ab: Tensor, neighbors: int, sigma: float) -> tuple[Tensor, Tensor]:
    n, _, height, width = ab.shape
    shape = (n, neighbors, height, width)
    indices = torch.empty(shape, dtype=torch.int64, device=ab.device)
    return indices, torch.empty(shape, dtype=torch.float32, device=ab.device)


# An operator of its own: torch.compile leaves its loops alone, and the caller's graph stays in one piece; torch.vmap
# and fake tensors, which have no values to look at, are served as well. (torch.library.custom_op is shorter, but its
# operators import the compiler at their first call, for seconds, wherever colours are encoded.)
_library = torch.library.Library("colorization_study", "FRAGMENT")
_library.define("soft_encode(Tensor ab, int neighbors, float sigma) -> (Tensor, Tensor)")
_library.impl("soft_encode", _soft_encode, "CompositeExplicitAutograd")
torch.library.register_fake("colorization_study::soft_encode", _empty_targets, lib=_library)


def bin_frequencies(ab: Tensor, neighbors: int = 5, sigma: float = 5.0) -> Tensor:
    """Soft counts of the bins, the sum of every pixel's soft target: (N,2,H,W) to (313,) float64 on the CPU.

    Counts of batches may be added; divided by their sum they are the prior. Raises like `soft_encode`.
    """
    _check_ab(ab)
    counts = torch.zeros(BINS, dtype=torch.float64, device="cpu")
    for images in ab.split(max(1, 65_536 // max(1, ab.shape[2] * ab.shape[3]))):
        indices, weights = soft_encode(images, neighbors, sigma)
        # On the CPU, where the order of the sum, and with it the last bit, is always the same.
        counts += torch.bincount(indices.flatten().cpu(), weights.flatten().cpu().double(), minlength=BINS)
    return counts


def prior_from_ab(ab: Tensor, neighbors: int = 5, sigma: float = 5.0) -> Tensor:
    """Prior over the bins: the frequency of the soft bins of all pixels, not smoothed, summing to 1.

    ab: (N,2,H,W). Returns (313,) float32. For more pictures than fit in memory add up `bin_frequencies`.
    Raises like `soft_encode`, and ValueError without a pixel.
    """
    counts = bin_frequencies(ab, neighbors, sigma)
    if ab.numel() == 0:
        raise ValueError(f"a prior needs at least one pixel, got ab of shape {tuple(ab.shape)}")
    return (counts / counts.sum()).float()


def smooth_prior(prior: Tensor | np.ndarray, sigma: float = 5.0) -> Tensor:
    """The prior smoothed over the bins with a Gaussian of sigma Lab units, summing to 1 and nowhere 0.

    prior: (313,) to (313,) float32, 1e-8 or more everywhere. Raises ValueError for another shape, for values
    that are no distribution, or for sigma <= 0.
    """
    p = check_prior(prior)
    if not sigma > 0:
        raise ValueError(f"sigma must be positive, got {sigma}")
    bins = AB_BINS.double()
    kernel = torch.exp(torch.cdist(bins, bins).square() * (-0.5 / sigma**2))
    smooth = kernel @ p
    smooth = (smooth / smooth.sum()).clamp(min=_PRIOR_FLOOR)
    return (smooth / smooth.sum()).float()


def class_weights(prior: Tensor | np.ndarray, rebalance: float = 0.5) -> Tensor:
    """Rebalancing weights of the bins: 1 / ((1 - rebalance) p + rebalance / 313), scaled to sum(p w) = 1.

    prior: (313,) frequencies summing to 1. rebalance 0 weights by 1/p, 1 gives equal weights. Returns (313,)
    float32. Raises ValueError for another shape, values that are no distribution, rebalance outside 0..1, or
    rebalance 0 with a bin that never occurs.
    """
    p = check_prior(prior)
    if not 0 <= rebalance <= 1:
        raise ValueError(f"rebalance must be in 0..1, got {rebalance}")
    if rebalance == 0 and (p == 0).any():
        raise ValueError("rebalance 0 needs a prior without zeros: smooth_prior gives one")
    weights = 1.0 / ((1.0 - rebalance) * p + rebalance / BINS)
    return (weights / (p * weights).sum()).float()


def annealed_mean(logits: Tensor, temperature: float = 0.38) -> Tensor:
    """Colours of a distribution over the bins: the mean of softmax(log_softmax(logits) / temperature).

    logits: (N,313,H,W). Returns ab (N,2,H,W), float32 (float64 for float64), differentiable. Temperature 1
    gives the mean, a temperature towards 0 the strongest bin. Computed in float32 under autocast too, and
    stable for logits of any size. Raises ValueError for another shape or temperature <= 0. An empty batch
    gives an empty result.
    """
    if logits.ndim != 4 or logits.shape[1] != BINS:
        raise ValueError(f"logits must have shape (N,{BINS},H,W), got {tuple(logits.shape)}")
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    z = logits if logits.dtype == torch.float64 else logits.float()
    n, _, height, width = z.shape
    # log_softmax only shifts the logits, and softmax does not see a shift: subtracting the largest logit does
    # as well, and exp cannot overflow whatever the temperature.
    smallest = 1e-30  # below it a temperature is 0 in float32
    scores = (z - z.detach().amax(1, keepdim=True)).div_(max(temperature, smallest)).exp_()
    # One product gives the sums of a, of b and of the scores.
    moments = torch.cat((AB_BINS, AB_BINS.new_ones(BINS, 1)), dim=1).to(z.device, z.dtype, non_blocking=True)
    with nullcontext() if z.is_meta else torch.autocast(z.device.type, enabled=False):
        sums = torch.matmul(moments.t(), scores.flatten(2))
    return (sums[:, :2] / sums[:, 2:]).view(n, 2, height, width)


class _Candidates(NamedTuple):
    """For every cell (column), the bins that can be among the nearest of one of its points."""

    a: Tensor  # (C, cells) float64
    b: Tensor  # (C, cells) float64
    index: Tensor  # (C, cells) int16
    length: Tensor  # (cells,) int64: how many of the C are needed


@lru_cache(maxsize=16)
def _candidates(neighbors: int, device: torch.device) -> _Candidates:
    """A bin is left out of a cell's list if K other bins are nearer, or as near, everywhere in the cell.

    The squared distances of two bins differ by a linear function of the point, whose maximum over a square
    cell is its value at the centre plus half a side times the sum of the slopes' sizes. All exact in floats.
    """
    bins = AB_BINS.double().numpy()
    centers = np.arange(_CELLS_ACROSS) * _CELL + _CELL / 2 - _REACH
    lists = []
    for center in np.stack(np.meshgrid(centers, centers, indexing="ij"), axis=-1):  # (cells, 2)
        distance = ((center[:, None] - bins) ** 2).sum(-1)
        # A bin among the K nearest of a point is no further from the centre than the centre's K-th nearest,
        # plus twice the cell's radius: only those need comparing.
        kth = np.sqrt(np.partition(distance, neighbors - 1, axis=1)[:, neighbors - 1])
        near = np.sqrt(distance) <= kth[:, None] + _CELL * 2**0.5 + 1e-6
        # Stable, so that bins equally near to a colour come in the same order on every processor.
        order = np.argsort(distance, axis=1, kind="stable")[:, : near.sum(1).max()]
        some, some_distance = bins[order], np.take_along_axis(distance, order, 1)
        slopes = 2 * np.abs(some[:, None] - some[:, :, None]).sum(-1)  # [cell, i, j]
        nearer = some_distance[:, None] - some_distance[:, :, None] + slopes * (_CELL / 2) <= 0
        nearer[:, np.arange(order.shape[1]), np.arange(order.shape[1])] = False
        lists.append((order, nearer.sum(-1) >= neighbors))
    length = np.concatenate([(~left_out).sum(1) for _, left_out in lists])
    # Shorter lists are filled up with bins that were left out: harmless, they are never among the nearest.
    kept_first = [(order, np.argsort(left_out, axis=1, kind="stable")) for order, left_out in lists]
    index = np.concatenate([np.take_along_axis(order, kept, 1)[:, : length.max()] for order, kept in kept_first]).T
    with torch.inference_mode(False):
        tables = (bins[index, 0], bins[index, 1], index.astype(np.int16), length)
        return _Candidates(*(torch.from_numpy(np.ascontiguousarray(table)).to(device) for table in tables))


def _nearest(ab: Tensor, neighbors: int) -> Tensor:
    """Indices (K,n), int16, of the bins nearest to ab (2,n), float64, nearest first."""
    if neighbors > LOOKUP_NEIGHBORS:
        return _search(ab, neighbors)
    if ab.abs().amax() < _REACH:
        return _look_up(ab, neighbors)
    inside = (ab.abs() < _REACH).all(0)  # False for NaN
    outside = inside.logical_not().nonzero().flatten()
    indices = _look_up(ab.where(inside, 0.0), neighbors)
    indices[:, outside] = _search(ab[:, outside], neighbors)
    return indices


def _search(ab: Tensor, neighbors: int) -> Tensor:
    """The nearest of all 313 bins."""
    bins = AB_BINS.to(ab)
    indices = torch.empty((neighbors, ab.shape[1]), dtype=torch.int16, device=ab.device)
    for start in range(0, ab.shape[1], 512):
        part = slice(start, start + 512)
        distance = (bins[:, :1] - ab[0, part]).square_() + (bins[:, 1:] - ab[1, part]).square_()
        indices[:, part] = distance.topk(neighbors, dim=0, largest=False)[1]
    return indices


def _look_up(ab: Tensor, neighbors: int) -> Tensor:
    """The nearest among the candidates of each pixel's cell."""
    candidates = _candidates(neighbors, ab.device)
    cell = (ab / _CELL).floor_().int().add_(_CELLS_ACROSS // 2)
    cell = torch.add(cell[1], cell[0], alpha=_CELLS_ACROSS)
    slots = int(candidates.length.index_select(0, cell).max())
    # The bits of a positive double order like an integer. The slot goes into the lowest bits of the distance
    # (a relative change below 1e-14), so that minimum and maximum alone sort distance and slot together.
    low = (1 << (slots - 1).bit_length()) - 1
    planes = ab.new_empty((slots, len(cell)))
    other = torch.empty_like(planes[0])
    for slot, squared in enumerate(planes):
        torch.index_select(candidates.a[slot], 0, cell, out=squared).sub_(ab[0]).square_()
        squared += torch.index_select(candidates.b[slot], 0, cell, out=other).sub_(ab[1]).square_()
        squared.view(torch.int64).bitwise_and_(~low).bitwise_or_(slot)
    keys, spare = list(planes.view(torch.int64)), other.view(torch.int64)
    for i, j, lower, upper in _sorting_network(slots, neighbors):
        if lower:
            torch.minimum(keys[i], keys[j], out=spare)
        if upper:
            torch.maximum(keys[i], keys[j], out=keys[j])
        if lower:
            keys[i], spare = spare, keys[i]
    best = torch.stack(keys[:neighbors]).bitwise_and_(low)
    flat = torch.add(cell, best, alpha=_CELLS_ACROSS**2)
    return candidates.index.view(-1).index_select(0, flat.view(-1)).view(best.shape)


@lru_cache
def _sorting_network(count: int, wanted: int) -> list[tuple[int, int, bool, bool]]:
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


def check_prior(prior: Tensor | np.ndarray) -> Tensor:
    """The prior in double precision on the processor; ValueError unless it is (313,) frequencies that sum to 1."""
    p = torch.as_tensor(prior, device=prior.device if isinstance(prior, Tensor) else "cpu").detach().cpu().double()
    if p.shape != (BINS,):
        raise ValueError(f"a prior must have shape ({BINS},), got {tuple(p.shape)}")
    rounded = torch.finfo(prior.dtype).eps if isinstance(prior, Tensor) and prior.is_floating_point() else 0.0
    if not ((p >= 0).all() and abs(p.sum().item() - 1.0) < max(1e-3, rounded)):
        raise ValueError(f"a prior must be frequencies that sum to 1, got minimum {p.min():g} and sum {p.sum():g}")
    return p


def _check_ab(ab: Tensor) -> None:
    if ab.ndim != 4 or ab.shape[1] != 2:
        raise ValueError(f"ab must have shape (N,2,H,W), got {tuple(ab.shape)}")
