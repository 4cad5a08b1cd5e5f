"""The report of a study: one page, one Markdown file and one JSON file, all from the same result object."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from study.files import atomic_write_text, fresh_directory


@contextmanager
def _garbage_left() -> Iterator[None]:
    """Leave cycles of objects where they are for a while: looking for them takes a tenth of the time of a report."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def write_report(results: Path, out: Path) -> Path:
    """Write the report of results/<study>/ into `out` and return its index.html.

    Files: index.html (complete in itself), report.md with figures/, tables/ as CSV and LaTeX, report.json.
    The same results give the same bytes.
    Raises StudyError when a table is missing or cannot be read.
    """
    with _garbage_left():
        from study.report.ahead import draw_ahead
        from study.report.html import render_report
        from study.report.latex import render_tex
        from study.report.markdown import render_markdown
        from study.report.numbers import report_numbers
        from study.report.page import Page
        from study.report.reading import load_result

        page, out = Page(load_result(Path(results))), Path(out)
        draw_ahead(page)
        text, figures = render_markdown(page)
        with fresh_directory(out / "figures") as folder:
            for name, content in figures.items():
                (folder / name).write_bytes(content)
        with fresh_directory(out / "tables") as folder:
            for name, content in page.csv_files().items():
                (folder / f"{name}.csv").write_text(content, encoding="utf-8")
            for name, sheet in page.sheets.items():
                (folder / f"{name}.tex").write_text(render_tex(sheet), encoding="utf-8")
        atomic_write_text(out / "report.md", text)
        numbers = json.dumps(report_numbers(page), indent=1, ensure_ascii=False, allow_nan=False)
        atomic_write_text(out / "report.json", numbers + "\n")
        atomic_write_text(out / "index.html", render_report(page))
    return out / "index.html"


def write_index(reports: Path, order: Sequence[str] = ()) -> Path:
    """Write reports/index.html, which compares the studies and links to the report of each, and return it.

    order: names of studies in the order in which they are shown; others follow by name.
    Raises StudyError when a report.json cannot be read.
    """
    from study.report.html import render_index
    from study.report.index import read_studies

    page = Path(reports) / "index.html"
    atomic_write_text(page, render_index(read_studies(Path(reports), order)))
    return page
