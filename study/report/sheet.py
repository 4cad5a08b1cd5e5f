"""A table as people read it: what stands in it is decided once, for the page, for Markdown and for LaTeX."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from study.report.style import interval, number


@dataclass(frozen=True)
class Column:
    """The head of a column; `words` columns stand at the left and may break."""

    label: str
    unit: str = ""
    words: bool = False


@dataclass(frozen=True)
class Field:
    """One field: what stands there, what it is sorted by, and how it is shown.

    kind: "number", "words", "code" (a name as it is typed), "arm" or "chip" (a verdict); detail: what follows in
    small print, such as an interval; share: 0..1, drawn as a bar.
    """

    text: str
    sort: float | str = ""
    kind: str = "number"
    detail: str = ""
    share: float | None = None

    @property
    def key(self) -> str:
        """The text that a program sorts by; empty for what is not there."""
        if isinstance(self.sort, float):
            return "" if math.isnan(self.sort) else repr(self.sort).removesuffix(".0")
        return str(self.sort)

    @property
    def whole(self) -> str:
        """Text and detail."""
        return f"{self.text} {self.detail}".strip()


@dataclass(frozen=True)
class Sheet:
    """A table: `name` is that of its .tex file, `source` the table of results/ whose CSV stands beside it."""

    name: str
    title: str
    head: tuple[Column, ...]
    rows: tuple[tuple[Field, ...], ...]
    source: str
    note: str = field(default="")

    def __bool__(self) -> bool:
        return bool(self.rows)


def sheet(name: str, title: str, head: Sequence[Column], rows: Sequence[Sequence[Field]], source: str) -> Sheet:
    """A sheet of these rows."""
    return Sheet(name, title, tuple(head), tuple(tuple(row) for row in rows), source)


def words(text: str) -> Field:
    """A field of running text."""
    return Field(text, text, "words")


def arm_field(name: str) -> Field:
    """An arm with its mark."""
    return Field(name, name, "arm")


def code(text: str) -> Field:
    """A name as it is typed."""
    return Field(text, text, "code")


def chip(word: str) -> Field:
    """A verdict."""
    return Field(word, word, "chip")


def value(mean: float, decimals: int, low: float = math.nan, high: float = math.nan, sign: bool = False) -> Field:
    """A number, with its interval when there is one."""
    return Field(number(mean, decimals, sign), float(mean), "number", interval(low, high, decimals, sign))


def share(part: float) -> Field:
    """A share of 1 as a percentage with a bar."""
    if math.isnan(part):
        return Field("–", math.nan)
    small = 0 < abs(part) < 0.001
    text = "<0.1\u00a0%" if small else f"{number(100 * part, 1)}\u00a0%"
    return Field(text, float(part), share=min(1.0, max(0.0, part)))


def enough_decimals(*values: float) -> int:
    """Digits after the point that give the largest of these numbers about three significant digits."""
    known = [abs(one) for one in values if one is not None and math.isfinite(one) and one != 0]
    if not known:
        return 2
    return min(5, max(0, 2 - math.floor(math.log10(max(known)))))
