"""What a person may write in an arm file, ablations/<arm>.yaml."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from study.config.study import TrainSettings
from study.config.yaml_files import NAME, Real, Strict, checked, read_yaml
from study.errors import StudyError, did_you_mean

Weight = Annotated[Real, Field(ge=0, le=1e9)]


class LossSettings(Strict):
    """name: a registered loss; weights: of its terms, those not listed are 0; options: of its constructor.

    file: a Python file of your own, relative to the project, that registers the loss; an arm's lies in
    ablations/losses/.
    """

    name: str
    weights: dict[str, Weight] = Field(default={})
    options: dict[str, Any] = Field(default={})
    file: str | None = None

    @field_validator("weights")
    @classmethod
    def _finite_weights(cls, weights: dict[str, float]) -> dict[str, float]:
        for name, value in weights.items():
            if not math.isfinite(value):
                raise ValueError(f"{name}: must be a finite number")
        return weights


class DecodeSettings(Strict):
    """temperature: of the annealed mean that turns bin probabilities into a colour (Zhang et al. 2016: 0.38)."""

    temperature: Annotated[Real, Field(gt=0, le=10)] = 0.38


class ArmTraining(Strict):
    """What an arm may train with differently from its study.

    learning_rate: the peak; learning_rate_times: a factor on the peak that it would train with otherwise.
    """

    learning_rate: Annotated[Real, Field(gt=0, le=1)] | None = None
    learning_rate_times: Annotated[Real, Field(gt=0, le=100)] | None = None

    def applied(self, train: TrainSettings) -> TrainSettings:
        """The settings of a study as this arm trains with them."""
        rate = (self.learning_rate or train.learning_rate) * (self.learning_rate_times or 1.0)
        return train.model_copy(update={"learning_rate": rate})


class Control(Strict):
    """An arm without training of its own: the networks of the arm `of`, their colours changed by one rule.

    by: "gain" multiplies all colours by one number, "lift" adds the same number of Lab units to every chroma, and
    "transport" moves colours along the optimal transport to the true ones, a share `strength` of the way.
    match: "gray" (gain 0), "truth", or an arm: the gain that gives the same mean chroma on the validation pictures.
    """

    of: str
    match: str
    by: Literal["gain", "lift", "transport"] = "gain"
    strength: Annotated[Real, Field(ge=0, le=1)] = 1.0

    @model_validator(mode="after")
    def _fits(self) -> Control:
        if self.by != "gain" and self.match != "truth":
            raise ValueError(f"by {self.by!r} asks for match: truth, got {self.match!r}")
        if self.by != "transport" and self.strength != 1:
            raise ValueError(f"strength belongs to by: transport, not to {self.by!r}")
        return self


class Tuned(Strict):
    """Weights, options, decoding and learning rate come from results/<study>/search/best.yaml.

    family: of ablations/search_space.yaml; choice: which of the points that the search recommends.
    """

    family: str
    choice: Literal["recommended", "knee", "faithful", "vivid"] = "recommended"


class Arm(Strict):
    """One way to train: a file ablations/<name>.yaml."""

    name: str
    description: str
    loss: LossSettings
    decode: DecodeSettings = DecodeSettings()
    train: ArmTraining = ArmTraining()
    control: Control | None = None
    tuned: Tuned | None = None

    @field_validator("loss")
    @classmethod
    def _watched(cls, loss: LossSettings) -> LossSettings:
        if loss.file is not None and (not loss.file.startswith("ablations/losses/") or ".." in loss.file):
            raise ValueError(
                f"file {loss.file!r} does not lie in ablations/losses/, where dvc repro watches for changes"
            )
        return loss


class ControlFile(Strict):
    """The arm file of a control: its loss is that of the arm it is made from."""

    description: str
    control: Control


# Settings files that lie in ablations/ beside the arms.
NO_ARMS = {"claims", "search_space"}


def arm_names(root: Path) -> list[str]:
    """Names of all arm files in ablations/, sorted."""
    return sorted(path.stem for path in (root / "ablations").glob("*.yaml") if path.stem not in NO_ARMS)


def load_arm(root: Path, name: str) -> Arm:
    """The arm ablations/<name>.yaml, checked; StudyError in one line when it is unknown or something is wrong.

    A control has the loss, decoding and training of the arm whose networks it takes.
    """
    path = root / "ablations" / f"{name}.yaml"
    if not NAME.fullmatch(name) or name in NO_ARMS or not path.is_file():
        raise StudyError(f"unknown arm {name!r}, no ablations/{name}.yaml; {did_you_mean(name, arm_names(root))}")
    content = read_yaml(path)
    if "control" not in content:
        return checked(Arm, {**content, "name": name}, f"ablations/{name}.yaml")
    own = checked(ControlFile, content, f"ablations/{name}.yaml")
    source = root / "ablations" / f"{own.control.of}.yaml"
    if not source.is_file():
        near = did_you_mean(own.control.of, arm_names(root))
        raise StudyError(f"ablations/{name}.yaml: control.of: unknown arm {own.control.of!r}; {near}")
    if own.control.of == name or "control" in read_yaml(source):
        raise StudyError(f"ablations/{name}.yaml: control.of must be an arm that is trained, not {own.control.of}")
    return load_arm(root, own.control.of).model_copy(
        update={"name": name, "description": own.description, "control": own.control}
    )
