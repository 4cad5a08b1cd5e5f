"""Contrasts: the estimate that a claim is judged on, and the hypothesis that its interval is held against.

A claim about scores comes down to a weighted sum of the scores of arms on the same seeds and pictures. So all of them
share the two-level interval and the tests of `study.statistics`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf, nan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from study import statistics as stats
from study.config.claims import Claim, Direction, Scored
from study.metrics import METRICS

Span = tuple[float, float]


class NotTestable(Exception):
    """This study cannot judge the claim; the message says why."""


@dataclass(frozen=True)
class Sources:
    """All that claims are judged on.

    declared: arms of the study. matrices: metric -> arm -> scores, seeds x images.
    by_region: scores per kind of region (arm, seed, image, region, metric, value).
    records, histories: (arm, seed) -> run record, and table split, name, step, value.
    step_times: arm -> milliseconds of a training step by process and round, in which the arms took turns.
    means: kind of region -> (a, b), the mean of its colour distribution; empty where none is known.
    loss_files: arm -> the file of its loss. weights: bootstrap weights for (seeds, images).
    unmeasured: metric -> why there is none. elsewhere: arm -> other studies that have it.
    casts: metric -> the colour cast that averaging brings, where the colour distribution is known.
    """

    declared: list[str]
    matrices: dict[str, dict[str, pd.DataFrame]]
    by_region: pd.DataFrame
    records: dict[tuple[str, int], dict[str, Any]]
    histories: dict[tuple[str, int], pd.DataFrame]
    step_times: Mapping[str, np.ndarray]
    means: dict[str, tuple[float, float]]
    loss_files: dict[str, Path]
    weights: Callable[[int, int], stats.Weights]
    unmeasured: dict[str, str] = field(default_factory=dict)
    elsewhere: dict[str, list[str]] = field(default_factory=dict)
    casts: dict[str, float] = field(default_factory=dict)

    def scores(self, metric: str, *arms: str) -> list[np.ndarray]:
        """Scores (S, I) of the arms on the seeds that all of them have. NotTestable when something is missing."""
        for arm in arms:
            self.need(arm)
        known = self.matrices.get(metric, {})
        if not known:
            why = f": {self.unmeasured[metric]}" if metric in self.unmeasured else ""
            raise NotTestable(f"{metric} is not measured here{why}")
        for arm in arms:
            if arm not in known or not known[arm].size:
                raise NotTestable(f"{arm} has no finished, scored and current training run")
        shared = sorted(set.intersection(*(set(known[arm].index) for arm in arms)))
        if not shared:
            raise NotTestable(f"{' and '.join(arms)} have no seed in common")
        return [known[arm].loc[shared].to_numpy() for arm in arms]

    def need(self, arm: str) -> None:
        """NotTestable unless `arm` is one of the study's."""
        if arm not in self.declared:
            others = self.elsewhere.get(arm)
            but = f" (it is in {', '.join(others)})" if others else ""
            raise NotTestable(f"the arm {arm} is not part of this study{but}")

    def seeds(self, table: dict[tuple[str, int], Any], *arms: str) -> list[int]:
        """Seeds of which all the arms have an entry in `table`. NotTestable when there is none."""
        for arm in arms:
            self.need(arm)
        shared = sorted(set.intersection(*({seed for own, seed in table if own == arm} for arm in arms)))
        if not shared:
            raise NotTestable(f"{' or '.join(arms)} has no finished, scored and current training run")
        return shared


@dataclass(frozen=True)
class Hypothesis:
    """What a claim asks of an interval: inside `holds` confirms it, inside one of `fails` refutes it.

    null: the border of `holds`, where p is taken. difference: the claim is that something differs, not that it is the
    same or no worse. enough: where the estimate must lie as well. Without it, more seeds could turn "confirmed" into
    "negligible" while the estimate stays.
    """

    holds: Span
    fails: tuple[Span, ...]
    null: float
    difference: bool
    enough: Span = (-inf, inf)


def beyond(direction: Direction, margin: float, null: float = 0.0) -> Hypothesis:
    """The claim "it differs from `null` in this direction"; less than the margin does not count."""
    if direction == "up":
        return Hypothesis((null, inf), ((-inf, null + margin),), null, True, enough=(null + margin, inf))
    return Hypothesis((-inf, null), ((null - margin, inf),), null, True, enough=(-inf, null - margin))


def not_beyond(direction: Direction, margin: float) -> Hypothesis:
    """The claim "no worse by more than the margin", where `direction` is the good one (non-inferiority)."""
    if direction == "up":
        return Hypothesis((-margin, inf), ((-inf, -margin),), -margin, difference=False)
    return Hypothesis((-inf, margin), ((margin, inf),), margin, difference=False)


def inside(low: float, high: float, estimate: float) -> Hypothesis:
    """The claim "it lies in low..high" (equivalence); p is taken at the border nearer to `estimate`."""
    nearest = low if abs(estimate - low) < abs(estimate - high) else high
    return Hypothesis((low, high), ((-inf, low), (high, inf)), nearest, difference=False)


@dataclass(frozen=True)
class Contrast:
    """An estimate with its 95 % interval, and the hypothesis that it is held against.

    p: exact sign-flip p over seeds; p_min: the smallest one attainable; p_t: of the two-level interval. All are that
    the truth is the hypothesis' null, and NaN where seeds play no part. exact: a fact, without any uncertainty.
    """

    metric: str
    unit: str
    comparison: str
    estimate: float
    low: float
    high: float
    hypothesis: Hypothesis
    p: float = nan
    p_min: float = nan
    p_t: float = nan
    exact: bool = False


def contrast_of(sources: Sources, scores: np.ndarray, hypothesis: Hypothesis, **labels: str) -> Contrast:
    """The contrast of scores (S, I), or of one value per seed (S,) that is no mean over pictures."""
    seeds, images = scores.shape if scores.ndim == 2 else (len(scores), 1)
    mean, low, high = (float(part[0]) for part in stats.interval(scores[None], sources.weights(seeds, images)))
    by_seed = scores.mean(axis=1) if scores.ndim == 2 else scores
    p, p_min = stats.sign_flip_p(by_seed - hypothesis.null)
    p_t = float(stats.interval_p(scores[None], hypothesis.null)[0])
    return Contrast(
        estimate=mean, low=low, high=high, hypothesis=hypothesis, p=p, p_min=p_min, p_t=p_t, **labels
    )  # fmt: skip


def margin_of(claim: Claim) -> float:
    """What is too little to matter for a claim, in the unit of its estimate: its own, else that of its metric."""
    return METRICS[claim.metric].margin if isinstance(claim, Scored) and claim.margin is None else claim.margin
