"""The colour prior of the training pictures: how often each of the 313 colour bins occurs.

Every processor gives the same bytes. All of it is computed in float64, where processors differ by 1e-12 of a value at
most, and the result keeps six significant digits.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from study.color.bins import AB_BINS, BINS, smooth_prior, soft_encode
from study.color.lab import rgb_to_lab

DIGITS = 6
SIGMA = 5.0  # Lab units


def training_prior(images: np.ndarray, batch: int = 512) -> np.ndarray:
    """Smoothed frequency of the soft-encoded colours of pictures at half resolution, where colour is predicted.

    images: uint8 (N,S,S,3) sRGB, S even. Returns float32 (313,), summing to 1 within 1e-6.
    """
    counts = np.zeros(BINS)
    for start in tqdm(range(0, len(images), batch), desc="colour prior", delay=2, disable=None):
        counts += soft_counts(half_resolution_ab(images[start : start + batch]))
    return prior_of_counts(counts)


def prior_of_counts(counts: np.ndarray) -> np.ndarray:
    """Counts of the bins (313,) divided by their sum, smoothed, and rounded: float32 (313,)."""
    smooth = smooth_prior(torch.from_numpy(counts / counts.sum()), SIGMA)
    return np.array([float(f"{value:.{DIGITS}g}") for value in smooth.tolist()], np.float32)


def half_resolution_ab(images: np.ndarray) -> Tensor:
    """The mean a, b of every 2x2 pixels: uint8 (N,S,S,3) sRGB to float64 (N,2,S/2,S/2)."""
    red, green, blue = (images[..., channel].astype(np.int32) for channel in range(3))
    # Pictures have fewer colours than pixels: each colour is converted once.
    colors, index = np.unique(red << 16 | green << 8 | blue, return_inverse=True)
    rgb = np.stack([colors >> 16, colors >> 8 & 255, colors & 255]) / 255
    ab = rgb_to_lab(torch.from_numpy(rgb)[None, :, None])[0, 1:, 0]
    pixels = ab[:, torch.from_numpy(index.reshape(images.shape[:3]))]
    rows = pixels[:, :, 0::2] + pixels[:, :, 1::2]
    return ((rows[..., 0::2] + rows[..., 1::2]) / 4).transpose(0, 1)


def soft_counts(ab: Tensor) -> np.ndarray:
    """Soft counts of the bins in double precision: ab float64 (N,2,H,W) to (313,)."""
    indices, _ = soft_encode(ab, sigma=SIGMA)
    centers = AB_BINS.double()[indices]  # (N,K,H,W,2)
    squared = (centers - ab.permute(0, 2, 3, 1)[:, None]).square().sum(-1)
    weights = torch.exp((squared - squared[:, :1]) * (-0.5 / SIGMA**2))
    weights /= weights.sum(1, keepdim=True)
    return np.bincount(indices.numpy().ravel(), weights.numpy().ravel(), minlength=BINS)
