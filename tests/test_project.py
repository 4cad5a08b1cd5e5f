"""A project folder: what it must be for `dvc repro`, told before any work."""

from __future__ import annotations

from pathlib import Path

import pytest

from study.project import pipeline_problem
from tests.test_cli import fails, study


def test_a_repository_of_git_or_without_any_can_hold_a_pipeline(root: Path) -> None:
    assert pipeline_problem(root) is not None
    (root / ".dvc").mkdir()
    (root / ".dvc" / "config").write_text("[core]\n    no_scm = true\n")
    assert pipeline_problem(root) is None
    (root / ".dvc" / "config").write_text("")
    (root / ".git").mkdir()
    assert pipeline_problem(root) is None
    (root / "inside").mkdir()
    assert pipeline_problem(root / "inside") is None


@pytest.mark.parametrize("name", ["data", "results", "reports"])
def test_a_link_in_place_of_an_output_is_refused_by_doctor_and_by_the_stage(
    root: Path, tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    (root / ".git").mkdir()
    (root / name).symlink_to(tmp_path_factory.mktemp("disk"))
    assert name in pipeline_problem(root)
    assert f"{name}/" in study("doctor", cwd=root).stdout
    assert f"{name}/" in fails("prepare", "tiny", cwd=root, DVC_ROOT=str(root))
    assert not list((root / name).iterdir())
