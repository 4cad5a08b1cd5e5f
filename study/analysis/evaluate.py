"""`study evaluate`: from trained networks to results/<study>/scores/, predictions/ and metrics/."""

from __future__ import annotations

import json
import math
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from study.analysis.pooled import PooledTruth, base_facts, best_gain, pooled_rows
from study.analysis.predictions import kept_pictures, no_pictures, predict
from study.analysis.runs import SCORES, scoring_digest
from study.analysis.scoring import EVERYWHERE, TestSet, score_table
from study.config.arms import Arm
from study.errors import StudyError
from study.files import atomic_write, atomic_write_json, read_json
from study.metrics import lpips_facts, lpips_model
from study.models.features import Features
from study.project import Project
from study.training.machine import prepare_torch, resolve_device
from study.training.networks import load_network


class Evaluated(NamedTuple):
    """What `evaluate` gives back: the scores, and whether they were made just now or were up to date."""

    scores: pd.DataFrame
    fresh: bool


def evaluate(project: Project, study: str, arm: Arm) -> Evaluated:
    """Score every finished seed of `arm` on the test pictures of `study`.

    Writes results/<study>/scores/<arm>.parquet, predictions/<arm>.npz and metrics/<arm>.json. When all three are there
    and nothing that decides them has changed, they stay as they are. Seeds that diverged have no scores.
    Raises StudyError when the arm is not trained.
    """
    settings = project.study(study)
    results = project.results(study)
    records = _records(results / "runs" / arm.name, study, arm, project.seeds(study))
    stamp = {
        "signatures": [[record["seed"], record["signature"], record["status"]] for record in records],
        "decode": arm.decode.model_dump(),
        "evaluate": settings.evaluate.model_dump(),
        "baseline": arm.name == project.params.pipeline.baseline,
    }
    facts = lpips_facts(settings.evaluate.lpips, settings.data.size, download=False)
    kept = _kept(_files(results, arm), stamp, scoring_digest(project, study, facts))
    if kept is not None:
        return Evaluated(kept, fresh=False)

    prepare_torch()
    device = torch.device(resolve_device(settings.train.device))
    lpips, stamp["lpips"] = lpips_model(settings.evaluate.lpips, device, settings.data.size)
    stamp["scoring"] = scoring_digest(project, study, stamp["lpips"])
    test = load_test_set(project, study)
    truth = PooledTruth.of(test)
    validation = load_test_set(project, study, "val") if stamp["baseline"] else None
    tables, pictures, bases = [], None, {}
    for record in records:
        if record["status"] == "diverged":
            continue
        model = load_network(results / "runs" / arm.name / f"seed-{record['seed']}", project.root, str(device))
        ab = predict(model, test, arm.decode.temperature, device)
        columns = {"study": study, "arm": arm.name, "seed": record["seed"], "signature": record["signature"]}
        parts = [score_table(ab, test, lpips), pooled_rows(ab, truth)]
        if stamp["baseline"] and bool(ab.isfinite().all()):
            base = ab * best_gain(predict(model, validation, arm.decode.temperature, device), validation.lab[:, 1:])
            parts.append(pooled_rows(base, truth, base=True))
            bases[str(record["seed"])] = base_facts(base, truth)
        tables += [part.assign(**columns) for part in parts]
        if pictures is None:
            counts = (settings.evaluate.kept, settings.evaluate.pictures)
            pictures = kept_pictures(model, ab, test, arm.decode.temperature, device, *counts)
    columns = ["study", *SCORES, "signature"]
    scores = pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)
    for name in ("study", "arm", "image", "region", "metric", "signature"):
        scores[name] = scores[name].astype("category")
    scores.attrs = stamp | ({"base": {"floor": truth.floor(), "seeds": bases}} if stamp["baseline"] else {})
    _write(_files(results, arm), scores, pictures or no_pictures(test))
    return Evaluated(scores, fresh=True)


def load_test_set(project: Project, study: str, split: str = "test") -> TestSet:
    """The prepared test pictures of `study`, or those of `split`, with its colour distribution where that is known."""
    prepared = project.prepared(study)
    names = prepared.manifest["splits"][split]["names"]
    known = prepared.color_distribution
    regions = prepared.regions(split) if known else None
    folder = project.features(study)
    frozen = Features(folder).of(split) if folder else None
    return TestSet.of(prepared.images(split), names, prepared.prior, known, regions, frozen)


class _Files(NamedTuple):
    scores: Path
    predictions: Path
    means: Path


def _files(results: Path, arm: Arm) -> _Files:
    return _Files(
        results / "scores" / f"{arm.name}.parquet",
        results / "predictions" / f"{arm.name}.npz",
        results / "metrics" / f"{arm.name}.json",
    )


def _records(folder: Path, study: str, arm: Arm, seeds: list[int]) -> list[dict[str, Any]]:
    train = f"run study train {study} {arm.name}"
    try:
        return [read_json(folder / f"seed-{seed}" / "record.json", train) for seed in seeds]
    except FileNotFoundError as error:
        seed = Path(error.filename).parent.name.removeprefix("seed-")
        raise StudyError(f"{arm.name} seed {seed} of {study} is not trained: {train}") from error


def _kept(files: _Files, stamp: dict[str, Any], scoring: str) -> pd.DataFrame | None:
    """The scores that are there, when they and the files beside them are what `evaluate` would write now."""
    try:
        scores = pd.read_parquet(files.scores)
        json.loads(files.means.read_text(encoding="utf-8"))
    except (ValueError, OSError):  # missing or damaged
        return None
    if not zipfile.is_zipfile(files.predictions):
        return None
    same = scores.attrs.get("scoring") == scoring and all(scores.attrs.get(key) == stamp[key] for key in stamp)
    return scores if same else None


def _write(files: _Files, scores: pd.DataFrame, pictures: dict[str, np.ndarray]) -> None:
    atomic_write(files.scores, lambda file: scores.to_parquet(file, index=False))
    atomic_write(files.predictions, lambda file: np.savez_compressed(file, **pictures))
    overall = scores[scores["region"] == EVERYWHERE]
    means = overall.groupby("metric", sort=False, observed=True)["value"].mean()
    # JSON has no NaN: null is a metric that is not defined for any picture.
    atomic_write_json(files.means, {name: float(f"{x:.8g}") if math.isfinite(x) else None for name, x in means.items()})
