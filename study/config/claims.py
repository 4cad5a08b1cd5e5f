"""What a person writes in ablations/claims.yaml: statements about the losses, written down before the run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from study.config.yaml_files import Real, Strict, checked, read_yaml
from study.errors import StudyError

FILE = "ablations/claims.yaml"

Direction = Literal["up", "down"]
Margin = Annotated[Real, Field(ge=0)]
Percent = Annotated[Real, Field(ge=0, le=100)]


class _Claim(Strict):
    """What every claim says about itself.

    id: a short name that never changes. number: its place in the list of claims. says: the claim in a sentence.
    predicted: the verdict that theory expects; "refuted" expects opposite or negligible.
    amended: what was changed after a first run, when, and what it changed.
    by: who says it: those who publish the loss, or this study.
    """

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    number: str
    says: str
    predicted: Literal["confirmed", "refuted", "open"]
    amended: str | None = None
    by: Literal["loss", "study"] = "loss"


class Scored(_Claim):
    """A claim about a metric of the tables. margin: half-width of what does not matter, by default the metric's."""

    metric: str
    margin: Margin | None = None


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
    """`arm` is no worse than `against` by more than the margin. direction: which way is better."""

    kind: Literal["no_worse"]
    arm: str
    against: str
    direction: Direction


class Within(Scored):
    """`arm` minus `against` lies in low..high, or within +-margin where neither is given."""

    kind: Literal["within"]
    arm: str
    against: str
    low: Real | None = None
    high: Real | None = None

    @property
    def has_limits(self) -> bool:
        """Whether the claim gives limits of its own in place of a margin."""
        return self.low is not None or self.high is not None


class Strongest(Scored):
    """`arm` moves the metric farther from the baseline than each arm of `against` does."""

    kind: Literal["strongest"]
    arm: str
    against: list[str] = Field(min_length=1)
    baseline: str


class Trend(Scored):
    """The metric rises (up) or falls (down) with the dose. doses: dose -> arm."""

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
    """Over training runs, `term` at the end rises with the missing chroma; margin in units of the correlation."""

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


Claim = Value | Difference | NoWorse | Within | Strongest | Trend | SameHue | Training | Correlation | Cost


class _File(Strict):
    claims: list[Annotated[Claim, Field(discriminator="kind")]]

    @model_validator(mode="after")
    def _distinct(self) -> _File:
        ids = [claim.id for claim in self.claims]
        for name in ids:
            if ids.count(name) > 1:
                raise ValueError(f"the id {name!r} is used twice")
        return self


def load_claims(root: Path) -> list[Claim]:
    """The claims of ablations/claims.yaml; none without the file. StudyError in one line for a wrong one."""
    path = root / FILE
    return checked(_File, read_yaml(path), FILE).claims if path.exists() else []


def check_names(claims: list[Claim], arms: list[str], metrics: list[str]) -> None:
    """StudyError in one line for a claim about an arm or a metric that is not known: it could never be judged."""
    for claim in claims:
        where = f"{FILE}: {claim.id}"
        for name in arms_of(claim):
            if name not in arms:
                raise StudyError(f"{where}: there is no arm {name!r}; arms are the files ablations/<arm>.yaml")
        if isinstance(claim, Scored) and claim.metric not in metrics:
            raise StudyError(f"{where}: there is no metric {claim.metric!r}; known: {', '.join(metrics)}")


def arms_of(claim: Claim) -> list[str]:
    """The arms that a claim is about."""
    fields = claim.model_dump(include={"arm", "against", "baseline", "doses"})
    against = fields.get("against") or []
    named = [fields.get("arm"), *([against] if isinstance(against, str) else against), fields.get("baseline")]
    return [name for name in [*named, *fields.get("doses", {}).values()] if name]
