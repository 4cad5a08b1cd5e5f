"""What claims, theory and training say, as values computed from their tables."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from study.report.format import CLAIM_VERDICTS
from study.report.result import AMOUNT, ERROR, StudyResult

NOTHING = 0.01
"""A term with a smaller share of the gradient does next to nothing."""
TELLING = 3.0
"""Lab units of chroma: where theory predicts less of a change against plain squared error, it says nothing special."""
LENGTH_METRICS = (ERROR, AMOUNT, "hue_diversity_gap")
GRADIENT = "gradient_"


@dataclass(frozen=True)
class Claims:
    """Verdicts of the claims: how many of each, of all and by who says them; and whether theory foresaw them."""

    counts: dict[str, int] = field(default_factory=dict)
    by: dict[str, dict[str, int]] = field(default_factory=dict)
    as_predicted: int = 0
    predicted: int = 0

    @property
    def total(self) -> int:
        """How many claims there are."""
        return sum(self.counts.values())


def find_claims(result: StudyResult) -> Claims:
    """Count the verdicts of the claims."""
    rows = result.rows("claims")
    whose = {by: _ordered(row.verdict for row in rows if row.by == by) for by in ("loss", "study")}
    said = [row.as_predicted for row in rows if row.as_predicted]
    return Claims(_ordered(row.verdict for row in rows), whose, said.count("yes"), len(said))


def _ordered(verdicts: Any) -> dict[str, int]:
    counts = Counter(verdicts)
    return {verdict: counts[verdict] for verdict in CLAIM_VERDICTS if counts[verdict]}


@dataclass(frozen=True)
class Theory:
    """How much of the outcomes (a trained arm on a region) theory explains.

    mse: as many would the optimum of plain squared error explain. far, far_explained, far_mse: the same where theory
    predicts a change of chroma that tells. unexplained: arm -> regions. without: arms of which no optimum is known.
    """

    outcomes: int
    explained: int
    mse: int
    distance: float
    far: int
    far_explained: int
    far_mse: int
    unexplained: dict[str, tuple[str, ...]]
    without: tuple[str, ...]


def theory_rows(result: StudyResult) -> list[Any]:
    """Rows of theory.csv with a measured colour."""
    return [row for row in result.rows("theory") if row.arm in result.arms and row.chroma == row.chroma]


def find_theory(result: StudyResult) -> Theory | None:
    """Compare theory with the measurement; None where there is none."""
    rows = theory_rows(result)
    told = [row for row in rows if row.explained != "no theory" and row.arm in result.trained]
    if not told:
        return None
    far = [row for row in told if abs(row.predicted_change) > TELLING]
    bad: dict[str, tuple[str, ...]] = {}
    for row in told:
        if row.explained == "no":
            bad[row.arm] = (*bad.get(row.arm, ()), row.region)

    def good(some: list[Any]) -> int:
        return sum(row.explained == "yes" for row in some)

    distance = float(np.nanmedian([row.distance for row in told]))
    return Theory(
        len(told), good(told), sum(row.mse_explains for row in told), distance,
        len(far), good(far), sum(row.mse_explains for row in far), bad,
        tuple(dict.fromkeys(row.arm for row in rows if row.explained == "no theory" and row.arm in result.trained)),
    )  # fmt: skip


@dataclass(frozen=True)
class Training:
    """How training went.

    idle: (arm, term, mean share) of every term that is on and does next to nothing; published: term -> share of the
    gradient at the published weights, the largest first. curves, flattened, open: validation curves, those that had
    flattened, and those of which nothing sure is known; moving: metric -> arms whose curve still moved.
    """

    idle: tuple[tuple[str, str, float], ...] = ()
    published: dict[str, float] = field(default_factory=dict)
    curves: int = 0
    flattened: int = 0
    open: int = 0
    moving: dict[str, tuple[str, ...]] = field(default_factory=dict)


def gradient_rows(result: StudyResult) -> list[Any]:
    """Rows of gradients.csv of arms with more than one term."""
    rows = [row for row in result.rows("gradients") if row.arm in result.arms]
    terms = Counter(row.arm for row in rows)
    return [row for row in rows if terms[row.arm] > 1]


def find_training(result: StudyResult) -> Training:
    """Work out what training says."""
    rows = gradient_rows(result)
    idle = tuple((row.arm, row.term, row.mean) for row in rows if not row.weight <= 0 and row.mean < NOTHING)
    published = {row.term: row.mean for row in sorted(rows, key=lambda row: -row.mean) if row.arm == result.published}
    curves = [row for row in result.rows("convergence") if row.arm in result.arms]
    moving: dict[str, tuple[str, ...]] = {}
    for row in curves:
        if row.flattened == "no":
            moving[row.metric] = (*moving.get(row.metric, ()), row.arm)
    counts = Counter(row.flattened for row in curves)
    return Training(idle, published, len(curves), counts["yes"], counts["inconclusive"], moving)


def gradient_shares(result: StudyResult, arm: str) -> pd.DataFrame:
    """Share of every term in the summed gradient norms over training: images seen x term; empty when not recorded."""
    curves = result.tables["curves"]
    own = curves[(curves["arm"] == arm) & (curves["split"] == "val") & curves["name"].str.startswith(GRADIENT)]
    if own.empty:
        return pd.DataFrame()
    wide = own.pivot_table(index="images", columns="name", values="mean")[list(dict.fromkeys(own["name"]))]
    wide.columns = [name.removeprefix(GRADIENT) for name in wide.columns]
    wide = wide.drop(columns="total", errors="ignore")
    total = wide.sum(axis=1)
    return wide[total > 0].div(total[total > 0], axis=0)


@dataclass(frozen=True)
class Length:
    """How far the order of the arms agrees between the shortest and the longest training (Kendall's tau)."""

    metric: str
    images: tuple[int, int]
    arms: int
    tau: float
    moved: tuple[tuple[str, int, int], ...]  # (arm, rank, rank) of those that move two places or more


def length_metrics(result: StudyResult) -> list[str]:
    """Metrics whose order is followed over lengths of training."""
    present = {row.metric for row in result.rows("lengths")}
    return [name for name in LENGTH_METRICS if name in present and name in result.metrics]


def kendall_tau(one: np.ndarray, other: np.ndarray) -> float:
    """Kendall's tau-b of two rankings. scipy's takes a second to import, a tenth of what a whole report may take."""
    signs = [np.sign(ranks[:, None] - ranks) for ranks in (one, other)]
    return float((signs[0] * signs[1]).sum() / np.sqrt(np.square(signs[0]).sum() * np.square(signs[1]).sum()))


def find_lengths(result: StudyResult) -> list[Length]:
    """Compare the order of the arms at the shortest and the longest training."""
    table, found = result.tables["lengths"], []
    for metric in length_metrics(result):
        part = table[(table["metric"] == metric) & table["rank"].notna()]
        wide = part.pivot_table(index="arm", columns="images", values="rank", aggfunc="first").dropna()
        if wide.shape[1] < 2 or len(wide) < 2:
            continue
        first, last = wide.iloc[:, 0], wide.iloc[:, -1]
        moved = tuple((arm, int(first[arm]), int(last[arm])) for arm in wide.index if abs(first[arm] - last[arm]) >= 2)
        ends = (int(wide.columns[0]), int(wide.columns[-1]))
        found.append(Length(metric, ends, len(wide), kendall_tau(first.to_numpy(), last.to_numpy()), moved))
    return found
