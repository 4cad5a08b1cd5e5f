"""The made-up results that tests of the report start from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from study.report import write_report
from tests.report.synthetic import build_results
from tests.report.synthetic_evidence import build_everything


@pytest.fixture
def make_results(tmp_path: Path) -> Callable[..., Path]:
    """build_results into a fresh folder, without pictures unless told."""
    return lambda **options: build_results(tmp_path / "results", **{"images": 0, **options})


@pytest.fixture(scope="session")
def everything(tmp_path_factory) -> tuple[Path, Path]:
    """Results of 26 arms with every table and a search, and the folder of their report."""
    folder = tmp_path_factory.mktemp("everything")
    results = build_everything(folder / "results", seeds=2, images=12, size=16)
    return results, write_report(results, folder / "reports" / results.name).parent
