"""Tables beside the comparison: kinds of regions, curves, cost, metrics, and writing them all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats as distributions

from study import statistics as stats
from study.files import atomic_write_text
from study.metrics import METRICS

DIGITS = "%.8g"
CURVES = ("ab_rmse", "chroma_ratio")
"""Validation curves that are also written as wide tables, for `dvc plots`."""


def kind_rows(scores: pd.DataFrame, arms: list[str]) -> pd.DataFrame:
    """Per palette kind: mean over images and seeds with Student's t interval over seeds (none with a single seed)."""
    rows = scores[scores["kind"] != "all"]
    columns = ["arm", "kind", "metric", "mean", "low", "high", "seeds"]
    if not len(rows):
        return pd.DataFrame(columns=columns)
    by_seed = rows.groupby(["arm", "kind", "metric", "seed"], sort=False)["value"].mean()
    table = by_seed.groupby(level=["arm", "kind", "metric"], sort=False).agg(["mean", "std", "count"]).reset_index()
    half = distributions.t.ppf((1 + stats.LEVEL) / 2, table["count"] - 1) * table["std"] / np.sqrt(table["count"])
    table["low"], table["high"], table["seeds"] = table["mean"] - half, table["mean"] + half, table["count"]
    table["order"] = table["arm"].map({arm: k for k, arm in enumerate(arms)})
    return table.sort_values("order", kind="stable")[columns].reset_index(drop=True)


def curve_rows(histories: Mapping[tuple[str, int], pd.DataFrame], arms: list[str]) -> pd.DataFrame:
    """Histories by (arm, seed), averaged over the seeds of each arm, with their range over seeds."""
    parts = []
    for arm in arms:
        own = [history for (name, _), history in histories.items() if name == arm]
        if own:
            groups = pd.concat(own).groupby(["split", "name", "step", "images"], sort=False)["value"]
            parts.append(groups.agg(mean="mean", low="min", high="max", seeds="count").reset_index().assign(arm=arm))
    columns = ["arm", "split", "name", "step", "images", "mean", "low", "high", "seeds"]
    if not parts:
        return pd.DataFrame(columns=columns)
    table = pd.concat(parts, ignore_index=True)[columns]
    # Speed says more in cost.csv, and its noise would change this file with every run.
    return table[table["name"] != "images_per_s"].reset_index(drop=True)


def cost_rows(
    records: dict[tuple[str, int], dict[str, Any]],
    step_times: Mapping[str, np.ndarray],
    arms: list[str],
    baseline: str,
    batch: int,
) -> pd.DataFrame:
    """What an arm costs, beside the baseline.

    records: of cells, by (arm, seed); parameters, peak memory and the seconds of a whole cell are medians over seeds.
    Controls are not trained: they have no seconds.
    step_times: arm -> milliseconds of a step by process and round; NaN where an arm has none. step_ratio: the median
    over rounds of the ratio to the baseline's in the same round, step_low and step_high its quartiles (none for the
    baseline and arms that share its times). batch: images of a step.
    """
    rows = []
    for arm in arms:
        own = [record for (name, _), record in records.items() if name == arm]
        if own:
            fields = ("parameters", "peak_memory_mb", "seconds")
            row = {"arm": arm} | {field: float(np.median([r[field] for r in own])) for field in fields}
            if own[0]["arm_settings"].get("control"):
                row["seconds"] = np.nan
            if arm in step_times:
                row["step_ms"] = float(np.median(step_times[arm]))
                row["images_per_s"] = 1000 * batch / row["step_ms"]
                if baseline in step_times:
                    ratios = step_times[arm] / step_times[baseline]
                    row["step_ratio"] = float(np.median(ratios))
                    if (ratios != 1).any():  # it does not train as the baseline does
                        row["step_low"], row["step_high"] = np.quantile(ratios, [0.25, 0.75]).tolist()
            rows.append(row)
    columns = ["arm", "parameters", "step_ms", "images_per_s", "peak_memory_mb", "seconds",
               "step_ratio", "step_low", "step_high", "memory_ratio"]  # fmt: skip
    table = pd.DataFrame(rows, columns=columns)
    reference = table[table["arm"] == baseline].iloc[0]
    table["memory_ratio"] = table["peak_memory_mb"] / reference["peak_memory_mb"]
    table["parameters"] = table["parameters"].astype(int)
    return table


def metric_rows() -> pd.DataFrame:
    """What every metric declares about itself."""
    columns = ["metric", "unit", "low", "high", "better", "target", "margin", "says", "weakness"]
    rows = [{"metric": name} | asdict(metric) for name, metric in METRICS.items()]
    return pd.DataFrame(rows, columns=columns)


def write_tables(folder: Path, tables: Mapping[str, pd.DataFrame], arms: list[str]) -> None:
    """Write every table as <name>.csv, and the CURVES as curve_<name>.csv with a column per arm."""
    for name, table in tables.items():
        atomic_write_text(folder / f"{name}.csv", table.to_csv(index=False, float_format=DIGITS))
    curves = tables["curves"]
    for name in CURVES:
        chosen = curves[(curves["split"] == "val") & (curves["name"] == name)]
        wide = chosen.pivot(index="images", columns="arm", values="mean").reindex(columns=arms)
        atomic_write_text(folder / f"curve_{name}.csv", wide.to_csv(float_format=DIGITS))
