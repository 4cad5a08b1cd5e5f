"""The 313 ab bins of Zhang et al. 2016: soft targets, the prior over the bins, class weights, decoding.

R. Zhang, P. Isola, A. Efros, "Colorful Image Colorization", ECCV 2016. All ab values are in raw Lab units.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor

from study.color.bin_table import AB_BINS, BINS
from study.color.dispatch import find_kernel, has_float64
from study.color.lab import pieces
from study.color.nearest_bins import LOOKUP_NEIGHBORS, nearest_bins
from study.color.units import UnitWatch, wrong_ab

__all__ = [
    "AB_BINS",
    "BINS",
    "annealed_mean",
    "bin_frequencies",
    "check_prior",
    "class_weights",
    "prior_from_ab",
    "smooth_prior",
    "soft_encode",
    "unwatched_soft_encode",
]

# Pixels at a time: for looking bins up, for weighting them on a CPU, and for both elsewhere. On a CPU the intermediates
# fit into the memory that the result takes anyway, and a third of a megabyte beside it.
_CHUNK, _CHUNK_WEIGHTS, _CHUNK_ELSEWHERE = 16_384, 4_096, 524_288
_AB = UnitWatch("soft_encode", wrong_ab)  # warns about wrong units
_PRIOR_FLOOR = 1e-8  # one pixel in a hundred million: keeps 1/p of a smoothed prior finite


def soft_encode(ab: Tensor, neighbors: int = 5, sigma: float = 5.0) -> tuple[Tensor, Tensor]:
    """Soft targets over the bins: the nearest bins of every pixel and their Gaussian weights.

    ab: (N,2,H,W) in raw Lab units. Returns indices (N,K,H,W) int64 into AB_BINS, nearest bin first, and weights
    (N,K,H,W) float32: exp(-d^2 / 2 sigma^2), divided by their sum over the K = neighbors bins. The distance of the
    nearest bin is taken out of the exponent, so a colour far outside the gamut has weights too. No gradient flows
    to ab.

    The result is that of a comparison with all 313 bins in float64. Devices without float64 compare in float32:
    two bins may then change places if their distances are equal to within rounding.

    An empty batch gives empty tensors. An a or b that is not finite gives NaN weights. Warns once about wrong units
    (`study.color.units`). Raises ValueError for another shape, neighbors outside 1..313, or sigma <= 0.
    """
    _check_ab(ab)
    if not 1 <= neighbors <= BINS:
        raise ValueError(f"neighbors must be in 1..{BINS}, got {neighbors}")
    if not sigma > 0:
        raise ValueError(f"sigma must be positive, got {sigma}")
    _AB.look(ab)
    return unwatched_soft_encode(ab, neighbors, sigma)


def unwatched_soft_encode(ab: Tensor, neighbors: int, sigma: float) -> tuple[Tensor, Tensor]:
    """`soft_encode` for callers that check shape, settings and units themselves."""
    return torch.ops.colorization_study.soft_encode(ab.detach(), neighbors, sigma)


def _soft_encode(ab: Tensor, neighbors: int, sigma: float) -> tuple[Tensor, Tensor]:
    if neighbors <= LOOKUP_NEIGHBORS and (kernel := find_kernel("study.color.triton.bins", "soft_encode", ab)):
        return kernel(ab, neighbors, sigma)
    # Bins have 16 bits at first. So the memory of the final result is free while they are looked up.
    indices = _nearest(ab, neighbors).long()
    weights = torch.empty(indices.shape, dtype=torch.float32, device=ab.device)
    double = has_float64(ab.device)
    bins = AB_BINS.to(ab.device, torch.float64 if double else torch.float32).t().contiguous()
    gaussian = _gaussian if double else _gaussian_in_float32
    for images, rows in _pieces(ab, _CHUNK_WEIGHTS):
        gaussian(ab[images, :, rows], indices[images, :, rows], bins, sigma, weights[images, :, rows])
    return indices, weights


def _nearest(ab: Tensor, neighbors: int) -> Tensor:
    """Indices of the nearest bins, nearest first: (N,2,H,W) to (N,K,H,W) int16."""
    n, _, height, width = ab.shape
    found = torch.empty((n, neighbors, height, width), dtype=torch.int16, device=ab.device)
    for images, rows in _pieces(ab, _CHUNK):
        piece = ab[images, :, rows]
        nearest = nearest_bins(piece.transpose(0, 1).reshape(2, -1), neighbors)
        shape = (neighbors, piece.shape[0], piece.shape[2], width)
        found[images, :, rows] = nearest.view(shape).transpose(0, 1)
    return found


def _gaussian(ab: Tensor, indices: Tensor, bins: Tensor, sigma: float, weights: Tensor) -> None:
    """Fill in the weights of the nearest bins.

    ab: (n,2,h,w). indices: (n,K,h,w), nearest bin first. bins: (2,313) float64. weights: (n,K,h,w), written to.
    """
    squared, other = (channel.index_select(0, indices.reshape(-1)).view(indices.shape) for channel in bins)
    squared.sub_(ab[:, :1]).square_().add_(other.sub_(ab[:, 1:]).square_())
    further = torch.sub(squared, squared[:, :1], out=other)
    del squared  # half of the memory in use here
    scores = further.mul_(-0.5 / sigma**2).float().exp_()
    torch.div(scores, scores.sum(1, keepdim=True), out=weights)


def _gaussian_in_float32(ab: Tensor, indices: Tensor, bins: Tensor, sigma: float, weights: Tensor) -> None:
    """Like `_gaussian`, with bins in float32.

    How much further than the nearest bin n a bin q is, |q - p|^2 - |n - p|^2 = (q - n)(q + n - 2p): a difference of
    squares would be rounded to a multiple of what float32 resolves at their size.
    """
    further = torch.zeros(indices.shape, dtype=torch.float32, device=ab.device)
    for axis, channel in enumerate(bins):
        at = channel.index_select(0, indices.reshape(-1)).view(indices.shape)
        further += (at - at[:, :1]) * (at + at[:, :1] - 2 * ab[:, axis : axis + 1].float())
    scores = further.clamp_(min=0).mul_(-0.5 / sigma**2).exp_()
    torch.div(scores, scores.sum(1, keepdim=True), out=weights)


def _pieces(ab: Tensor, size: int) -> Iterator[tuple[slice, slice]]:
    n, _, height, width = ab.shape
    return pieces(n, height, width, size if ab.device.type == "cpu" else _CHUNK_ELSEWHERE)


def _empty_targets(ab: Tensor, neighbors: int, sigma: float) -> tuple[Tensor, Tensor]:
    n, _, height, width = ab.shape
    shape = (n, neighbors, height, width)
    indices = torch.empty(shape, dtype=torch.int64, device=ab.device)
    return indices, torch.empty(shape, dtype=torch.float32, device=ab.device)


# An operator of its own: torch.compile leaves its loops alone, so the caller's graph stays in one piece. It also serves
# torch.vmap and fake tensors, which have no values. (torch.library.custom_op is shorter, but its operators import the
# compiler at their first call, which takes seconds.)
_library = torch.library.Library("colorization_study", "FRAGMENT")
_library.define("soft_encode(Tensor ab, int neighbors, float sigma) -> (Tensor, Tensor)")
_library.impl("soft_encode", _soft_encode, "CompositeExplicitAutograd")
torch.library.register_fake("colorization_study::soft_encode", _empty_targets, lib=_library)


def bin_frequencies(ab: Tensor, neighbors: int = 5, sigma: float = 5.0) -> Tensor:
    """Soft counts of the bins, the sum of the soft targets of all pixels: (N,2,H,W) to (313,) float64 on the CPU.

    Counts of batches add up; divided by their sum they are the prior. Warns and raises like `soft_encode`.
    """
    _check_ab(ab)
    counts = torch.zeros(BINS, dtype=torch.float64, device="cpu")
    for images in ab.split(max(1, 65_536 // max(1, ab.shape[2] * ab.shape[3]))):
        indices, weights = soft_encode(images, neighbors, sigma)
        # On the CPU the order of the sum is always the same, and so is its last bit.
        counts += torch.bincount(indices.flatten().cpu(), weights.flatten().cpu().double(), minlength=BINS)
    return counts


def prior_from_ab(ab: Tensor, neighbors: int = 5, sigma: float = 5.0) -> Tensor:
    """Prior over the bins: their frequencies in the soft targets of all pixels. It sums to 1 and is not smoothed.

    ab: (N,2,H,W) in raw Lab units. Returns (313,) float32. For more pictures than fit in memory, add up
    `bin_frequencies`. Warns and raises like `soft_encode`; raises ValueError without a pixel.
    """
    counts = bin_frequencies(ab, neighbors, sigma)
    if ab.numel() == 0:
        raise ValueError(f"a prior needs at least one pixel, got ab of shape {tuple(ab.shape)}")
    return (counts / counts.sum()).float()


def smooth_prior(prior: Tensor | np.ndarray, sigma: float = 5.0) -> Tensor:
    """The prior smoothed over the bins by a Gaussian of sigma Lab units. It sums to 1 and is nowhere 0.

    prior: (313,). Returns (313,) float32, 1e-8 or more everywhere. Raises ValueError for another shape, values that
    are no distribution, or sigma <= 0.
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

    prior: (313,) frequencies p that sum to 1. rebalance: 0 weights by 1/p, 1 gives equal weights. Returns (313,)
    float32. Raises ValueError for another shape, values that are no distribution, rebalance outside 0..1, and
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

    logits: (N,313,H,W). Returns ab (N,2,H,W) in raw Lab units, float32 (float64 for float64), differentiable.
    Temperature 1 gives the mean; towards 0 it gives the strongest bin. It is computed in float32 under autocast too,
    and is stable for logits of any size. An empty batch gives an empty result. Raises ValueError for another shape or
    temperature <= 0.
    """
    if logits.ndim != 4 or logits.shape[1] != BINS:
        raise ValueError(f"logits must have shape (N,{BINS},H,W), got {tuple(logits.shape)}")
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    z = logits if logits.dtype == torch.float64 else logits.float()
    n, _, height, width = z.shape
    # log_softmax shifts the logits, and softmax ignores a shift. Subtracting the largest logit does the same, and exp
    # cannot overflow at any temperature.
    smallest = 1e-30  # a lower temperature would be 0 in float32
    scores = (z - z.detach().amax(1, keepdim=True)).div_(max(temperature, smallest)).exp_()
    # One product gives the sums of a, of b and of the scores.
    moments = torch.cat((AB_BINS, AB_BINS.new_ones(BINS, 1)), dim=1).to(z.device, z.dtype, non_blocking=True)
    with nullcontext() if z.is_meta else torch.autocast(z.device.type, enabled=False):
        sums = torch.matmul(moments.t(), scores.flatten(2))
    return (sums[:, :2] / sums[:, 2:]).view(n, 2, height, width)


def check_prior(prior: Tensor | np.ndarray) -> Tensor:
    """The prior in float64 on the processor. Raises ValueError unless it is (313,) frequencies that sum to 1."""
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
