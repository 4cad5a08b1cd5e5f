"""Statistics of the comparison: two-level intervals, exact paired tests, corrections, power and verdicts.

Scores of one metric are an array (arms, S, I): S seeds, I images. Seeds and images are crossed. Every seed is scored
on the same pictures, and every arm on the same seeds and pictures (paired design). Images of one network do not repeat
its training, so both levels are resampled. Where a seed has one value that is no mean over pictures, such as a cost,
the array is (arms, S).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from scipy.special import stdtrit

LEVEL = 0.95
POWER = 0.8
VERDICTS = ("better", "worse", "higher", "lower", "within tolerance", "inconclusive")
"""What `verdict` says of a paired difference."""
MOST_SEEDS = 100
"""`seeds_needed` tries no more seeds than this."""

FEWEST_IMAGES = 30
"""With fewer pictures no difference gets a p, and every verdict is "inconclusive".

An interval knows only the kinds of pictures that were drawn. A kind that makes up a tenth of all pictures is missing
from 30 of them with probability 0.9^30 = 4 %, from 10 of them with 35 %. When arms differ on that kind alone, few
pictures give a narrow interval around the wrong value. Student's t does not help: it assumes normal differences.
"""


@dataclass(frozen=True)
class Weights:
    """Bootstrap weights of both levels, (R,S) and (R,I), rows sum to 1. All that is compared shares them."""

    seeds: np.ndarray
    images: np.ndarray


def bootstrap_weights(seeds: int, images: int, resamples: int, rng: np.random.Generator) -> Weights:
    """Weights of R = `resamples` two-level resamples of seeds and images, drawn with replacement."""
    return Weights(
        rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples) / seeds,
        rng.multinomial(images, np.full(images, 1 / images), size=resamples) / images,
    )


def resampled_means(scores: np.ndarray, weights: Weights) -> np.ndarray:
    """Means (R, arms) of scores (arms, S, I) in every two-level resample; of (arms, S) by seeds alone."""
    if scores.ndim == 2:
        return weights.seeds @ scores.T
    arms, seeds, images = scores.shape
    by_seed = weights.images @ scores.reshape(arms * seeds, images).T
    return np.einsum("ras,rs->ra", by_seed.reshape(-1, arms, seeds), weights.seeds)


# -- variance of a mean -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Components:
    """Variances (arms,) of a score: between seeds, between images, and the rest (interaction and noise)."""

    seed: np.ndarray
    image: np.ndarray
    residual: np.ndarray


def variance_components(scores: np.ndarray) -> Components:
    """Variance components of scores (arms, S, I) in the two-way crossed random layout without replication.

    Analysis of variance: MS_res = sigma_r^2, MS_seed = sigma_r^2 + I sigma_s^2, MS_image = sigma_r^2 + S sigma_i^2.
    Negative estimates count as 0 (Searle, Casella and McCulloch 1992, Variance Components, chapter 4).
    With one seed, `image` is the variance of the single row, and the others are NaN. With one image likewise.
    """
    arms, seeds, images = scores.shape
    if seeds == 1 or images == 1:
        unknown = np.full(arms, np.nan)
        by_seed = scores.mean(axis=2).var(axis=1, ddof=1) if seeds > 1 else unknown
        by_image = scores.mean(axis=1).var(axis=1, ddof=1) if images > 1 else unknown
        return Components(by_seed, by_image, unknown)
    row, column = scores.mean(axis=2, keepdims=True), scores.mean(axis=1, keepdims=True)
    rest = scores - row - column + scores.mean(axis=(1, 2), keepdims=True)
    residual = np.square(rest).sum(axis=(1, 2)) / ((seeds - 1) * (images - 1))
    seed = row[..., 0].var(axis=1, ddof=1) - residual / images
    image = column[:, 0].var(axis=1, ddof=1) - residual / seeds
    return Components(np.maximum(seed, 0), np.maximum(image, 0), residual)


def variance_shares(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares (seed, image), (arms,) each, of the variance of the mean of scores (arms, S, I), 0..1; the rest is noise.

    sigma_s^2 / S and sigma_i^2 / I, over sigma_s^2 / S + sigma_i^2 / I + sigma_r^2 / (S I). A seed share near 1 asks
    for more seeds, an image share near 1 for more test pictures. NaN with one seed or one image, and where nothing
    varies.
    """
    _, seeds, images = scores.shape
    parts = variance_components(scores)
    seed, image = parts.seed / seeds, parts.image / images
    total = seed + image + parts.residual / (seeds * images)

    def share(part: np.ndarray) -> np.ndarray:
        return np.divide(part, total, out=np.full(len(part), np.nan), where=total > 0)

    return share(seed), share(image)


def half_width(scores: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """Half-width (arms,) of an interval of the mean of scores (arms, S, I) or (arms, S) that covers at least `level`.

    sqrt(t(S-1)^2 V_seed + t(I-1)^2 V_image), with the unbiased variances of the mean at both levels and Student's
    quantiles at (1 + level) / 2. For normal effects it never covers less than `level`, whatever the shares of the
    two (Banerjee 1961, Sankhya A 23). The usual single t with Satterthwaite's degrees of freedom covers 92 % instead
    of 95 % with three seeds. With one seed the seeds' variance is unknown and left out. NaN with one image.
    """
    return _half_width(scores, 1 - level)


def _half_width(scores: np.ndarray, beyond: float | np.ndarray) -> np.ndarray:
    """The half-width that leaves at most the share `beyond` (a number or (arms,)) outside."""
    by_seed = scores.mean(axis=2) if scores.ndim == 3 else scores
    squared = _squared_t(beyond, by_seed.shape[1]) * _squared_error(by_seed, alone=0.0)
    if scores.ndim == 3:
        # Both levels contain the interaction, so their sum is a little too large, never too small.
        squared = squared + _squared_t(beyond, scores.shape[2]) * _squared_error(scores.mean(axis=1), alone=np.nan)
    return np.sqrt(squared)


def _squared_error(values: np.ndarray, alone: float) -> np.ndarray:
    """Squared standard error (arms,) of the mean of values (arms, n); `alone` where n is 1."""
    count = values.shape[1]
    return values.var(axis=1, ddof=1) / count if count > 1 else np.full(len(values), alone)


def _squared_t(beyond: float | np.ndarray, counts: int | np.ndarray) -> np.ndarray:
    """Squared two-sided quantile of Student's t with counts - 1 degrees of freedom; 0 for a count of 1."""
    counts = np.asarray(counts)
    # scipy.stats' own quantile takes twenty times as long.
    return np.where(counts > 1, stdtrit(np.maximum(counts - 1, 1), np.asarray(beyond) / 2), 0.0) ** 2


def interval(scores: np.ndarray, weights: Weights, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and interval (mean, low, high), each (arms,), of scores (arms, S, I) or (arms, S).

    Quantiles of the two-level bootstrap around the mean, stretched to the length of twice `half_width`. The
    bootstrap's own length is too short: over S seeds it has (S-1)/S of the right variance, and it knows no Student's t.
    Skewed scores get a longer side. The shorter side is at least `half_width`, because the skewness of a handful of
    seeds is mostly chance. With one image the interval is NaN.
    """
    mean = _mean(scores)
    tail = (1 - level) / 2
    low, high = np.quantile(resampled_means(scores, weights) - mean, [tail, 1 - tail], axis=0)
    length, least = high - low, half_width(scores, level)
    stretch = np.divide(2 * least, length, out=np.ones(len(mean)), where=length > 0)
    return mean, mean + np.minimum(low * stretch, -least), mean + np.maximum(high * stretch, least)


# -- tests ------------------------------------------------------------------------------------------------------------


def interval_p(scores: np.ndarray, null: float | np.ndarray = 0.0) -> np.ndarray:
    """Two-sided p (arms,) that the mean of scores (arms, S, I) or (arms, S) is `null`.

    It is the level at which `half_width` reaches the null. NaN with one seed, because the luck of training is unknown
    then, and with fewer than FEWEST_IMAGES images.
    """
    if not _enough(scores):
        return np.full(len(scores), np.nan)
    distance = np.abs(_mean(scores) - null)
    # log10 p by bisection: the half-width grows without end as p falls to 0.
    low, high = np.full(len(scores), -15.0), np.zeros(len(scores))
    for _ in range(36):
        middle = (low + high) / 2
        farther = _half_width(scores, 10.0**middle) > distance
        low, high = np.where(farther, middle, low), np.where(farther, high, middle)
    return np.where(distance == 0, 1.0, 10.0**high)


def _mean(scores: np.ndarray) -> np.ndarray:
    return scores.mean(axis=tuple(range(1, scores.ndim)))


def _enough(scores: np.ndarray) -> bool:
    """Whether there are seeds and images enough to tell luck from a difference."""
    return scores.shape[1] > 1 and (scores.ndim == 2 or scores.shape[2] >= FEWEST_IMAGES)


def sign_flip_p(deltas: np.ndarray) -> tuple[float, float]:
    """Exact two-sided p of the paired sign-flip test on deltas (S,), and the smallest p attainable with S seeds.

    p is the share of the 2^S sign patterns whose |mean| is at least the observed one. Above 16 seeds 2^16 patterns
    are used: the observed one, its mirror image, and random ones seeded by 0.
    """
    seeds = len(deltas)
    if seeds <= 16:
        signs = np.array(list(product((1, -1), repeat=seeds)))
    else:
        signs = np.random.default_rng(0).choice((1, -1), size=(2**16, seeds))
        signs[0], signs[1] = 1, -1
    means = np.abs(signs @ deltas)
    # With a tolerance: flipping all signs must give the same |mean| in spite of rounding.
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


def verdict(mean: float, low: float, high: float, margin: float, gain: int | None, p: float = 0.0) -> str:
    """A paired difference in a word, one of VERDICTS.

    mean, low, high: the difference and its 95 % interval. p: its `interval_p`, corrected by Holm for its family.
    margin: half-width of the range within which a difference does not matter.
    within tolerance: the whole interval lies within +-margin.
    better, worse: the interval excludes 0, p is at most 0.05, and the difference is at least the margin. `gain` says
    which: +1: a positive difference is better, -1: a negative one, None: the metric has no better direction, then
    higher or lower.
    inconclusive: all the rest. Also without a p, which one seed or too few pictures do not have.

    More seeds never turn a difference into "within tolerance" while its mean stays. In a family without any true
    difference a wrong word is said at most 5 % of the time, as far as the luck of the seeds is symmetric or alike in
    both arms (benchmarks/coverage.csv has worlds in which it is not).
    """
    if np.isnan(p) or np.isnan(low) or np.isnan(high):
        return "inconclusive"
    if -margin <= low and high <= margin:
        return "within tolerance"
    if not (low > 0 or high < 0) or p > 1 - LEVEL or abs(mean) < margin:
        return "inconclusive"
    sign = 1 if low > 0 else -1
    if gain is None:
        return "higher" if sign > 0 else "lower"
    return "better" if sign == gain else "worse"


# -- which way is better ----------------------------------------------------------------------------------------------


def badness(values: Any, better: str | None, target: float | None = None) -> Any:
    """Values, a number or an array, turned so that a smaller one is better; unchanged where no direction is better.

    better: "higher", "lower", "target" (the distance to `target` counts) or None.
    """
    if better == "target":
        return abs(values - target)
    return -values if better == "higher" else values


def mean_badness(scores: np.ndarray, better: str | None, target: float | None = None) -> np.ndarray:
    """`badness` of the mean of scores, as scores of the same shape: their mean is the badness of the mean.

    With a target, scores are mirrored when their mean lies below it. An arm that overshoots the target is then no
    better than one that falls as far short of it.
    """
    if better == "target":
        return (scores - target) * (1 if scores.mean() > target else -1)
    return badness(scores, better)


# -- other summaries --------------------------------------------------------------------------------------------------


def interquartile_mean(scores: np.ndarray) -> np.ndarray:
    """Mean (arms,) of the middle half of all seed x image scores (arms, S, I): a quarter is cut at either end.

    A few odd pictures move it less than the mean, and it is less noisy than the median (Agarwal et al. 2021, rliable).
    """
    flat = np.sort(scores.reshape(len(scores), -1), axis=1)
    cut = flat.shape[1] // 4
    return flat[:, cut : flat.shape[1] - cut].mean(axis=1)


def probability_of_improvement(worse: np.ndarray) -> float:
    """Share of seed x image pairs in which the arm is better, ties counting half, 0..1.

    worse (S, I): how much worse the arm is than the baseline on the same seed and image. 0.5 is no difference. This is
    the paired form of the probability of improvement of Agarwal et al. 2021.
    """
    return float(np.mean(worse < 0) + np.mean(worse == 0) / 2)


def standardised_effect(deltas: np.ndarray) -> float:
    """Mean of the seeds' deltas (S,) over their standard deviation (Cohen's d of paired data); NaN where undefined.

    Undefined with one seed, and where all deltas are the same.
    """
    if len(deltas) < 2:
        return float("nan")
    spread = deltas.std(ddof=1)
    return float(deltas.mean() / spread) if spread > 1e-12 * np.abs(deltas).max() else float("nan")


def detectable_difference(
    scores: np.ndarray, family: int = 1, power: float = POWER, level: float = LEVEL
) -> np.ndarray:
    """Smallest true mean (arms,) that the design finds with `power`, given differences (arms, S, I) of this spread.

    half_width at the level that Bonferroni leaves to one of `family` comparisons + half_width(2 power - 1): the
    two-sided quantile at `level` and the one-sided one at `power`, as in (t_0.975 + t_0.8) * SE. NaN with one seed or
    too few images.
    """
    if not _enough(scores):
        return np.full(len(scores), np.nan)
    return half_width(scores, 1 - (1 - level) / family) + half_width(scores, 2 * power - 1)


def seeds_needed(scores: np.ndarray, margin: float, family: int = 1) -> float:
    """About how many seeds would decide on the differences (S, I), if mean and spread stay as they are.

    The smallest S' above S at which the interval lies inside +-margin or, for a mean beyond it, excludes 0 at the level
    that Bonferroni leaves to one of `family` comparisons. Seeds shrink the variance between seeds and the interaction,
    not that between images. inf when MOST_SEEDS are not enough, as with too few images. NaN with one seed.
    """
    seeds, images = scores.shape
    if seeds == 1:
        return float("nan")
    if images < FEWEST_IMAGES:
        return float("inf")
    parts = variance_components(scores[None])
    seed, image, residual = float(parts.seed[0]), float(parts.image[0]), float(parts.residual[0])
    mean = abs(float(scores.mean()))
    counts = np.arange(seeds + 1, MOST_SEEDS + 1)
    by_seed, by_image = (seed + residual / images) / counts, (image + residual / counts) / images

    def reach(beyond: float) -> np.ndarray:
        return np.sqrt(_squared_t(beyond, counts) * by_seed + _squared_t(beyond, images) * by_image)

    enough = (mean + reach(1 - LEVEL) <= margin) | ((mean > reach((1 - LEVEL) / family)) & (mean >= margin))
    return float(counts[enough.argmax()]) if enough.any() else float("inf")


def trend_contrast(doses: np.ndarray) -> np.ndarray:
    """Weights (K,) of the scores at `doses` (K,) that give the rise of a straight line in log(dose).

    The least-squares slope over the logarithms of the doses, times their range: the gain of the fitted line from the
    smallest to the largest dose, in the score's unit. With two doses it is their difference.
    Raises ValueError unless there are two different doses, all above 0.
    """
    doses = np.asarray(doses, float)
    if len(set(doses.tolist())) < 2 or np.any(doses <= 0):
        raise ValueError(f"a trend needs at least two different doses above 0, got {doses.tolist()}")
    x = np.log(doses)
    x = x - x.mean()
    return x / np.square(x).sum() * (x.max() - x.min())


# -- influence on a ratio ----------------------------------------------------------------------------------------------


def chroma_ratio_influence(values: np.ndarray, true_chroma: np.ndarray) -> np.ndarray:
    """Values (N,) whose mean is the chroma_ratio r of a set of pictures, and whose spread gives its interval.

    r + (C - r T) / mean T of every picture (delta method), C and T the mean chroma of prediction and truth in Lab
    units. values: 1 + (C - T) / mean T, which `metrics.chroma_ratio` gives per picture. Their mean is r, the ratio of
    the sums of C and T, but their spread is not the ratio's: for a gray prediction it is the spread of the truth's
    chroma. true_chroma: T, (N,).
    """
    return values + (1 - values.mean()) * (true_chroma / true_chroma.mean() - 1)
