"""What a person may write in params.yaml and ablations/*.yaml: types, limits and one-line errors."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from study.errors import StudyError

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.]*")


def _number(value: Any) -> Any:
    # YAML 1.1 reads "1e-3" (no dot) as text; a person means a number.
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("must be a finite number")
    return value


Real = Annotated[float, BeforeValidator(_number)]
Weight = Annotated[float, BeforeValidator(_number), Field(ge=0, le=1e9)]
Multiple8 = Annotated[int, Field(ge=16, le=1024, multiple_of=8)]


class Strict(BaseModel):
    """A block of settings: unknown keys are errors, values do not change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PaletteWorldData(Strict):
    """The generated world with a known answer (study/data/palette_world.py)."""

    source: Literal["palette_world"]
    train: int = Field(ge=1, le=1_000_000)
    val: int = Field(ge=1, le=100_000)
    test: int = Field(ge=1, le=100_000)
    size: Multiple8 = 32
    seed: int = Field(default=0, ge=0)


class TinyImagenetData(Strict):
    """Tiny ImageNet: the first train/200 pictures of each class train, the next val/200 validate, its val tests."""

    source: Literal["tiny_imagenet"]
    train: int = Field(ge=200, le=100_000, multiple_of=200)
    val: int = Field(ge=200, le=50_000, multiple_of=200)
    test: int = Field(ge=1, le=10_000)
    size: Multiple8 = Field(default=64, le=64)


class FolderData(Strict):
    """Any directory of pictures; `val` and `test` are shares, chosen by the hash of each file's bytes."""

    source: Literal["folder"]
    path: str
    size: Multiple8 = 64
    val: float = Field(default=0.1, gt=0, lt=1)
    test: float = Field(default=0.1, gt=0, lt=1)
    limit: int | None = Field(default=None, ge=3)

    @model_validator(mode="after")
    def _leaves_some_to_train(self) -> FolderData:
        if self.val + self.test >= 1:
            raise ValueError("val + test must leave a share for training (their sum must be below 1)")
        return self


DataSettings = Annotated[PaletteWorldData | TinyImagenetData | FolderData, Field(discriminator="source")]


class TrainSettings(Strict):
    """How every cell of a study is trained; the same for all of its arms.

    images: training pictures shown in all; batch: pictures a step; learning_rate: peak of the warm-up + cosine
    schedule of AdamW; width, levels: the U-Net; upsampling: from half resolution, where colour is predicted, to the
    picture's; flip: mirror pictures at random; validations: how often
    validation scores are taken; log_every: steps between rows of history.csv; checkpoint_seconds: least time between
    checkpoints (does not change the numbers); device: "auto" takes a GPU when there is one.
    """

    images: int = Field(ge=1)
    batch: int = Field(default=64, ge=1, le=4096)
    learning_rate: Annotated[float, BeforeValidator(_number), Field(gt=0, le=1)] = 2e-3
    weight_decay: Annotated[float, BeforeValidator(_number), Field(ge=0, le=1)] = 1e-2
    warmup: Annotated[float, BeforeValidator(_number), Field(ge=0, lt=1)] = 0.05
    width: int = Field(default=16, ge=4, le=512, multiple_of=4)
    levels: int = Field(default=3, ge=1, le=6)
    upsampling: Literal["bilinear", "nearest"] = "bilinear"
    flip: bool = True
    validations: int = Field(default=12, ge=1, le=1000)
    log_every: int = Field(default=16, ge=1, le=10_000)
    checkpoint_seconds: float = Field(default=5.0, ge=0)
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @property
    def steps(self) -> int:
        """Optimiser steps of a cell."""
        return math.ceil(self.images / self.batch)


class EvaluateSettings(Strict):
    """lpips: "auto" measures it when its weights are in torch's hub cache or can be fetched, "off" never, or a path.

    pictures: how many test pictures are kept for the report; show: which ones a report may show, the study's own
    test pictures or freely usable photographs ("showcase", for data that must not be published).
    """

    lpips: str = "auto"
    pictures: int = Field(default=10, ge=1, le=200)
    show: Literal["test", "showcase"] = "test"


class CompareSettings(Strict):
    """resamples: of the two-level bootstrap; seed: of its generator."""

    resamples: int = Field(default=10_000, ge=100, le=1_000_000)
    seed: int = Field(default=0, ge=0)


class Study(Strict):
    """One dataset and its settings: a block of params.yaml under `studies`."""

    title: str
    data: DataSettings
    train: TrainSettings
    seeds: list[Annotated[int, Field(ge=0, lt=2**31)]] = Field(min_length=1)
    evaluate: EvaluateSettings = EvaluateSettings()
    compare: CompareSettings = CompareSettings()

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) != len(seeds):
            raise ValueError("the same seed is listed twice")
        return seeds


class Pipeline(Strict):
    """What `dvc repro` runs: these arms on these studies; every arm is compared with `baseline`."""

    studies: list[str] = Field(min_length=1)
    arms: list[str] = Field(min_length=1)
    baseline: str

    @model_validator(mode="after")
    def _consistent(self) -> Pipeline:
        for what, names in (("studies", self.studies), ("arms", self.arms)):
            if len(set(names)) != len(names):
                raise ValueError(f"the same name is listed twice in {what}")
        if self.baseline not in self.arms:
            raise ValueError(f"the baseline {self.baseline!r} is not among the arms")
        return self


class Params(Strict):
    """The whole of params.yaml."""

    pipeline: Pipeline
    studies: dict[str, Study] = Field(min_length=1)

    @field_validator("studies")
    @classmethod
    def _names(cls, studies: dict[str, Study]) -> dict[str, Study]:
        for name in studies:
            if not NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no study name (letters, digits, _ and . only; a letter first)")
            if name == "archives":
                raise ValueError("no study may be called 'archives': data/archives/ holds downloads")
        return studies

    @model_validator(mode="after")
    def _known(self) -> Params:
        for name in self.pipeline.studies:
            if name not in self.studies:
                raise ValueError(f"pipeline.studies names {name!r}, but studies has only {', '.join(self.studies)}")
        return self


class LossSettings(Strict):
    """name: a registered loss; weights: of its terms, those not listed are 0; options: of its constructor.

    file: a Python file of your own, relative to the project, that registers the loss.
    """

    name: str
    weights: dict[str, Annotated[Weight, Field()]] = {}
    options: dict[str, Any] = {}
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

    temperature: Annotated[float, BeforeValidator(_number), Field(gt=0, le=10)] = 0.38


class Arm(Strict):
    """One way to train: a file ablations/<name>.yaml."""

    name: str
    description: str
    loss: LossSettings
    decode: DecodeSettings = DecodeSettings()


def _one_line(error: ValidationError) -> str:
    problems = []
    for item in error.errors():
        where = ".".join(str(part) for part in item["loc"] if part not in ("palette_world", "tiny_imagenet", "folder"))
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            message = "unknown key"
        elif item["type"] == "missing":
            message = "missing"
        elif not isinstance(item["input"], dict | list):
            message = f"{message[0].lower()}{message[1:]} (got {item['input']!r})"
        problems.append(f"{where}: {message}" if where else message)
    return "; ".join(problems)


class _OneMeaning(yaml.SafeLoader):
    """YAML in which a key written twice is an error instead of the second silently winning."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is written twice", key_node.start_mark
                )
            seen.add(key if isinstance(key, str) else None)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; StudyError when it is missing, no YAML or no mapping."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_OneMeaning)
    except FileNotFoundError:
        raise StudyError(f"{path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"{path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        raise StudyError(f"{path}{line}: {getattr(error, 'problem', None) or 'not valid YAML'}") from error
    if not isinstance(content, dict):
        raise StudyError(f"{path}: must be a mapping of settings, found {type(content).__name__}")
    return content


def load_params(root: Path) -> Params:
    """params.yaml of the project at `root`, checked; StudyError in one line when something is wrong."""
    path = root / "params.yaml"
    try:
        return Params.model_validate(read_yaml(path))
    except ValidationError as error:
        raise StudyError(f"params.yaml: {_one_line(error)}") from error


def arm_names(root: Path) -> list[str]:
    """Names of all arm files in ablations/, sorted."""
    return sorted(path.stem for path in (root / "ablations").glob("*.yaml") if "loss" in read_yaml(path))


def load_arm(root: Path, name: str) -> Arm:
    """The arm ablations/<name>.yaml, checked; StudyError in one line when it is unknown or something is wrong."""
    path = root / "ablations" / f"{name}.yaml"
    if not NAME.fullmatch(name) or not path.is_file():
        raise StudyError(
            f"unknown arm {name!r}: there is no ablations/{name}.yaml; known: {', '.join(arm_names(root))}"
        )
    try:
        return Arm.model_validate({**read_yaml(path), "name": name})
    except ValidationError as error:
        raise StudyError(f"ablations/{name}.yaml: {_one_line(error)}") from error


def get_study(params: Params, name: str) -> Study:
    """The study `name` of params.yaml; StudyError that lists the known ones otherwise."""
    if name not in params.studies:
        raise StudyError(f"unknown study {name!r}: params.yaml has {', '.join(params.studies)}")
    return params.studies[name]


def find_root(start: Path) -> Path:
    """The project folder: the nearest one at or above `start` that has a params.yaml."""
    for folder in (start, *start.parents):
        if (folder / "params.yaml").is_file():
            return folder
    raise StudyError(f"no params.yaml in {start} or above: run this inside the project")
