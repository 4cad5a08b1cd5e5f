"""The statistics of the comparison: two-level intervals, exact paired tests, corrections and verdicts.

Scores of one metric are an array (arms, seeds, images). Seeds and images are crossed: the same pictures are scored
for every seed, and the same seeds and pictures for every arm (paired design). Images of one network are no
replicates of its training, so both levels are resampled.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy import stats as distributions

LEVEL = 0.95


@dataclass(frozen=True)
class Weights:
    """Bootstrap weights of both levels, shared by everything that is compared: (R,S) and (R,I), rows sum to 1."""

    seeds: np.ndarray
    images: np.ndarray


def bootstrap_weights(seeds: int, images: int, resamples: int, rng: np.random.Generator) -> Weights:
    """Draw `resamples` two-level resamples of `seeds` seeds and `images` images, with replacement, as weights."""
    return Weights(
        rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples) / seeds,
        rng.multinomial(images, np.full(images, 1 / images), size=resamples) / images,
    )


def resampled_means(scores: np.ndarray, weights: Weights) -> np.ndarray:
    """Means (R, arms) of scores (arms, S, I) in every two-level resample."""
    arms, seeds, images = scores.shape
    by_seed = weights.images @ scores.reshape(arms * seeds, images).T
    return np.einsum("ras,rs->ra", by_seed.reshape(-1, arms, seeds), weights.seeds)


def small_sample_factor(scores: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """By how much (arms,) the spread of resampled means of scores (arms, S, I) must be stretched to be honest.

    A bootstrap over S seeds has S-1/S of the variance it should have, and normal quantiles where few seeds call for
    Student's t. The factor is sqrt(V / V_boot) * t(df) / z with V the variance of the mean from unbiased variance
    components of seeds and images, V_boot the same with the bootstrap's divisors, and df by Satterthwaite.
    With one seed the seeds' variance is unknown: the interval then covers the images only.
    """
    _, seeds, images = scores.shape
    image = scores.mean(axis=1).var(axis=1) / images
    seed = scores.mean(axis=2).var(axis=1) / seeds
    boot = np.maximum(image + seed, np.finfo(float).tiny)
    unbiased_image = image * images / max(images - 1, 1)
    unbiased_seed = seed * seeds / max(seeds - 1, 1)
    total = unbiased_image + unbiased_seed
    spread = unbiased_image**2 / max(images - 1, 1) + unbiased_seed**2 / max(seeds - 1, 1)
    freedom = np.where(spread > 0, total**2 / np.maximum(spread, np.finfo(float).tiny), 1e9)
    tail = (1 + level) / 2
    return np.sqrt(total / boot) * distributions.t.ppf(tail, freedom) / distributions.norm.ppf(tail)


def interval(scores: np.ndarray, weights: Weights, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and interval (mean, low, high), each (arms,), of scores (arms, S, I).

    Quantiles of the two-level bootstrap around the mean, stretched by `small_sample_factor`.
    """
    mean = scores.mean(axis=(1, 2))
    deviations = resampled_means(scores, weights) - mean
    tail = (1 - level) / 2
    low, high = np.quantile(deviations, [tail, 1 - tail], axis=0) * small_sample_factor(scores, level)
    return mean, mean + low, mean + high


def sign_flip_p(deltas: np.ndarray) -> tuple[float, float]:
    """Exact two-sided p of the paired sign-flip test on deltas (S,), and the smallest p attainable with S seeds.

    All 2^S sign patterns (S <= 16, else 2^16 random ones seeded by 0); p is the share of patterns whose |mean| is at
    least the observed one.
    """
    seeds = len(deltas)
    if seeds <= 16:
        signs = np.array(list(product((1, -1), repeat=seeds)))
    else:
        signs = np.random.default_rng(0).choice((1, -1), size=(2**16, seeds))
        signs[0] = 1
    means = np.abs(signs @ deltas)
    # A tolerance, because flipping all signs must give the same |mean| in spite of rounding.
    p = float(np.mean(means >= means[0] * (1 - 1e-9)))
    return p, float(2 / len(signs))


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's step-down adjusted p values of one family (1-D); NaN entries stay NaN and do not count."""
    adjusted = np.full(len(p_values), np.nan)
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    factors = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p_values[order] * factors))
    return adjusted


def verdict(low: float, high: float, margin: float, gain: int | None) -> str:
    """A paired difference in a word.

    equivalent: the whole interval lies within +-margin, the declared region of practical equivalence.
    Otherwise, when the interval excludes 0: better or worse according to `gain` (+1: a positive difference is
    better, -1: a negative one, None: the metric has no better direction, then higher or lower).
    undecided: all the rest, NaN included.
    """
    if -margin <= low and high <= margin:
        return "equivalent"
    if not (low > 0 or high < 0):
        return "undecided"
    sign = 1 if low > 0 else -1
    if gain is None:
        return "higher" if sign > 0 else "lower"
    return "better" if sign == gain else "worse"
