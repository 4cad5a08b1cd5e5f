"""Length variants: studies that differ from another in the length of training alone, and what they found."""

from __future__ import annotations

import pandas as pd

from study.analysis.schemas import ARMS, CELLS
from study.config.params import Params
from study.errors import StudyError
from study.project import Project
from study.tables import read_table

# Settings of training that change how it is watched or run, but not the network that comes out.
_WATCHING = {"validations", "log_every", "checkpoint_seconds", "device"}


def length_variants(params: Params, study: str) -> list[str]:
    """Studies that differ from `study` in the length of training alone, the shortest first.

    They have the same data and network, and the same settings of training but for `images` and what does not change a
    number.
    """
    own = params.studies[study]

    def settings(name: str) -> tuple:
        other = params.studies[name]
        return other.data.model_dump(), other.model.model_dump(), other.train.model_dump(exclude={"images", *_WATCHING})

    found = [
        name
        for name, other in params.studies.items()
        if settings(name) == settings(study) and other.train.images != own.train.images
    ]
    return sorted(found, key=lambda name: params.studies[name].train.images)


def read_variants(project: Project, study: str) -> tuple[dict[str, tuple[int, pd.DataFrame]], dict[str, list[str]]]:
    """What the length variants of `study` found, and what of it is outdated.

    Returns name -> (training images, its table arms.csv with the arms that are current), and name -> the arms left
    out: those with a cell that would have another signature today. Studies without tables are in neither.
    """
    found, outdated = {}, {}
    for name in length_variants(project.params, study):
        folder = project.results(name) / "tables"
        if not all((folder / f"{table.name}.csv").is_file() for table in (ARMS, CELLS)):
            continue
        arms = read_table(folder / "arms.csv", ARMS)
        current = _current_arms(project, study, name, read_table(folder / "cells.csv", CELLS))
        found[name] = (project.study(name).train.images, arms[arms["arm"].isin(current)])
        if gone := [arm for arm in arms["arm"].unique() if arm not in current]:
            outdated[name] = gone
    return found, outdated


def _current_arms(project: Project, study: str, name: str, cells: pd.DataFrame) -> set[str]:
    """Arms of the study `name` whose scored cells all have the signature that they would have today."""
    train = project.study(name).train
    scored = cells[cells["status"].isin(["finished", "diverged"])]
    current = set()
    for arm, rows in scored.groupby("arm"):
        try:
            # The data are those of `study`, which are prepared.
            wanted = project.cells(study, project.arms(name, (arm,)), rows["seed"].tolist(), train)
        except StudyError:  # the arm is gone, or waits for a search
            continue
        if [cell.signature for cell in wanted] == rows["signature"].tolist():
            current.add(arm)
    return current
