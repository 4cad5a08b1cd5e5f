"""The report of a study: one page, one Markdown file and one JSON file, all from the same result object."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from study.errors import StudyError
from study.files import atomic_write_text, fresh_directory


def write_report(results: Path, out: Path) -> Path:
    """Write the report of results/<study>/ into `out` and return its index.html.

    Files: index.html (complete in itself), report.md with figures/, report.json. The same results give the same bytes.
    Raises StudyError when a table is missing or cannot be read.
    """
    from study.report.html import render_report
    from study.report.markdown import render_markdown
    from study.report.numbers import report_numbers
    from study.report.page import Page
    from study.report.result import load_result

    page, out = Page(load_result(Path(results))), Path(out)
    text, figures = render_markdown(page)
    with fresh_directory(out / "figures") as folder:
        for name, content in figures.items():
            (folder / name).write_bytes(content)
    atomic_write_text(out / "report.md", text)
    numbers = json.dumps(report_numbers(page), indent=1, ensure_ascii=False, allow_nan=False)
    atomic_write_text(out / "report.json", numbers + "\n")
    atomic_write_text(out / "index.html", render_report(page))
    return out / "index.html"


def write_index(reports: Path) -> Path:
    """Write reports/index.html, which links to the report of every study with its headline, and return it."""
    from study.report.html import render_index

    studies = [_summary(path) for path in sorted(Path(reports).glob("*/report.json"))]
    page = Path(reports) / "index.html"
    atomic_write_text(page, render_index(studies))
    return page


def _summary(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {"folder": path.parent.name} | {key: content[key] for key in ("study", "title", "headline", "in_short")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StudyError(f"{path} is no report ({error!r}): run `study report {path.parent.name}` again") from error
