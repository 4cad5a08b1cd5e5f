"""From scores to tables: what every arm reaches, how sure its difference to the baseline is, what holds and why.

Only cells whose signature is the current one enter a table. The others are listed with the command that makes them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from study.analysis.claims import claim_rows, load_claims
from study.analysis.contrasts import Sources
from study.analysis.convergence import convergence_rows
from study.analysis.estimates import (
    BootstrapWeights,
    Matrices,
    estimate_rows,
    paired_rows,
    rows_against_gain,
    seed_rows,
)
from study.analysis.factorial import factorial_rows
from study.analysis.gradients import gradient_rows
from study.analysis.length_variants import read_variants
from study.analysis.lengths import length_table
from study.analysis.limit_tables import PooledScores, arm_rows, calibration_rows, curve_rows, limit_rows
from study.analysis.limits import Law
from study.analysis.metadata import casts_of_averages, region_colors, study_metadata
from study.analysis.runs import Runs, read_runs, score_matrices
from study.analysis.schemas import TABLES
from study.analysis.scoring import EVERYWHERE
from study.analysis.summaries import cost_rows, curve_table, metric_rows, region_table
from study.analysis.theory_rows import theory_rows
from study.config.arms import Arm
from study.errors import StudyError
from study.files import atomic_write_json, atomic_write_text
from study.losses import source_of
from study.metrics import METRICS
from study.project import Project
from study.tables import DIGITS, write_table
from study.training.step_times import StepTimes, read_step_times

# Means at the end of training whose curves tell whether it was long enough. As wide tables they are for `dvc plots`.
CONVERGING = ("ab_rmse", "chroma_ratio")


def compare(project: Project, study: str) -> dict[str, pd.DataFrame]:
    """Write results/<study>/tables/ for the arms that params.yaml declares, and return the tables by name.

    The tables are those of `study.analysis.schemas`; study.json has the metadata.
    StudyError when nothing of the baseline can be compared.
    """
    settings = project.study(study)
    arms = project.arms(study)
    baseline = project.params.pipeline.baseline
    claims = load_claims(project.root)
    runs = read_runs(project, study, arms)
    if not runs.seeds(baseline):
        raise StudyError(
            f"no scored cell of the baseline {baseline} in {study}: run study train {study} {baseline} and "
            f"study evaluate {study} {baseline}"
        )
    sources = {arm.name: arm.control.of if arm.control else arm.name for arm in arms}
    timed = read_step_times(project.step_times_file(study), project.first_cells(study, arms), sources)
    names = [arm.name for arm in arms]
    overall = dict(list(runs.scores[runs.scores["region"] == EVERYWHERE].groupby("metric")))
    matrices = {metric: score_matrices(overall[metric], names) for metric in METRICS if metric in overall}
    weights = BootstrapWeights(settings.compare.resamples, settings.compare.seed)
    cards = [(METRICS[name], own) for name, own in matrices.items()]
    rows: dict[str, Any] = {
        "metrics": metric_rows(),
        "arms": [row for card, own in cards for row in estimate_rows(card, own, weights)],
        "paired": [
            row
            for card, own in cards
            for row in [*paired_rows(card, own, baseline, weights), *rows_against_gain(card, own, arms, weights)]
        ],
        "seeds": [row for card, own in cards for row in seed_rows(card, own)],
        "regions": region_table(runs.scores, names),
        "curves": curve_table(runs.histories, names),
        "cells": runs.cells,
        "cost": cost_rows(runs.records, timed.of, names, baseline, settings.train.batch),
        "claims": claim_rows(claims, _sources(project, study, arms, runs, timed, matrices, weights)),
        "factorial": factorial_rows(matrices, arms, weights),
    }
    rows |= _limits(project, study, runs, arms, weights)
    tables = {name: _frame(name, found, study) for name, found in rows.items()}
    tables |= {
        name: _frame(name, found, study) for name, found in _explained(project, study, arms, runs, tables).items()
    }
    folder = project.results(study) / "tables"
    for name, table in tables.items():
        write_table(folder / f"{name}.csv", TABLES[name], table)
    _write_plots(folder, tables["curves"], names)
    timing = {key: timed.environment.get(key) for key in ("cpu", "device")}
    timing |= {"processes": timed.processes, "rounds": timed.rounds}
    pictures = {metric: min(matrix.shape[1] for matrix in own.values()) for metric, own in matrices.items()}
    records = list(runs.records.values())
    metadata = study_metadata(project, study, arms, records, runs.lpips, timing, pictures)
    atomic_write_json(folder / "study.json", metadata)
    return tables


def _limits(project: Project, study: str, runs: Runs, arms: list[Arm], weights: BootstrapWeights) -> dict[str, Any]:
    """Rows of the tables of the limits, by name."""
    baseline = project.params.pipeline.baseline
    if not runs.base:
        raise StudyError(
            f"{baseline} of {study} was scored when it was no baseline: run study evaluate {study} {baseline}"
        )
    pooled = PooledScores.of(runs.pooled, [arm.name for arm in arms], baseline, runs.base)
    prepared, law = project.prepared(study), None
    if known := prepared.color_distribution:
        law = Law.of(known, np.bincount(prepared.regions("test").ravel(), minlength=len(known.regions)))
    inside = runs.scores[runs.scores["metric"] == "spread"].groupby(["arm", "seed"])["value"].mean().to_dict()
    moved = {arm.name: arm.control.strength for arm in arms if arm.control and arm.control.by == "transport"}
    return {
        "limits": limit_rows(pooled, inside, law),
        "limits_arms": arm_rows(pooled, baseline, law, weights),
        "limit_curves": curve_rows(pooled, law, moved | ({baseline: 0.0} if moved else {})),
        "calibration": calibration_rows(pooled),
    }


def _frame(name: str, rows: Any, study: str) -> pd.DataFrame:
    schema = TABLES[name]
    return schema.frame(rows, **({"study": study} if "study" in schema.names else {}))


def _write_plots(folder: Path, curves: pd.DataFrame, arms: list[str]) -> None:
    """Write the curves of CONVERGING as curve_<name>.csv, with a column per arm."""
    for name in CONVERGING:
        chosen = curves[(curves["split"] == "val") & (curves["name"] == name)]
        wide = chosen.pivot(index="images", columns="arm", values="mean").reindex(columns=arms)
        atomic_write_text(folder / f"curve_{name}.csv", wide.to_csv(float_format=DIGITS))


def _sources(
    project: Project,
    study: str,
    arms: list[Arm],
    runs: Runs,
    timed: StepTimes,
    matrices: dict[str, Matrices],
    weights: BootstrapWeights,
) -> Sources:
    prepared = project.prepared(study)
    known = prepared.color_distribution
    unmeasured = {} if runs.lpips["measured"] else {"lpips": runs.lpips["reason"]}
    if known is None:
        why = "the distribution of the colours is not known here"
        unmeasured |= dict.fromkeys((name for name, card in METRICS.items() if "modes" in card.needs), why)
    elsewhere: dict[str, list[str]] = {}
    for other in project.params.studies:
        for arm in project.arm_names(other) if other != study else ():
            elsewhere.setdefault(arm, []).append(other)
    return Sources(
        declared=[arm.name for arm in arms],
        matrices=matrices,
        by_region=runs.scores[runs.scores["region"] != EVERYWHERE],
        records=runs.records,
        step_times=timed.of,
        histories=runs.histories,
        means=dict(zip(known.regions, known.mean.tolist(), strict=True)) if known else {},
        loss_files={arm.name: source_of(arm.loss, project.root) for arm in arms},
        weights=weights,
        unmeasured=unmeasured,
        elsewhere=elsewhere,
        casts=casts_of_averages(prepared),
    )


def _explained(
    project: Project, study: str, arms: list[Arm], runs: Runs, tables: dict[str, pd.DataFrame]
) -> dict[str, Any]:
    """The tables that say why, from those that say what: theory, gradients, convergence, lengths."""
    prepared = project.prepared(study)
    histories: dict[str, dict[int, pd.DataFrame]] = {}
    gains: dict[str, list[float]] = {}
    for (arm, seed), record in runs.records.items():
        histories.setdefault(arm, {})[seed] = runs.histories[arm, seed]
        if "gain" in record:
            gains.setdefault(arm, []).append(record["gain"])
    mean_gains = {arm: float(np.mean(values)) for arm, values in gains.items()}
    images = project.study(study).train.images
    variants, _ = read_variants(project, study)
    return {
        "theory": theory_rows(region_colors(prepared), arms, tables["regions"], prepared.prior, mean_gains),
        "gradients": gradient_rows(tables["curves"], arms),
        "convergence": convergence_rows(histories, {name: METRICS[name].margin for name in CONVERGING}),
        "lengths": length_table(study, images, tables["arms"], variants, tables["metrics"]),
    }
