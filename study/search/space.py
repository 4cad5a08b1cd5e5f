"""What may be searched: ablations/search_space.yaml, checked, and the arms that its points stand for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import torch
from pydantic import Field, field_validator, model_validator

from study.color.lab import rgb_to_lab
from study.color.tensors import images_to_tensor
from study.config.arms import Arm, ArmTraining, DecodeSettings, Weight, load_arm
from study.config.yaml_files import NAME, Real, Strict, checked, read_yaml
from study.errors import StudyError
from study.losses import build_loss
from study.models import build_model
from study.training.schedule import BatchOrder
from study.training.validation import loss_inputs

if TYPE_CHECKING:
    from optuna import Trial

    from study.config.study import ModelSettings, TrainSettings
    from study.data.prepare import Prepared

FILE = Path("ablations") / "search_space.yaml"

# Zero has no logarithm. A weight that may be 0 is searched on a logarithmic axis that goes on below `low` by this
# share of its length, and all of that end means 0: one axis in place of a switch and a number, and what lies near
# each other on it is alike in effect.
ZERO_END = 0.25
DIGITS = 3  # significant ones of a proposed number: nobody can tell 3.1416 from 3.14 here


class Range(Strict):
    """A positive number, proposed evenly on a logarithmic axis."""

    low: Annotated[Real, Field(gt=0, le=1e9)]
    high: Annotated[Real, Field(gt=0, le=1e9)]

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if self.low >= self.high:
            raise ValueError(f"low must be below high (got {self.low:g} and {self.high:g})")
        return self


class WeightRange(Range):
    """A weight; zero: whether 0 is proposed too."""

    zero: bool = False


class Temperature(Range):
    """A temperature of the annealed mean, within the limits of an arm's."""

    high: Annotated[Real, Field(gt=0, le=10)]


class LearningRate(Range):
    """A peak learning rate, within the limits of an arm's."""

    high: Annotated[Real, Field(gt=0, le=1)]


class Choices(Strict):
    """One of a few values."""

    choices: list[bool | int | float | str | None] = Field(min_length=2)

    @field_validator("choices")
    @classmethod
    def _distinct(cls, choices: list[Any]) -> list[Any]:
        if len({repr(choice) for choice in choices}) != len(choices):
            raise ValueError("the same choice is listed twice")
        return choices


class DecodeSpace(Strict):
    """Decoding needs no training: points that differ in it alone share their networks."""

    temperature: Temperature | None = None


class TrainSpace(Strict):
    """What may be searched of the training itself."""

    learning_rate: LearningRate | None = None


class Point(Strict):
    """A point that is tried first; what it does not name is as in the template arm (learning rate: the study's)."""

    name: str
    weights: dict[str, Weight] = Field(default={})
    options: dict[str, bool | int | float | str | None] = Field(default={})
    decode: DecodeSettings | None = None
    train: ArmTraining = ArmTraining()


class Family(Strict):
    """What is searched around the template arm `arm`; weights of its loss that are not listed stay as they are there.

    units: "own" (the weights as an arm file has them), or "gradient_ratio": the weight at which the term's gradient
    is so many times as strong as that of the first term that is not searched, at a network before training. Numbers
    found in the latter carry over to other data. Enqueued points are in the arm's own units either way.
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


def load_space(root: Path) -> Space:
    """The search space of the project at `root`; StudyError in one line when something is wrong."""
    return checked(Space, read_yaml(root / FILE), str(FILE))


@dataclass(frozen=True)
class FamilySpace:
    """A family beside its template arm: turns proposals into arms.

    own: all weights of the template; fixed: those above 0 that are not searched; scales: what a searched weight is
    multiplied by to get the arm's own units; learning_rate: the study's.
    """

    name: str
    family: Family
    template: Arm
    fixed: dict[str, float]
    own: dict[str, float]
    scales: dict[str, float]
    learning_rate: float

    def __post_init__(self) -> None:
        for point in self.family.enqueue:
            self.params(point)

    @property
    def colors(self) -> bool:
        """Whether anything is searched that is meant to change the colours, beyond how training runs."""
        return bool(self.family.weights or self.family.options or self.family.decode.temperature)

    def suggest(self, trial: Trial) -> dict[str, Any]:
        """Ask an Optuna trial for every parameter: w_<term>, o_<option>, d_temperature, t_learning_rate."""
        params: dict[str, Any] = {}
        for name in self._axes:
            low, high = self._axis(name)
            params[name] = trial.suggest_float(name, low, high, log=True)
        for option, choices in self.family.options.items():
            params[f"o_{option}"] = trial.suggest_categorical(f"o_{option}", choices.choices)
        return params

    def arm(self, params: dict[str, Any], name: str) -> Arm:
        """The arm that `params` stand for, numbers rounded to three significant digits."""
        weights = dict(self.fixed)
        for term in self.family.weights:
            value = params[f"w_{term}"]
            if value >= self._span(f"w_{term}")[0] or not self._may_be_zero(f"w_{term}"):
                weights[term] = rounded(value * self.scales[term])
        options = {option: params[f"o_{option}"] for option in self.family.options}
        decode, train = self.template.decode, self.template.train
        if self.family.decode.temperature:
            decode = DecodeSettings(temperature=rounded(params["d_temperature"]))
        if self.family.train.learning_rate:
            train = ArmTraining(learning_rate=rounded(params["t_learning_rate"]))
        loss = self.template.loss.model_copy(
            update={"weights": weights, "options": self.template.loss.options | options}
        )
        return self.template.model_copy(update={"name": name, "loss": loss, "decode": decode, "train": train})

    def point(self, arm: Arm) -> dict[str, Any]:
        """What an arm of this family has that can be searched; weights in full, those that are 0 too."""
        searched = dict.fromkeys(self.family.weights, 0.0)
        return {
            "weights": searched | arm.loss.weights,
            "options": {option: arm.loss.options[option] for option in self.family.options},
            "decode": arm.decode.model_dump() if self.family.decode.temperature else {},
            "train": arm.train.model_dump(exclude_none=True),
        }

    def outside(self, point: dict[str, Any]) -> dict[str, dict[str, float]]:
        """The numbers of a point that lie outside the searched range: {name: {"value", "low", "high"}}, in the arm's
        own units. No candidate has any; a step that leads on from one may."""
        found = {}
        for axis in self._axes:
            kind, name = axis.split("_", 1)
            scale = self.scales[name] if kind == "w" else 1.0
            low, high = (rounded(end * scale) for end in self._span(axis))
            value = point[{"w": "weights", "d": "decode", "t": "train"}[kind]][name]
            if not (low <= value <= high or (value == 0 and self._may_be_zero(axis))):
                found[name] = {"value": value, "low": low, "high": high}
        return found

    def in_words(self, point: dict[str, Any]) -> str:
        """A point as a person would say it: "saturation 3, diversity 0, confidence 10"."""
        beyond = {
            name: f" (outside the searched {found['low']:g} to {found['high']:g})"
            for name, found in self.outside(point).items()
        }
        parts = [f"{term} {point['weights'][term]:g}{beyond.get(term, '')}" for term in self.family.weights]
        for option, value in point["options"].items():
            parts.append(f"no {option}" if value is None else f"{option} {value}")
        for name, value in (point["decode"] | point["train"]).items():
            parts.append(f"{name.replace('_', ' ')} {value:g}{beyond.get(name, '')}")
        return ", ".join(parts)

    def params(self, point: Point) -> dict[str, Any]:
        """The parameters of an enqueued point. StudyError when it names something that is not searched."""
        for what, given, known in (
            ("weights", point.weights, self.family.weights),
            ("options", point.options, self.family.options),
            ("decode", ["temperature"] if point.decode else [], self._axes),
            ("train", point.train.model_dump(exclude_none=True), self._axes),
        ):
            for name in given:
                if name not in known and f"{what[0]}_{name}" not in known:
                    raise StudyError(f"{self._where(point)}{what}.{name} is not searched in this family")
        params: dict[str, Any] = {}
        for name in self._axes:
            params[name] = self._number(point, name)
            if params[name] == 0:
                if not self._may_be_zero(name):
                    raise StudyError(f"{self._where(point)}weights.{name[2:]} is 0, which needs zero: true")
                params[name] = math.sqrt(self._span(name)[0] * self._axis(name)[0])
        for option, choices in self.family.options.items():
            params[f"o_{option}"] = point.options.get(option, self.template.loss.options.get(option))
            if params[f"o_{option}"] not in choices.choices:
                raise StudyError(
                    f"{self._where(point)}options.{option}: {params[f'o_{option}']!r} is not among the choices"
                )
        return params

    def _where(self, point: Point) -> str:
        return f"{FILE}: families.{self.name}.enqueue ({point.name}): "

    @property
    def _axes(self) -> dict[str, Range]:
        """The numbers that are searched, by parameter."""
        axes: dict[str, Range] = {f"w_{term}": axis for term, axis in self.family.weights.items()}
        if self.family.decode.temperature:
            axes["d_temperature"] = self.family.decode.temperature
        if self.family.train.learning_rate:
            axes["t_learning_rate"] = self.family.train.learning_rate
        return axes

    def _may_be_zero(self, name: str) -> bool:
        return getattr(self._axes[name], "zero", False)

    def _number(self, point: Point, name: str) -> float:
        """The value that a number has at an enqueued point, a weight in the units in which it is searched."""
        if name == "d_temperature":
            return (point.decode or self.template.decode).temperature
        if name == "t_learning_rate":
            return point.train.learning_rate or self.template.train.learning_rate or self.learning_rate
        term = name[2:]
        return point.weights.get(term, self.own[term]) / self.scales[term]

    def _span(self, name: str) -> tuple[float, float]:
        """From where to where a number is searched, but for 0: as declared, and wide enough for what is enqueued."""
        axis = self._axes[name]
        given = [self._number(point, name) for point in self.family.enqueue]
        return min([axis.low, *(value for value in given if value > 0)]), max([axis.high, *given])

    def _axis(self, name: str) -> tuple[float, float]:
        """The axis that Optuna sees: the span, and below it the end that means 0."""
        low, high = self._span(name)
        return (low * (low / high) ** ZERO_END if self._may_be_zero(name) else low), high


def rounded(value: float) -> float:
    """`value` to three significant digits."""
    return float(f"{value:.{DIGITS}g}")


def open_family(
    name: str,
    space: Space,
    prepared: Prepared,
    root: Path,
    model_settings: ModelSettings,
    train: TrainSettings,
    device: str,
    seed: int,
) -> FamilySpace:
    """The family `name` beside its template arm; StudyError in one line when they do not fit each other.

    model_settings, train, device, seed: of the network before training at which gradient ratios are measured.
    """
    if name not in space.families:
        raise StudyError(f"unknown family {name!r}: {FILE} has {', '.join(space.families)}")
    family, where = space.families[name], f"{FILE}: families.{name}"
    template = load_arm(root, family.arm)
    if template.control or template.tuned:
        raise StudyError(f"{where}.arm: {family.arm} is no arm with weights of its own")
    try:
        loss = build_loss(template.loss, prepared.prior, root)
        for option, choices in family.options.items():
            for choice in choices.choices:
                options = template.loss.options | {option: choice}
                build_loss(template.loss.model_copy(update={"options": options}), prepared.prior, root)
    except StudyError as error:
        raise StudyError(f"{where}: {error}") from error
    for term in family.weights:
        if term not in loss.terms:
            raise StudyError(
                f"{where}.weights: {family.arm} has no term {term!r}; its terms are {', '.join(loss.terms)}"
            )
    fixed = {term: weight for term, weight in loss.weights.items() if weight > 0 and term not in family.weights}
    if not fixed and all(axis.zero for axis in family.weights.values()):
        raise StudyError(f"{where}.weights: all weights could be 0 at once; leave one out to fix it, or its zero")
    scales = dict.fromkeys(family.weights, 1.0)
    if family.units == "gradient_ratio" and family.weights:
        if not fixed:
            raise StudyError(f"{where}.units: gradient_ratio needs a term that is not searched to compare with")
        reference = next(iter(fixed))
        norms = gradient_norms(
            template, [reference, *family.weights], prepared, root, model_settings, train, device, seed
        )
        for term in family.weights:
            if not (math.isfinite(norms[term]) and norms[term] > 0 and norms[reference] > 0):
                raise StudyError(f"{where}.units: {term} has no gradient before training; use units: own")
            scales[term] = fixed[reference] * norms[reference] / norms[term]
    return FamilySpace(name, family, template, fixed, dict(loss.weights), scales, train.learning_rate)


def gradient_norms(
    template: Arm,
    terms: list[str],
    prepared: Prepared,
    root: Path,
    model_settings: ModelSettings,
    train: TrainSettings,
    device: str,
    seed: int,
) -> dict[str, float]:
    """Norm of each term's unweighted gradient with respect to the output of the network before training.

    On the first training batch of `seed`; a term of weight 1 pulls so hard on the colours.
    """
    loss = build_loss(template.loss, prepared.prior, root).to(device)
    model = build_model(model_settings, loss.head, seed, root).to(device)
    images = prepared.images("train")
    batch = images[BatchOrder(len(images), train.batch, seed).indices(0)]
    lab = rgb_to_lab(images_to_tensor(batch, device))
    with torch.no_grad():
        output = model(lab[:, :1])
    norms = {}
    for term in terms:
        asked = output.clone().requires_grad_()
        value = loss.compute(*loss_inputs(loss, model, asked, lab))[term]
        (gradient,) = torch.autograd.grad(value, asked, allow_unused=True)
        norms[term] = 0.0 if gradient is None else float(gradient.norm())
    return norms
