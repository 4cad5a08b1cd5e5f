"""The report of a study: one page, one Markdown file and one JSON file, all from the tables of results/<study>/."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from glob import escape
from pathlib import Path

from study.files import atomic_write_text, fresh_directory


def write_report(results: Path, out: Path) -> Path:
    """Write the report of results/<study>/ into `out` and return its index.html.

    Files: index.html (complete in itself), report.md with figures/, report.json. The same results give the same bytes.
    Raises StudyError when a table is missing or cannot be read, or when a person put a file into figures/.
    """
    from study.report.load import load_result
    from study.report.render import render_html, render_json, render_markdown
    from study.report.sections import Report

    results, out = Path(results), Path(out)
    report = Report(load_result(results))

    def path(table: str) -> Path:
        return results / ("search" if table in ("trials", "finalists") else "tables") / f"{table}.csv"

    def link(table: str) -> str:
        return Path(os.path.relpath(path(table).resolve(), out.resolve())).as_posix()

    page = render_html(report, lambda table: path(table).read_text(encoding="utf-8"), link)
    text, figures = render_markdown(report)
    with fresh_directory(out / "figures", [*_figures(out), *map(escape, figures)]) as folder:
        for name, content in figures.items():
            (folder / name).write_bytes(content)
    atomic_write_text(out / "report.md", text)
    atomic_write_text(out / "report.json", render_json(report))
    atomic_write_text(out / "index.html", page)
    return out / "index.html"


def _figures(out: Path) -> list[str]:
    """Patterns of the figures that the report in `out` shows, which were written for it."""
    page = out / "report.md"
    text = page.read_text(encoding="utf-8", errors="replace") if page.is_file() else ""
    return [escape(name) for name in re.findall(r"src=\"figures/([^\"]+)", text)]


def write_index(reports: Path, order: Sequence[str] = ()) -> Path:
    """Write reports/index.html, which compares the studies and leads to the report of each, and return it.

    order: names of studies in the order in which they are shown; others follow by name.
    """
    from study.report.index import render_index

    page = Path(reports) / "index.html"
    atomic_write_text(page, render_index(Path(reports), order))
    return page
