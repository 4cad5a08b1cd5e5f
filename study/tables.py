"""CSV tables whose columns are declared once, for the writer and for the reader."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from study.errors import StudyError
from study.files import atomic_write_text

DIGITS = "%.8g"
"""How numbers are written: eight significant digits."""


@dataclass(frozen=True)
class Column:
    """One column of a table.

    type: "text" is kept as it is written, so that an arm may be called "nan" or "1e3". "number" is a float; an empty
    field is NaN. "integer" and "yes/no" (a bool in a frame) are never empty.
    words: all that a text may be; any text without them.
    """

    name: str
    type: Literal["text", "number", "integer", "yes/no"]
    says: str
    words: tuple[str, ...] = ()

    def typed(self, values: Any) -> Any:
        """A series of values, or of fields of a CSV file, in the column's type. ValueError when one does not fit."""
        empty = values.isna() | (values.astype(object) == "")
        if self.type == "text":
            text = values.astype(object).mask(empty, "").map(str).astype(object)
            self._check(text.isin(self.words) | (not self.words), text, f"none of {', '.join(map(repr, self.words))}")
            return text
        if self.type == "yes/no":
            known = values.astype(object).map({"yes": True, "no": False, True: True, False: False})
            self._check(known.notna(), values, "neither yes nor no")
            return known.astype(bool)
        try:
            numbers = values.astype(object).mask(empty, math.nan).astype(float)
        except ValueError as error:
            raise ValueError(f"column {self.name}: {error}") from None
        if self.type == "number":
            return numbers
        self._check(numbers % 1 == 0, values, "no whole number")
        return numbers.astype("int64")

    def _check(self, fits: Any, values: Any, told: str) -> None:
        if not fits.all():
            raise ValueError(f"column {self.name}: {values[~fits].iloc[0]!r} is {told}")


@dataclass(frozen=True)
class Schema:
    """A table: its columns in their order, and the command that makes it.

    command: "study compare"; messages add the name of the study.
    more: beginnings of the names of further columns, which only some tables have, with their types.
    """

    name: str
    says: str
    columns: tuple[Column, ...]
    command: str
    more: Mapping[str, Literal["text", "number"]] | None = None

    @property
    def names(self) -> list[str]:
        """The names of the columns in their order."""
        return [column.name for column in self.columns]

    def frame(self, rows: Any = (), **same: Any) -> Any:
        """A data frame of the declared columns and types.

        rows: a data frame, or dicts by column, in which a missing key is an empty field. same: values that a column
        has in every row, where the rows do not say them.
        Raises ValueError for a column that is not declared, and for a value that does not fit its column.
        """
        import pandas as pd

        table = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows), dtype=object)
        columns = [*self.columns, *self.further(table.columns)]
        if unknown := {*table.columns, *same} - {column.name for column in columns}:
            raise ValueError(f"the table {self.name} has no column {', '.join(sorted(unknown))}")
        typed = {}
        for column in columns:
            name = column.name
            values = table[name] if name in table else pd.Series([same.get(name)] * len(table), dtype=object)
            typed[name] = column.typed(values.reset_index(drop=True))
        return pd.DataFrame(typed)

    def further(self, names: Iterable[str]) -> list[Column]:
        """Those of `names` that begin as `more` allows, as columns."""
        found = []
        for name in names:
            types = [type_ for start, type_ in (self.more or {}).items() if name.startswith(start)]
            if types and name not in self.names:
                found.append(Column(name, types[0], ""))
        return found


def write_table(path: Path, schema: Schema, table: Any) -> None:
    """Write a data frame as CSV, with the columns and types that `schema` declares. ValueError where it has others."""
    table = schema.frame(table)
    for name, values in table.items():
        if values.dtype == bool:
            table[name] = values.map({True: "yes", False: "no"}).astype(object)
    atomic_write_text(path, table.to_csv(index=False, float_format=DIGITS, lineterminator="\n"))


def read_table(path: Path, schema: Schema) -> Any:
    """The data frame in a CSV file; columns that `schema` does not declare are left out.

    StudyError in one line when the file is missing or damaged, or lacks a column.
    """
    path = Path(path)
    again = f"run: {schema.command} {path.parents[1].name}"
    try:
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline=""), strict=True))
    except FileNotFoundError:
        raise StudyError(f"{path} does not exist: {again}") from None
    except (OSError, ValueError, csv.Error) as error:
        raise StudyError(f"{path} cannot be read as a table ({error}): {again}") from error
    head, rows = (rows[0], rows[1:]) if rows else ([], [])
    if missing := [name for name in schema.names if name not in head]:
        raise StudyError(f"{path} has no column {', '.join(missing)}: {again}")
    if any(len(row) != len(head) for row in rows):
        raise StudyError(f"{path} is damaged (a row has more or fewer fields than the header): {again}")
    import pandas as pd

    fields = dict(zip(head, zip(*rows, strict=True) if rows else [[]] * len(head), strict=True))
    wanted = [*schema.names, *(column.name for column in schema.further(head))]
    try:
        return schema.frame(pd.DataFrame({name: pd.Series(fields[name], dtype=object) for name in wanted}))
    except ValueError as error:
        raise StudyError(f"{path}: {' '.join(str(error).split())}: {again}") from None
