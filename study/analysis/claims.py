"""How the claims of ablations/claims.yaml fare in one study.

`study.config.claims` says what a person writes. The kind of a claim says which contrast is measured. The verdict is
    confirmed     the interval lies where the claim says. Where the claim is that something differs, the estimate is
                  beyond the margin, and the corrected p is at most 0.05;
    opposite      the effect surely goes the other way, or what should be the same surely is not;
    negligible    surely no effect in the claimed direction exceeds the margin. An effect the other way that is surely
                  within the margin is negligible, too;
    inconclusive  none of these is sure;
    not testable  the study lacks an arm or a measurement.
p_t is the level at which the two-level interval reaches the border of the claim. Holm corrects it over all claims that
something differs. Where nothing differs, one of those is confirmed at most 5 % of the time, as far as the luck of the
seeds is symmetric or alike in the arms. A claim that something is the same, or no worse, needs the interval inside its
limits.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from study import statistics as stats
from study.analysis import contrasts_scores as of_scores
from study.analysis import contrasts_training as of_training
from study.analysis.contrasts import Contrast, NotTestable, Sources, margin_of
from study.analysis.schemas import as_predicted
from study.config import claims as written
from study.config.arms import arm_names
from study.config.claims import Claim
from study.metrics import METRICS

MEASURES: dict[type, Any] = {
    written.Value: of_scores.value,
    written.Difference: of_scores.difference,
    written.NoWorse: of_scores.no_worse,
    written.Within: of_scores.within,
    written.Strongest: of_scores.strongest,
    written.Trend: of_scores.trend,
    written.SameHue: of_scores.same_hue,
    written.Training: of_training.training,
    written.Correlation: of_training.correlation,
    written.Cost: of_training.cost,
}
"""Kind of claim -> what measures it."""


@dataclass(frozen=True)
class Judged:
    """A claim's verdict at one margin; contrast: None where it is not testable."""

    verdict: str
    why: str
    contrast: Contrast | None = None
    p_holm: float = np.nan
    p_t_holm: float = np.nan


def load_claims(root: Path) -> list[Claim]:
    """The claims of a project. StudyError in one line for a wrong file, and for unknown arms and metrics."""
    claims = written.load_claims(root)
    written.check_names(claims, arm_names(root), list(METRICS))
    return claims


def claim_rows(claims: list[Claim], sources: Sources) -> list[dict[str, Any]]:
    """Rows of claims.csv, one per claim in their order, with the verdicts at half and at double the margin."""
    half, judged, double = (judge_all(claims, sources, factor) for factor in (0.5, 1.0, 2.0))
    rows = []
    for claim, narrow, one, wide in zip(claims, half, judged, double, strict=True):
        row = {name: getattr(claim, name) for name in ("id", "number", "says", "predicted", "by")}
        row |= {
            "verdict": one.verdict,
            "verdict_half_margin": narrow.verdict,
            "verdict_double_margin": wide.verdict,
            "as_predicted": as_predicted(claim.predicted, one.verdict),
            "why": "; ".join(filter(None, (one.why, claim.amended))),
            "margin": None if _has_limits(claim) else margin_of(claim),
            "p_holm": one.p_holm,
            "p_t_holm": one.p_t_holm,
        }
        if one.contrast:
            fields = ("estimate", "low", "high", "p", "p_min", "p_t", "metric", "comparison", "unit")
            row |= {name: getattr(one.contrast, name) for name in fields}
        rows.append(row)
    return rows


def judge_all(claims: list[Claim], sources: Sources, factor: float = 1.0) -> list[Judged]:
    """Every claim's verdict, with margins that are `factor` times as wide.

    Holm corrects the exact sign-flip p over all claims, and the p of the intervals over the claims that something
    differs. A claim with limits of its own has no margin to widen.
    """
    found: list[Contrast | str] = []
    for claim in claims:
        changed = claim
        if factor != 1 and not _has_limits(claim):
            changed = claim.model_copy(update={"margin": factor * margin_of(claim)})
        try:
            found.append(MEASURES[type(claim)](changed, sources))
        except NotTestable as missing:
            found.append(str(missing))
    p = [np.nan if isinstance(one, str) else one.p for one in found]
    p_t = [np.nan if isinstance(one, str) or not one.hypothesis.difference else one.p_t for one in found]
    judged = []
    for one, p_holm, p_t_holm in zip(found, stats.holm(np.array(p)), stats.holm(np.array(p_t)), strict=True):
        if isinstance(one, str):
            judged.append(Judged("not testable", one))
        else:
            judged.append(Judged(*judge(one, float(p_t_holm)), one, float(p_holm), float(p_t_holm)))
    return judged


def judge(contrast: Contrast, p_t_holm: float) -> tuple[str, str]:
    """Verdict and reason for one contrast, with the p of its interval corrected over all claims."""
    if not contrast.exact and np.isnan(contrast.p_t):
        return "inconclusive", "too few seeds or test pictures to tell luck from an effect"
    hypothesis, low, high = contrast.hypothesis, contrast.low, contrast.high
    least, most = hypothesis.holds
    if any(start <= low and high <= end for start, end in hypothesis.fails):
        if not hypothesis.difference:
            return "opposite", "the difference is surely larger than the claim allows"
        margin = min(abs(border - hypothesis.null) for border in hypothesis.enough)
        other_way = high <= least or low >= most
        if other_way and max(abs(low - hypothesis.null), abs(high - hypothesis.null)) > margin:
            return "opposite", "the effect goes the other way"
        return "negligible", "no effect in the claimed direction is large enough to matter"
    if not (least <= low and high <= most):
        return "inconclusive", "the interval reaches beyond what the claim says"
    if not hypothesis.enough[0] <= contrast.estimate <= hypothesis.enough[1]:
        return "inconclusive", "the direction is sure, but not whether the effect is large enough to matter"
    if hypothesis.difference and p_t_holm > 1 - stats.LEVEL:
        return "inconclusive", "the direction is sure alone, but not after the correction for all claims"
    return "confirmed", ""


def _has_limits(claim: Claim) -> bool:
    return isinstance(claim, written.Within) and claim.has_limits


def held(path: Path) -> list[str]:
    """Ids of the claims that are confirmed in an earlier claims.csv; none when it is missing or damaged."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, usecols=["id", "verdict"])
    except (FileNotFoundError, ValueError):
        return []
    return table.loc[table["verdict"] == "confirmed", "id"].tolist()


def lost(before: list[str], claims: pd.DataFrame) -> list[str]:
    """Which of the claims that held `before` no longer do, each as "id (what it is now)"."""
    now = dict(zip(claims["id"], claims["verdict"], strict=True))
    return [f"{name} ({now.get(name, 'gone')})" for name in before if now.get(name) != "confirmed"]
