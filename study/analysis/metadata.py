"""What a reader of a comparison must know beside its numbers: settings, data, the known law, provenance."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from study.color.lab import rgb_to_lab
from study.color.tensors import images_to_tensor
from study.config.params import Arm
from study.data.color_distribution import ColorDistribution
from study.data.prepared import Prepared
from study.metrics import purple_cast, sepia_cast
from study.project import Project


def study_facts(
    project: Project, study: str, arms: list[Arm], records: list[dict[str, Any]], lpips: dict[str, Any]
) -> dict[str, Any]:
    """The content of tables/study.json: `records` of the compared cells, `lpips` as the evaluation noted it."""
    settings, prepared = project.study(study), project.prepared(study)
    manifest, law = prepared.manifest, prepared.color_distribution
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
        "training": settings.train.model_dump() | {"steps": settings.train.steps},
        "data": {
            "source": settings.data.source,
            "size": settings.data.size,
            "counts": {split: facts["count"] for split, facts in manifest["splits"].items()},
            "hashes": {split: facts["sha256"] for split, facts in manifest["splits"].items()},
            "skipped": len(manifest["skipped"]),
            "seen_in_training": manifest.get("seen_in_training", {}).get("test", 0),  # prepared by an earlier version
        },
        "law": _law_facts(law, prepared.regions("test")) | {"casts": casts_of_averages(prepared)} if law else None,
        "lpips": lpips,
        "pictures": settings.evaluate.show,
        "bootstrap": settings.compare.model_dump(),
        "coverage": wrong_verdicts(project.root / "benchmarks" / "coverage.csv"),
        "provenance": {
            "revision": revision(project.root),
            "python": platform.python_version(),
            **{key: records[0]["environment"][key] for key in ("torch", "platform", "cpu", "cores", "device")},
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
    }


def training_seconds(records: list[dict[str, Any]]) -> float:
    """What training the networks of these cells took, s: a network that arms share counts once, controls train none."""
    trained = [record for record in records if not record["arm_settings"].get("control")]
    return sum({record["signature"]: record["seconds"] for record in trained}.values())


def casts_of_averages(prepared: Prepared) -> dict[str, float]:
    """Metric -> the colour cast, Lab units, of test pictures that are painted in the mean of every pixel's law.

    It is the cast that averaging without a flaw brings: where it is next to nothing, less of it says nothing about
    averaging. Empty where the law is not known.
    """
    if prepared.color_distribution is None:
        return {}
    averages = prepared.color_distribution.mean.astype(np.float32)[prepared.regions("test")]
    pictures = images_to_tensor(prepared.images("test"))
    truth, painted = rgb_to_lab(pictures)[:, 1:], images_to_tensor(averages)
    return {cast.__name__: round(float(cast(painted, truth).mean()), 6) for cast in (sepia_cast, purple_cast)}


def _law_facts(law: ColorDistribution, kinds: np.ndarray) -> dict[str, Any]:
    described = []
    for k, kind in enumerate(law.regions):
        real = law.probabilities[k] > 0
        described.append(
            {
                "kind": kind,
                "modes": law.modes[k][real].tolist(),
                "probabilities": law.probabilities[k][real].tolist(),
                "mean": law.mean[k].tolist(),
                "variance": float(law.variance[k]),
                "mean_chroma": float(law.mean_chroma[k]),
            }
        )
    return {"kinds": described, "reachable_mse": float(law.reachable_mse(kinds))}


def wrong_verdicts(path: Path) -> dict[str, float] | None:
    """In how many simulated studies some verdict is wrong, at most: with a baseline as lucky as the arms, and with one
    whose luck alone is even. None where nothing was simulated."""
    if not path.is_file():
        return None
    table = pd.read_csv(path)
    alike = table["calm"] == 1
    return {
        "alike": float(table.loc[alike, "wrong_family"].max()),
        "unlike": float(table.loc[~alike, "wrong_family"].max()),
    }


def revision(root: Path) -> str:
    """The commit that is checked out, and whether code or settings differ from it; "unknown" outside a git checkout."""
    commit = _git(root, "rev-parse", "HEAD")
    changed = _git(root, "status", "--porcelain", "--", "study", "ablations", "params.yaml")
    return (commit or "unknown") + (" with uncommitted changes" if changed else "")


def _git(root: Path, *arguments: str) -> str:
    try:
        return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:  # no git on this machine
        return ""
