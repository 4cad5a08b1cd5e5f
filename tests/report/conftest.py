"""The made-up results that tests of the report start from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.report.synthetic import build_results


@pytest.fixture
def make_results(tmp_path: Path) -> Callable[..., Path]:
    """build_results into a fresh folder, without pictures unless told."""
    return lambda **options: build_results(tmp_path / "results", **{"images": 0, **options})
