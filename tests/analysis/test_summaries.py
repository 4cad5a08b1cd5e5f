"""Tables that describe: regions, curves, cost, and the metrics themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats as reference

from study.analysis.schemas import COST, METRICS, REGIONS
from study.analysis.summaries import cost_rows, curve_table, metric_rows, region_table
from tests.analysis.worlds import long_table


def cost_table(records: Any, times: Any, arms: list[str], batch: int) -> pd.DataFrame:
    return COST.frame(cost_rows(records, times, arms, "mse", batch), study="made").set_index("arm")


def test_regions_have_students_interval_over_seeds_and_ignore_images_without_the_region() -> None:
    values = np.random.default_rng(5).normal(30, 3, (5, 10))
    values[:, 4] = np.nan
    table = region_table(long_table({"mse": values}, "chroma", "car"), ["mse"])
    means = np.nanmean(values, axis=1)
    expected = reference.t.interval(0.95, 4, loc=means.mean(), scale=reference.sem(means))
    assert table.loc[0, "mean"] == pytest.approx(means.mean())
    assert (table.loc[0, "low"], table.loc[0, "high"]) == pytest.approx(expected)


def test_without_regions_there_are_no_rows() -> None:
    table = REGIONS.frame(region_table(long_table({"mse": np.ones((2, 3))}), ["mse"]), study="made")
    assert len(table) == 0


def test_cost_is_in_medians_and_ratios_to_the_baseline() -> None:
    def record(memory: float, control: dict | None = None) -> dict:
        return {"parameters": 10, "peak_memory_mb": memory, "arm_settings": {"control": control}}

    records = {("mse", 0): record(10), ("mse", 1): record(30), ("mse", 2): record(12), ("slow", 0): record(24)}
    records["late", 0] = record(6)
    records["gained", 0] = record(10, {"of": "mse", "match": "truth"})
    # The machine is slow in the second round, for both; what is left is the ratio.
    times = {"mse": np.array([[10.0, 40, 12]]), "slow": np.array([[20.0, 88, 36]])}
    table = cost_table(records, times, ["mse", "slow", "late", "gained"], batch=32)
    assert table.loc["mse", ["parameters", "step_ms", "step_ratio", "memory_ratio"]].tolist() == [10, 12, 1, 1]
    assert table.loc["mse", ["step_low", "step_high"]].isna().all()
    assert table.loc["slow", ["step_low", "step_ratio", "step_high"]].tolist() == pytest.approx([2.1, 2.2, 2.6])
    assert table.loc["slow", "images_per_s"] == pytest.approx(32 / 0.036)
    assert table.loc["slow", "memory_ratio"] == 2
    assert table.loc["late", ["step_ms", "step_ratio", "step_low", "images_per_s"]].isna().all()
    assert table.loc["late", "memory_ratio"] == 0.5
    assert "gained" not in table.index  # nothing was trained for it


def test_without_times_of_the_baseline_there_are_no_ratios() -> None:
    record = {"parameters": 1, "peak_memory_mb": 1.0, "arm_settings": {}}
    records = {(arm, 0): record for arm in ("mse", "other")}
    table = cost_table(records, {"other": np.array([[5.0, 7, 6]])}, ["mse", "other"], batch=8)
    assert table.loc["other", "step_ms"] == 6
    assert table["step_ratio"].isna().all()


def test_curves_are_averaged_over_seeds_without_speed() -> None:
    def history(shift: float) -> pd.DataFrame:
        names = ["lab", "images_per_s"] * 2
        return pd.DataFrame(
            {"step": [1, 1, 2, 2], "images": [8, 8, 16, 16], "split": "train", "name": names, "value": [3.0, 9, 1, 9]}
        ).assign(value=lambda table: table["value"] + shift)

    table = curve_table({("mse", 0): history(0), ("mse", 1): history(1), ("old", 0): history(5)}, ["mse"])
    assert table[["arm", "name", "step", "mean", "low", "high", "seeds"]].to_numpy().tolist() == [
        ["mse", "lab", 1, 3.5, 3, 4, 2],
        ["mse", "lab", 2, 1.5, 1, 2, 2],
    ]


def test_every_metric_declares_a_direction_a_range_and_a_margin() -> None:
    table = METRICS.frame(metric_rows())
    assert table["metric"].is_unique and (table["low"] < table["high"]).all() and (table["margin"] > 0).all()
    assert ((table["better"] == "target") == table["target"].notna()).all()
