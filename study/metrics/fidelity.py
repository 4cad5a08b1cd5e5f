"""Fidelity: how near a prediction is to the ground truth, pixel by pixel."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from study.color.bins import AB_BINS, check_prior, soft_encode
from study.color.lab import at_least_float32, traced
from study.metrics.base import (
    check_mask,
    check_pair,
    check_pixels,
    length,
    pixel_mean,
    pixel_sum,
    pixels_per_pass,
    unit_rgb,
)

AUC_LIMIT = 150.0
"""Largest ab distance, in Lab units, that AuC distinguishes."""

PRIOR_FLOOR = 1e-6
"""Bins rarer than this count as this rare, so that a colour unseen in training does not decide an image alone."""

PSNR_CAP = 100.0
"""PSNR (dB) of identical images, reached only where the root mean square error is below 0.003 of an 8-bit step."""


@torch.no_grad()
def ab_rmse(pred_ab: Tensor, target_ab: Tensor, mask: Tensor | None = None) -> Tensor:
    """Root of the mean squared error over the pixels and the two channels a and b, per image, in Lab units.

    pred_ab, target_ab: (N, 2, H, W). mask: boolean (N, H, W), pixels that count; an image without any gives NaN.
    Returns (N,). Raises ValueError, naming both shapes, where they differ.
    """
    check_pair(pred_ab, target_ab, 2)
    check_mask(mask, pred_ab)
    error = at_least_float32(pred_ab) - at_least_float32(target_ab)
    return pixel_mean(error.square_().mean(1), mask).sqrt()


@torch.no_grad()
def auc(pred_ab: Tensor, target_ab: Tensor, weights: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
    """Area under the curve "share of pixels whose ab distance is at most t", t = 0..150, normalised, per image.

    With d the Euclidean distance in ab, the exact area is 1 - E[min(d, 150)] / 150, in 0..1, without a grid of
    thresholds: averaging the shares at t = 0, 1, ..., 150, as published code does, moves a value by up to 1 / 150.

    pred_ab, target_ab: (N, 2, H, W). weights: (N, H, W), what each pixel counts, normalised within each image.
    mask: boolean (N, H, W), pixels that count. An image without any weight gives NaN. Returns (N,).
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


@torch.no_grad()
def rebalanced_auc(pred_ab: Tensor, target_ab: Tensor, prior: Tensor, mask: Tensor | None = None) -> Tensor:
    """`auc` with every pixel weighted by 1 / prior of the bin nearest to the *target's* colour (Zhang et al. 2016).

    Rare colours count as much as common ones. The weights are normalised within each image, and the prior is not
    taken below PRIOR_FLOOR (1e-6).

    pred_ab, target_ab: (N, 2, H, W). prior: (313,), frequency of each bin in the training set.
    mask: boolean (N, H, W), pixels that count; an image without any gives NaN. Returns (N,).
    Raises ValueError, naming both shapes, where shapes do not fit, and for a prior that does not sum to 1.
    """
    check_pair(pred_ab, target_ab, 2)
    prior = torch.as_tensor(prior)
    if prior.shape != AB_BINS.shape[:1]:
        raise ValueError(f"prior must be {tuple(AB_BINS.shape[:1])}, got {tuple(prior.shape)}")
    if not (traced() or prior.is_meta):  # else its values cannot be looked at
        prior = check_prior(prior)
    nearest = soft_encode(target_ab, neighbors=1)[0][:, 0]
    rarity = 1 / prior.to(device=pred_ab.device, dtype=torch.float64).clamp_min(PRIOR_FLOOR)
    # weights on the scale of the commonest bin's, and in double precision: they span six orders of magnitude
    return auc(pred_ab, target_ab, (rarity / rarity.min())[nearest], mask).to(at_least_float32(pred_ab).dtype)


@torch.no_grad()
def psnr(rgb_pred: Tensor, rgb_target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio 10 log10(1 / MSE) over sRGB in [0, 1], per image, in dB.

    The MSE is over the pixels and the three channels. Identical images would be infinite and spoil every mean: they
    get PSNR_CAP (100 dB). Two 8-bit images that differ in a single level of a single pixel stay below the cap up
    to 226 x 226 pixels, so elsewhere the value is scikit-image's.

    rgb_pred, rgb_target: (N, 3, H, W), uint8, or float in [0, 1]. mask: boolean (N, H, W), pixels that count; an
    image without any gives NaN. Returns (N,). Raises ValueError, naming both shapes, where they differ.
    """
    check_pair(rgb_pred, rgb_target, 3)
    check_mask(mask, rgb_pred)
    error = (unit_rgb(rgb_pred) - unit_rgb(rgb_target)).square_().mean(1)
    return -10 * pixel_mean(error, mask).clamp_min(10 ** (-PSNR_CAP / 10)).log10()


@torch.no_grad()
def ssim(rgb_pred: Tensor, rgb_target: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004) over sRGB in [0, 1], averaged over channels and pixels, per image.

    Gaussian window of 11 x 11, sigma 1.5, population covariance, K1 = 0.01, K2 = 0.03, windows that lie inside the
    image only: the published settings, equal to skimage.metrics.structural_similarity(channel_axis=-1,
    data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False). 1 for identical images, >= -1.

    rgb_pred, rgb_target: (N, 3, H, W), uint8, or float in [0, 1], at least 11 x 11 pixels. Returns (N,).
    Raises ValueError, naming both shapes, where they differ, or for smaller images.
    """
    check_pair(rgb_pred, rgb_target, 3)
    n, _, height, width = rgb_pred.shape
    if min(height, width) < 11:
        raise ValueError(f"ssim needs images of at least 11 x 11 pixels, got {tuple(rgb_pred.shape)}")
    planes = max(1, pixels_per_pass(rgb_pred) // (5 * height * width))  # 5 moments of each
    x, y = (unit_rgb(rgb).reshape(-1, height, width).split(planes) for rgb in (rgb_pred, rgb_target))
    by_channel = [_ssim(one.double(), other.double()).to(one.dtype) for one, other in zip(x, y, strict=True)]
    return torch.cat(by_channel).reshape(n, 3).mean(1)


def _ssim(x: Tensor, y: Tensor) -> Tensor:
    """SSIM of planes (P, H, W) -> (P,), both float64: E[x^2] - E[x]^2 loses in float32 what 0.03^2 is to keep."""
    mean_x, mean_y, square_x, square_y, mixed = _windowed(torch.stack([x, y, x * x, y * y, x * y]))
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    variances = square_x - mean_x**2 + square_y - mean_y**2
    structure = (2 * (mixed - mean_x * mean_y) + c2) / (variances + c2)
    return (luminance * structure).flatten(1).mean(1)


def _windowed(planes: Tensor) -> Tensor:
    """Gaussian means over all 11 x 11 windows inside (..., H, W): sums of shifted planes, faster than conv2d here."""
    window = [math.exp(-0.5 * (offset / 1.5) ** 2) for offset in range(6)]
    total = 2 * sum(window) - window[0]
    for dim in (-2, -1):
        size = planes.shape[dim] - 10
        mean = planes.narrow(dim, 5, size) * (window[0] / total)
        for offset in range(1, 6):
            both = planes.narrow(dim, 5 - offset, size) + planes.narrow(dim, 5 + offset, size)
            mean.add_(both, alpha=window[offset] / total)
        planes = mean
    return planes
