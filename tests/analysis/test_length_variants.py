"""Results of other lengths of training count as long as they are those of the present code and settings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from study import tables as table
from study.analysis.length_variants import length_variants, read_variants
from study.analysis.schemas import ARMS as ARMS_TABLE
from study.analysis.schemas import CELLS
from study.data.prepare import prepare
from study.project import Project
from study.training.cell import Cell
from tests.analysis.worlds import study
from tests.conftest import TINY_STUDY, write_params

ARMS = ["mse", "anti_average", "zhang", "mse_gain_truth"]


@pytest.fixture
def project(root: Path) -> Project:
    """The study `tiny` and a variant of half its length, whose tables name the cells of today."""
    half = {**TINY_STUDY, "train": {**TINY_STUDY["train"], "images": 128}, "seeds": [0, 1, 2]}
    pipeline = {"studies": ["tiny"], "arms": ARMS[:-1], "controls": ARMS[-1:], "baseline": "mse"}
    write_params(root, {"pipeline": pipeline, "studies": {"tiny": TINY_STUDY, "half": half}})
    own = Project.open(root)
    for name in ("tiny", "half"):
        prepare(name, own.study(name), root)
    write_tables(own, own.cells("half", own.arms("half"), [0, 1, 2]))
    return own


def write_tables(project: Project, cells: list[Cell]) -> None:
    """results/half/tables as those of `cells`."""
    folder = project.results("half") / "tables"
    rows = [
        {"arm": cell.arm.name, "seed": cell.seed, "status": "finished", "signature": cell.signature} for cell in cells
    ]
    table.write_table(folder / "cells.csv", CELLS, CELLS.frame(rows, study="half"))
    arms = [{"arm": arm, "metric": "ab_rmse", "mean": 20.0, "low": 19.0, "high": 21.0, "seeds": 3} for arm in ARMS]
    table.write_table(folder / "arms.csv", ARMS_TABLE, ARMS_TABLE.frame(arms, study="half"))


def test_a_variant_of_the_present_code_counts_with_all_its_arms(project: Project) -> None:
    found, outdated = read_variants(project, "tiny")
    ((images, table),) = found.values()
    assert list(found) == ["half"] and images == 128
    assert table["arm"].tolist() == ARMS
    assert outdated == {}


def test_an_arm_whose_cells_are_of_other_code_is_left_out_and_named(project: Project) -> None:
    cells = project.cells("half", project.arms("half"), [0, 1, 2])
    stale = next(k for k, cell in enumerate(cells) if (cell.arm.name, cell.seed) == ("anti_average", 2))
    cells[stale] = replace(cells[stale], signature="0" * 16)
    write_tables(project, cells)
    found, outdated = read_variants(project, "tiny")
    assert found["half"][1]["arm"].tolist() == ["mse", "zhang", "mse_gain_truth"]
    assert outdated == {"half": ["anti_average"]}


def test_a_changed_weight_makes_that_arm_outdated(project: Project, root: Path) -> None:
    file = root / "ablations" / "anti_average.yaml"
    changed = file.read_text().replace("diversity: 0.5", "diversity: 0.25")
    assert changed != file.read_text()
    file.write_text(changed)
    assert read_variants(Project.open(root), "tiny")[1] == {"half": ["anti_average"]}


def test_an_arm_that_is_gone_is_outdated(project: Project, root: Path) -> None:
    (root / "ablations" / "zhang.yaml").unlink()
    pipeline = {"studies": ["tiny"], "arms": ["mse", "anti_average"], "controls": ["mse_gain_truth"], "baseline": "mse"}
    half = {**TINY_STUDY, "train": {**TINY_STUDY["train"], "images": 128}, "seeds": [0, 1, 2]}
    write_params(root, {"pipeline": pipeline, "studies": {"tiny": TINY_STUDY, "half": half}})
    assert read_variants(Project.open(root), "tiny")[1] == {"half": ["zhang"]}


def test_the_command_names_what_it_leaves_out(project: Project, root: Path) -> None:
    (cell,) = project.cells("half", project.arms("half", ("mse",)), [0])
    write_tables(project, [replace(cell, signature="0" * 16)])
    for command in (["train", "tiny", "mse"], ["evaluate", "tiny", "mse"]):
        assert study(*command, cwd=root).returncode == 0
    told = study("compare", "tiny", cwd=root)
    assert any("study run half" in line and all(arm in line for arm in ARMS) for line in told.stdout.splitlines())


def test_another_network_or_other_data_make_no_variant(project: Project, root: Path) -> None:
    half = project.study("half").model_dump(exclude_none=True)
    wider = half | {"model": half["model"] | {"options": {"width": 8, "levels": 2}}}
    fewer = half | {"data": half["data"] | {"train": 64}}
    pipeline = {"studies": ["tiny"], "arms": ARMS[:-1], "controls": ARMS[-1:], "baseline": "mse"}
    write_params(root, {"pipeline": pipeline, "studies": {"tiny": TINY_STUDY, "wider": wider, "fewer": fewer}})
    assert length_variants(Project.open(root).params, "tiny") == []
