"""Estimates of one metric: every arm's mean, and paired differences between arms, with intervals and verdicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from study import statistics as stats
from study.config.arms import Arm
from study.metrics import Metric

Matrices = dict[str, pd.DataFrame]
"""Arm -> scores of one metric, seeds x images."""

Interval = tuple[float, float, float]
"""(mean, low, high)."""

Row = dict[str, Any]


class BootstrapWeights:
    """Bootstrap weights for (seeds, images), drawn once per shape: all that is compared shares its resamples."""

    def __init__(self, resamples: int, seed: int) -> None:
        self.resamples, self.seed = resamples, seed
        self.known: dict[tuple[int, int], stats.Weights] = {}

    def __call__(self, seeds: int, images: int) -> stats.Weights:
        if (seeds, images) not in self.known:
            rng = np.random.default_rng(self.seed)
            self.known[seeds, images] = stats.bootstrap_weights(seeds, images, self.resamples, rng)
        return self.known[seeds, images]


def estimate_rows(metric: Metric, matrices: Matrices, weights: BootstrapWeights) -> list[Row]:
    """Rows of arms.csv for one metric: mean with interval, spread over seeds and interquartile mean of every arm."""
    if not all(matrix.size for matrix in matrices.values()):
        return []
    arrays = {arm: matrix.to_numpy() for arm, matrix in matrices.items()}
    found = _intervals(arrays, weights)
    middle, shares = _each(stats.interquartile_mean, arrays), _shares(arrays)
    return [
        {
            "arm": arm,
            "metric": metric.name,
            "mean": found[arm][0],
            "low": found[arm][1],
            "high": found[arm][2],
            "seeds": len(matrix),
            "sd": matrix.mean(axis=1).std(ddof=1) if len(matrix) > 1 else None,
            "iqm": None if metric.ratio_of_sums else middle[arm],
            "seed_share": shares[arm][0],
            "image_share": shares[arm][1],
        }
        for arm, matrix in matrices.items()
    ]


def seed_rows(metric: Metric, matrices: Matrices) -> list[Row]:
    """Rows of seeds.csv for one metric: the mean over images of every arm and seed."""
    return [
        {"arm": arm, "metric": metric.name, "seed": seed, "value": value}
        for arm, matrix in matrices.items()
        if matrix.size
        for seed, value in matrix.mean(axis=1).items()
    ]


def paired_rows(metric: Metric, matrices: Matrices, baseline: str, weights: BootstrapWeights) -> list[Row]:
    """Rows of paired.csv for one metric: every arm minus `baseline`, over the seeds that both have.

    Holm's family is the arms of the metric. Verdicts are about the badness of the mean (`stats.mean_badness`), delta
    and its interval about the metric as it is.
    """
    if baseline not in matrices or not all(matrix.size for matrix in matrices.values()):
        return []
    better = metric.better, metric.target
    deltas, worse, improved = {}, {}, {}
    for arm, matrix in matrices.items():
        shared = matrix.index.intersection(matrices[baseline].index)
        if arm != baseline and len(shared):
            own, base = matrix.loc[shared].to_numpy(), matrices[baseline].loc[shared].to_numpy()
            deltas[arm] = own - base
            worse[arm] = stats.mean_badness(own, *better) - stats.mean_badness(base, *better)
            if metric.better and not metric.ratio_of_sums:
                change = stats.badness(own, *better) - stats.badness(base, *better)
                improved[arm] = stats.probability_of_improvement(change)
    found, judged = _intervals(deltas, weights), _intervals(worse, weights)
    detectable = _each(lambda stack: stats.detectable_difference(stack, len(deltas)), worse)
    shares, p_t = _shares(worse), _each(stats.interval_p, worse)
    tests = {arm: stats.sign_flip_p(delta.mean(axis=1)) for arm, delta in worse.items()}
    p_holm = stats.holm(np.array([p for p, _ in tests.values()]))
    p_t_holm = stats.holm(np.array([p_t[arm] for arm in deltas]))
    rows = []
    for k, (arm, delta) in enumerate(deltas.items()):
        half, verdict, double = (
            _verdict(metric, margin, found[arm], judged[arm], float(p_t_holm[k]))
            for margin in (metric.margin / 2, metric.margin, metric.margin * 2)
        )
        needed = stats.seeds_needed(worse[arm], metric.margin, len(deltas)) if verdict == "inconclusive" else None
        rows.append(
            {
                "arm": arm,
                "baseline": baseline,
                "metric": metric.name,
                "delta": found[arm][0],
                "low": found[arm][1],
                "high": found[arm][2],
                "p": tests[arm][0],
                "p_holm": float(p_holm[k]),
                "p_min": tests[arm][1],
                "verdict": verdict,
                "verdict_half_margin": half,
                "verdict_double_margin": double,
                "seeds": len(delta),
                "effect": stats.standardised_effect(delta.mean(axis=1)),
                "improved": improved.get(arm),
                "detectable": detectable[arm],
                "seeds_needed": needed,
                "seed_share": shares[arm][0],
                "image_share": shares[arm][1],
                "p_t": p_t[arm],
                "p_t_holm": float(p_t_holm[k]),
            }
        )
    return rows


def _verdict(metric: Metric, margin: float, delta: Interval, worse: Interval, p: float) -> str:
    """The verdict on a difference at some margin; worse: the same difference in badness."""
    word = stats.verdict(*worse, margin, -1 if metric.better else None, p)
    # Equally far from a target, but on its two sides, is not the same.
    apart = word == "within tolerance" and not -margin <= delta[1] <= delta[2] <= margin
    return "inconclusive" if apart else word


def rows_against_gain(metric: Metric, matrices: Matrices, arms: list[Arm], weights: BootstrapWeights) -> list[Row]:
    """`paired_rows` of the tuned arms against the gain that they have to beat.

    It is the control that scales the colours of another arm to the truth's chroma by one number. Without it, or without
    tuned arms, there are no rows. Holm's family is the tuned arms.
    """
    controls = [arm for arm in arms if arm.control and arm.control.by == "gain"]
    gain = next((arm.name for arm in controls if arm.control.match == "truth"), None)
    tuned = [arm.name for arm in arms if arm.tuned]
    if gain not in matrices or not tuned:
        return []
    return paired_rows(metric, {name: matrices[name] for name in (gain, *tuned) if name in matrices}, gain, weights)


def _by_shape(matrices: dict[str, np.ndarray]) -> list[tuple[list[str], np.ndarray]]:
    """Matrices of equal shape, stacked, with their names: they are resampled together."""
    shapes = dict.fromkeys(matrix.shape for matrix in matrices.values())
    groups = [[name for name, matrix in matrices.items() if matrix.shape == shape] for shape in shapes]
    return [(names, np.stack([matrices[name] for name in names])) for names in groups]


def _intervals(matrices: dict[str, np.ndarray], weights: BootstrapWeights) -> dict[str, Interval]:
    """Name -> (mean, low, high)."""
    found = {}
    for names, stack in _by_shape(matrices):
        columns = stats.interval(stack, weights(*stack.shape[1:]))
        found |= {name: tuple(float(column[k]) for column in columns) for k, name in enumerate(names)}
    return found


def _each(function: Callable[[np.ndarray], np.ndarray], matrices: dict[str, np.ndarray]) -> dict[str, float]:
    """Name -> `function` of stacked matrices."""
    found = {}
    for names, stack in _by_shape(matrices):
        found |= dict(zip(names, function(stack).tolist(), strict=True))
    return found


def _shares(matrices: dict[str, np.ndarray]) -> dict[str, tuple[float, float]]:
    """Name -> shares of seeds and of images in the variance of the mean."""
    found = {}
    for names, stack in _by_shape(matrices):
        seed, image = stats.variance_shares(stack)
        found |= {name: (float(seed[k]), float(image[k])) for k, name in enumerate(names)}
    return found
