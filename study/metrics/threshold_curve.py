"""AuC: the area under the curve "share of pixels whose ab error is at most t" of Zhang et al. 2016."""

from __future__ import annotations

import torch
from torch import Tensor

from study.color.bins import AB_BINS, check_prior, soft_encode
from study.color.lab import at_least_float32, traced
from study.metrics.base import check_mask, check_pair, check_pixels, length, pixel_mean, pixel_sum, widest_float
from study.metrics.card import metric

AUC_LIMIT = 150.0
"""Largest ab distance, in Lab units, that AuC distinguishes."""

PRIOR_FLOOR = 1e-6
"""Rarer bins count as this rare, so that a colour unseen in training does not decide an image alone."""


@metric(
    unit="1",
    better="higher",
    high=1,
    margin=0.005,
    key=9,
    says="area under the curve 'share of pixels whose ab error is at most t', t = 0..150",
    weakness="mostly counts nearly gray pixels: a gray output scores about 0.9 on photographs",
)
@torch.no_grad()
def auc(pred_ab: Tensor, target_ab: Tensor, weights: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
    """Area under the curve "share of pixels whose ab distance is at most t", t = 0..150, normalised, per image.

    The exact area is 1 - E[min(d, 150)] / 150, in 0..1, with d the Euclidean distance in ab. Published code averages
    the shares at t = 0, 1, ..., 150 instead; that moves a value by up to 1 / 150.

    pred_ab, target_ab: (N, 2, H, W). weights: (N, H, W), how much each pixel counts, normalised within each image.
    mask: boolean (N, H, W), pixels that count. Returns (N,), NaN for an image without any weight.
    Raises ValueError, naming both shapes, where shapes do not fit.
    """
    check_pair(pred_ab, target_ab, 2)
    check_mask(mask, pred_ab)
    da, db = (at_least_float32(pred_ab) - at_least_float32(target_ab)).unbind(1)
    distance = length(da, db).clamp_max_(AUC_LIMIT)
    if weights is None:
        return 1 - pixel_mean(distance, mask) / AUC_LIMIT
    check_pixels("weights", weights, pred_ab)
    weights = weights.to(torch.promote_types(weights.dtype, distance.dtype))
    return 1 - pixel_sum(distance * weights, mask) / pixel_sum(weights, mask) / AUC_LIMIT


@metric(
    "auc_rebalanced",
    unit="1",
    better="higher",
    high=1,
    margin=0.005,
    says="the same area, each pixel weighted by 1 / frequency of its true colour",
    weakness="a few rare pixels decide an image, so it is noisy",
)
@torch.no_grad()
def rebalanced_auc(pred_ab: Tensor, target_ab: Tensor, prior: Tensor, mask: Tensor | None = None) -> Tensor:
    """`auc` with every pixel weighted by 1 / prior of the bin nearest to the *target's* colour (Zhang et al. 2016).

    Rare colours count as much as common ones. Weights are normalised within each image. A prior below PRIOR_FLOOR
    (1e-6) counts as that.

    pred_ab, target_ab: (N, 2, H, W). prior: (313,), frequency of each bin in the training set.
    mask: boolean (N, H, W), pixels that count; NaN for an image without any. Returns (N,).
    Raises ValueError, naming both shapes, where shapes do not fit, and for a prior that does not sum to 1.
    """
    check_pair(pred_ab, target_ab, 2)
    prior = torch.as_tensor(prior)
    if prior.shape != AB_BINS.shape[:1]:
        raise ValueError(f"prior must be {tuple(AB_BINS.shape[:1])}, got {tuple(prior.shape)}")
    if not (traced() or prior.is_meta):  # then there are no values to check
        prior = check_prior(prior)
    nearest = soft_encode(target_ab, neighbors=1)[0][:, 0]
    # weights on the scale of the commonest bin's, and as precise as can be: they span six orders of magnitude
    rarity = 1 / prior.to(widest_float(pred_ab.device)).to(pred_ab.device).clamp_min(PRIOR_FLOOR)
    return auc(pred_ab, target_ab, (rarity / rarity.min())[nearest], mask).to(at_least_float32(pred_ab).dtype)
