"""Tables that describe without comparing: kinds of regions, training curves, cost, and the metrics themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats as distributions

from study import statistics as stats
from study.analysis.schemas import CURVES, REGIONS
from study.analysis.schemas import METRICS as METRICS_TABLE
from study.analysis.scoring import EVERYWHERE
from study.metrics import METRICS


def region_table(scores: pd.DataFrame, arms: list[str]) -> pd.DataFrame:
    """regions.csv without the study: mean over images and seeds of every arm, kind of region and metric.

    scores: arm, seed, image, region, metric, value. The interval is Student's t over seeds; there is none with one.
    """
    rows = scores[scores["region"] != EVERYWHERE]
    by_seed = rows.groupby(["arm", "region", "metric", "seed"], sort=False)["value"].mean()
    table = by_seed.groupby(level=["arm", "region", "metric"], sort=False).agg(["mean", "std", "count"]).reset_index()
    half = distributions.t.ppf((1 + stats.LEVEL) / 2, table["count"] - 1) * table["std"] / np.sqrt(table["count"])
    table["low"], table["high"], table["seeds"] = table["mean"] - half, table["mean"] + half, table["count"]
    table["order"] = table["arm"].map({arm: k for k, arm in enumerate(arms)})
    return table.sort_values("order", kind="stable")[REGIONS.names[1:]].reset_index(drop=True)


def curve_table(histories: Mapping[tuple[str, int], pd.DataFrame], arms: list[str]) -> pd.DataFrame:
    """curves.csv without the study: histories by (arm, seed), averaged over each arm's seeds, with their range."""
    parts = [pd.DataFrame(columns=CURVES.names[1:])]
    for arm in arms:
        own = [history for (name, _), history in histories.items() if name == arm]
        if own:
            groups = pd.concat(own).groupby(["split", "name", "step", "images"], sort=False)["value"]
            parts.append(groups.agg(mean="mean", low="min", high="max", seeds="count").reset_index().assign(arm=arm))
    table = pd.concat(parts[1:] or parts, ignore_index=True)[CURVES.names[1:]]
    # cost.csv says more on speed, and its noise would change this file with every run.
    return table[table["name"] != "images_per_s"].reset_index(drop=True)


def cost_rows(
    records: Mapping[tuple[str, int], dict[str, Any]],
    step_times: Mapping[str, np.ndarray],
    arms: list[str],
    baseline: str,
    batch: int,
) -> list[dict[str, Any]]:
    """Rows of cost.csv: what training costs under every loss, beside the baseline. Controls are not trained.

    records: of cells, by (arm, seed). Parameters and peak memory are medians over seeds.
    step_times: arm -> milliseconds of a step by process and round, NaN where an arm has none. step_ratio is the median
    over rounds of the ratio to the baseline's time in the same round; step_low and step_high are its quartiles. An arm
    that shares the baseline's times has no quartiles.
    batch: images of a step.
    """
    rows = []
    for arm in arms:
        own = [record for (name, _), record in records.items() if name == arm]
        if not own or own[0]["arm_settings"].get("control"):
            continue
        row = {"arm": arm, "parameters": own[0]["parameters"], "peak_memory_mb": _median(own, "peak_memory_mb")}
        base = [record for (name, _), record in records.items() if name == baseline]
        row["memory_ratio"] = row["peak_memory_mb"] / _median(base, "peak_memory_mb")
        if arm in step_times:
            row["step_ms"] = float(np.median(step_times[arm]))
            row["images_per_s"] = 1000 * batch / row["step_ms"]
            if baseline in step_times:
                ratios = step_times[arm] / step_times[baseline]
                row["step_ratio"] = float(np.median(ratios))
                if (ratios != 1).any():  # it does not train as the baseline does
                    row["step_low"], row["step_high"] = np.quantile(ratios, [0.25, 0.75]).tolist()
        rows.append(row)
    return rows


def _median(records: list[dict[str, Any]], field: str) -> float:
    return float(np.median([record[field] for record in records]))


def metric_rows() -> list[dict[str, Any]]:
    """Rows of metrics.csv: what every metric declares about itself."""
    columns = METRICS_TABLE.names[1:]
    return [{"metric": name} | {column: getattr(card, column) for column in columns} for name, card in METRICS.items()]
