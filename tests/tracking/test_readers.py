"""Reading results: what is missing, and files that are damaged."""

from __future__ import annotations

import pytest

from study.errors import StudyError
from study.tracking.mlflow import track_mlflow
from study.tracking.readers import read_cells
from study.tracking.search_reader import read_search
from study.tracking.tensorboard import track_tensorboard
from tests.tracking.helpers import ARMS, SEEDS, assert_one_line_names, write_cell, write_search, write_study


def test_nothing_trained_yet_says_what_to_run(tmp_path):
    for track in (track_mlflow, track_tensorboard):
        with pytest.raises(StudyError, match="study train toy"):
            track(tmp_path, "toy", ARMS, SEEDS, tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "advice"),
    [
        ("runs/mse/seed-0/record.json", "{", "study train"),
        ("runs/mse/seed-0/history.csv", "step,images,split,name,value\n1,64,train,total,x\n", "study train"),
        ("runs/mse/seed-0/history.csv", "", "study train"),
        ("scores/mse.parquet", "no parquet", "study evaluate"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, name, content, advice):
    path = write_study(tmp_path) / "results" / "toy" / name
    path.write_text(content)
    with pytest.raises(StudyError) as caught:
        for cell in read_cells(tmp_path, "toy", ARMS, SEEDS)[0]:
            assert len(cell.history)
    assert_one_line_names(caught.value, str(path), advice)


def test_a_step_has_its_share_of_the_time(tmp_path):
    (cell,), _ = read_cells(write_study(tmp_path), "toy", ["mse"], [0])
    start, end = cell.interval
    assert end - start == 12_000
    assert [cell.milliseconds(step) - start for step in (0, 3, 12, 13)] == [0, 3000, 12_000, 12_000]


def test_a_damaged_search_is_told_in_one_line(tmp_path):
    write_cell(tmp_path, "mse", 0)
    assert read_search(tmp_path, "toy") == []
    write_search(tmp_path)
    (tmp_path / "results" / "toy" / "search" / "search.json").write_text("{")
    with pytest.raises(StudyError) as caught:
        read_search(tmp_path, "toy")
    assert_one_line_names(caught.value, "search", "study search toy")
