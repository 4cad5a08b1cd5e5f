"""The errors that people see, each in a single line that says what was wrong and what to do; and what a check found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


class StudyError(Exception):
    """Bad input or a failed step; its text is one line: what was wrong, and what to do about it."""


class PartlyDone(StudyError):
    """Some arms failed, and all that could be done for the others is done: what follows can go on with those."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: what, whether it is sound, and what was found."""

    what: str
    passed: bool
    found: str


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of an error about an unknown name: the nearest known one where one is near, and all that are known."""
    names = list(known)
    near = get_close_matches(name, names, 1)
    listed = f"known: {', '.join(names) or 'none'}"
    return f"did you mean {near[0]!r}? {listed}" if near else listed
