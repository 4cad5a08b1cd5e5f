"""ablations/claims.yaml as a person writes it: what is wrong is told in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from study.config.claims import arms_of, load_claims
from study.errors import StudyError

CLAIM = {
    "id": "one", "number": "1", "says": "Something holds", "predicted": "open",
    "kind": "difference", "arm": "own", "against": "mse", "metric": "chroma", "direction": "up",
}  # fmt: skip


def load(root: Path, *claims: dict[str, Any]) -> list[Any]:
    (root / "ablations").mkdir(exist_ok=True)
    (root / "ablations" / "claims.yaml").write_text(yaml.safe_dump({"claims": list(claims)}))
    return load_claims(root)


def test_without_a_file_there_are_no_claims(tmp_path: Path) -> None:
    assert load_claims(tmp_path) == []


@pytest.mark.parametrize(
    ("named", "wrong"),
    [
        ("direction", CLAIM | {"direction": "sideways"}),
        ("arms", CLAIM | {"arms": ["own"]}),
        ("against", {key: value for key, value in CLAIM.items() if key != "against"}),
        ("opinion", CLAIM | {"kind": "opinion"}),
        ("margin", CLAIM | {"margin": -1}),
        ("id", CLAIM | {"id": "Not a name"}),
        ("predicted", CLAIM | {"predicted": "undecided"}),
    ],
)
def test_a_wrong_claim_is_told_in_one_line_that_names_the_key(tmp_path: Path, named: str, wrong: dict) -> None:
    with pytest.raises(StudyError) as caught:
        load(tmp_path, wrong)
    told = str(caught.value)
    assert "ablations/claims.yaml" in told and named in told and "\n" not in told


def test_an_id_is_used_once(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="twin"):
        load(tmp_path, CLAIM | {"id": "twin"}, CLAIM | {"id": "twin"})


def test_every_arm_that_a_claim_is_about_is_found(tmp_path: Path) -> None:
    base = {key: CLAIM[key] for key in ("number", "says", "predicted", "metric")}
    claims = load(
        tmp_path,
        CLAIM,
        base | {"id": "two", "kind": "strongest", "arm": "a", "against": ["b", "c"], "baseline": "d"},
        base | {"id": "three", "kind": "trend", "doses": {1: "e", 2: "f"}, "direction": "up"},
    )
    assert [set(arms_of(claim)) for claim in claims] == [{"own", "mse"}, {"a", "b", "c", "d"}, {"e", "f"}]
