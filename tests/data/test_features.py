"""Frozen features: computed once, resumed after a kill, the same for any number of jobs, and used by training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from study.color.lab import rgb_to_lab
from study.data import features as module
from study.data.features import make_features
from study.data.prepare import prepare
from study.errors import StudyError
from study.models import build_model
from study.models.features import Features
from study.project import Project
from study.training.executor import run_cells
from tests.conftest import TINY_STUDY, write_params
from tests.models.weights import write_weights


@pytest.fixture
def project(root: Path) -> Project:
    options = {"net": "alexnet", "weights": str(write_weights(root / "w.pth")), "width": 8, "features": 8}
    own = TINY_STUDY | {"model": {"name": "hypercolumn", "options": options}}
    pipeline = {"studies": ["tiny"], "arms": ["mse", "zhang"], "baseline": "mse"}
    write_params(root, {"pipeline": pipeline, "studies": {"tiny": own}})
    found = Project.open(root)
    prepare("tiny", found.study("tiny"), root)
    return found


def make(project: Project, folder: Path, jobs: int = 1) -> None:
    make_features(project.study("tiny").model, project.prepared("tiny"), folder, project.root, True, jobs)


def test_features_are_what_the_fitted_network_makes_of_every_picture(project: Project, tmp_path: Path) -> None:
    make(project, tmp_path / "f")
    features = Features(tmp_path / "f")
    model = build_model(project.study("tiny").model, "ab", 0, project.root)
    features.fit(model.trunk)
    for name, flip in (("train", False), ("train_mirrored", True), ("val", False), ("test", False)):
        images = project.prepared("tiny").images(name.split("_")[0])
        lightness = rgb_to_lab(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))[:, :1]
        expected = model.frozen(lightness.flip(-1) if flip else lightness)
        found = features.of(name)
        assert found.dtype == np.float16 and len(found) == len(images)
        assert torch.from_numpy(np.array(found)).float() == pytest.approx(expected.numpy(), rel=2e-3, abs=2e-3)


def test_a_killed_run_goes_on_and_any_number_of_jobs_gives_the_same_bytes(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCK", 10)
    make(project, tmp_path / "whole", jobs=2)
    compute, done = module._compute, []

    def until_killed(*arguments: object) -> None:
        if len(done) == 4:
            raise KeyboardInterrupt
        compute(*arguments)
        done.append(arguments[-1])

    monkeypatch.setattr(module, "_compute", until_killed)
    with pytest.raises(KeyboardInterrupt):
        make(project, tmp_path / "resumed")
    assert not (tmp_path / "resumed").exists()
    done.clear()
    monkeypatch.setattr(module, "_compute", lambda *arguments: (compute(*arguments), done.append(arguments[-1])))
    make(project, tmp_path / "resumed")
    assert len(done) == 2 * 10 + 2 * 2 - 4
    for name in ("train", "train_mirrored", "val", "test"):
        one, other = ((tmp_path / folder / f"{name}.npy").read_bytes() for folder in ("whole", "resumed"))
        assert one == other
    make(project, tmp_path / "resumed")
    assert len(done) == 2 * 10 + 2 * 2 - 4  # nothing is computed twice


def test_cells_train_on_features_as_on_pictures(project: Project) -> None:
    project.make_features("tiny", 1)
    cells = project.cells("tiny", project.arms("tiny", ("mse", "zhang")), [0])
    with_features = run_cells(cells, project.store, 1)
    assert [record["status"] for record in with_features] == ["finished"] * 2
    assert cells[0].features is not None and cells[0].signature != cells[1].signature


def test_no_room_on_the_disk_is_told_before_any_work(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 10}))
    with pytest.raises(StudyError, match="GB"):
        make(project, tmp_path / "f")
