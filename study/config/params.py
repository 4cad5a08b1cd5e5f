"""What a person may write in params.yaml and ablations/*.yaml: types, limits and one-line errors."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from study.config.yaml_files import Real, Strict, Whole, checked, read_yaml
from study.errors import StudyError

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.]*")

Weight = Annotated[Real, Field(ge=0, le=1e9)]
Multiple8 = Annotated[Whole, Field(ge=16, le=1024, multiple_of=8)]


class PaletteWorldData(Strict):
    """The generated world with a known answer (study/data/palette_world.py)."""

    source: Literal["palette_world"]
    train: Whole = Field(ge=1, le=1_000_000)
    val: Whole = Field(ge=1, le=100_000)
    test: Whole = Field(ge=1, le=100_000)
    size: Multiple8 = 32
    seed: Whole = Field(default=0, ge=0)


class TinyImagenetData(Strict):
    """Tiny ImageNet: the first train/200 pictures of each class train, the next val/200 validate, its val tests."""

    source: Literal["tiny_imagenet"]
    train: Whole = Field(ge=200, le=100_000, multiple_of=200)
    val: Whole = Field(ge=200, le=50_000, multiple_of=200)
    test: Whole = Field(ge=1, le=10_000)
    size: Multiple8 = Field(default=64, le=64)


class FolderData(Strict):
    """Any directory of pictures; `val` and `test` are shares, chosen by the hash of each file's bytes.

    monochrome: what is done with near-gray and sepia pictures: "keep" uses them, "flag" uses and lists them, "skip"
    leaves them out.
    """

    source: Literal["folder"]
    path: str
    size: Multiple8 = 64
    val: float = Field(default=0.1, gt=0, lt=1)
    test: float = Field(default=0.1, gt=0, lt=1)
    limit: Whole | None = Field(default=None, ge=3)
    monochrome: Literal["keep", "flag", "skip"] = "flag"

    @model_validator(mode="after")
    def _leaves_some_to_train(self) -> FolderData:
        if self.val + self.test >= 1:
            raise ValueError("val + test must leave a share for training (their sum must be below 1)")
        return self


DataSettings = Annotated[PaletteWorldData | TinyImagenetData | FolderData, Field(discriminator="source")]


class TrainSettings(Strict):
    """How every cell of a study is trained; the same for all of its arms.

    images: training pictures shown in all; batch: pictures a step; learning_rate: peak of the warm-up + cosine
    schedule of AdamW; width: channels of the U-Net at half the picture's resolution, where colour is predicted;
    levels: its resolutions from there down; upsampling: of the predicted colours to the picture's resolution; flip:
    mirror pictures at random; validations: how often validation scores are taken; log_every: steps between rows of
    history.csv; checkpoint_seconds: least time between checkpoints (does not change the numbers); device: "auto"
    takes a GPU when there is one.
    """

    images: Whole = Field(ge=1)
    batch: Whole = Field(default=64, ge=1, le=4096)
    learning_rate: Annotated[Real, Field(gt=0, le=1)] = 2e-3
    weight_decay: Annotated[Real, Field(ge=0, le=1)] = 1e-2
    warmup: Annotated[Real, Field(ge=0, lt=1)] = 0.05
    width: Whole = Field(default=16, ge=4, le=512, multiple_of=4)
    levels: Whole = Field(default=2, ge=1, le=6)
    upsampling: Literal["bilinear", "nearest"] = "bilinear"
    flip: bool = True
    validations: Whole = Field(default=12, ge=1, le=1000)
    log_every: Whole = Field(default=16, ge=1, le=10_000)
    checkpoint_seconds: float = Field(default=5.0, ge=0)
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @property
    def steps(self) -> int:
        """Optimiser steps of a cell."""
        return math.ceil(self.images / self.batch)


def _off(value: Any) -> Any:
    return "off" if value is False else value  # as YAML 1.1 reads off


class EvaluateSettings(Strict):
    """lpips: "auto" measures it when its weights are in torch's hub cache or can be fetched, "off" never, or a path.

    pictures: how many test pictures a grid of the report shows; kept: of how many the predictions are kept, so that
    the report can pick telling ones; show: which ones a report may show, the study's own test pictures or freely
    usable photographs ("showcase", for data that must not be published).
    """

    lpips: Annotated[str, BeforeValidator(_off)] = "auto"
    pictures: Whole = Field(default=10, ge=1, le=200)
    kept: Whole = Field(default=400, ge=1, le=10_000)
    show: Literal["test", "showcase"] = "test"


class CompareSettings(Strict):
    """resamples: of the two-level bootstrap; seed: of its generator."""

    resamples: Whole = Field(default=10_000, ge=100, le=1_000_000)
    seed: Whole = Field(default=0, ge=0)


class TimingSettings(Strict):
    """processes: fresh ones, one after the other, in which steps are timed; rounds: turns of every loss in each."""

    processes: Whole = Field(default=4, ge=1, le=100)
    rounds: Whole = Field(default=6, ge=1, le=1000)


class SearchSettings(Strict):
    """The budget of `study search`, the same for every family that is searched.

    families: of ablations/search_space.yaml; trials: candidates of each family; seeds: on how many a candidate is
    judged at most; images: training pictures of a search's cell (the study's own number when not given);
    finalists: candidates that are trained again in full, on `fresh_seeds` seeds that nothing else uses;
    batch: candidates proposed at a time (what is proposed does not depend on the number of jobs); seed: of the
    proposals.
    """

    families: list[str] = Field(default=["anti_average", "zhang", "mse"], min_length=1)
    trials: Whole = Field(default=20, ge=1, le=100_000)
    seeds: Whole = Field(default=2, ge=1, le=100)
    images: Whole | None = Field(default=None, ge=1)
    finalists: Whole = Field(default=3, ge=1, le=100)
    fresh_seeds: Whole = Field(default=2, ge=1, le=100)
    batch: Whole = Field(default=4, ge=1, le=1000)
    seed: Whole = Field(default=0, ge=0, lt=2**31)


class Study(Strict):
    """One dataset and its settings: a block of params.yaml under `studies`.

    arms: of this study alone; without it those of the pipeline.
    """

    title: str
    data: DataSettings
    train: TrainSettings
    seeds: list[Annotated[Whole, Field(ge=0, lt=2**31)]] = Field(min_length=1)
    arms: list[str] | None = Field(default=None, min_length=1)
    evaluate: EvaluateSettings = EvaluateSettings()
    search: SearchSettings | None = None
    compare: CompareSettings = CompareSettings()
    timing: TimingSettings = TimingSettings()

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) != len(seeds):
            raise ValueError("the same seed is listed twice")
        return seeds

    @field_validator("arms")
    @classmethod
    def _distinct_arms(cls, arms: list[str] | None) -> list[str] | None:
        if arms and len(set(arms)) != len(arms):
            raise ValueError("the same arm is listed twice")
        return arms

    @model_validator(mode="after")
    def _fits(self) -> Study:
        if self.data.size % 2**self.train.levels:
            raise ValueError(
                f"data.size {self.data.size} cannot be halved train.levels = {self.train.levels} times: it must be a "
                f"multiple of {2**self.train.levels}"
            )
        return self


class Pipeline(Strict):
    """What `dvc repro` runs: these arms on these studies; every arm is compared with `baseline`.

    controls: further arms, without training of their own; search: those of the studies in which weights are searched,
    all that have a search block; tuned: the arms that take what was found there.
    """

    studies: list[str] = Field(min_length=1)
    arms: list[str] = Field(min_length=1)
    controls: list[str] = Field(default=[])
    baseline: str
    search: list[str] = Field(default=[])
    tuned: list[str] = Field(default=[])

    @model_validator(mode="after")
    def _consistent(self) -> Pipeline:
        arms = [*self.arms, *self.controls, *self.tuned]
        for what, names in (("studies", self.studies), ("arms", arms), ("search", self.search)):
            if len(set(names)) != len(names):
                raise ValueError(f"the same name is listed twice in {what}")
        if self.baseline not in self.arms:
            raise ValueError(f"the baseline {self.baseline!r} is not among the arms")
        for name in self.search:
            if name not in self.studies:
                raise ValueError(f"search names {name!r}, which is not among the studies of the pipeline")
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
            if self.studies[name].arms:
                raise ValueError(
                    f"studies.{name} names arms of its own, so it cannot be part of the pipeline: run it with "
                    f"study run {name}"
                )
        for name, study in self.studies.items():
            if study.arms and self.pipeline.baseline not in study.arms:
                raise ValueError(f"studies.{name}.arms lacks the baseline {self.pipeline.baseline}")
        for name in self.pipeline.search:
            if self.studies[name].search is None:
                raise ValueError(f"pipeline.search names {name!r}, but studies.{name} has no search block")
        for name in self.pipeline.studies:
            if self.studies[name].search and name not in self.pipeline.search:
                raise ValueError(
                    f"studies.{name} has a search block for the tuned arms: name it in pipeline.search too"
                )
        return self


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
    """What an arm may train with differently from its study: the peak learning rate."""

    learning_rate: Annotated[Real, Field(gt=0, le=1)] | None = None


class Control(Strict):
    """An arm without training of its own: the networks of the arm `of`, their colours times one gain.

    match: "gray" (gain 0), "truth", or an arm: the gain that gives the same mean chroma on the validation pictures.
    """

    of: str
    match: str


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


def load_params(root: Path) -> Params:
    """params.yaml of the project at `root`, checked; StudyError in one line when something is wrong."""
    return checked(Params, read_yaml(root / "params.yaml"), "params.yaml")


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
        raise StudyError(
            f"unknown arm {name!r}: there is no ablations/{name}.yaml; known: {', '.join(arm_names(root))}"
        )
    content = read_yaml(path)
    if "control" not in content:
        return checked(Arm, {**content, "name": name}, f"ablations/{name}.yaml")
    own = checked(ControlFile, content, f"ablations/{name}.yaml")
    source = root / "ablations" / f"{own.control.of}.yaml"
    if not source.is_file():
        raise StudyError(
            f"ablations/{name}.yaml: control.of: unknown arm {own.control.of!r}; known: {', '.join(arm_names(root))}"
        )
    if own.control.of == name or "control" in read_yaml(source):
        raise StudyError(f"ablations/{name}.yaml: control.of must be an arm that is trained, not {own.control.of}")
    return load_arm(root, own.control.of).model_copy(
        update={"name": name, "description": own.description, "control": own.control}
    )


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
