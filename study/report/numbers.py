"""The report as report.json: the answer and the numbers of the tables, for programs."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from study.report.page import Page

# Curves are left out: they are long, and curves.csv has them.
TABLES = ("arms", "paired", "kinds", "cost", "cells", "metrics")


def report_numbers(page: Page) -> dict[str, Any]:
    """Answer, facts and tables as values that JSON knows; what is missing or infinite is null."""
    result = page.result
    return {
        "study": result.study,
        "title": result.title,
        "headline": page.answer[0].text,
        "in_short": page.in_short,
        "baseline": result.baseline,
        "answer": [{"label": line.label, "text": line.text} for line in page.answer],
        "facts": result.facts,
        "tables": {name: records(result.tables[name]) for name in TABLES},
    }


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dictionaries; whole numbers without a point."""
    return [dict(zip(table.columns, map(_plain, row), strict=True)) for row in table.itertuples(index=False)]


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return None if not math.isfinite(value) else int(value) if value.is_integer() and abs(value) < 1e15 else value
    return value
