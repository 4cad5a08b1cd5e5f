"""Reading results: one-line errors that say what to do, and names that look like something else."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from study.errors import StudyError
from study.report.load import load_result
from tests.report.synthetic import ARMS, STUDY, MadeArm, build_results


@pytest.fixture
def results(tmp_path):
    return build_results(tmp_path, images=10)


def test_everything_is_read(results):
    result = load_result(results)
    assert result.study == STUDY and list(result.arms) == [one.name for one in ARMS]
    assert result.pictures["mse"].prediction.shape == (10, 16, 16, 3) and len(result.pictures["mse"].grid) == 4
    assert result.color_use["mse"].ab.sum() == 10 * 16 * 16 and len(result.search.trials) == 16


@pytest.mark.parametrize(
    ("file", "command"),
    [
        ("tables/arms.csv", "study compare"),
        ("tables/claims.csv", "study compare"),
        ("tables/study.json", "study compare"),
        ("search/best.yaml", "study search"),
        ("search/finalists.csv", "study search"),
    ],
)
def test_a_missing_file_is_named_with_the_command_that_makes_it(results, file, command):
    (results / file).unlink()
    with pytest.raises(StudyError) as caught:
        load_result(results)
    told = str(caught.value)
    assert command in told and STUDY in told and "\n" not in told


@pytest.mark.parametrize(
    "file", ["tables/study.json", "tables/paired.csv", "search/search.json", "predictions/mse.npz"]
)
def test_a_damaged_file_is_named(results, file):
    (results / file).write_bytes(b'{"study": 1}\x00"' if file.endswith("json") else b"x")
    with pytest.raises(StudyError) as caught:
        load_result(results)
    assert file.rsplit("/")[-1] in str(caught.value) or "search" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_metadata_must_have_its_keys(results):
    path = results / "tables" / "study.json"
    path.write_text(json.dumps({"study": STUDY}))
    with pytest.raises(StudyError, match="baseline"):
        load_result(results)


def test_a_study_without_search_or_pictures(tmp_path):
    result = load_result(build_results(tmp_path, images=0, search=False))
    assert result.search is None and result.pictures == {} and result.color_use == {}


def test_only_free_pictures_where_the_own_may_not_be_shown(tmp_path):
    result = load_result(build_results(tmp_path, pictures="showcase"))
    assert len(result.pictures["mse"].names) == 3 and result.pictures["mse"].credits == (
        "maker 0",
        "maker 1",
        "maker 2",
    )


def test_names_that_look_like_numbers_stay_names(tmp_path):
    arms = [*ARMS[:1], MadeArm("nan", 0.9, 12.0), MadeArm("1e3", 0.8, 12.5), ARMS[5]]
    result = load_result(build_results(tmp_path, arms=arms, images=0))
    assert ("nan", "ab_rmse") in result.estimates and ("1e3", "ab_rmse") in result.comparisons


def test_writing_a_report_never_imports_torch(tmp_path):
    results = build_results(tmp_path / "results", arms=ARMS[:2], images=8)
    code = ("import sys; from study.report import write_index, write_report; "
            f"write_report({str(results)!r}, {str(tmp_path / 'reports' / STUDY)!r}); "
            f"write_index({str(tmp_path / 'reports')!r}); sys.exit('torch' in sys.modules)")  # fmt: skip
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
