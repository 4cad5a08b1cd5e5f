"""From scores to tables: what every arm reaches, and how sure its difference to the baseline is.

Only cells whose signature is the current one enter a table; the others are listed with the command that mends them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from study import stats
from study.errors import StudyError
from study.facts import study_facts
from study.files import atomic_write_json, atomic_write_text
from study.metrics import METRICS, Metric
from study.params import Arm
from study.plan import Project

DIGITS = "%.8g"
TABLES = ("arms", "paired", "kinds", "curves", "cells", "cost", "metrics")


@dataclass(frozen=True)
class Runs:
    """What there is to compare: the state of every declared cell, and records and scores of the sound ones."""

    cells: pd.DataFrame
    records: dict[tuple[str, int], dict[str, Any]]
    scores: pd.DataFrame
    lpips: dict[str, Any]

    def seeds(self, arm: str) -> list[int]:
        """Seeds of `arm` that finished and are scored."""
        return sorted(self.scores.loc[self.scores["arm"] == arm, "seed"].unique().tolist())


def compare(project: Project, study: str) -> dict[str, pd.DataFrame]:
    """Write results/<study>/tables/ for the arms that params.yaml declares, and return the tables by name.

    StudyError when nothing of the baseline can be compared.
    """
    settings = project.study(study)
    arms = project.arms()
    baseline = project.params.pipeline.baseline
    runs = read_runs(project, study, arms)
    if not runs.seeds(baseline):
        raise StudyError(
            f"no scored cell of the baseline {baseline} in {study}: run study train {study} {baseline} and "
            f"study evaluate {study} {baseline}"
        )
    names = [arm.name for arm in arms]
    rng = np.random.default_rng(settings.compare.seed)
    estimates, differences = [], []
    for metric in METRICS.values():
        rows = runs.scores[(runs.scores["metric"] == metric.name) & (runs.scores["kind"] == "all")]
        if len(rows):
            matrices = score_matrices(rows, names)
            weights = _WeightsBySeeds(settings.compare.resamples, rng.integers(2**63))
            estimates += estimate_rows(metric, matrices, weights)
            differences += paired_rows(metric, matrices, baseline, weights)
    tables = {
        "arms": pd.DataFrame(estimates, columns=["arm", "metric", "mean", "low", "high", "seeds", "sd"]),
        "paired": pd.DataFrame(
            differences,
            columns=["arm", "baseline", "metric", "delta", "low", "high", "p", "p_holm", "p_min", "verdict", "seeds"],
        ),
        "kinds": kind_rows(runs.scores, names),
        "curves": curve_rows(project.results(study), runs, names),
        "cells": runs.cells,
        "cost": cost_rows(runs.records, names, baseline),
    }
    for name, table in tables.items():
        if name != "cells":
            table.insert(0, "study", study)
    tables["metrics"] = pd.DataFrame(
        [
            {key: value for key, value in asdict(metric).items() if key != "name"} | {"metric": metric.name}
            for metric in METRICS.values()
        ]
    )[["metric", "unit", "low", "high", "better", "target", "margin", "says", "weakness"]]
    _write(project, study, arms, runs, tables)
    return tables


# -- reading --------------------------------------------------------------------------------------------------------


def read_runs(project: Project, study: str, arms: list[Arm]) -> Runs:
    """The state of every declared cell (finished, diverged, missing or outdated), and the scores of the sound ones."""
    states, records, kept, lpips = [], {}, [], {"measured": False, "reason": "nothing is evaluated"}
    results = project.results(study)
    for arm in arms:
        scores = _read_scores(results / "scores" / f"{arm.name}.parquet")
        if arm.name == project.params.pipeline.baseline:
            lpips = scores.attrs.get("lpips", lpips)
        for cell in project.cells(study, [arm], project.seeds(study)):
            record = _read_record(results / "runs" / arm.name / f"seed-{cell.seed}" / "record.json")
            command = f"study train {study} {arm.name} --seed {cell.seed}"
            status, detail = "missing", "not trained"
            if record is not None:
                status, detail = record["status"], ""
                if record["signature"] != cell.signature:
                    status, detail = "outdated", "trained with other settings, data or code"
                elif status == "diverged":
                    detail = f"at step {record['diverged']['step']}, term {record['diverged']['term']}"
                elif scores.attrs.get("decode", arm.decode.model_dump()) != arm.decode.model_dump():
                    status, detail = "outdated", "evaluated with another decoding"
                    command = f"study evaluate {study} {arm.name}"
                else:
                    own = scores[(scores["seed"] == cell.seed) & (scores["signature"] == cell.signature)]
                    if len(own):
                        kept.append(own)
                        records[arm.name, cell.seed] = record
                    else:
                        status, detail = "missing", "trained, but not evaluated"
                        command = f"study evaluate {study} {arm.name}"
            states.append(
                {
                    "study": study,
                    "arm": arm.name,
                    "seed": cell.seed,
                    "status": status,
                    "detail": detail,
                    "signature": cell.signature,
                    "steps": record["steps"] if record else None,
                    "seconds": record["seconds"] if record else None,
                    "images_per_s": record["images_per_s"] if record else None,
                    "command": command,
                }
            )
    empty = pd.DataFrame(columns=["arm", "seed", "image", "kind", "metric", "value"])
    return Runs(pd.DataFrame(states), records, pd.concat(kept, ignore_index=True) if kept else empty, lpips)


def _read_record(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None


def _read_scores(path: Path) -> pd.DataFrame:
    if not path.exists():
        return pd.DataFrame(columns=["study", "arm", "seed", "image", "kind", "metric", "value", "signature"])
    table = pd.read_parquet(path)
    return table.astype(dict.fromkeys(("arm", "image", "kind", "metric", "signature"), str))


def score_matrices(rows: pd.DataFrame, arms: list[str]) -> dict[str, pd.DataFrame]:
    """Scores of one metric as a table seeds x images per arm; images without a value in any arm are left out of all."""
    matrices = {arm: rows[rows["arm"] == arm].pivot(index="seed", columns="image", values="value") for arm in arms}
    matrices = {arm: matrix for arm, matrix in matrices.items() if len(matrix)}
    defined = None
    for matrix in matrices.values():
        complete = matrix.columns[matrix.notna().all()]
        defined = complete if defined is None else defined.intersection(complete)
    return {arm: matrix[defined].sort_index() for arm, matrix in matrices.items()}


# -- estimates ------------------------------------------------------------------------------------------------------


class _WeightsBySeeds:
    """Bootstrap weights by (seeds, images), drawn from the same stream so that equal shapes share their resamples."""

    def __init__(self, resamples: int, seed: int) -> None:
        self.resamples, self.seed = resamples, seed
        self.known: dict[tuple[int, int], stats.Weights] = {}

    def __call__(self, seeds: int, images: int) -> stats.Weights:
        if (seeds, images) not in self.known:
            rng = np.random.default_rng(self.seed)
            self.known[seeds, images] = stats.bootstrap_weights(seeds, images, self.resamples, rng)
        return self.known[seeds, images]


def _intervals(matrices: dict[str, np.ndarray], weights: _WeightsBySeeds) -> dict[str, tuple[float, float, float]]:
    """(mean, low, high) by name of matrices seeds x images; those of equal shape are resampled together."""
    found = {}
    for shape in {matrix.shape for matrix in matrices.values()}:
        names = [name for name, matrix in matrices.items() if matrix.shape == shape]
        columns = stats.interval(np.stack([matrices[name] for name in names]), weights(*shape))
        found |= {name: tuple(float(column[k]) for column in columns) for k, name in enumerate(names)}
    return found


def estimate_rows(metric: Metric, matrices: dict[str, pd.DataFrame], weights: _WeightsBySeeds) -> list[dict[str, Any]]:
    """Mean with interval and spread over seeds of one metric, a row per arm."""
    if not all(matrix.size for matrix in matrices.values()):
        return []
    found = _intervals({arm: matrix.to_numpy() for arm, matrix in matrices.items()}, weights)
    return [
        {
            "arm": arm,
            "metric": metric.name,
            "mean": found[arm][0],
            "low": found[arm][1],
            "high": found[arm][2],
            "seeds": len(matrix),
            "sd": matrix.mean(axis=1).std(ddof=1) if len(matrix) > 1 else None,
        }
        for arm, matrix in matrices.items()
    ]


def paired_rows(
    metric: Metric, matrices: dict[str, pd.DataFrame], baseline: str, weights: _WeightsBySeeds
) -> list[dict[str, Any]]:
    """Paired difference of every arm to `baseline` over the seeds they share; Holm's family is one metric's arms."""
    if baseline not in matrices or not all(matrix.size for matrix in matrices.values()):
        return []
    deltas, worse = {}, {}
    for arm, matrix in matrices.items():
        shared = matrix.index.intersection(matrices[baseline].index)
        if arm != baseline and len(shared):
            own, base = matrix.loc[shared].to_numpy(), matrices[baseline].loc[shared].to_numpy()
            deltas[arm] = own - base
            worse[arm] = badness(metric, own) - badness(metric, base)
    found, judged = _intervals(deltas, weights), _intervals(worse, weights)
    tests = {arm: stats.sign_flip_p(delta.mean(axis=1)) for arm, delta in worse.items()}
    adjusted = stats.holm(np.array([p for p, _ in tests.values()]))
    gain = -1 if metric.better else None
    return [
        {
            "arm": arm,
            "baseline": baseline,
            "metric": metric.name,
            "delta": found[arm][0],
            "low": found[arm][1],
            "high": found[arm][2],
            "p": tests[arm][0],
            "p_holm": float(p_holm),
            "p_min": tests[arm][1],
            "verdict": stats.verdict(judged[arm][1], judged[arm][2], metric.margin, gain),
            "seeds": len(delta),
        }
        for (arm, delta), p_holm in zip(deltas.items(), adjusted, strict=True)
    ]


def badness(metric: Metric, scores: np.ndarray) -> np.ndarray:
    """Scores turned so that less is better; scores as they are when the metric has no better direction.

    For a metric with a target it is the distance of the mean to the target, as a sum over seeds and images: scores
    are mirrored when their mean lies below the target. So an arm that overshoots the target is not called better
    than one that falls as far short of it.
    """
    if metric.better == "target":
        return (scores - metric.target) * (1 if scores.mean() > metric.target else -1)
    return -scores if metric.better == "higher" else scores


def kind_rows(scores: pd.DataFrame, arms: list[str]) -> pd.DataFrame:
    """Per palette kind: mean over images and seeds with Student's t interval over seeds (none with a single seed)."""
    rows = scores[scores["kind"] != "all"]
    columns = ["arm", "kind", "metric", "mean", "low", "high", "seeds"]
    if not len(rows):
        return pd.DataFrame(columns=columns)
    by_seed = rows.groupby(["arm", "kind", "metric", "seed"], sort=False)["value"].mean()
    table = by_seed.groupby(level=["arm", "kind", "metric"], sort=False).agg(["mean", "std", "count"]).reset_index()
    half = stats.distributions.t.ppf((1 + stats.LEVEL) / 2, table["count"] - 1) * table["std"] / np.sqrt(table["count"])
    table["low"], table["high"], table["seeds"] = table["mean"] - half, table["mean"] + half, table["count"]
    table["order"] = table["arm"].map({arm: k for k, arm in enumerate(arms)})
    return table.sort_values("order", kind="stable")[columns].reset_index(drop=True)


def curve_rows(results: Path, runs: Runs, arms: list[str]) -> pd.DataFrame:
    """Histories, averaged over the seeds of each arm, with their range over seeds."""
    parts = []
    for arm in arms:
        histories = [
            pd.read_csv(results / "runs" / arm / f"seed-{seed}" / "history.csv").assign(seed=seed)
            for name, seed in runs.records
            if name == arm
        ]
        if histories:
            groups = pd.concat(histories).groupby(["split", "name", "step", "images"], sort=False)["value"]
            parts.append(groups.agg(mean="mean", low="min", high="max", seeds="count").reset_index().assign(arm=arm))
    columns = ["arm", "split", "name", "step", "images", "mean", "low", "high", "seeds"]
    if not parts:
        return pd.DataFrame(columns=columns)
    table = pd.concat(parts, ignore_index=True)[columns]
    # Speed says more in cost.csv, and its noise would change this file with every run.
    return table[table["name"] != "images_per_s"].reset_index(drop=True)


def cost_rows(records: dict[tuple[str, int], dict[str, Any]], arms: list[str], baseline: str) -> pd.DataFrame:
    """What an arm costs: medians over its seeds, and ratios to the baseline."""
    rows = []
    for arm in arms:
        own = [record for (name, _), record in records.items() if name == arm]
        if own:
            fields = ("parameters", "step_ms", "images_per_s", "peak_memory_mb", "seconds")
            rows.append({"arm": arm} | {field: float(np.median([r[field] for r in own])) for field in fields})
    columns = [
        "arm",
        "parameters",
        "step_ms",
        "images_per_s",
        "peak_memory_mb",
        "seconds",
        "step_ratio",
        "memory_ratio",
    ]
    table = pd.DataFrame(rows, columns=columns)
    reference = table[table["arm"] == baseline].iloc[0]
    table["step_ratio"] = table["step_ms"] / reference["step_ms"]
    table["memory_ratio"] = table["peak_memory_mb"] / reference["peak_memory_mb"]
    table["parameters"] = table["parameters"].astype(int)
    return table


# -- writing --------------------------------------------------------------------------------------------------------


def _write(project: Project, study: str, arms: list[Arm], runs: Runs, tables: dict[str, pd.DataFrame]) -> None:
    folder = project.results(study) / "tables"
    for name in TABLES:
        atomic_write_text(folder / f"{name}.csv", tables[name].to_csv(index=False, float_format=DIGITS))
    curves = tables["curves"]
    for name in ("ab_rmse", "chroma_ratio"):
        chosen = curves[(curves["split"] == "val") & (curves["name"] == name)]
        wide = chosen.pivot(index="images", columns="arm", values="mean").reindex(columns=[arm.name for arm in arms])
        atomic_write_text(folder / f"curve_{name}.csv", wide.to_csv(float_format=DIGITS))
    atomic_write_json(folder / "study.json", study_facts(project, study, arms, list(runs.records.values()), runs.lpips))
