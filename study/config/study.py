"""What params.yaml may say about one study: its data, network, training, scoring, search and comparison."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from study.config.data import DataSettings
from study.config.yaml_files import Real, Strict, Whole


class ModelSettings(Strict):
    """The network of a study, the same for all of its arms.

    name: a registered trunk; options: of its constructor; upsampling: of the predicted colours to the picture's
    resolution; trunk_learning_rate: peak of pretrained weights, 0 keeps them as they are; file: a Python file of your
    own in ablations/models/ that registers the trunk.
    """

    name: str = "unet"
    options: dict[str, Any] = Field(default={})
    upsampling: Literal["bilinear", "nearest"] = "bilinear"
    trunk_learning_rate: Annotated[Real, Field(ge=0, le=1)] = 0.0
    file: str | None = None

    @field_validator("file")
    @classmethod
    def _watched(cls, file: str | None) -> str | None:
        if file is not None and (not file.startswith("ablations/models/") or ".." in file):
            raise ValueError(f"{file!r} does not lie in ablations/models/, where dvc repro watches for changes")
        return file


class TrainSettings(Strict):
    """How every cell of a study is trained; the same for all of its arms.

    images: training pictures shown in all; batch: pictures a step; learning_rate: peak of AdamW's schedule, a linear
    warm-up and half a cosine; warmup: share of the steps; flip: mirror pictures at random; validations: how often
    validation scores are taken; precision: of the network's forward pass; keep: which weights, those after the last
    step or those with the least validation loss;
    log_every: steps between rows of history.csv; checkpoint_seconds: least time between checkpoints (does not change
    the numbers); device: "auto" takes a GPU when there is one.
    """

    images: Whole = Field(ge=1)
    batch: Whole = Field(default=64, ge=1, le=4096)
    learning_rate: Annotated[Real, Field(gt=0, le=1)] = 2e-3
    weight_decay: Annotated[Real, Field(ge=0, le=1)] = 1e-2
    warmup: Annotated[Real, Field(ge=0, lt=1)] = 0.05
    flip: bool = True
    validations: Whole = Field(default=12, ge=1, le=1000)
    keep: Literal["last", "best"] = "last"
    precision: Literal["float32", "bfloat16"] = "float32"
    log_every: Whole = Field(default=16, ge=1, le=10_000)
    checkpoint_seconds: float = Field(default=5.0, ge=0)
    device: Literal["auto", "cpu", "cuda"] = "auto"


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
    model: ModelSettings = ModelSettings()
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
