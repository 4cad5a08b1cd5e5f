"""Made-up results and their report, shared by the tests of this room."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from study.report import write_index, write_report
from study.report.load import load_result
from study.report.result import StudyResult
from tests.report.synthetic import STUDY, build_results


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., StudyResult]:
    """The loaded result of build_results, without pictures unless asked for."""
    return lambda **options: load_result(build_results(tmp_path / "results", **{"images": 0, **options}))


@pytest.fixture(scope="session")
def full(tmp_path_factory) -> tuple[Path, Path]:
    """Results with every table, pictures and a search; and the folder of their report, below an index."""
    folder = tmp_path_factory.mktemp("full")
    results = build_results(folder / "results", broken={("strong", 1): "diverged"})
    out = write_report(results, folder / "reports" / STUDY).parent
    write_index(folder / "reports")
    return results, out
