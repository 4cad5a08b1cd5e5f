"""Networks kept in git: what comes back is what was saved, to float16, and only where it belongs."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from study.data.prepare import prepare
from study.errors import StudyError
from study.project import Project
from study.training.archive import restore_networks, save_networks
from study.training.cell import Cell
from study.training.executor import run_cells
from study.training.networks import load_network
from study.training.store import CellStore
from tests.conftest import make_root


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, list[Cell], Path]:
    root = make_root(tmp_path_factory.mktemp("archive"))
    project = Project.open(root)
    prepare("tiny", project.study("tiny"), root)
    cells = project.cells("tiny", project.arms("tiny", ("mse",)), [0, 1])
    run_cells(cells, project.store, 1)
    save_networks(cells, project.store, root / "networks")
    return project, cells, root / "networks"


def test_networks_histories_and_records_come_back(saved: tuple[Project, list[Cell], Path], tmp_path: Path) -> None:
    project, cells, folder = saved
    store = CellStore(tmp_path / "cells")
    assert restore_networks(cells, folder, store) == ([0, 1], [], [])
    lightness = 100 * torch.rand(2, 1, 32, 32)
    for cell in cells:
        before, after = project.store.path(cell.signature), store.path(cell.signature)
        one, other = (load_network(run, project.root).predict(lightness) for run in (before, after))
        torch.testing.assert_close(one, other, rtol=0.01, atol=0.1)
        pd.testing.assert_frame_equal(pd.read_csv(before / "history.csv"), pd.read_csv(after / "history.csv"))
        record = json.loads((after / "record.json").read_text())
        assert record.pop("restored")
        assert record == json.loads((before / "record.json").read_text())
    assert run_cells(cells, store, 1)  # nothing is trained again
    assert restore_networks(cells, folder, store) == ([], [0, 1], [])


def test_how_far_float16_moves_the_scores_is_kept(saved: tuple[Project, list[Cell], Path]) -> None:
    moved = json.loads((saved[2] / "mse.json").read_text())["float16_moves"]
    assert set(moved) >= {"ab_rmse", "chroma_ratio"}
    assert all(0 <= change < 0.01 for change in moved.values())


def test_networks_of_other_settings_stay_out(saved: tuple[Project, list[Cell], Path], tmp_path: Path) -> None:
    project, _, folder = saved
    train = project.study("tiny").train.model_copy(update={"learning_rate": 1e-3})
    others = project.cells("tiny", project.arms("tiny", ("mse",)), [0, 1], train)
    store = CellStore(tmp_path / "cells")
    assert restore_networks(others, folder, store) == ([], [], [0, 1])
    assert not any(store.folder.glob("*/record.json"))


@pytest.mark.parametrize("damaged", ["mse.safetensors", "mse.histories.csv.gz", "mse.json"])
@pytest.mark.parametrize("how", ["missing", "cut"])
def test_damaged_files_are_told_in_one_line(
    damaged: str, how: str, saved: tuple[Project, list[Cell], Path], tmp_path: Path
) -> None:
    _, cells, folder = saved
    for file in folder.iterdir():
        content = file.read_bytes()
        if file.name != damaged:
            (tmp_path / file.name).write_bytes(content)
        elif how == "cut":
            (tmp_path / file.name).write_bytes(content[: len(content) // 2])
    with pytest.raises(StudyError) as error:
        restore_networks(cells, tmp_path, CellStore(tmp_path / "cells"))
    assert "mse" in str(error.value) and "\n" not in str(error.value)


def test_saving_twice_gives_the_same_bytes(saved: tuple[Project, list[Cell], Path], tmp_path: Path) -> None:
    project, cells, folder = saved
    save_networks(cells, project.store, tmp_path)
    for file in folder.iterdir():
        assert (tmp_path / file.name).read_bytes() == file.read_bytes()


def test_networks_that_are_not_trained_are_named(saved: tuple[Project, list[Cell], Path], tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="mse seed 0"):
        save_networks(saved[1], CellStore(tmp_path), tmp_path / "networks")
