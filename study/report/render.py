"""Sections as HTML, Markdown and LaTeX: one environment of templates, and per format the few marks that differ."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import cache
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from study.report import format as text
from study.report.pictures import Gallery, Row, contact_sheet
from study.report.plot import TONES, dark_rule, themed
from study.report.result import StudyResult
from study.report.sections import Report
from study.report.table import Table

LARGEST = 400_000
"""A table of more characters is not put into the page; the page links to the file in results/ instead."""
FEW = 6  # names in a sentence


def listed(parts: Iterable[Any]) -> Markup:
    """ "a", "a and b" or "a, b and c"."""
    parts = [str(Markup.escape(part)) for part in parts]
    return Markup(", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + "".join(parts[-1:]))


def few(names: Iterable[str]) -> list[str]:
    """The first names, and how many more there are."""
    names = list(names)
    return names if len(names) <= FEW else [*names[:FEW], f"{len(names) - FEW} more"]


def breakable(name: str) -> Markup:
    """A name after whose underscores a line may break."""
    return Markup(escape(str(name)).replace("_", "_<wbr>"))


def paragraphs(content: str) -> list[tuple[bool, Markup]]:
    """(whether it is a point of a list, text) of every paragraph; an empty line or ¶ sets paragraphs apart."""
    found = [re.sub(r"[ \n]+", " ", part).strip(" ") for part in re.split(r"\n[ \n]*\n|¶", str(content))]
    return [(part.startswith("- "), Markup(part.removeprefix("- "))) for part in found if part]


@cache
def environment() -> Environment:
    """Templates with escaping of every value. Both formats share them; `kind` is "html" or "md"."""
    env = Environment(loader=PackageLoader("study.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True,
                      undefined=StrictUndefined)  # fmt: skip
    env.filters |= {
        "number": text.number, "interval": text.interval, "percent": text.percent, "amount": text.amount,
        "count": text.count, "duration": text.duration, "slug": text.slug, "listed": listed, "few": few,
        "paragraphs": paragraphs, "themed": themed, "md": markdown_escape, "svg": Markup, "breakable": breakable,
        "code": code, "strong": strong, "picture_uri": picture_uri,
    }  # fmt: skip
    env.globals |= {"SIGNS": text.SIGNS, "kind": "html"}
    return env


@pass_context
def code(context: Context, value: str | Iterable[str]) -> Any:
    """A name, or every name of a list, as it is typed."""
    if not isinstance(value, str):
        return [code(context, str(one)) for one in value]
    return markdown_code(value) if context["kind"] == "md" else Markup("<code>{}</code>").format(breakable(value))


@pass_context
def strong(context: Context, value: str) -> Markup:
    """Words that stand out."""
    return Markup(f"**{markdown_escape(value)}**") if context["kind"] == "md" else Markup("<b>{}</b>").format(value)


def markdown_escape(value: str) -> Markup:
    """Text that Markdown shows as it is, also inside a table."""
    plain = re.sub(r"([\\`*_\[\]|~$<>]|^[#+-](?= ))", r"\\\1", " ".join(str(value).split()))
    return Markup(re.sub(r"^(\d+)\.(?= )", r"\1\\.", plain).replace("&", "&amp;"))


def markdown_code(name: str) -> Markup:
    """A name as code, whatever is in it; a bar is set apart, because it would end a cell of a table."""
    fence = "`" * (max(map(len, re.findall("`+", name)), default=0) + 1)
    pad = " " if name.startswith("`") or name.endswith("`") else ""
    return Markup(f"{fence}{pad}{name}{pad}{fence}".replace("|", "\\|"))


class Renderer:
    """One report in one format."""

    def __init__(self, report: Report, kind: str) -> None:
        self.report = report
        legend = [f"{text.SIGNS[verdict][0]} {verdict}" for verdict in text.VERDICTS]
        self.context = report.context | {"legend": ", ".join(legend), "kind": kind}
        self._prose: dict[str, Any] = {}

    def prose(self, name: str) -> Markup:
        """The text of a macro "file.macro" below templates/prose."""
        file, macro = name.split(".")
        if file not in self._prose:
            self._prose[file] = environment().get_template(f"prose/{file}.j2").make_module(self.context)
        return getattr(self._prose[file], macro)()

    def render(self, template: str, **more: Any) -> str:
        """A template that reads the report."""
        return environment().get_template(template).render(self.context | more, prose=self.prose)


def render_html(report: Report, raw: Callable[[str], str], link: Callable[[str], str]) -> str:
    """The whole page: style, script, figures, pictures and tables are inside, and nothing is fetched.

    raw: name of a table of results/ -> its text; link: name -> its path beside the page, for those too large.
    """

    def download(name: str) -> dict[str, str]:
        content = raw(name)
        inside = len(content) <= LARGEST
        return {"name": f"{name}.csv", "uri": data_uri(content) if inside else link(name)}

    renderer = Renderer(report, "html")
    script = asset("page.js")
    return renderer.render(
        "page.html.j2", style=style_sheet(), script=Markup(script), script_hash=script_hash(script),
        download=download, data_uri=data_uri, tex=render_tex,
    )  # fmt: skip


def data_uri(content: str) -> str:
    """A table as a data: URI."""
    return f"data:text/csv;charset=utf-8,{quote(content, safe=' ,;:/()[]')}".replace(" ", "%20")


def picture_uri(png: bytes) -> str:
    """A PNG as a data: URI."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def asset(name: str) -> str:
    """The text of a style sheet or script of this package."""
    return Path(__file__).with_name("templates").joinpath(name).read_text(encoding="utf-8")


def style_sheet() -> Markup:
    """The style of every page: the tones of light and dark paper come from the figures' own."""
    tones = " ".join(f"--{name}: {color};" for name, color in TONES.items())
    return Markup(f":root {{ {tones} }}\n{dark_rule()}{asset('page.css')}")


def script_hash(script: str) -> str:
    """The SHA-256 by which the page's policy allows exactly this script."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def render_markdown(report: Report) -> tuple[str, dict[str, bytes]]:
    """The report as Markdown, and the files that it shows from figures/."""
    files: dict[str, bytes] = {}

    def figure(name: str, content: bytes) -> str:
        files[name] = content
        return f"figures/{name}"

    def plot(one: Any) -> str:
        return figure(f"{one.name}.svg", one.standalone.encode())

    def sheet(name: str, labels: list[str], rows: list[Row], size: int) -> str:
        return figure(f"{name}.png", contact_sheet(labels, rows, size))

    def pictures(name: str, shown: Gallery) -> str:
        return sheet(name, list(shown.columns), list(shown.rows[:8]), shown.size)

    result = Renderer(report, "md").render("report.md.j2", plot=plot, sheet=sheet, pictures=pictures)
    return re.sub(r"\n{3,}", "\n\n", result).strip() + "\n", files


_TEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "−": "$-$", "×": r"$\times$",
        "±": r"$\pm$", "≈": r"$\approx$", "▲": r"$\blacktriangle$", "▼": r"$\blacktriangledown$", "↑": r"$\uparrow$",
        "↓": r"$\downarrow$", "≤": r"$\le$", "≥": r"$\ge$", "∞": r"$\infty$", "✓": r"$\checkmark$", "’": "'",
        "\u202f": r"\,", "\u00a0": "~", "·": r"$\cdot$", "–": "--", "✗": r"$\times$"}  # fmt: skip
_TEX |= {letter: f"\\{letter}" for letter in "&%$#_{}"}


def tex_escape(value: str) -> str:
    """Text that LaTeX shows as it is."""
    return "".join(_TEX.get(letter, letter) for letter in value)


def render_tex(table: Table) -> str:
    """The table for LaTeX with booktabs and amssymb."""

    def line(cells: Iterable[str]) -> str:
        return " & ".join(cells) + r" \\"

    ends = "".join("l" if column.words else "r" for column in table.columns)
    heads = [tex_escape(f"{column.label}{f' ({column.unit})' if column.unit else ''}") for column in table.columns]
    spans = [line(f"\\multicolumn{{{many}}}{{c}}{{{tex_escape(name)}}}" for name, many in table.spanners)] * bool(
        table.spanners)  # fmt: skip
    rows = [line(f"\\textbf{{{tex_escape(cell.plain)}}}" if cell.best else tex_escape(cell.plain) for cell in row)
            for row in table.rows]  # fmt: skip
    return "\n".join([f"% {table.heading}", f"\\begin{{tabular}}{{{ends}}}", r"\toprule", *spans, line(heads),
                      r"\midrule", *rows, r"\bottomrule", r"\end{tabular}", ""])  # fmt: skip


def render_json(report: Report) -> str:
    """The findings for programs, and what the page of all studies needs; what is missing or infinite is null."""
    result: StudyResult = report.result
    prose = Renderer(report, "md").prose
    content = {
        "study": result.study, "title": result.title, "baseline": result.baseline, "seeds": result.seeds,
        "headline": paragraphs(prose("answer.headline"))[0][1],
        "answer": [str(words) for _, words in paragraphs(prose("answer.sentences"))],
        "findings": asdict(report.findings),
        "families": [{"name": one.name, "arm": one.arm, "settings": [asdict(region) for region in one.regions]}
                     for one in report.families],
        "arms": [{"arm": arm, "metric": metric, "mean": own.mean, "low": own.low, "high": own.high,
                  "verdict": result.comparisons[arm, metric].verdict if (arm, metric) in result.comparisons else None}
                 for (arm, metric), own in result.estimates.items() if metric in result.key_metrics],
        "metrics": [{"metric": name, "label": result.metrics[name].label, "better": result.metrics[name].better,
                     "decimals": result.metrics[name].decimals} for name in result.key_metrics],
        "claims": [{"id": row.id, "number": row.number, "says": row.says, "verdict": row.verdict}
                   for row in result.rows("claims")],
        "lengths": {row.study: int(row.images) for row in result.rows("lengths")},
    }  # fmt: skip
    return json.dumps(_plain(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return None if value - value != 0 else int(value) if value.is_integer() and abs(value) < 1e15 else value
    return value if value is None or isinstance(value, str | int | bool) else value.item()
