"""From a point of the search space to an arm: a family beside its template arm, and the units of its weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from optuna import Trial

from study.color.lab import rgb_to_lab
from study.color.tensors import images_to_tensor
from study.config.arms import Arm, ArmTraining, DecodeSettings, load_arm
from study.config.search_space import FILE, Family, Point, Range, Space
from study.config.study import ModelSettings, TrainSettings
from study.errors import StudyError
from study.losses import build_loss
from study.models import build_model
from study.models.features import Features
from study.search.axes import Axis
from study.training.schedule import BatchOrder
from study.training.validation import loss_inputs

GIVEN_DIGITS = 6  # significant digits that are kept of a number of an enqueued point


@dataclass(frozen=True)
class FamilySpace:
    """A family beside its template arm.

    Its parameters are named as the columns of trials.csv: w_<term>, o_<option>, d_temperature and t_learning_rate.
    own: all weights of the template. fixed: those above 0 that are not searched. scales: what the range of a searched
    weight is multiplied by to get the arm's own units. learning_rate: the study's.
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
        """Whether anything is searched that is meant to change colours, beyond how training runs."""
        return bool(self.family.weights or self.family.options or self.family.decode.temperature)

    @cached_property
    def axes(self) -> dict[str, Axis]:
        """The searched numbers in the arm's own units, each wide enough for what is enqueued."""
        found = {}
        for name, declared in self._ranges.items():
            scale = self.scales.get(name.removeprefix("w_"), 1.0)
            given = [self._number(point, name) for point in self.family.enqueue]
            low = min([declared.low * scale, *(value for value in given if value > 0)])
            found[name] = Axis(low, max([declared.high * scale, *given]), getattr(declared, "zero", False))
        return found

    @property
    def options(self) -> dict[str, list[Any]]:
        """The values of the searched options."""
        return {f"o_{option}": choices.choices for option, choices in self.family.options.items()}

    # -- proposals -------------------------------------------------------------------------------------------------

    def suggest(self, trial: Trial) -> dict[str, Any]:
        """Ask an Optuna trial for every parameter."""
        numbers = {
            name: trial.suggest_float(name, axis.bottom, axis.high, log=True) for name, axis in self.axes.items()
        }
        return numbers | {name: trial.suggest_categorical(name, values) for name, values in self.options.items()}

    def settings(self, params: dict[str, Any]) -> dict[str, Any]:
        """What a proposal stands for: its numbers at the nearest values that are tried."""
        numbers = {name: float(axis.nearest(params[name])) for name, axis in self.axes.items()}
        return numbers | {name: params[name] for name in self.options}

    def params(self, point: Point) -> dict[str, Any]:
        """The parameters of an enqueued point. StudyError when it names something that is not searched."""
        for what, given in (
            ("weights", point.weights),
            ("options", point.options),
            ("decode", ["temperature"] if point.decode else []),
            ("train", point.train.model_dump(exclude_none=True)),
        ):
            for name in given:
                if f"{what[0]}_{name}" not in (*self._ranges, *self.options):
                    raise StudyError(f"{self._where(point)}{what}.{name} is not searched in this family")
        params: dict[str, Any] = {}
        for name, axis in self.axes.items():
            params[name] = self._number(point, name)
            if params[name] == 0:
                if not axis.zero:
                    raise StudyError(f"{self._where(point)}weights.{name[2:]} is 0, which needs zero: true")
                params[name] = math.sqrt(axis.low * axis.bottom)
        for name, values in self.options.items():
            option = name[2:]
            params[name] = point.options.get(option, self.template.loss.options.get(option))
            if params[name] not in values:
                raise StudyError(f"{self._where(point)}options.{option}: {params[name]!r} is not among the choices")
        return params

    def given(self, point: Point) -> dict[str, Any]:
        """The settings of an enqueued point, with the digits that a person gave them."""
        numbers = {name: float(f"{self._number(point, name):.{GIVEN_DIGITS}g}") for name in self._ranges}
        params = self.params(point)
        return numbers | {name: params[name] for name in self.options}

    # -- arms ------------------------------------------------------------------------------------------------------

    def arm(self, settings: dict[str, Any], name: str) -> Arm:
        """The arm with these settings."""
        searched = {term: settings[f"w_{term}"] for term in self.family.weights}
        weights = self.fixed | {term: weight for term, weight in searched.items() if weight > 0}
        options = self.template.loss.options | {option: settings[f"o_{option}"] for option in self.family.options}
        decode, train = self.template.decode, self.template.train
        if "d_temperature" in settings:
            decode = DecodeSettings(temperature=settings["d_temperature"])
        if "t_learning_rate" in settings:
            train = ArmTraining(learning_rate=settings["t_learning_rate"])
        loss = self.template.loss.model_copy(update={"weights": weights, "options": options})
        return self.template.model_copy(update={"name": name, "loss": loss, "decode": decode, "train": train})

    def settings_of(self, arm: Arm) -> dict[str, Any]:
        """The settings of an arm of this family."""
        found: dict[str, Any] = {f"w_{term}": arm.loss.weights.get(term, 0.0) for term in self.family.weights}
        if self.family.decode.temperature:
            found["d_temperature"] = arm.decode.temperature
        if self.family.train.learning_rate:
            found["t_learning_rate"] = arm.train.learning_rate
        return found | {f"o_{option}": arm.loss.options[option] for option in self.family.options}

    def point(self, arm: Arm) -> dict[str, Any]:
        """What an arm of this family has that can be searched, as best.yaml has it. Weights of 0 are there too."""
        searched = dict.fromkeys(self.family.weights, 0.0)
        return {
            "weights": searched | arm.loss.weights,
            "options": {option: arm.loss.options[option] for option in self.family.options},
            "decode": arm.decode.model_dump() if self.family.decode.temperature else {},
            "train": arm.train.model_dump(exclude_none=True),
        }

    def in_words(self, point: dict[str, Any]) -> str:
        """The searched settings of a point: "saturation 0.1, confidence 20"."""
        parts = [f"{term} {point['weights'][term]:g}" for term in self.family.weights]
        for option, value in point["options"].items():
            parts.append(f"no {option}" if value is None else f"{option} {value}")
        for name, value in (point["decode"] | point["train"]).items():
            parts.append(f"{name.replace('_', ' ')} {value:g}")
        return ", ".join(parts)

    @property
    def _ranges(self) -> dict[str, Range]:
        ranges: dict[str, Range] = {f"w_{term}": given for term, given in self.family.weights.items()}
        if self.family.decode.temperature:
            ranges["d_temperature"] = self.family.decode.temperature
        if self.family.train.learning_rate:
            ranges["t_learning_rate"] = self.family.train.learning_rate
        return ranges

    def _number(self, point: Point, name: str) -> float:
        if name == "d_temperature":
            return (point.decode or self.template.decode).temperature
        if name == "t_learning_rate":
            return point.train.learning_rate or self.template.train.learning_rate or self.learning_rate
        return point.weights.get(name[2:], self.own[name[2:]])

    def _where(self, point: Point) -> str:
        return f"{FILE}: families.{self.name}.enqueue ({point.name}): "


@dataclass(frozen=True)
class Start:
    """The network before training, at which gradients are measured.

    images: uint8 (N,S,S,3) training pictures. features: of a network with a frozen part.
    """

    model: ModelSettings
    train: TrainSettings
    images: np.ndarray
    device: str
    seed: int
    features: Features | None = None


def open_family(name: str, space: Space, prior: np.ndarray, root: Path, start: Start) -> FamilySpace:
    """The family `name` beside its template arm; StudyError in one line when they do not fit each other.

    prior: (313,) frequencies of the colour bins. start: where gradient ratios are measured.
    """
    family, where = space.family(name), f"{FILE}: families.{name}"
    template = load_arm(root, family.arm)
    if template.control or template.tuned:
        raise StudyError(f"{where}.arm: {family.arm} is no arm with weights of its own")
    try:
        loss = build_loss(template.loss, prior, root)
        for option, choices in family.options.items():
            for choice in choices.choices:
                options = template.loss.options | {option: choice}
                build_loss(template.loss.model_copy(update={"options": options}), prior, root)
    except StudyError as error:
        raise StudyError(f"{where}: {error}") from error
    for term in family.weights:
        if term not in loss.terms:
            raise StudyError(
                f"{where}.weights: {family.arm} has no term {term!r}; its terms are {', '.join(loss.terms)}"
            )
    fixed = {term: weight for term, weight in loss.weights.items() if weight > 0 and term not in family.weights}
    if not fixed and all(given.zero for given in family.weights.values()):
        raise StudyError(f"{where}.weights: all weights could be 0 at once; leave one out to fix it, or its zero")
    scales = dict.fromkeys(family.weights, 1.0)
    if family.units == "gradient_ratio" and family.weights:
        if not fixed:
            raise StudyError(f"{where}.units: gradient_ratio needs a term that is not searched to compare with")
        reference = next(iter(fixed))
        norms = gradient_norms(template, [reference, *family.weights], prior, root, start)
        for term in family.weights:
            if not (math.isfinite(norms[term]) and norms[term] > 0 and norms[reference] > 0):
                raise StudyError(f"{where}.units: {term} has no gradient before training; use units: own")
            scales[term] = fixed[reference] * norms[reference] / norms[term]
    return FamilySpace(name, family, template, fixed, dict(loss.weights), scales, start.train.learning_rate)


def gradient_norms(template: Arm, terms: list[str], prior: np.ndarray, root: Path, start: Start) -> dict[str, float]:
    """Norm of each term's unweighted gradient with respect to the output of the network before training.

    Measured on the first training batch of the seed. It is how hard a term of weight 1 pulls on the colours.
    """
    loss = build_loss(template.loss, prior, root).to(start.device)
    model = build_model(start.model, loss.head, start.seed, root)
    if start.features:
        start.features.fit(model.trunk)
    model.to(start.device)
    order = BatchOrder(len(start.images), start.train.batch, start.seed)
    lab = rgb_to_lab(images_to_tensor(start.images[order.indices(0)], start.device))
    with torch.no_grad():
        output = model(lab[:, :1])
    norms = {}
    for term in terms:
        asked = output.clone().requires_grad_()
        value = loss.compute(*loss_inputs(loss, model, asked, lab))[term]
        (gradient,) = torch.autograd.grad(value, asked, allow_unused=True)
        norms[term] = 0.0 if gradient is None else float(gradient.norm())
    return norms
