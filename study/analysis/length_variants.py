"""Results of the same study trained longer or shorter, as far as they are those that the present code would give."""

from __future__ import annotations

import pandas as pd

from study.analysis.lengths import companion_studies
from study.errors import StudyError
from study.project import Project


def read_companions(project: Project, study: str) -> tuple[dict[str, tuple[int, pd.DataFrame]], dict[str, list[str]]]:
    """What studies that differ from `study` in the length of training alone have found, and what of it is outdated.

    Returns name -> (training images, its table arms.csv with the arms that are current), and name -> the arms left
    out: those with a cell that has another signature than it would have today. Studies without tables are in neither.
    """
    found, outdated = {}, {}
    for name in companion_studies(project.params, study):
        folder = project.results(name) / "tables"
        if not all((folder / table).is_file() for table in ("arms.csv", "cells.csv")):
            continue
        arms = pd.read_csv(folder / "arms.csv")
        current = _current_arms(project, study, name, pd.read_csv(folder / "cells.csv"))
        found[name] = (project.study(name).train.images, arms[arms["arm"].isin(current)])
        if gone := [arm for arm in arms["arm"].unique() if arm not in current]:
            outdated[name] = gone
    return found, outdated


def _current_arms(project: Project, study: str, name: str, cells: pd.DataFrame) -> set[str]:
    """Arms of the study `name` all of whose scored cells have the signature that they would have today."""
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
