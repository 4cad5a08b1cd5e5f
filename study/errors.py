"""The one exception that people see: a single line that says what was wrong and what to do."""

from __future__ import annotations


class StudyError(Exception):
    """Bad input or a failed step; its text is one line: what was wrong, and what to do about it."""


class PartlyDone(StudyError):
    """Some arms failed, and all that could be done for the others is done: what follows can go on with those."""
