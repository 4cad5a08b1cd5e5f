"""ablations/search_space.yaml: what may be written there, and mistakes in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from study.config.search_space import load_space
from study.errors import StudyError
from tests.conftest import REPOSITORY

WEIGHTS = {"saturation": {"low": 0.01, "high": 10, "zero": True}}
# What is wrong, and what the message has to name.
WRONG = [
    ({}, "families.mine"),
    ({"weights": {"saturation": {"low": 10, "high": 0.01}}}, "10 and 0.01"),
    ({"weights": {"saturation": {"low": 0, "high": 1}}}, "families.mine.weights.saturation.low"),
    ({"weights": {"saturation": {"low": "small", "high": 1}}}, "'small'"),
    ({"weights": WEIGHTS, "colour": 1}, "families.mine.colour"),
    ({"train": {"learning_rate": {"low": 0.1, "high": 2}}}, "families.mine.train.learning_rate.high"),
    ({"decode": {"temperature": {"low": 0.1, "high": 11}}}, "families.mine.decode.temperature.high"),
    ({"options": {"units": {"choices": ["raw"]}}}, "families.mine.options.units.choices"),
    ({"options": {"units": {"choices": ["raw", "raw"]}}}, "families.mine.options.units.choices"),
    ({"weights": WEIGHTS, "units": "metres"}, "families.mine.units"),
]


def write(root: Path, name: str, family: dict[str, Any]) -> None:
    (root / "ablations").mkdir(exist_ok=True)
    content = {"families": {name: {"arm": "anti_average", **family}}}
    (root / "ablations" / "search_space.yaml").write_text(yaml.safe_dump(content))


@pytest.mark.parametrize(("family", "named"), WRONG)
def test_a_mistake_is_named_in_one_line(tmp_path: Path, family: dict, named: str) -> None:
    write(tmp_path, "mine", family)
    with pytest.raises(StudyError) as error:
        load_space(tmp_path)
    assert named in str(error.value)
    assert "search_space.yaml" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_family_name_that_is_none_is_named(tmp_path: Path) -> None:
    write(tmp_path, "two words", {"weights": WEIGHTS})
    with pytest.raises(StudyError, match="two words"):
        load_space(tmp_path)


def test_an_unknown_family_is_named_beside_the_known_ones(tmp_path: Path) -> None:
    write(tmp_path, "mine", {"weights": WEIGHTS})
    assert load_space(tmp_path).family("mine").weights["saturation"].zero
    with pytest.raises(StudyError, match=r"'yours'.*mine"):
        load_space(tmp_path).family("yours")


def test_the_shipped_space_is_sound() -> None:
    assert set(load_space(REPOSITORY).families) == {"anti_average", "zhang", "mse"}


def test_a_missing_space_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"search_space\.yaml"):
        load_space(tmp_path)
