"""Whether training had converged: how much the validation curves changed in the last quarter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from study.statistics import half_width

LAST = 0.25
"""The last part of training over which the change is taken."""


def convergence_rows(
    histories: Mapping[str, Mapping[int, pd.DataFrame]], margins: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Rows of convergence.csv, one per arm and metric of `margins`.

    histories: arm -> seed -> its history (step, split, name, value), validations in the rows of split "val".
    margins: metric -> half-width of the range within which a difference does not matter.

    change: the value at the end minus that after three quarters of the steps, interpolated between validations; mean
    over seeds with Student's t interval. end: mean of the last value.
    flattened: "yes" when the interval lies within +-margin, "no" when it lies beyond, else "inconclusive", as with a
    single seed. The learning rate falls to 0 at the end and flattens every curve. So "no" proves that training was too
    short, but "yes" does not prove that longer training changes nothing: lengths.csv shows that.
    Histories without a validation in the first three quarters, such as those of controls, have no row.
    """
    rows = []
    for arm, by_seed in histories.items():
        for metric, margin in margins.items():
            found = [ends for history in by_seed.values() if (ends := _ends(history, metric)) is not None]
            if not found:
                continue
            before, end = np.array(found).T
            change = end - before
            low, high = _t_interval(change)
            rows.append(
                {
                    "arm": arm,
                    "metric": metric,
                    "end": end.mean(),
                    "change": change.mean(),
                    "low": low,
                    "high": high,
                    "margin": margin,
                    "flattened": _flattened(low, high, margin),
                    "seeds": len(change),
                }
            )
    return rows


def _ends(history: pd.DataFrame, metric: str) -> tuple[float, float] | None:
    """Value after 1 - LAST of the steps, and at the end; None where no validation came early enough."""
    curve = history[(history["split"] == "val") & (history["name"] == metric)].sort_values("step")
    steps, values = curve["step"].to_numpy(float), curve["value"].to_numpy(float)
    if not len(steps) or steps[0] > (1 - LAST) * steps[-1]:
        return None
    return float(np.interp((1 - LAST) * steps[-1], steps, values)), float(values[-1])


def _t_interval(values: np.ndarray) -> tuple[float, float]:
    half = float(half_width(values[None])[0]) if len(values) > 1 else np.nan
    return float(values.mean() - half), float(values.mean() + half)


def _flattened(low: float, high: float, margin: float) -> str:
    if -margin <= low and high <= margin:
        return "yes"
    return "no" if low > margin or high < -margin else "inconclusive"
