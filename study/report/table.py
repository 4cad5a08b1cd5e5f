"""A table as content: heading, columns with spanners, stub, cells and notes. One renderer a format reads it."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from study.report.format import SIGNS, exact, interval, number, percent


@dataclass(frozen=True)
class Column:
    """The head of a column. words: set at the left; spanner: a heading that neighbours share; metric: explained by."""

    label: str
    unit: str = ""
    words: bool = False
    spanner: str = ""
    metric: str = ""


@dataclass(frozen=True)
class Cell:
    """One cell: what stands there, what it is sorted by, and how it is shown.

    kind: "number", "words", "code" (a name as it is typed), "arm" or "badge" (a verdict). detail: small print behind
    it, such as an interval. verdict: its sign stands before the text. best: marked as the best of its column.
    """

    text: str
    sort: float | str = ""
    kind: str = "number"
    detail: str = ""
    verdict: str = ""
    best: bool = False

    @property
    def key(self) -> str:
        """What a program sorts by; empty for nothing."""
        return exact(self.sort) if isinstance(self.sort, int | float) else self.sort

    @property
    def sign(self) -> str:
        """The sign of the verdict."""
        return SIGNS.get(self.verdict, ("", ""))[0]

    @property
    def plain(self) -> str:
        """Everything in the cell as one text."""
        return " ".join(part for part in (self.sign, self.text, self.detail) if part)


@dataclass(frozen=True)
class Table:
    """Content of a table; the first column is the stub.

    name: unique in a report. source: the table of results/ that it comes from. tex: offered as LaTeX, too.
    """

    name: str
    heading: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    source: str = ""
    tex: bool = False
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.rows)

    @property
    def spanners(self) -> list[tuple[str, int]]:
        """(heading, how many columns it spans) from left to right; empty when no column has one."""
        if not any(column.spanner for column in self.columns):
            return []
        found: list[tuple[str, int]] = []
        for column in self.columns:
            same = found and found[-1][0] == column.spanner
            found = [*found[:-1], (column.spanner, found[-1][1] + 1)] if same else [*found, (column.spanner, 1)]
        return found

    def marked(self, column: int, best: float) -> Table:
        """The table with the cells of a column that equal `best` marked."""
        rows = (tuple(replace(cell, best=True) if place == column and cell.sort == best else cell
                      for place, cell in enumerate(row)) for row in self.rows)  # fmt: skip
        return replace(self, rows=tuple(rows))

    @property
    def csv(self) -> str:
        """The table as CSV: exact numbers, and text where there is none."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(f"{column.spanner} {column.label}".strip() for column in self.columns)
        writer.writerows([cell.key if cell.kind == "number" and cell.key else cell.text if cell.kind == "arm" else
                          cell.plain for cell in row] for row in self.rows)  # fmt: skip
        return file.getvalue()


def table(
    name: str, heading: str, columns: Sequence[Column], rows: Sequence[Sequence[Cell]], source: str = "", **more: object
) -> Table:
    """A table of these rows."""
    return Table(name, heading, tuple(columns), tuple(map(tuple, rows)), source, **more)


def words(text: str, sort: str | float | None = None) -> Cell:
    """Running text."""
    return Cell(text, text if sort is None else sort, "words")


def arm_cell(name: str) -> Cell:
    """An arm with its mark."""
    return Cell(name, name, "arm")


def code(text: str) -> Cell:
    """A name or a line as it is typed."""
    return Cell(text, text, "code")


def badge(verdict: str) -> Cell:
    """A verdict or a status."""
    return Cell(verdict, verdict, "badge")


def value(mean: float, decimals: int, low: float = math.nan, high: float = math.nan, sign: bool = False) -> Cell:
    """A number, with its interval when there is one."""
    return Cell(number(mean, decimals, sign), float(mean), detail=interval(low, high, decimals, sign))


def share(part: float, decimals: int = 0) -> Cell:
    """A share of 1 as a percentage."""
    return Cell(percent(part, decimals), float(part))
