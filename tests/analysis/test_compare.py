"""The whole comparison of a tiny study: every table by its schema, and few test pictures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from study.analysis.compare import compare
from study.analysis.schemas import STUDY_KEYS, TABLES
from study.errors import StudyError
from study.project import Project
from study.tables import read_table
from tests.analysis.worlds import study


@pytest.fixture
def project(root: Path) -> Project:
    """The study `tiny`, trained and scored with two arms; it has 16 test pictures."""
    for command in (["prepare", "tiny"], ["train", "tiny", "mse", "zhang"], ["evaluate", "tiny", "mse", "zhang"]):
        done = study(*command, cwd=root)
        assert done.returncode == 0, done.stderr
    return Project.open(root)


def no_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def test_every_table_and_the_metadata_have_their_declared_shape(project: Project) -> None:
    tables = compare(project, "tiny")
    folder = project.results("tiny") / "tables"
    assert set(tables) == set(TABLES)
    read = {name: read_table(folder / f"{name}.csv", schema) for name, schema in TABLES.items()}
    for name, table in read.items():
        assert table.shape == tables[name].shape and (table.dtypes == tables[name].dtypes).all()
    filled = {"arms", "paired", "seeds", "regions", "curves", "cells", "cost", "claims", "theory", "gradients"}
    assert all(len(read[name]) for name in filled)
    content = json.loads((folder / "study.json").read_text(), parse_constant=no_constant)
    assert tuple(content) == STUDY_KEYS
    # 16 pictures are too few for any verdict, and the metadata say so.
    assert set(read["paired"]["verdict"]) == {"inconclusive"}
    assert not set(read["claims"].loc[read["claims"]["metric"].isin(read["metrics"]["metric"]), "verdict"]) & {
        "confirmed", "opposite", "negligible",
    }  # fmt: skip
    (threat,) = content["threats"]
    assert (threat["name"], threat["pictures"]) == ("few_pictures", 16)


def test_without_scores_of_the_baseline_there_is_nothing_to_compare(root: Path) -> None:
    assert study("prepare", "tiny", cwd=root).returncode == 0
    with pytest.raises(StudyError) as caught:
        compare(Project.open(root), "tiny")
    assert "study train tiny mse" in str(caught.value) and "\n" not in str(caught.value)
