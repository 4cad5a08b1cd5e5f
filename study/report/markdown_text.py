"""Words, code, tables and figures as Markdown that shows them as they stand."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

from study.report.sheet import Field, Sheet
from study.report.style import chip
from study.report.svg import Drawing
from study.report.telling import Code

SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~$])")


def words(text: str) -> str:
    """Text that Markdown shows as it stands: on one line, without markup of either kind."""
    text = " ".join(text.split())
    text = SPECIAL.sub(r"\\\1", escape(text, quote=False))
    return re.sub(r"^(\d+)([.)])|^([-=>])", lambda m: f"{m[1]}\\{m[2]}" if m[1] else f"\\{m[3]}", text)


def code(text: str, table: bool = False) -> str:
    """Text as a code span whose fence is longer than any run of backticks in it; in a table, bars are escaped."""
    text = " ".join(text.split()) or " "
    if table:
        text = text.replace("|", "\\|")
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def table(head: list[str], rows: Iterable[list[str]], right: int = 1) -> str:
    """A table whose columns from `right` on are aligned right; fields must be escaped already."""
    lines = [head, [":--" if place < right else "--:" for place in range(len(head))], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def parts_text(parts: Iterable[str]) -> str:
    """A line of the answer or a caption, names as code."""
    return "".join(code(part) if isinstance(part, Code) else inline(part) for part in parts)


def inline(text: str) -> str:
    """Words inside a line, with the spaces at both ends kept."""
    if text.isspace():
        return " "
    escaped = SPECIAL.sub(r"\\\1", escape(" ".join(text.split()), quote=False))
    return f"{' ' if text[:1].isspace() else ''}{escaped}{' ' if text[-1:].isspace() else ''}"


def sheet_table(sheet: Sheet) -> str:
    """A sheet as a table."""
    first = next((place for place, column in enumerate(sheet.head) if not column.words), len(sheet.head))
    head = [words(f"{column.label}, {column.unit}" if column.unit else column.label) for column in sheet.head]
    return table(head, [[field_text(field) for field in row] for row in sheet.rows], first)


def field_text(field: Field) -> str:
    """One field of a sheet."""
    if field.kind in ("arm", "code"):
        return code(field.text, table=True)
    if field.kind == "chip":
        return f"{chip(field.text)[0]} {words(field.text)}".strip()
    text = words(field.text) if field.text else ""
    return f"{text} {words(field.detail)}".strip().replace("\n", " ")


def images(figures: Iterable[Drawing], files: dict[str, bytes]) -> str:
    """Pictures side by side as far as they fit; their files are added to `files`."""
    tags = []
    for figure in figures:
        files[f"{figure.name}.svg"] = figure.standalone.encode()
        alt = escape(" ".join(figure.alt.split()))
        tags.append(f'<img src="figures/{figure.name}.svg" alt="{alt}" width="{figure.width}">')
    return "<p>\n" + "\n".join(tags) + "\n</p>"


def fenced(lines: list[str]) -> str:
    """Lines of code as a block."""
    text = "\n".join(lines)
    fence = "`" * max(3, max(map(len, re.findall("`+", text)), default=0) + 1)
    return f"{fence}\n{text}\n{fence}"


def folded(summary: str, content: str) -> str:
    """A block that opens on request."""
    return f"<details>\n<summary>{escape(summary)}</summary>\n\n{content}\n\n</details>"
