"""What a person may write in ablations/search_space.yaml: families, ranges and points to try first."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from study.config.arms import ArmTraining, DecodeSettings, Weight
from study.config.yaml_files import NAME, Real, Strict, checked, read_yaml
from study.errors import StudyError, did_you_mean

FILE = Path("ablations") / "search_space.yaml"


class Range(Strict):
    """A positive number, searched evenly on a logarithmic scale from `low` to `high`."""

    low: Annotated[Real, Field(gt=0, le=1e9)]
    high: Annotated[Real, Field(gt=0, le=1e9)]

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if self.low >= self.high:
            raise ValueError(f"low must be below high (got {self.low:g} and {self.high:g})")
        return self


class WeightRange(Range):
    """The weight of a term. zero: whether 0 is tried too, which leaves the term out."""

    zero: bool = False


class Temperature(Range):
    """A temperature of the annealed mean, at most 10 as in an arm."""

    high: Annotated[Real, Field(gt=0, le=10)]


class LearningRate(Range):
    """A peak learning rate, at most 1 as in an arm."""

    high: Annotated[Real, Field(gt=0, le=1)]


class Choices(Strict):
    """An option of the loss with at least two values."""

    choices: list[bool | int | float | str | None] = Field(min_length=2)

    @field_validator("choices")
    @classmethod
    def _distinct(cls, choices: list[Any]) -> list[Any]:
        if len({repr(choice) for choice in choices}) != len(choices):
            raise ValueError("the same choice is listed twice")
        return choices


class DecodeSpace(Strict):
    """What is searched of decoding. It needs no training: points that differ in it alone share their networks."""

    temperature: Temperature | None = None


class TrainSpace(Strict):
    """What is searched of the training."""

    learning_rate: LearningRate | None = None


class Point(Strict):
    """A point that is tried first. What it does not name is as in the template arm, or the study's learning rate."""

    name: str
    weights: dict[str, Weight] = Field(default={})
    options: dict[str, bool | int | float | str | None] = Field(default={})
    decode: DecodeSettings | None = None
    train: ArmTraining = ArmTraining()


class Family(Strict):
    """What is searched around the template arm `arm`. Weights of its loss that are not listed stay as they are there.

    units: of the ranges of weights. "own": as an arm file has them. "gradient_ratio": at 1, the term's gradient is as
    strong as that of the first term that is not searched, for a network before training. Such ranges carry over to
    other data.
    enqueue: points that are tried first, in the arm's own units either way.
    """

    arm: str
    weights: dict[str, WeightRange] = Field(default={})
    options: dict[str, Choices] = Field(default={})
    decode: DecodeSpace = DecodeSpace()
    train: TrainSpace = TrainSpace()
    units: Literal["own", "gradient_ratio"] = "own"
    enqueue: list[Point] = Field(default=[])

    @model_validator(mode="after")
    def _something(self) -> Family:
        if not (self.weights or self.options or self.decode.temperature or self.train.learning_rate):
            raise ValueError("nothing to search: list weights, options, decode or train")
        return self


class Space(Strict):
    """The whole of ablations/search_space.yaml."""

    families: dict[str, Family] = Field(min_length=1)

    @field_validator("families")
    @classmethod
    def _names(cls, families: dict[str, Family]) -> dict[str, Family]:
        for name in families:
            if not NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no family name (letters, digits, _ and . only; a letter first)")
        return families

    def family(self, name: str) -> Family:
        """The family `name`; StudyError for an unknown one."""
        if name not in self.families:
            raise StudyError(f"{FILE} has no family {name!r}: {did_you_mean(name, self.families)}")
        return self.families[name]


def load_space(root: Path) -> Space:
    """The search space of the project at `root`; StudyError in one line when something is wrong."""
    return checked(Space, read_yaml(root / FILE), str(FILE))
