"""Cells of the results table: text, verdict and a small interval plot each."""

from __future__ import annotations

from dataclasses import dataclass

from study.report.result import Comparison, Estimate, Metric, StudyResult
from study.report.style import interval, number

MICRO = (96, 9)  # width and height of an interval plot inside a table cell, pixels


@dataclass(frozen=True)
class Micro:
    """Positions, in pixels, of the parts of an interval plot in a table cell."""

    low: float | None
    high: float | None
    mean: float
    baseline: float | None
    target: float | None


@dataclass(frozen=True)
class Score:
    """One cell of the results table."""

    estimate: Estimate
    text: str
    interval: str
    badness: float
    comparison: Comparison | None
    micro: Micro


def result_scores(result: StudyResult, columns: list[Metric]) -> dict[tuple[str, str], Score]:
    """(arm, metric) -> what its cell shows."""
    found = {}
    for card in columns:
        scale = _scale(result, card)
        base = result.estimates.get((result.baseline, card.name))
        for arm in result.shown:
            estimate = result.estimates.get((arm.name, card.name))
            if estimate:
                found[arm.name, card.name] = Score(
                    estimate,
                    number(estimate.mean, card.decimals),
                    interval(estimate.low, estimate.high, card.decimals),
                    card.badness(estimate.mean),
                    result.comparisons.get((arm.name, card.name)),
                    _micro(estimate, base, card.target, scale),
                )
    return found


def _scale(result: StudyResult, card: Metric) -> tuple[float, float]:
    values = [card.target] if card.target is not None else []
    for (_, metric), e in result.estimates.items():
        if metric == card.name:
            values += [e.mean, *([e.low, e.high] if e.has_interval else [])]
    return min(values), max(values)


def _micro(estimate: Estimate, base: Estimate | None, target: float | None, scale: tuple[float, float]) -> Micro:
    low, high = scale
    span = (high - low) or 1.0

    def place(value: float | None) -> float | None:
        return None if value is None else round(5 + (value - low) / span * (MICRO[0] - 10), 1)

    ends = (estimate.low, estimate.high) if estimate.has_interval else (None, None)
    return Micro(
        place(ends[0]), place(ends[1]), place(estimate.mean), place(base.mean if base else None), place(target)
    )
