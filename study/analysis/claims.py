"""Claims: sentences written down before the run in ablations/claims.yaml, and how each of them fares.

A claim has a kind, which says what is measured (study/evidence.py). Its verdict is
    confirmed     the interval lies where the claim says, the estimate is beyond the margin where the claim is that
                  something differs, and the corrected p agrees (see below);
    refuted       the interval lies where the claim is wrong: on the other side, or on the claimed side but within the
                  margin, where practically nothing happens;
    undecided     neither;
    not testable  the study lacks an arm or a measurement that the claim is about.
p_t is the level at which the two-level interval would reach the border of the claim. Confirming that something differs
needs p_t <= 0.05 after Holm's correction over all such claims of the study: where nothing differs, one of them is
confirmed at most 5 % of the time, as far as the luck of the seeds is symmetric or alike in the arms. That something is
the same or no worse needs the interval inside the margin.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field, field_validator, model_validator

from study import statistics as stats
from study.analysis import contrasts as evidence
from study.config.yaml_files import Real, Strict, checked, read_yaml
from study.errors import StudyError
from study.metrics import METRICS

COLUMNS = [
    "id", "says", "verdict", "estimate", "low", "high", "p_holm", "p", "p_min", "metric", "comparison", "unit",
    "predicted", "why", "number", "p_t", "p_t_holm", "by", "margin",
]  # fmt: skip
Direction = Literal["up", "down"]
Percent = Annotated[Real, Field(ge=0, le=100)]


class _Claim(Strict):
    """What every claim says about itself.

    by: who says so, those who publish the loss, or this study, against it. amended: what was changed after a first run,
    when, and what it changed.
    """

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    number: str
    says: str
    predicted: Literal["confirmed", "refuted", "open"]
    amended: str | None = None
    by: Literal["loss", "study"] = "loss"


class Scored(_Claim):
    """A claim about a metric of the tables; margin: half-width of what does not matter, by default the metric's."""

    metric: str
    margin: Annotated[Real, Field(ge=0)] | None = None

    @field_validator("metric")
    @classmethod
    def _known(cls, metric: str) -> str:
        if metric not in METRICS:
            raise ValueError(f"there is no such metric; known: {', '.join(METRICS)}")
        return metric


class Value(Scored):
    """The mean of `arm` lies above (up) or below (down) `than`."""

    kind: Literal["value"]
    arm: str
    direction: Direction
    than: Real


class Difference(Scored):
    """The metric of `arm` lies above (up) or below (down) that of `against`."""

    kind: Literal["difference"]
    arm: str
    against: str
    direction: Direction


class NoWorse(Scored):
    """`arm` is no worse than `against` by more than the margin; direction: which way is better."""

    kind: Literal["no_worse"]
    arm: str
    against: str
    direction: Direction


class Within(Scored):
    """`arm` minus `against` lies in low..high; without them within +-margin."""

    kind: Literal["within"]
    arm: str
    against: str
    low: Real | None = None
    high: Real | None = None


class Strongest(Scored):
    """`arm` moves the metric farther from the baseline than each arm of `against` does."""

    kind: Literal["strongest"]
    arm: str
    against: list[str] = Field(min_length=1)
    baseline: str


class Trend(Scored):
    """The metric rises (up) or falls (down) with the dose; doses: dose -> arm."""

    kind: Literal["trend"]
    doses: dict[Annotated[Real, Field(gt=0)], str] = Field(min_length=2)
    direction: Direction


class SameHue(_Claim):
    """`arm` paints every kind of region in the hue of its mean colour, within `margin` degrees."""

    kind: Literal["same_hue"]
    arm: str
    margin: Annotated[Real, Field(gt=0, le=180)]


class Training(_Claim):
    """The loss term `term` of `arm` falls over training, or stays bounded; margin in %."""

    kind: Literal["training"]
    arm: str
    term: str
    behaviour: Literal["falls", "bounded"]
    margin: Percent


class Correlation(_Claim):
    """Over cells, the final validation value of `term` rises with the missing chroma; margin: of the correlation."""

    kind: Literal["correlation"]
    term: str
    margin: Annotated[Real, Field(ge=0, lt=1)]


class Cost(_Claim):
    """`arm` costs less than `against`; margin in %."""

    kind: Literal["cost"]
    arm: str
    against: str
    what: Literal["parameters", "step_ms", "peak_memory_mb", "code_lines"]
    margin: Percent


Claim = Annotated[
    Value | Difference | NoWorse | Within | Strongest | Trend | SameHue | Training | Correlation | Cost,
    Field(discriminator="kind"),
]
MEASURES = {
    Value: evidence.value, Difference: evidence.difference, NoWorse: evidence.no_worse, Within: evidence.within,
    Strongest: evidence.strongest, Trend: evidence.trend, SameHue: evidence.same_hue, Training: evidence.training,
    Correlation: evidence.correlation, Cost: evidence.cost,
}  # fmt: skip


class _Ledger(Strict):
    claims: list[Claim]

    @model_validator(mode="after")
    def _distinct(self) -> _Ledger:
        ids = [claim.id for claim in self.claims]
        for name in ids:
            if ids.count(name) > 1:
                raise ValueError(f"the id {name!r} is used twice")
        return self


def load_claims(root: Path) -> list[Any]:
    """The claims of ablations/claims.yaml, none when there is no such file; StudyError in one line for a wrong one."""
    path = root / "ablations" / "claims.yaml"
    return checked(_Ledger, read_yaml(path), "ablations/claims.yaml").claims if path.exists() else []


def check_arms(claims: list[Any], known: list[str]) -> None:
    """StudyError in one line for a claim about an arm that is not `known`; it would never be testable."""
    for claim in claims:
        for name in _arms_of(claim):
            if name not in known:
                raise StudyError(f"ablations/claims.yaml: {claim.id}: there is no arm {name!r}")


def _arms_of(claim: Any) -> list[str]:
    fields = claim.model_dump(include={"arm", "against", "baseline", "doses"})
    named = [fields.get("arm"), fields.get("baseline"), *fields.get("doses", {}).values()]
    against = fields.get("against") or []
    return [name for name in [*named, *([against] if isinstance(against, str) else against)] if name]


def claim_rows(claims: list[Any], sources: evidence.Sources) -> pd.DataFrame:
    """The table of claims, COLUMNS, a row per claim in their order.

    p_holm corrects the exact sign-flip p over all claims, p_t_holm the p of the intervals over the claims that
    something differs.
    """
    found: list[evidence.Evidence | str] = []
    for claim in claims:
        try:
            found.append(MEASURES[type(claim)](claim, sources))
        except evidence.NotTestable as missing:
            found.append(str(missing))
    p = [np.nan if isinstance(item, str) else item.p for item in found]
    p_t = [np.nan if isinstance(item, str) or not item.question.difference else item.p_t for item in found]
    rows = []
    corrected = stats.holm(np.array(p)), stats.holm(np.array(p_t))
    for claim, item, p_holm, p_t_holm in zip(claims, found, *corrected, strict=True):
        row = {"id": claim.id, "number": claim.number, "says": claim.says, "predicted": claim.predicted}
        span = isinstance(claim, Within) and (claim.low, claim.high) != (None, None)  # it has its own limits
        row |= {"by": claim.by, "margin": np.nan if span else evidence.margin_of(claim)}
        if isinstance(item, str):
            rows.append(row | {"verdict": "not testable", "why": "; ".join(filter(None, (item, claim.amended)))})
            continue
        verdict, why = judge(item, float(p_t_holm))
        why = "; ".join(filter(None, (why, claim.amended)))
        fields = ("estimate", "low", "high", "p", "p_min", "p_t", "metric", "comparison", "unit")
        rows.append(
            row
            | {name: getattr(item, name) for name in fields}
            | {"p_holm": p_holm, "p_t_holm": p_t_holm, "verdict": verdict, "why": why}
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def judge(item: evidence.Evidence, p_t_holm: float) -> tuple[str, str]:
    """Verdict and reason of one claim's evidence, with the p of its interval corrected over all claims."""
    if not item.exact and np.isnan(item.p_t):
        return "undecided", "a single seed does not tell what is luck of the training"
    least, most = item.question.holds
    if any(low <= item.low and item.high <= high for low, high in item.question.fails):
        if item.high <= least or item.low >= most:
            return "refuted", "the whole interval lies where the claim is wrong"
        if least <= item.low and item.high <= most:  # (study.report.answer counts these by their first words)
            return "refuted", "right in direction, but too little to matter"
        return "refuted", "what there is in the claimed direction is too little to matter"
    if not (least <= item.low and item.high <= most):
        return "undecided", "the interval reaches beyond what the claim says"
    if not item.question.enough[0] <= item.estimate <= item.question.enough[1]:
        return "undecided", "the direction is sure, but not whether it is enough to matter"
    if item.question.difference and p_t_holm > 1 - stats.LEVEL:
        return "undecided", "the interval lies where the claim says, but not after the correction for all claims"
    return "confirmed", ""


def held(path: Path) -> list[str]:
    """Ids of the claims that are confirmed in an earlier claims.csv; none when there is no such file."""
    if not path.exists():
        return []
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    return table.loc[table["verdict"] == "confirmed", "id"].tolist()


def lost(before: list[str], claims: pd.DataFrame) -> list[str]:
    """Which of the claims that held `before` no longer do, each as "id (what it is now)"."""
    now = dict(zip(claims["id"], claims["verdict"], strict=True))
    return [f"{name} ({now.get(name, 'gone')})" for name in before if now.get(name) != "confirmed"]
