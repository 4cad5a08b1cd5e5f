"""params.yaml as a whole: the pipeline that `dvc repro` runs, and all studies."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from study.config.study import Study
from study.config.yaml_files import Strict, checked, read_yaml
from study.errors import StudyError, did_you_mean

STUDY_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")  # without the dot of arms: DVC takes it for a path of keys

WRITTEN_OUT = ("model", "evaluate", "compare")
"""Blocks that a study of the pipeline must write out, even empty: dvc.yaml names them, and DVC demands them."""


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
            if not STUDY_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no study name (letters, digits and _ only; a letter first)")
            if name == "archives":
                raise ValueError("no study may be called 'archives': data/archives/ holds downloads")
        return studies

    @model_validator(mode="after")
    def _known(self) -> Params:
        for name in self.pipeline.studies:
            if name not in self.studies:
                raise ValueError(f"pipeline.studies names {name!r}, but studies has only {', '.join(self.studies)}")
            for block in WRITTEN_OUT:
                if block not in self.studies[name].model_fields_set:
                    raise ValueError(f"studies.{name} lacks {block}, which dvc repro needs: write {block}: {{}}")
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


def load_params(root: Path) -> Params:
    """params.yaml of the project at `root`, checked; StudyError in one line when something is wrong."""
    return checked(Params, read_yaml(root / "params.yaml"), "params.yaml")


def get_study(params: Params, name: str) -> Study:
    """The study `name` of params.yaml; StudyError that lists the known ones otherwise."""
    if name not in params.studies:
        raise StudyError(f"unknown study {name!r}; {did_you_mean(name, params.studies)}")
    return params.studies[name]


def find_root(start: Path) -> Path:
    """The project folder: the nearest one at or above `start` that has a params.yaml."""
    for folder in (start, *start.parents):
        if (folder / "params.yaml").is_file():
            return folder
    raise StudyError(f"no params.yaml in {start} or above: run this inside the project")
