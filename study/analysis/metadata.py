"""Study metadata, the file study.json: settings, data, what is known of their colours, threats, provenance."""

from __future__ import annotations

import platform
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from study.color.lab import rgb_to_lab
from study.color.tensors import images_to_tensor
from study.config.arms import Arm
from study.data.prepared import Prepared
from study.metrics import purple_cast, sepia_cast
from study.project import Project
from study.statistics import FEWEST_IMAGES
from study.training.machine import processor_kind
from study.training.schedule import step_count


def study_metadata(
    project: Project,
    study: str,
    arms: list[Arm],
    records: list[dict[str, Any]],
    lpips: dict[str, Any],
    timing: dict[str, Any],
    test_pictures: dict[str, int],
) -> dict[str, Any]:
    """The content of tables/study.json, in the order of `schemas.STUDY_KEYS`.

    records: run records of the compared cells. lpips: as the evaluation noted it. timing: on what the steps were timed.
    test_pictures: metric -> how many test pictures have a value of it in every arm.
    """
    settings, prepared = project.study(study), project.prepared(study)
    manifest = prepared.manifest
    return {
        "study": study,
        "title": settings.title,
        "baseline": project.params.pipeline.baseline,
        "seeds": settings.seeds,
        "arms": [
            {
                "name": arm.name,
                "description": arm.description,
                "loss": arm.loss.name,
                "weights": arm.loss.weights,
                "options": arm.loss.options,
                "decode": arm.decode.model_dump(),
                "train": arm.train.model_dump(exclude_none=True),
                "control": arm.control.model_dump() if arm.control else None,
                "tuned": arm.tuned.model_dump() if arm.tuned else None,
            }
            for arm in arms
        ],
        "model": settings.model.model_dump(),
        "training": settings.train.model_dump() | {"steps": step_count(settings.train.images, settings.train.batch)},
        "data": {
            "source": settings.data.source,
            "size": settings.data.size,
            "counts": {name: split["count"] for name, split in manifest["splits"].items()},
            "hashes": {name: split["sha256"] for name, split in manifest["splits"].items()},
            "skipped": len(manifest["skipped"]),
            "flagged": len(manifest.get("flagged", ())),  # prepared by an earlier version, as below
            "monochrome": manifest["facts"].get("monochrome", {}),
            "color_spaces": manifest["facts"].get("color_spaces", {}),
            "seen_in_training": manifest.get("seen_in_training", {}).get("test", 0),  # prepared by an earlier version
        },
        "color_distribution": _color_distribution(prepared),
        "lpips": lpips,
        "pictures": settings.evaluate.show,
        "bootstrap": settings.compare.model_dump(),
        "coverage": wrong_verdicts(project.root / "benchmarks" / "coverage.csv"),
        "threats": threats(test_pictures),
        "provenance": {
            "revision": revision(project.root),
            "python": platform.python_version(),
            **{key: records[0]["environment"][key] for key in ("torch", "platform", "cpu", "cores", "device")},
            "processors": processors(records),
            "compared_on": processor_kind(),
            "started": min(record["started"] for record in records),
            "finished": max(record["finished"] for record in records),
            # Of the search whose weights the tuned arms have: another search makes another report.
            "search": sorted({record["search"] for record in records if "search" in record}),
            "train_seconds": round(training_seconds(records), 1),
            "commands": [
                f"study {step} {study}"
                for step in ("prepare", "search", "train", "time", "evaluate", "compare", "report")
                if step != "search" or any(arm.tuned for arm in arms)
            ],
        },
        "timing": timing,
    }


def threats(test_pictures: dict[str, int]) -> list[dict[str, Any]]:
    """What makes the study's verdicts unsafe, by name.

    few_pictures: `metrics` have fewer than `least` test pictures, one of them only `pictures`. Their verdicts are
    inconclusive.
    """
    few = {metric: count for metric, count in test_pictures.items() if count < FEWEST_IMAGES}
    if not few:
        return []
    return [{"name": "few_pictures", "pictures": min(few.values()), "least": FEWEST_IMAGES, "metrics": list(few)}]


def training_seconds(records: list[dict[str, Any]]) -> float:
    """Seconds that training the networks of these cells took. A network that arms share counts once, a control not."""
    trained = [record for record in records if not record["arm_settings"].get("control")]
    return sum({record["signature"]: record["seconds"] for record in trained}.values())


def processors(records: list[dict[str, Any]]) -> dict[str, int]:
    """Kind of processor -> how many of the networks of these cells it trained."""
    trained = {record["signature"]: record for record in records if not record["arm_settings"].get("control")}
    kinds = Counter(record["environment"].get("processor", "unknown") for record in trained.values())
    return dict(sorted(kinds.items()))


def casts_of_averages(prepared: Prepared) -> dict[str, float]:
    """Metric -> the colour cast, Lab units, of test pictures painted in the mean of every pixel's colour distribution.

    This is the cast that averaging brings. Where it is next to nothing, less of it says nothing about averaging. Empty
    where the distribution is not known.
    """
    if prepared.color_distribution is None:
        return {}
    averages = prepared.color_distribution.mean.astype(np.float32)[prepared.regions("test")]
    pictures = images_to_tensor(prepared.images("test"))
    truth, painted = rgb_to_lab(pictures)[:, 1:], images_to_tensor(averages)
    return {cast.__name__: round(float(cast(painted, truth).mean()), 6) for cast in (sepia_cast, purple_cast)}


def region_colors(prepared: Prepared) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Kind of region -> its possible ab (K,2) in Lab units and their probabilities (K,); empty where none is known."""
    known, found = prepared.color_distribution, {}
    for region, modes, shares in zip(known.regions, known.modes, known.probabilities, strict=True) if known else ():
        real = shares > 0
        probabilities = shares[real].astype(float)
        found[region] = modes[real].astype(float), probabilities / probabilities.sum()
    return found


def _color_distribution(prepared: Prepared) -> dict[str, Any] | None:
    """The known colour distribution per kind of region, the smallest reachable MSE, and the casts of averaging."""
    known = prepared.color_distribution
    if known is None:
        return None
    regions = []
    for k, region in enumerate(known.regions):
        real = known.probabilities[k] > 0
        regions.append(
            {
                "region": region,
                "modes": known.modes[k][real].tolist(),
                "probabilities": known.probabilities[k][real].tolist(),
                "mean": known.mean[k].tolist(),
                "variance": float(known.variance[k]),
                "mean_chroma": float(known.mean_chroma[k]),
            }
        )
    reachable = float(known.reachable_mse(prepared.regions("test")))
    return {"regions": regions, "reachable_mse": reachable, "casts": casts_of_averages(prepared)}


def wrong_verdicts(path: Path) -> dict[str, float] | None:
    """The largest share of simulated studies in which some verdict is wrong; None where nothing was simulated.

    alike: the baseline's luck is like that of the arms; unlike: it is calmer, and the skewness does not cancel.
    """
    if not path.is_file():
        return None
    table = pd.read_csv(path)
    alike = table["calm"] == 1
    return {
        "alike": float(table.loc[alike, "wrong_family"].max()),
        "unlike": float(table.loc[~alike, "wrong_family"].max()),
    }


def revision(root: Path) -> str:
    """The commit that is checked out, and whether code or settings differ from it; "unknown" without git."""
    commit = _git(root, "rev-parse", "HEAD")
    changed = _git(root, "status", "--porcelain", "--", "study", "ablations", "params.yaml")
    return (commit or "unknown") + (" with uncommitted changes" if changed else "")


def _git(root: Path, *arguments: str) -> str:
    try:
        return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:  # no git on this machine
        return ""
