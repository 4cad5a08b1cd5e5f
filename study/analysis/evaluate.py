"""Scores of trained networks on the test pictures: one row per image, seed and metric."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from study import metrics
from study.analysis.runs import scoring_digest
from study.color.lab import lab_to_rgb, rgb_to_lab, to_uint8
from study.color.tensors import images_to_tensor
from study.config.arms import Arm
from study.config.study import EvaluateSettings
from study.data.color_distribution import ColorLaw
from study.data.showcase import PHOTOGRAPHS, photographs
from study.errors import StudyError
from study.files import atomic_write, atomic_write_json
from study.project import Project
from study.statistics import chroma_ratio_influence
from study.training.machine import prepare_torch, resolve_device
from study.training.networks import load_network

BATCH = 100
SHOWCASE_SIZE = 128


@dataclass(frozen=True)
class TestSet:
    """The test pictures and all that is needed to judge a prediction of them."""

    lab: Tensor  # (N,3,H,W)
    names: list[str]
    prior: Tensor  # (313,)
    law: ColorLaw | None
    kinds: Tensor | None  # (N,H,W) int64

    @cached_property
    def true_chroma(self) -> Tensor:
        """Mean chroma of every picture, (N,) float64."""
        return metrics.mean_chroma(self.lab[:, 1:]).double()

    def batches(self, size: int = BATCH) -> Iterator[slice]:
        """Slices that cover all pictures."""
        return (slice(start, min(start + size, len(self.lab))) for start in range(0, len(self.lab), size))


def evaluate(project: Project, study: str, arm: Arm) -> pd.DataFrame:
    """Score every finished seed of `arm` on the test pictures of `study`.

    Writes results/<study>/scores/<arm>.parquet, predictions/<arm>.npz and metrics/<arm>.json; returns the scores.
    Seeds that diverged have no scores; StudyError when the arm is not trained.
    """
    prepare_torch()
    settings = project.study(study)
    device = torch.device(resolve_device(settings.train.device))
    results = project.results(study)
    runs = _records(results / "runs" / arm.name, study, arm, project.seeds(study))
    test = load_test_set(project, study)
    lpips, lpips_facts = metrics.lpips_model(settings.evaluate.lpips, device)
    tables, pictures = [], None
    for record in runs:
        if record["status"] == "diverged":
            continue
        run = results / "runs" / arm.name / f"seed-{record['seed']}"
        model = load_network(run, project.root, str(device))
        ab = predict(model, test, arm.decode.temperature, device)
        columns = {"study": study, "arm": arm.name, "seed": record["seed"], "signature": record["signature"]}
        tables.append(score_table(ab, test, lpips).assign(**columns))
        if pictures is None:
            pictures = _pictures(model, ab, test, arm.decode.temperature, settings.evaluate, device)
    order = ["study", "arm", "seed", "image", "kind", "metric", "value", "signature"]
    scores = pd.concat(tables, ignore_index=True)[order] if tables else pd.DataFrame(columns=order)
    scoring = scoring_digest(project, study)
    scores.attrs = {"lpips": lpips_facts, "decode": arm.decode.model_dump(), "scoring": scoring}
    for name in ("study", "arm", "image", "kind", "metric", "signature"):
        scores[name] = scores[name].astype("category")
    _write(results, arm, scores, pictures or _no_pictures(test))
    return scores


def _records(folder: Path, study: str, arm: Arm, seeds: list[int]) -> list[dict[str, Any]]:
    records = []
    for seed in seeds:
        path = folder / f"seed-{seed}" / "record.json"
        if not path.exists():
            raise StudyError(f"{arm.name} seed {seed} of {study} is not trained: run study train {study} {arm.name}")
        records.append(json.loads(path.read_text()))
    return records


def load_test_set(project: Project, study: str) -> TestSet:
    """The prepared test pictures of `study` as Lab, with the colour prior and, where it is known, the law."""
    prepared = project.prepared(study)
    law = prepared.law
    return TestSet(
        lab=rgb_to_lab(images_to_tensor(prepared.images("test"))),
        names=prepared.manifest["splits"]["test"]["names"],
        prior=torch.from_numpy(prepared.prior),
        law=law,
        kinds=torch.from_numpy(prepared.kinds("test").astype(np.int64)) if law else None,
    )


@torch.no_grad()
def predict(model: torch.nn.Module, test: TestSet, temperature: float, device: torch.device) -> Tensor:
    """Predicted ab (N,2,H,W) of all test pictures, on the CPU."""
    parts = [model.predict(test.lab[part, :1].to(device), temperature).cpu() for part in test.batches()]
    return torch.cat(parts)


def score_table(ab: Tensor, test: TestSet, lpips: torch.nn.Module | None) -> pd.DataFrame:
    """All scores of one network's predictions: columns image, kind, metric, value."""
    parts = []
    for part in test.batches():
        values = batch_scores(ab[part], test.lab[part], test.prior, float(test.true_chroma.mean()), lpips)
        names = test.names[part]
        parts += [_rows(names, "all", name, value) for name, value in values.items()]
        if test.law is not None:
            by_kind = law_scores(ab[part], test.lab[part, 1:], test.kinds[part], test.law)
            parts += [_rows(names, kind, name, value) for (kind, name), value in by_kind.items()]
    table = _chroma_ratio_as_influence(pd.concat(parts, ignore_index=True), test)
    return _regret_as_share(table, test) if test.law is not None else table


def _rows(names: list[str], kind: str, metric: str, value: Tensor) -> pd.DataFrame:
    return pd.DataFrame({"image": names, "kind": kind, "metric": metric, "value": value.double().numpy()})


@torch.no_grad()
def batch_scores(
    ab: Tensor, lab: Tensor, prior: Tensor, true_chroma: float, lpips: torch.nn.Module | None
) -> dict[str, Tensor]:
    """One value per image (N,) of every metric that needs no known law.

    The prediction is judged as the picture that it makes: its ab are clipped to what sRGB can show at the true
    lightness, for the metrics on pictures (PSNR, SSIM, CIEDE2000, colorfulness, LPIPS). true_chroma: mean chroma of
    the whole set that the images are a part of.
    """
    truth = lab[:, 1:]
    rgb, true_rgb = lab_to_rgb(torch.cat([lab[:, :1], ab], dim=1)), lab_to_rgb(lab)
    vivid, true_vivid = metrics.colorfulness(rgb), metrics.colorfulness(true_rgb)
    diverse, true_diverse = metrics.hue_diversity(ab), metrics.hue_diversity(truth)
    scores = {
        "ab_rmse": metrics.ab_rmse(ab, truth),
        "ciede2000": metrics.ciede2000(rgb_to_lab(rgb), lab),
        "psnr": metrics.psnr(rgb, true_rgb),
        "ssim": metrics.ssim(rgb, true_rgb),
        "auc": metrics.auc(ab, truth),
        "auc_rebalanced": metrics.rebalanced_auc(ab, truth, prior),
        "colorfulness": vivid,
        "colorfulness_gap": (vivid - true_vivid).abs(),
        "chroma": metrics.mean_chroma(ab),
        "chroma_ratio": metrics.chroma_ratio(ab, truth, true_chroma),
        "chroma_shortfall": metrics.chroma_shortfall(ab, truth),
        "gray_share": metrics.gray_share(ab),
        "sepia_cast": metrics.sepia_cast(ab, truth),
        "purple_cast": metrics.purple_cast(ab, truth),
        "hue_diversity": diverse,
        "hue_diversity_gap": (diverse - true_diverse).abs(),
        "hue_entropy": metrics.hue_entropy(ab),
    }
    if lpips is not None:
        scores["lpips"] = metrics.lpips_distance(lpips, rgb, true_rgb)
    return scores


@torch.no_grad()
def law_scores(ab: Tensor, truth: Tensor, kinds: Tensor, law: ColorLaw) -> dict[tuple[str, str], Tensor]:
    """One value per image of the metrics that need the law, over all pixels ("all") and per kind; NaN where absent."""
    modes, probabilities = torch.from_numpy(law.modes), torch.from_numpy(law.probabilities)
    world = (kinds, modes, probabilities)
    scores = {
        ("all", "averaging_index"): metrics.averaging_index(ab, *world),
        ("all", "mode_commitment"): metrics.mode_commitment(ab, *world),
        ("all", "regret"): metrics.excess_error(ab, *world),
    }
    for index, kind in enumerate(law.kinds):
        mask = kinds == index
        scores[kind, "chroma"] = metrics.mean_chroma(ab, mask=mask)
        scores[kind, "true_chroma"] = metrics.mean_chroma(truth, mask=mask)
        scores[kind, "a_mean"] = _masked_mean(ab[:, 0], mask)
        scores[kind, "b_mean"] = _masked_mean(ab[:, 1], mask)
        scores[kind, "ab_rmse"] = metrics.ab_rmse(ab, truth, mask=mask)
        if law.wide[index]:
            scores[kind, "averaging_index"] = metrics.averaging_index(ab, *world, mask=mask)
            scores[kind, "mode_commitment"] = metrics.mode_commitment(ab, *world, mask=mask)
    return scores


def _masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    return (values * mask).sum((1, 2)) / mask.sum((1, 2))


def _chroma_ratio_as_influence(table: pd.DataFrame, test: TestSet) -> pd.DataFrame:
    rows = (table["metric"] == "chroma_ratio") & (table["kind"] == "all")
    values = table.loc[rows, "value"].to_numpy()
    table.loc[rows, "value"] = chroma_ratio_influence(values, test.true_chroma.numpy())
    return table


def _regret_as_share(table: pd.DataFrame, test: TestSet) -> pd.DataFrame:
    # The excess over the reachable error of one picture is put in relation to the reachable error of the whole test
    # set: a picture of single-coloured kinds only has none of its own to divide by.
    reachable = test.law.reachable_mse(test.kinds.numpy())
    table.loc[table["metric"] == "regret", "value"] /= reachable
    return table


@torch.no_grad()
def _pictures(
    model: torch.nn.Module,
    ab: Tensor,
    test: TestSet,
    temperature: float,
    settings: EvaluateSettings,
    device: torch.device,
) -> dict[str, np.ndarray]:
    kept = _spread(len(test.lab), settings.kept)
    photos, names = photographs(SHOWCASE_SIZE)
    photo_lab = rgb_to_lab(images_to_tensor(photos))
    photo_ab = torch.cat([model.predict(one[None, :1].to(device), temperature).cpu() for one in photo_lab])
    credits = np.array([PHOTOGRAPHS[name][2] for name in names])
    return (
        _picture_arrays("", test.lab[kept], ab[kept], [test.names[k] for k in kept])
        | {"grid": _spread(len(kept), settings.pictures)}
        | color_use("", ab)
        | color_use("true_", test.lab[:, 1:])
        | _picture_arrays("showcase_", photo_lab, photo_ab, names)
        | {"showcase_credits": credits}
    )


def _spread(count: int, wanted: int) -> np.ndarray:
    """Indices of `wanted` of `count` things (all of them when there are fewer), evenly spread."""
    return np.linspace(0, count - 1, min(wanted, count)).round().astype(int)


def color_use(prefix: str, ab: Tensor) -> dict[str, np.ndarray]:
    """How pictures ab (N,2,H,W) use colour, as histograms over all their pixels.

    histogram_ab (44,44): pixels by a (rows) and b (columns), -110..110 in steps of 5, values outside in the outermost;
    histogram_hue (36,): share of the chroma by hue, -180..180 degrees in steps of 10;
    histogram_chroma (60,): pixels by chroma, 0..150 in steps of 2.5.
    """
    a, b = (ab[:, channel].flatten().double().numpy() for channel in (0, 1))
    chroma, hue = np.hypot(a, b), np.degrees(np.arctan2(b, a))
    edges = np.linspace(-110, 110, 45)
    inside = (np.clip(values, -109.999, 109.999) for values in (a, b))
    by_hue = np.histogram(hue, np.linspace(-180, 180, 37), weights=chroma)[0]
    return {
        f"{prefix}histogram_ab": np.histogram2d(*inside, bins=(edges, edges))[0].astype(np.int64),
        f"{prefix}histogram_hue": by_hue / max(by_hue.sum(), 1e-9),
        f"{prefix}histogram_chroma": np.histogram(np.minimum(chroma, 149.999), np.linspace(0, 150, 61))[0],
    }


def _picture_arrays(prefix: str, lab: Tensor, ab: Tensor, names: list[str]) -> dict[str, np.ndarray]:
    lightness = lab[:, :1]
    return {
        f"{prefix}names": np.array(names),
        f"{prefix}gray": to_uint8(lab_to_rgb(torch.cat([lightness, torch.zeros_like(ab)], dim=1))),
        f"{prefix}truth": to_uint8(lab_to_rgb(lab)),
        f"{prefix}prediction": to_uint8(lab_to_rgb(torch.cat([lightness, ab], dim=1))),
    }


def _no_pictures(test: TestSet) -> dict[str, np.ndarray]:
    none = test.lab[:0]
    return _picture_arrays("", none, none[:, 1:], []) | _picture_arrays("showcase_", none, none[:, 1:], [])


def _write(results: Path, arm: Arm, scores: pd.DataFrame, pictures: dict[str, np.ndarray]) -> None:
    atomic_write(results / "scores" / f"{arm.name}.parquet", lambda file: scores.to_parquet(file, index=False))
    atomic_write(results / "predictions" / f"{arm.name}.npz", lambda file: np.savez_compressed(file, **pictures))
    overall = scores[scores["kind"] == "all"]
    means = overall.groupby("metric", sort=False, observed=True)["value"].mean()
    atomic_write_json(results / "metrics" / f"{arm.name}.json", {name: float(f"{v:.8g}") for name, v in means.items()})
