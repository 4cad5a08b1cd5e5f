"""From scores to tables: what every arm reaches, how sure its difference to the baseline is, what holds and why.

Only cells whose signature is the current one enter a table; the others are listed with the command that mends them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from study import statistics as stats
from study.analysis.claims import check_arms, claim_rows, load_claims
from study.analysis.contrasts import Sources
from study.analysis.convergence import convergence_rows
from study.analysis.factorial import factorial_rows
from study.analysis.gradients import ledger_rows
from study.analysis.length_variants import read_companions
from study.analysis.lengths import length_rows
from study.analysis.metadata import casts_of_averages, study_facts
from study.analysis.runs import Runs, read_runs, score_matrices
from study.analysis.tables import cost_rows, curve_rows, kind_rows, metric_rows, write_tables
from study.analysis.theory_rows import theory_rows
from study.config.params import Arm, arm_names
from study.errors import StudyError
from study.files import atomic_write_json
from study.losses import source_of
from study.metrics import METRICS, Metric
from study.project import Project
from study.training.step_times import StepTimes, read_step_times

ARM_COLUMNS = ["arm", "metric", "mean", "low", "high", "seeds", "sd", "iqm", "seed_share", "image_share"]
PAIRED_COLUMNS = [
    "arm", "baseline", "metric", "delta", "low", "high", "p", "p_holm", "p_min", "verdict", "seeds",
    "effect", "improved", "detectable", "seeds_needed", "seed_share", "image_share", "p_t", "p_t_holm",
]  # fmt: skip
# Of these the score of a single picture is its influence on a ratio of sums: means and intervals say something, a
# picture alone nothing.
INFLUENCES = ("chroma_ratio",)
# Means at the end of training whose curves tell whether it was long enough.
CONVERGING = ("ab_rmse", "chroma_ratio")

Matrices = dict[str, pd.DataFrame]


def compare(project: Project, study: str) -> dict[str, pd.DataFrame]:
    """Write results/<study>/tables/ for the arms that params.yaml declares, and return the tables by name.

    StudyError when nothing of the baseline can be compared.
    """
    settings = project.study(study)
    arms = project.arms(study)
    baseline = project.params.pipeline.baseline
    claims = load_claims(project.root)
    check_arms(claims, arm_names(project.root))
    runs = read_runs(project, study, arms)
    if not runs.seeds(baseline):
        raise StudyError(
            f"no scored cell of the baseline {baseline} in {study}: run study train {study} {baseline} and "
            f"study evaluate {study} {baseline}"
        )
    timed = read_step_times(project, study, arms)
    names = [arm.name for arm in arms]
    overall = dict(list(runs.scores[runs.scores["kind"] == "all"].groupby("metric")))
    matrices = {metric: score_matrices(overall[metric], names) for metric in METRICS if metric in overall}
    weights = BootstrapWeights(settings.compare.resamples, settings.compare.seed)
    tables = {
        "arms": _table(matrices, ARM_COLUMNS, lambda metric, own: estimate_rows(metric, own, weights)),
        "paired": _table(
            matrices,
            PAIRED_COLUMNS,
            lambda metric, own: (
                paired_rows(metric, own, baseline, weights) + rows_against_gain(metric, own, arms, weights)
            ),
        ),
        "seeds": _table(matrices, ["arm", "metric", "seed", "value"], seed_rows),
        "kinds": kind_rows(runs.scores, names),
        "curves": curve_rows(runs.histories, names),
        "cells": runs.cells,
        "cost": cost_rows(runs.records, timed.of, names, baseline, settings.train.batch),
        "claims": claim_rows(claims, _claim_sources(project, study, arms, runs, timed, matrices, weights)),
    }
    tables |= _explained(project, study, arms, runs, matrices, tables, weights)
    for table in tables.values():
        if "study" not in table:
            table.insert(0, "study", study)
    tables["metrics"] = metric_rows()
    folder = project.results(study) / "tables"
    write_tables(folder, tables, names)
    facts = study_facts(project, study, arms, list(runs.records.values()), runs.lpips)
    timing = {key: timed.environment.get(key) for key in ("cpu", "device")}
    timing |= {"processes": timed.processes, "rounds": timed.rounds}
    atomic_write_json(folder / "study.json", facts | {"timing": timing})
    return tables


def _table(matrices: dict[str, Matrices], columns: list[str], rows: Any) -> pd.DataFrame:
    found = [row for name, own in matrices.items() for row in rows(METRICS[name], own)]
    return pd.DataFrame(found, columns=columns)


def _claim_sources(
    project: Project,
    study: str,
    arms: list[Arm],
    runs: Runs,
    timed: StepTimes,
    matrices: dict[str, Matrices],
    weights: BootstrapWeights,
) -> Sources:
    law = project.prepared(study).color_distribution
    unmeasured = {} if runs.lpips["measured"] else {"lpips": runs.lpips["reason"]}
    if law is None:
        no_law = "the law of the colours is not known here"
        unmeasured |= dict.fromkeys(("averaging_index", "mode_commitment", "regret"), no_law)
    return Sources(
        declared=[arm.name for arm in arms],
        matrices=matrices,
        by_kind=runs.scores[runs.scores["kind"] != "all"],
        records=runs.records,
        step_times=timed.of,
        histories=runs.histories,
        means=dict(zip(law.regions, law.mean.tolist(), strict=True)) if law else {},
        loss_files={arm.name: source_of(arm.loss, project.root) for arm in arms},
        weights=weights,
        unmeasured=unmeasured,
        elsewhere=_elsewhere(project, study),
        casts=casts_of_averages(project.prepared(study)),
    )


def _elsewhere(project: Project, study: str) -> dict[str, list[str]]:
    """Arm -> the other studies of params.yaml that have it."""
    found: dict[str, list[str]] = {}
    for name in project.params.studies:
        for arm in project.arm_names(name) if name != study else ():
            found.setdefault(arm, []).append(name)
    return found


def _explained(
    project: Project,
    study: str,
    arms: list[Arm],
    runs: Runs,
    matrices: dict[str, Matrices],
    tables: dict[str, pd.DataFrame],
    weights: BootstrapWeights,
) -> dict[str, pd.DataFrame]:
    """The tables that say why: theory, ledger, factorial, convergence, lengths."""
    prepared = project.prepared(study)
    histories: dict[str, dict[int, pd.DataFrame]] = {}
    gains: dict[str, list[float]] = {}
    for (arm, seed), record in runs.records.items():
        histories.setdefault(arm, {})[seed] = runs.histories[arm, seed]
        if "gain" in record:
            gains.setdefault(arm, []).append(record["gain"])
    images = project.study(study).train.images
    others, _ = read_companions(project, study)
    mean_gains = {arm: float(np.mean(values)) for arm, values in gains.items()}
    return {
        "theory": theory_rows(prepared.color_distribution, arms, tables["kinds"], prepared.prior, mean_gains),
        "ledger": ledger_rows(tables["curves"], arms),
        "factorial": factorial_rows(matrices, arms, weights),
        "convergence": convergence_rows(histories, {name: METRICS[name].margin for name in CONVERGING}),
        "lengths": length_rows(study, images, tables["arms"], others, METRICS),
    }


# -- estimates ------------------------------------------------------------------------------------------------------


class BootstrapWeights:
    """Bootstrap weights for (seeds, images), drawn once for every pair: equal shapes share their resamples."""

    def __init__(self, resamples: int, seed: int) -> None:
        self.resamples, self.seed = resamples, seed
        self.known: dict[tuple[int, int], stats.Weights] = {}

    def __call__(self, seeds: int, images: int) -> stats.Weights:
        if (seeds, images) not in self.known:
            rng = np.random.default_rng(self.seed)
            self.known[seeds, images] = stats.bootstrap_weights(seeds, images, self.resamples, rng)
        return self.known[seeds, images]


def _by_shape(matrices: dict[str, np.ndarray]) -> list[tuple[list[str], np.ndarray]]:
    """Matrices of equal shape, stacked, with their names: they are resampled together."""
    shapes = dict.fromkeys(matrix.shape for matrix in matrices.values())
    groups = [[name for name, matrix in matrices.items() if matrix.shape == shape] for shape in shapes]
    return [(names, np.stack([matrices[name] for name in names])) for names in groups]


def _intervals(matrices: dict[str, np.ndarray], weights: BootstrapWeights) -> dict[str, tuple[float, float, float]]:
    """(mean, low, high) by name of matrices seeds x images."""
    found = {}
    for names, stack in _by_shape(matrices):
        columns = stats.interval(stack, weights(*stack.shape[1:]))
        found |= {name: tuple(float(column[k]) for column in columns) for k, name in enumerate(names)}
    return found


def _each(function: Any, matrices: dict[str, np.ndarray]) -> dict[str, float]:
    """`function` of stacked matrices, by name."""
    found = {}
    for names, stack in _by_shape(matrices):
        found |= dict(zip(names, function(stack).tolist(), strict=True))
    return found


def _shares(matrices: dict[str, np.ndarray]) -> dict[str, tuple[float, float]]:
    """Shares of seeds and of images in the variance of the mean, by name."""
    found = {}
    for names, stack in _by_shape(matrices):
        seed, image = stats.variance_shares(stack)
        found |= {name: (float(seed[k]), float(image[k])) for k, name in enumerate(names)}
    return found


def estimate_rows(metric: Metric, matrices: Matrices, weights: BootstrapWeights) -> list[dict[str, Any]]:
    """Mean with interval, spread over seeds and interquartile mean of one metric, a row per arm."""
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
            "iqm": None if metric.name in INFLUENCES else middle[arm],
            "seed_share": shares[arm][0],
            "image_share": shares[arm][1],
        }
        for arm, matrix in matrices.items()
    ]


def seed_rows(metric: Metric, matrices: Matrices) -> list[dict[str, Any]]:
    """Mean over images of one metric, a row per arm and seed."""
    return [
        {"arm": arm, "metric": metric.name, "seed": seed, "value": value}
        for arm, matrix in matrices.items()
        if matrix.size
        for seed, value in matrix.mean(axis=1).items()
    ]


def paired_rows(metric: Metric, matrices: Matrices, baseline: str, weights: BootstrapWeights) -> list[dict[str, Any]]:
    """Paired difference of every arm to `baseline` over the seeds they share; Holm's family is one metric's arms."""
    if baseline not in matrices or not all(matrix.size for matrix in matrices.values()):
        return []
    deltas, worse, improved = {}, {}, {}
    for arm, matrix in matrices.items():
        shared = matrix.index.intersection(matrices[baseline].index)
        if arm != baseline and len(shared):
            own, base = matrix.loc[shared].to_numpy(), matrices[baseline].loc[shared].to_numpy()
            deltas[arm] = own - base
            worse[arm] = badness(metric, own) - badness(metric, base)
            if metric.better and metric.name not in INFLUENCES:
                improved[arm] = stats.probability_of_improvement(
                    image_badness(metric, own) - image_badness(metric, base)
                )
    found, judged = _intervals(deltas, weights), _intervals(worse, weights)
    detectable = _each(lambda stack: stats.detectable_difference(stack, len(deltas)), worse)
    shares, p_t = _shares(worse), _each(stats.interval_p, worse)
    tests = {arm: stats.sign_flip_p(delta.mean(axis=1)) for arm, delta in worse.items()}
    p_holm = stats.holm(np.array([p for p, _ in tests.values()]))
    p_t_holm = stats.holm(np.array([p_t[arm] for arm in deltas]))
    gain = -1 if metric.better else None
    rows = []
    for k, (arm, delta) in enumerate(deltas.items()):
        verdict = stats.verdict(*judged[arm], metric.margin, gain, float(p_t_holm[k]))
        if verdict == "equivalent" and not -metric.margin <= found[arm][1] <= found[arm][2] <= metric.margin:
            verdict = "undecided"  # equally far from the target, but on its two sides
        needed = stats.seeds_needed(worse[arm], metric.margin, len(deltas)) if verdict == "undecided" else np.nan
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
                "seeds": len(delta),
                "effect": stats.standardised_effect(delta.mean(axis=1)),
                "improved": improved.get(arm),
                "detectable": detectable[arm],
                "seeds_needed": f">{stats.MOST_SEEDS}" if needed == np.inf else "" if np.isnan(needed) else int(needed),
                "seed_share": shares[arm][0],
                "image_share": shares[arm][1],
                "p_t": p_t[arm],
                "p_t_holm": float(p_t_holm[k]),
            }
        )
    return rows


def rows_against_gain(
    metric: Metric, matrices: Matrices, arms: list[Arm], weights: BootstrapWeights
) -> list[dict[str, Any]]:
    """`paired_rows` of the tuned arms against the control that they have to beat, one gain up to the truth's chroma.

    Without such a control, or without tuned arms, none. Holm's family is the tuned arms.
    """
    gain = next((arm.name for arm in arms if arm.control and arm.control.match == "truth"), None)
    tuned = [arm.name for arm in arms if arm.tuned]
    if gain not in matrices or not tuned:
        return []
    return paired_rows(metric, {name: matrices[name] for name in (gain, *tuned) if name in matrices}, gain, weights)


def badness(metric: Metric, scores: np.ndarray) -> np.ndarray:
    """Scores turned so that less is better; scores as they are when the metric has no better direction.

    For a metric with a target it is the distance of the mean to the target, as a sum over seeds and images: scores
    are mirrored when their mean lies below the target. So an arm that overshoots the target is not called better
    than one that falls as far short of it.
    """
    if metric.better == "target":
        return (scores - metric.target) * (1 if scores.mean() > metric.target else -1)
    return -scores if metric.better == "higher" else scores


def image_badness(metric: Metric, scores: np.ndarray) -> np.ndarray:
    """`badness` of every score by itself: for a metric with a target, the distance of each to it."""
    return np.abs(scores - metric.target) if metric.better == "target" else badness(metric, scores)
