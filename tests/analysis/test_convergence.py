"""Had training ended? Curves of known shape, the interval against scipy, and histories that say nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats as reference

from study.analysis.convergence import convergence_rows

MARGINS = {"ab_rmse": 0.25}


def history(values: list[float], steps: list[int] | None = None, name: str = "ab_rmse") -> pd.DataFrame:
    steps = steps or [25 * (k + 1) for k in range(len(values))]
    rows = [
        {"step": s, "images": 32 * s, "split": "val", "name": name, "value": v}
        for s, v in zip(steps, values, strict=True)
    ]
    training = {"step": steps[-1] + 9, "images": 0, "split": "train", "name": name, "value": 1e3}
    return pd.DataFrame([*rows, training])


@pytest.mark.parametrize(
    ("last_quarter", "flattened"),
    [
        ([-0.1, -0.1, -0.12], "yes"),
        ([-1.0, -1.1, -0.9], "no"),
        ([1.0, 1.1, 0.9], "no"),
        ([-0.1, -0.5, 0.6], "inconclusive"),
        ([-0.3, -0.31, -0.2], "inconclusive"),
        ([0.0], "inconclusive"),
    ],
)
def test_the_change_over_the_last_quarter_is_held_against_the_margin(last_quarter: list[float], flattened: str) -> None:
    histories = {"mse": {seed: history([30, 25, 20, 20 + d]) for seed, d in enumerate(last_quarter)}}
    (row,) = convergence_rows(histories, MARGINS)
    assert row["flattened"] == flattened
    assert row["change"] == pytest.approx(np.mean(last_quarter))
    assert row["end"] == pytest.approx(20 + np.mean(last_quarter))
    assert (row["margin"], row["seeds"]) == (0.25, len(last_quarter))


def test_the_interval_is_students_over_seeds() -> None:
    changes = np.array([-0.4, 0.1, -0.2, -0.3, 0.05])
    histories = {"mse": {seed: history([30, 25, 20, 20 + d]) for seed, d in enumerate(changes)}}
    (row,) = convergence_rows(histories, MARGINS)
    expected = reference.t.interval(0.95, 4, loc=changes.mean(), scale=reference.sem(changes))
    assert (row["low"], row["high"]) == pytest.approx(expected)


def test_three_quarters_may_lie_between_two_validations() -> None:
    histories = {"mse": {0: history([20, 10], steps=[50, 100]), 1: history([20, 10], steps=[50, 100])}}
    (row,) = convergence_rows(histories, MARGINS)
    assert row["change"] == pytest.approx(-5)


def test_histories_without_an_early_validation_have_no_row_and_each_metric_its_own() -> None:
    control, trained = (
        history([20.0]),
        pd.concat([history([9, 8, 7, 7]), history([0.5, 0.6, 0.7, 0.9], name="chroma_ratio")]),
    )
    rows = convergence_rows({"gray": {0: control}, "mse": {0: trained, 1: trained}}, {**MARGINS, "chroma_ratio": 0.03})
    assert [(row["arm"], row["metric"], row["flattened"]) for row in rows] == [
        ("mse", "ab_rmse", "yes"),
        ("mse", "chroma_ratio", "no"),
    ]
    assert convergence_rows({}, MARGINS) == []
