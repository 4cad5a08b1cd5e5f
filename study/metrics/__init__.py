"""Metrics of colorized images: batched tensors in, one value per image out."""

from __future__ import annotations

from study.metrics.ab_distance import ab_distance
from study.metrics.averaging import averaging_index, excess_error, mode_commitment, reachable_error, regret
from study.metrics.card import Metric, metric
from study.metrics.cast import purple_cast, sepia_cast
from study.metrics.color_difference import ciede2000, ciede2000_map
from study.metrics.fidelity import ab_rmse
from study.metrics.hue import hue_diversity, hue_diversity_gap, hue_entropy
from study.metrics.inputs import picture_inputs
from study.metrics.perceptual import lpips_distance, lpips_facts, lpips_model
from study.metrics.registry import METRICS, scores
from study.metrics.similarity import psnr, ssim
from study.metrics.threshold_curve import auc, rebalanced_auc
from study.metrics.vividness import (
    chroma_ratio,
    chroma_shortfall,
    colorfulness,
    colorfulness_gap,
    gray_share,
    mean_chroma,
)

__all__ = [
    "METRICS",
    "Metric",
    "ab_distance",
    "ab_rmse",
    "auc",
    "averaging_index",
    "chroma_ratio",
    "chroma_shortfall",
    "ciede2000",
    "ciede2000_map",
    "colorfulness",
    "colorfulness_gap",
    "excess_error",
    "gray_share",
    "hue_diversity",
    "hue_diversity_gap",
    "hue_entropy",
    "lpips_distance",
    "lpips_facts",
    "lpips_model",
    "mean_chroma",
    "metric",
    "mode_commitment",
    "picture_inputs",
    "psnr",
    "purple_cast",
    "reachable_error",
    "rebalanced_auc",
    "regret",
    "scores",
    "sepia_cast",
    "ssim",
]
