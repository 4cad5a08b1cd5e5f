"""The report as report.json: the answer and the numbers of the tables, for programs."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from study.report.answer import in_a_word
from study.report.page import Page
from study.report.telling import recommended_arm

# Curves and single seeds are left out: they are long, and their CSV has them.
TABLES = ("arms", "paired", "kinds", "cost", "cells", "metrics", "claims", "theory", "ledger", "factorial",
          "convergence", "lengths")  # fmt: skip
SEARCH_TABLES = ("trials", "finalists")


def report_numbers(page: Page) -> dict[str, Any]:
    """Answer, facts and tables as values that JSON knows; what is missing or infinite is null."""
    result = page.result
    return {
        "study": result.study,
        "title": result.title,
        "headline": page.answer[0].headline,
        "verdict": in_a_word(result) if (recommended := recommended_arm(result)) else "",
        "cost": next((line.headline for line in page.answer if line.label == "What it costs"), ""),
        "in_short": page.in_short,
        "baseline": result.baseline,
        "answer": [
            {"label": line.label, "headline": line.headline, "detail": "".join(line.detail)} for line in page.answer
        ],
        "facts": result.facts,
        "recommended": recommended,
        "search": page.search_sentences,
        "dominated": ["".join(line) for line in page.dominated],
        "tables": {name: records(result.tables[name]) for name in TABLES}
        | {name: records(page.result_table(name)) for name in SEARCH_TABLES if result.search},
    }


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dictionaries; whole numbers without a point."""
    return [dict(zip(table.columns, map(_plain, row), strict=True)) for row in table.itertuples(index=False)]


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return None if not math.isfinite(value) else int(value) if value.is_integer() and abs(value) < 1e15 else value
    return value
