"""Metrics of colorized images: batched tensors in, one value per image out."""

from __future__ import annotations

from study.metrics.averaging import averaging_index, excess_error, mode_commitment, reachable_error
from study.metrics.base import Metric
from study.metrics.cast import purple_cast, sepia_cast
from study.metrics.color_difference import ciede2000, ciede2000_map
from study.metrics.fidelity import ab_rmse, auc, psnr, rebalanced_auc, ssim
from study.metrics.hue import hue_diversity, hue_entropy
from study.metrics.perceptual import lpips_distance, lpips_model
from study.metrics.registry import METRICS
from study.metrics.shortfall import chroma_shortfall
from study.metrics.vividness import chroma_ratio, colorfulness, gray_share, mean_chroma

__all__ = [
    "METRICS",
    "Metric",
    "ab_rmse",
    "auc",
    "averaging_index",
    "chroma_ratio",
    "chroma_shortfall",
    "ciede2000",
    "ciede2000_map",
    "colorfulness",
    "excess_error",
    "gray_share",
    "hue_diversity",
    "hue_entropy",
    "lpips_distance",
    "lpips_model",
    "mean_chroma",
    "mode_commitment",
    "psnr",
    "purple_cast",
    "reachable_error",
    "rebalanced_auc",
    "sepia_cast",
    "ssim",
]
