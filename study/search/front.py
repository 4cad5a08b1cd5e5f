"""Comparing candidates on several objectives, all minimised: the front, its knee, hypervolume, and noise."""

from __future__ import annotations

import numpy as np
from scipy.special import chdtri


def non_dominated(values: np.ndarray) -> np.ndarray:
    """Which rows of values (n, m) no other row dominates: bool (n,). Equal rows do not dominate each other."""
    better = (values[:, None] <= values[None]).all(-1) & (values[:, None] < values[None]).any(-1)
    return ~better.any(0)


def knee(values: np.ndarray) -> int:
    """Row of a front (n, m) nearest to its ideal point, with every objective scaled to 0..1 over the front.

    The ideal point has the smallest value of every objective. An objective in which the front is flat does not count;
    of equally near rows the first is taken.
    """
    low, high = values.min(0), values.max(0)
    scaled = (values - low) / np.where(high > low, high - low, 1.0)
    return int(np.argmin(np.linalg.norm(scaled, axis=1)))


def hypervolume(values: np.ndarray, reference: np.ndarray) -> float:
    """Volume of what the rows of values (n, m) dominate, up to the reference point (m,).

    Cut into slabs along the last objective: within a slab it is the area dominated by the rows that reach it.
    """
    values = values[(values < reference).all(1)]
    if len(values) == 0:
        return 0.0
    if values.shape[1] == 1:
        return float(reference[0] - values.min())
    values = values[np.argsort(values[:, -1], kind="stable")]
    ends = np.append(values[1:, -1], reference[-1])
    return sum(
        (end - row[-1]) * hypervolume(values[: k + 1, :-1], reference[:-1])
        for k, (row, end) in enumerate(zip(values, ends, strict=True))
        if end > row[-1]
    )


def paired_noise(scores: list[np.ndarray]) -> np.ndarray | None:
    """SD (m,) of a candidate's score on one seed once its own level and the seed's are taken out.

    scores: (seeds, m) of each candidate, the same seeds in the same order. What is left in the model
    score = candidate + seed + noise, estimated from the candidates with at least two seeds; None when there are
    fewer than two of them. Seeds are shared, so that this, and not the spread over seeds, is what blurs a comparison.

    It is the SD of a usual candidate: the median of the candidates' variances over the median of chi^2 / (seeds - 1).
    Settings far from all good ones are much noisier, and a mean would be theirs.
    """
    seeds = max((len(score) for score in scores), default=0)
    full = [score for score in scores if len(score) == seeds]
    if seeds < 2 or len(full) < 2:
        return None
    variances = own_variances(full, seed_luck(full))
    return np.sqrt(np.median(variances, axis=0) * (seeds - 1) / chdtri(seeds - 1, 0.5))


def seed_luck(scores: list[np.ndarray]) -> np.ndarray:
    """What each seed adds to the scores of all candidates, (seeds, m): the median over candidates.

    scores: (seeds, m) of each candidate, the same seeds for all.
    """
    table = np.stack(scores)
    return np.median(table - table.mean(1, keepdims=True), axis=0)


def own_variances(scores: list[np.ndarray], luck: np.ndarray) -> np.ndarray:
    """Variance of each candidate's score over seeds, (candidates, m), once the seeds' luck is taken out."""
    return np.var(np.stack(scores) - luck, axis=1, ddof=1)


def clearly_dominated(scores: np.ndarray, others: list[np.ndarray], noise: np.ndarray | None) -> bool:
    """Whether another candidate is better in every objective by more than the SD of such a difference.

    scores: (seeds, m). others: (seeds, m) each; compared on the seeds that both have seen, if they have all of
    `scores`'. The SD of a difference of two means over s shared seeds is noise * sqrt(2 / s).
    """
    if noise is None:
        return False
    margin = noise * np.sqrt(2 / len(scores))
    return any(
        bool((scores.mean(0) - other[: len(scores)].mean(0) > margin).all())
        for other in others
        if len(other) >= len(scores)
    )
