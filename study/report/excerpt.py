"""Puts the answer of a report into other Markdown pages, so that no number is copied by hand: `make numbers`.

A page marks the place by two comments: <!-- findings STUDY --> and <!-- end -->.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from study.errors import StudyError
from study.files import atomic_write_text

PLACE = re.compile(r"(<!-- findings (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def answer_of(report: str) -> str:
    """The first screen of a report.md without its title and picture."""
    parts = report.split("\n## ", 1)[0].strip().split("\n\n")[1:]
    picture = next((k for k, part in enumerate(parts) if part.startswith("<img")), None)
    if picture is not None:
        del parts[picture : picture + 2]  # with its caption
    return "\n\n".join(parts)


def fill(page: str, reports: Path) -> str:
    """The text of a page with the answers of the reports that it names. StudyError when a report is missing."""

    def answer(place: re.Match[str]) -> str:
        path = reports / place[2] / "report.md"
        if not path.is_file():
            raise StudyError(f"{path} does not exist: run: study report {place[2]}")
        return f"{place[1]}{answer_of(path.read_text(encoding='utf-8'))}\n{place[3]}"

    return PLACE.sub(answer, page)


def main(pages: list[str]) -> None:
    """Fill these pages of the project in the working directory."""
    for name in pages:
        page = Path(name)
        atomic_write_text(page, fill(page.read_text(encoding="utf-8"), Path("reports")))


if __name__ == "__main__":
    main(sys.argv[1:])
