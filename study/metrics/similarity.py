"""Similarity: how near the predicted picture is to the true one in sRGB."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from study.metrics.base import check_mask, check_pair, pixel_mean, pixels_per_pass, unit_rgb, widest_float
from study.metrics.card import metric

PSNR_CAP = 100.0
"""PSNR (dB) of identical images. Others reach it where the root mean square error is below 0.003 of an 8-bit step."""


@metric(
    unit="dB",
    better="higher",
    high=100,
    margin=0.1,
    says="peak signal-to-noise ratio in sRGB",
    weakness="mostly measures the lightness, which is given; rewards averaging; identical images get 100",
)
@torch.no_grad()
def psnr(rgb_pred: Tensor, rgb_target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio 10 log10(1 / MSE) over sRGB in [0, 1], per image, in dB.

    The MSE is over the pixels and the three channels. Identical images get PSNR_CAP (100 dB): infinity would spoil
    every mean. 8-bit images of up to 226 x 226 pixels stay below the cap if they differ in one level of one pixel.
    Below the cap the value is scikit-image's.

    rgb_pred, rgb_target: (N, 3, H, W), uint8, or float in [0, 1]. mask: boolean (N, H, W), pixels that count; NaN for
    an image without any. Returns (N,). Raises ValueError, naming both shapes, where they differ.
    """
    check_pair(rgb_pred, rgb_target, 3)
    check_mask(mask, rgb_pred)
    error = (unit_rgb(rgb_pred) - unit_rgb(rgb_target)).square_().mean(1)
    return -10 * pixel_mean(error, mask).clamp_min(10 ** (-PSNR_CAP / 10)).log10()


@metric(
    unit="1",
    better="higher",
    low=-1,
    high=1,
    margin=0.005,
    says="structural similarity in sRGB",
    weakness="nearly blind to colour: the structure is in the lightness, which is given",
)
@torch.no_grad()
def ssim(rgb_pred: Tensor, rgb_target: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004) over sRGB in [0, 1], averaged over channels and pixels, per image.

    The published settings: Gaussian windows of 11 x 11 inside the image, sigma 1.5, population covariance, K1 = 0.01,
    K2 = 0.03. Equal to skimage.metrics.structural_similarity(channel_axis=-1, data_range=1, gaussian_weights=True,
    sigma=1.5, use_sample_covariance=False). -1..1, 1 for identical images.

    rgb_pred, rgb_target: (N, 3, H, W), uint8, or float in [0, 1], at least 11 x 11 pixels. Returns (N,).
    Raises ValueError, naming both shapes, where they differ, or for smaller images.
    """
    check_pair(rgb_pred, rgb_target, 3)
    n, _, height, width = rgb_pred.shape
    if min(height, width) < 11:
        raise ValueError(f"ssim needs images of at least 11 x 11 pixels, got {tuple(rgb_pred.shape)}")
    planes = max(1, pixels_per_pass(rgb_pred) // (5 * height * width))  # 5 moments of each
    x, y = (unit_rgb(rgb).reshape(-1, height, width).split(planes) for rgb in (rgb_pred, rgb_target))
    wide = widest_float(rgb_pred.device)
    by_channel = [_ssim(one.to(wide), other.to(wide)).to(one.dtype) for one, other in zip(x, y, strict=True)]
    return torch.cat(by_channel).reshape(n, 3).mean(1)


def _ssim(x: Tensor, y: Tensor) -> Tensor:
    """SSIM of planes (P, H, W) -> (P,), both of the widest float.

    E[x^2] - E[x]^2 loses digits where E[x] is large, so variances are those of x and y around their common mean.
    """
    center = (x.mean((1, 2), keepdim=True) + y.mean((1, 2), keepdim=True)) / 2
    x, y = x - center, y - center
    off_x, off_y, square_x, square_y, mixed = _windowed(torch.stack([x, y, x * x, y * y, x * y]))
    mean_x, mean_y = off_x + center, off_y + center
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    variances = square_x - off_x**2 + square_y - off_y**2
    structure = (2 * (mixed - off_x * off_y) + c2) / (variances + c2)
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
