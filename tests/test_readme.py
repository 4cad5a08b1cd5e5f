"""The answers that README and docs show are those of the reports."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from study.errors import StudyError
from study.report.excerpt import PLACE, answer_of, fill
from tests.conftest import REPOSITORY

PAGES = (REPOSITORY / "README.md", REPOSITORY / "docs" / "results.md")
PLACES = [(page, place[2]) for page in PAGES for place in PLACE.finditer(page.read_text(encoding="utf-8"))]
NUMBER = re.compile(r"[-−]?\d[\d,]*(?:\.\d+)?")


def numbers(text: str) -> list[float]:
    return [float(found.replace("−", "-").replace(",", "")) for found in NUMBER.findall(text)]


def as_committed(study: str) -> bool:
    """Whether the report of `study` is the one in git, and not one of this machine."""
    path = f"reports/{study}/report.md"
    return subprocess.run(["git", "diff", "--quiet", "HEAD", "--", path], cwd=REPOSITORY, check=False).returncode == 0


@pytest.mark.parametrize(("page", "study"), PLACES, ids=[f"{page.name}-{study}" for page, study in PLACES])
def test_answers_are_those_of_the_reports(page: Path, study: str) -> None:
    shown = next(place[0] for place in PLACE.finditer(page.read_text(encoding="utf-8")) if place[2] == study)
    current = next(place[0] for place in PLACE.finditer(fill(shown, REPOSITORY / "reports")))
    if as_committed(study):
        assert shown == current, "run: make numbers"
        return
    # Trained anew on another kind of processor: rounding moves the last digits, and close verdicts with them.
    if NUMBER.sub("#", shown) == NUMBER.sub("#", current):
        for old, new in zip(numbers(shown), numbers(current), strict=True):
            assert new == pytest.approx(old, rel=0.5, abs=3)


def test_places_are_named() -> None:
    assert ("README.md", "palette_world") in [(page.name, study) for page, study in PLACES]


def test_an_answer_is_the_first_screen_without_title_and_picture() -> None:
    report = (
        "# Title\n\n**Headline.**\n\n<img src='x'>\n\ncaption\n\nWords.\n\n| a |\n| - |\n| 1 |\n\n## Next\n\nmore\n"
    )
    assert answer_of(report) == "**Headline.**\n\nWords.\n\n| a |\n| - |\n| 1 |"
    assert answer_of("# Title\n\n**Headline.**\n\nWords.\n") == "**Headline.**\n\nWords."


def test_a_page_keeps_everything_else(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "report.md").write_text("# T\n\n**H.**\n\n## Next\n")
    page = "before\n<!-- findings own -->\nold\n<!-- end -->\nafter\n"
    assert fill(page, tmp_path) == "before\n<!-- findings own -->\n**H.**\n<!-- end -->\nafter\n"
    with pytest.raises(StudyError, match="study report other"):
        fill("<!-- findings other -->\n<!-- end -->", tmp_path)
