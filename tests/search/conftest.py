"""A small project whose search takes seconds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from study.config.search_space import load_space
from study.data.prepare import prepare
from study.project import Project
from study.search.space import FamilySpace, Start, open_family
from tests.conftest import REPOSITORY, TINY_STUDY, write_params

SPACE = """
families:
  anti_average:
    arm: anti_average
    weights:
      saturation: {low: 0.01, high: 10, zero: true}
      confidence: {low: 0.5, high: 50, zero: true}
    enqueue:
      - {name: published weights}
      - {name: plain MSE, weights: {saturation: 0, confidence: 0}}
  zhang:
    arm: zhang
    options: {rebalance: {choices: [null, 0.5]}}
    decode: {temperature: {low: 0.05, high: 1}}
    enqueue:
      - {name: published}
"""


def make_project(folder: Path, **search: object) -> Project:
    """A prepared project in `folder` with the study `tiny`, its search and the space above.

    The test pictures are taken away: a search that wants them fails.
    """
    shutil.copytree(REPOSITORY / "ablations", folder / "ablations")
    (folder / "ablations" / "search_space.yaml").write_text(SPACE)
    settings = {"families": ["anti_average", "zhang"], "trials": 6, "images": 96, "batch": 3, "finalists": 2} | search
    pipeline = {"studies": ["tiny"], "arms": ["mse", "anti_average", "zhang"], "baseline": "mse", "search": ["tiny"]}
    write_params(folder, {"pipeline": pipeline, "studies": {"tiny": TINY_STUDY | {"search": settings}}})
    project = Project.open(folder)
    prepare("tiny", project.study("tiny"), folder)
    (folder / "data" / "tiny" / "test.npy").unlink()
    return project


def open_space(project: Project, name: str) -> FamilySpace:
    """A family of the project's search space."""
    study, prepared = project.study("tiny"), project.prepared("tiny")
    start = Start(study.model, study.train, prepared.images("train"), "cpu", 10_000)
    return open_family(name, load_space(project.root), prepared.prior, project.root, start)


@pytest.fixture(autouse=True)
def own_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells and searches are kept in each project's own folder, whatever the environment says."""
    monkeypatch.delenv("STUDY_CELLS", raising=False)
    monkeypatch.delenv("STUDY_STORAGE", raising=False)
