"""Averaging: does a prediction sit at the mean of all possible colours, or at one of them?

For data whose colour distribution is known. Every pixel belongs to a kind of region. Given the gray image, its colour
is one of the modes of that kind, with known probabilities. All functions take

    pred_ab        (N, 2, H, W)   predicted Lab a, b
    kind           (N, H, W)      index of each pixel's kind, an integer in 0..K-1; outside of the mask any integer
    modes          (K, M, 2)      ab of each kind's modes, padded with NaN
    probabilities  (K, M)         their probabilities, padded with 0, each row summing to 1
    mask           (N, H, W)      optional, boolean: pixels that count

and return one value per image, (N,). An image with a colour that is not finite gets infinity or NaN. They raise
ValueError where shapes do not fit (it names both) and for kinds and probabilities that are not as above.
"""

from __future__ import annotations

import torch
from torch import Tensor

from study.color.lab import at_least_float32
from study.metrics.base import check_images, check_mask, check_pixels, pixel_mean
from study.metrics.card import metric

MIN_MEAN_TO_MODE = 5.0
"""Lab units. Where a kind's mean is nearer than this to a mode, averaging and choosing look alike."""

COMMITMENT_RADIUS = 10.0
"""Lab units. A prediction this near to a mode may count as a choice of it (one step of the grid of 313 bins)."""


@metric(
    unit="1",
    better="lower",
    high=1,
    margin=0.02,
    key=5,
    regions="several colours",
    says="where the prediction lies between the nearest possible colour (0) and the average of all (1)",
    weakness="needs a known colour distribution; a far-off colour reads about 0.5, a possible colour that is not the "
    "true one reads 0",
)
@torch.no_grad()
def averaging_index(
    pred_ab: Tensor, kind: Tensor, modes: Tensor, probabilities: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Where predictions lie between a mode (0: they choose) and the mean (1: they average), per image.

    Per pixel: d_mode / (d_mean + d_mode), with the Euclidean distances in ab to the nearest mode and to the mean of
    the pixel's kind. Averaged over the pixels of kinds whose mean is at least MIN_MEAN_TO_MODE (5 Lab units) from
    every mode. NaN for an image without such pixels.
    """
    to_mode, to_mean, telling = _distances(pred_ab, kind, modes, probabilities, mask)
    return pixel_mean(to_mode / (to_mode + to_mean), telling)


@metric(
    unit="1",
    better="higher",
    high=1,
    margin=0.02,
    key=6,
    regions="several colours",
    says="share of pixels within 10 Lab units of a possible colour and nearer to it than to the average",
    weakness="needs a known colour distribution; the same colour everywhere scores 1; a gain may happen to carry an "
    "average close to a possible colour",
)
@torch.no_grad()
def mode_commitment(
    pred_ab: Tensor, kind: Tensor, modes: Tensor, probabilities: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Share of pixels whose prediction picks a possible colour, per image, in 0..1.

    It does within COMMITMENT_RADIUS (10 Lab units) of a mode, if it is nearer to that mode than to the kind's mean and
    to gray. (Gray is what giving up looks like, and may lie near a pale mode.) Counted over the same pixels as
    `averaging_index`. NaN for an image without such pixels.
    """
    to_mode, to_mean, telling = _distances(pred_ab, kind, modes, probabilities, mask)
    to_gray = torch.linalg.vector_norm(at_least_float32(pred_ab), dim=1)
    committed = (to_mode <= COMMITMENT_RADIUS) & (to_mode < to_mean) & (to_mode < to_gray)
    return pixel_mean(committed + to_mode * 0, telling)  # NaN stays NaN


@torch.no_grad()
def excess_error(
    pred_ab: Tensor, kind: Tensor, modes: Tensor, probabilities: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Expected ab-MSE above the smallest reachable one, per image, in squared Lab units.

    E||pred - colour||^2 / 2 = ||pred - mean||^2 / 2 + variance, with the error averaged over the two channels. So the
    excess is exactly the mean of ||pred - mean||^2 / 2 over the pixels. It does not depend on which colours were drawn.
    0 at the conditional mean. NaN where the mask is empty.
    """
    pred_ab, kind = _checked(pred_ab, kind, modes, probabilities, mask)
    mean = _conditional_mean(modes.to(pred_ab), probabilities.to(pred_ab))
    return pixel_mean(_square_distance(pred_ab, mean, kind) / 2, mask)


@metric(
    unit="share of the reachable ab-MSE",
    better="lower",
    margin=0.02,
    says="expected ab-MSE above the smallest reachable one, as a share of it over the test set",
    weakness="needs a known colour distribution; drawing colours as likely as they are costs 1",
)
@torch.no_grad()
def regret(
    pred_ab: Tensor,
    kind: Tensor,
    modes: Tensor,
    probabilities: Tensor,
    reachable_mse: float,
    mask: Tensor | None = None,
) -> Tensor:
    """Excess error as a share: `excess_error` / reachable_mse, one value per image.

    reachable_mse: mean `reachable_error` of a whole set of images, squared Lab units. (That of one image may be 0.)
    NaN where it is 0: then nothing has to be guessed.
    """
    excess = excess_error(pred_ab, kind, modes, probabilities, mask)
    return excess / reachable_mse if reachable_mse > 0 else torch.full_like(excess, torch.nan)


@torch.no_grad()
def reachable_error(kind: Tensor, modes: Tensor, probabilities: Tensor, mask: Tensor | None = None) -> Tensor:
    """Smallest expected ab-MSE that a prediction from the gray image can reach, per image, squared Lab units.

    The variance of a kind is sum_m p_m ||mode_m - mean||^2 / 2; this is its mean over the pixels. NaN where the mask is
    empty.
    """
    check_mask(mask, kind[:, None])
    _check_distribution(modes, probabilities)
    kind = _indices(kind, mask, len(modes))
    modes, probabilities = at_least_float32(modes), at_least_float32(probabilities)
    mean = _conditional_mean(modes, probabilities)
    spread = (modes.nan_to_num(0) - mean[:, None]).square().sum(-1)
    variance = (probabilities * spread).sum(1) / 2
    return pixel_mean(variance.to(kind.device)[kind], mask)


def _distances(
    pred_ab: Tensor, kind: Tensor, modes: Tensor, probabilities: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Distance to the nearest mode, distance to the mean, and which pixels can tell the two apart; (N, H, W)."""
    pred_ab, kind = _checked(pred_ab, kind, modes, probabilities, mask)
    modes, probabilities = modes.to(pred_ab), probabilities.to(pred_ab)
    mean = _conditional_mean(modes, probabilities)
    possible = torch.where((probabilities > 0)[..., None], modes, torch.full_like(modes, torch.inf))
    to_mode = torch.stack([_square_distance(pred_ab, mode, kind) for mode in possible.unbind(1)]).amin(0).sqrt()
    to_mean = _square_distance(pred_ab, mean, kind).sqrt()
    nearest = torch.linalg.vector_norm(possible - mean[:, None], dim=-1).amin(1)
    telling = (nearest >= MIN_MEAN_TO_MODE)[kind]
    return to_mode, to_mean, telling if mask is None else telling & mask


def _conditional_mean(modes: Tensor, probabilities: Tensor) -> Tensor:
    """E[ab | kind], (K, 2); the NaN padding has probability 0."""
    return (probabilities[..., None] * modes.nan_to_num(0)).sum(1)


def _square_distance(ab: Tensor, points: Tensor, kind: Tensor) -> Tensor:
    """Squared distance in ab between each pixel and its kind's point: (N, 2, H, W), (K, 2) -> (N, H, W)."""
    a, b = (points[:, k].index_select(0, kind.flatten()).view(kind.shape) for k in range(2))
    return (ab[:, 0] - a).square_().add_((ab[:, 1] - b).square_())


def _checked(
    pred_ab: Tensor, kind: Tensor, modes: Tensor, probabilities: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    check_images("pred_ab", pred_ab, 2)
    check_pixels("kind", kind, pred_ab)
    check_mask(mask, pred_ab)
    _check_distribution(modes, probabilities)
    return at_least_float32(pred_ab), _indices(kind, mask, len(modes))


def _indices(kind: Tensor, mask: Tensor | None, kinds: int) -> Tensor:
    """The kinds as int64; 0 for pixels that do not count and may have any label."""
    if kind.is_floating_point() or kind.is_complex():
        raise ValueError(f"kind must hold integers, got {kind.dtype}")
    kind = kind.long() if mask is None else torch.where(mask, kind.long(), 0)
    if kind.numel() and not 0 <= kind.min() <= kind.max() < kinds:
        raise ValueError(f"kind must be in 0..{kinds - 1}, got {kind.min().item()}..{kind.max().item()}")
    return kind


def _check_distribution(modes: Tensor, probabilities: Tensor) -> None:
    if modes.ndim != 3 or modes.shape != (*probabilities.shape, 2):
        raise ValueError(
            "modes must be (K, M, 2) and probabilities (K, M): "
            f"got {tuple(modes.shape)} and {tuple(probabilities.shape)}"
        )
    if not ((probabilities >= 0).all() and (at_least_float32(probabilities).sum(1) - 1).abs().lt(1e-2).all()):
        raise ValueError("probabilities must be at least 0, and those of each kind sum to 1")
