"""Fixtures of the analysis tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from study.config.claims import load_claims


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., list[Any]]:
    """Writes claims as ablations/claims.yaml and loads them."""

    def load(*claims: dict[str, Any]) -> list[Any]:
        defaults = {"number": "1", "says": "Something holds", "predicted": "open"}
        content = {"claims": [{"id": f"claim{k}"} | defaults | claim for k, claim in enumerate(claims)]}
        (tmp_path / "ablations").mkdir(exist_ok=True)
        (tmp_path / "ablations" / "claims.yaml").write_text(yaml.safe_dump(content))
        return load_claims(tmp_path)

    return load
