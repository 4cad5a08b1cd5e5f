"""Counting code: what is a line of it, and which modules a loss has to itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from study.analysis.source_lines import code_lines, own_lines
from study.training.fingerprint import PACKAGE

SOURCE = '''"""A docstring
of two lines."""

import math  # 1


# a comment
def area(radius):  # 2
    """What it is."""
    squared = (  # 3
        radius  # 4
        # a comment inside
        * radius  # 5
    )  # 6
    text = """a string that is
    no docstring"""  # 7, 8
    return math.pi * squared, text  # 9


class Circle:  # 10
    """Only a docstring."""
'''


def test_code_lines_of_a_worked_example() -> None:
    assert code_lines(SOURCE) == 10


@pytest.mark.parametrize(("source", "count"), [("", 0), ("\n\n# nothing\n", 0), ('"""Words."""\n', 0), ("x = 1", 1)])
def test_nothing_is_no_code(source: str, count: int) -> None:
    assert code_lines(source) == count


def test_shared_modules_do_not_count() -> None:
    classification, anti_average = (PACKAGE / "losses" / f"{name}.py" for name in ("classification", "anti_average"))
    assert own_lines(classification, classification) == 0
    alone = code_lines(classification.read_text())
    assert own_lines(classification, anti_average) >= alone + code_lines((PACKAGE / "color" / "bins.py").read_text())


def test_a_loss_outside_the_package_counts_as_it_is(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text("from study.losses.base import Loss\n\n\nclass Own(Loss):\n    head = 'ab'\n")
    assert own_lines(own, PACKAGE / "losses" / "anti_average.py") == 3
