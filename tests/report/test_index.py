"""The page of all studies: which of them only trains longer or shorter, and what the others come to."""

from __future__ import annotations

from study.report.html import render_index
from study.report.index import Length, in_a_word, other_lengths


def a_study(name: str, lengths: dict[str, int] | None = None) -> dict:
    tables = {"lengths": [{"study": study, "images": many} for study, many in (lengths or {}).items()]}
    return {"study": name, "folder": name, "title": name.upper(), "headline": "It does.", "in_short": [], "cost": "",
            "verdict": "None.", "recommended": None, "tables": tables, "facts": {}}  # fmt: skip


LENGTHS = {"half": 800, "world": 1600}


def test_of_studies_that_differ_in_the_length_of_training_the_first_gives_the_answer() -> None:
    studies = [a_study("world", LENGTHS), a_study("photos"), a_study("half", LENGTHS)]
    assert other_lengths(studies) == {"half": Length("world", 800, 1600)}
    assert in_a_word(studies) == [("None.", ("world", "photos"))]
    assert other_lengths(studies[::-1]) == {"world": Length("half", 1600, 800)}
    further = a_study("families", {"half": 800, "families": 1600})
    assert other_lengths([*studies, further]) == {"half": Length("world", 800, 1600)}
    assert other_lengths([a_study("world", {"world": 1600}), a_study("photos")]) == {}


def test_lengths_stand_behind_the_answers_with_what_they_differ_in() -> None:
    page = render_index([a_study("world", LENGTHS), a_study("half", LENGTHS), a_study("photos")])
    assert page.index(">PHOTOS<") < page.index("How far training matters") < page.index(">HALF<")
    assert "trained on 800 pictures in place of 1\u202f600" in page
    assert page.count("It does.") == 2
    assert "How far training matters" not in render_index([a_study("world")])
