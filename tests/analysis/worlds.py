"""Made-up scores with a known answer, for the tests of claims."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from study.analysis.claims import claim_rows
from study.analysis.contrasts import Sources
from study.analysis.estimates import BootstrapWeights
from study.analysis.schemas import CLAIMS
from study.statistics import FEWEST_IMAGES

SEEDS, IMAGES = 6, FEWEST_IMAGES


def scores(center: float, luck: float = 0.01, seed: int = 0, seeds: int = SEEDS, images: int = IMAGES) -> pd.DataFrame:
    """Scores seeds x images: the same pictures for every arm, some luck of the seeds, all around `center`."""
    pictures = np.random.default_rng(99).normal(0, 2, images)
    own = np.random.default_rng(seed).normal(0, luck, (seeds, 1))
    return pd.DataFrame(center + (pictures - pictures.mean()) + own - own.mean())


def sources(**changes: Any) -> Sources:
    """Sources without anything, but for the changes."""
    base = Sources(
        declared=[],
        matrices={},
        by_region=pd.DataFrame(columns=["arm", "seed", "image", "region", "metric", "value"]),
        records={},
        histories={},
        step_times={},
        means={},
        loss_files={},
        weights=BootstrapWeights(1000, 0),
    )
    return replace(base, **changes)


def with_scores(metric: str, **centers: float | pd.DataFrame) -> Sources:
    """Sources with scores of one metric: arm -> its center, or its scores."""
    matrices = {
        arm: scores(center, seed=k) if isinstance(center, float | int) else center
        for k, (arm, center) in enumerate(centers.items())
    }
    return sources(declared=list(centers), matrices={metric: matrices})


def table_of(claims: list[Any], found: Sources) -> pd.DataFrame:
    """The table claims.csv."""
    return CLAIMS.frame(claim_rows(claims, found), study="made")


def judged(write: Callable[..., list[Any]], found: Sources, **claim: Any) -> pd.Series:
    """The row of a single claim; `write` is the fixture."""
    return table_of(write(claim), found).iloc[0]


def study(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs `study COMMAND` in a project folder."""
    return subprocess.run([sys.executable, "-m", "study", *command], cwd=cwd, capture_output=True, text=True)


def long_table(values: dict[str, np.ndarray], metric: str = "ab_rmse", region: str = "all") -> pd.DataFrame:
    """Arm -> scores (seeds, images), as the long table of scores."""
    rows = [
        {"arm": arm, "seed": seed, "image": f"i{k}", "region": region, "metric": metric, "value": matrix[seed, k]}
        for arm, matrix in values.items()
        for seed in range(matrix.shape[0])
        for k in range(matrix.shape[1])
    ]
    return pd.DataFrame(rows)
