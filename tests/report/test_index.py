"""The page of all studies: which of them only trains longer or shorter, and what the others come to."""

from __future__ import annotations

import pytest

from study.report.html import render_index
from study.report.index import in_a_word, other_lengths


def a_study(name: str, images: int | None, rate: float = 0.01, pictures: str = "ab", verdict: str = "None.") -> dict:
    training = {"images": images, "steps": (images or 0) // 32, "log_every": 2, "learning_rate": rate}
    facts = {"data": {"hashes": {"train": pictures}}, "training": training if images else {}}
    return {"study": name, "folder": name, "title": name.upper(), "headline": "It does.", "in_short": [], "cost": "",
            "verdict": verdict, "recommended": None, "tables": {}, "facts": facts}  # fmt: skip


@pytest.mark.parametrize(
    ("other", "is_length"),
    [
        (a_study("b", 800), True),
        (a_study("b", 1600), False),  # other arms
        (a_study("b", 800, rate=0.02), False),
        (a_study("b", 800, pictures="cd"), False),
        (a_study("b", None), False),  # a report of an earlier version
    ],
)
def test_a_study_that_differs_in_the_length_of_training_alone_is_one_of_lengths(other: dict, is_length: bool) -> None:
    studies = [a_study("a", 1600), other]
    assert other_lengths(studies) == ({"b": "a"} if is_length else {})
    assert in_a_word(studies) == [("None.", ("a",) if is_length else ("a", "b"))]


def test_lengths_stand_behind_the_answers_with_what_they_differ_in() -> None:
    page = render_index([a_study("a", 1600), a_study("half", 800), a_study("photos", 1600, pictures="cd")])
    assert page.index(">PHOTOS<") < page.index("How far training matters") < page.index(">HALF<")
    assert "trained on 800 pictures in place of 1\u202f600" in page
    assert page.count("It does.") == 2
    assert "How far training matters" not in render_index([a_study("a", 1600)])
