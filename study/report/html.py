"""The report as one HTML file: style, script, figures and pictures are inside, and nothing is fetched."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from study.report import captions, index, style
from study.report.figures import file_name
from study.report.page import Page
from study.report.result import Metric
from study.report.scores import MICRO, Micro
from study.report.telling import Code, nearest, published_arm, recommended_arm
from study.report.theme import dark_rule, themed

STRIP = 7  # pictures under the answer, at most


def exact(value: float) -> str:
    """The shortest digits that read back as the same number; empty for none."""
    return "" if value is None or math.isnan(value) else repr(float(value)).removesuffix(".0")


def goal(metric: Metric) -> str:
    """Unit and direction of a metric in two or three words, for the head of a column."""
    words = {"higher": "↑ better", "lower": "↓ better", None: "no better way"}
    direction = f"truth = {metric.target:g}" if metric.better == "target" else words[metric.better]
    told = metric.unit == "1" or metric.unit.lower() == metric.name or len(metric.unit) > 12
    return direction if told else f"{metric.unit} · {direction}"


def breakable(text: str) -> list[str]:
    """A name in pieces after which a line may break; numbers stay whole."""
    return re.findall(r"(?:[^_.\s]|\.(?=\d))*(?:[_\s]|\.(?!\d))*", text)[:-1] or [text]


def micro(parts: Micro, color: str) -> Markup:
    """A small interval plot for a table cell; its numbers stand beside it, so readers of the page's text skip it."""
    width, height = MICRO
    middle, color = height / 2, themed(color)
    shapes = []
    if parts.baseline is not None:
        shapes.append(f'<path class="tick" d="M{parts.baseline} 0V{height}"/>')
    if parts.target is not None:
        shapes.append(f'<path class="aim" d="M{parts.target} -1V{height + 1}"/>')
    if parts.low is not None:
        shapes.append(f'<path d="M{parts.low} {middle}H{parts.high}" style="stroke: {color}; stroke-width: 2"/>')
    shapes.append(f'<circle cx="{parts.mean}" cy="{middle}" r="2.7" style="fill: {color}"/>')
    return Markup(f'<svg class="micro" width="{width}" height="{height}" aria-hidden="true">{"".join(shapes)}</svg>')


@cache
def environment() -> Environment:
    """Templates with escaping of every value, and the filters that write numbers."""
    env = Environment(
        loader=PackageLoader("study.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=StrictUndefined, keep_trailing_newline=True,
    )  # fmt: skip
    env.filters |= {
        "exact": exact, "goal": goal, "breakable": breakable, "micro": micro, "slug": file_name, "svg": Markup,
        "number": style.number, "interval": style.interval, "p": style.p_value, "amount": style.amount,
        "count": style.count, "duration": style.duration, "themed": themed,
    }  # fmt: skip
    env.tests["code"] = lambda part: isinstance(part, Code)
    env.filters["sign"] = style.chip
    env.globals |= {"verdicts": style.VERDICTS, "captions": captions}
    return env


def asset(name: str) -> str:
    """The text of a style sheet or script of this package."""
    env = environment()
    return env.loader.get_source(env, name)[0]


def style_sheet() -> Markup:
    """The style of every page, with the colours of arms on dark paper."""
    return Markup(asset("page.css") + dark_rule())


def script_hash(script: str) -> str:
    """The SHA-256 by which the page's policy allows exactly this script."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def render_report(page: Page) -> str:
    """The whole page as text."""
    script = asset("page.js")
    ratios = [row.step_ratio for row in page.cost if not math.isnan(row.step_ratio)]
    return environment().get_template("report.html.j2").render(
        page=page, style=style_sheet(), script=Markup(script), script_hash=script_hash(script),
        strip=strip(page), slowest=max(ratios, default=1.0),
    )  # fmt: skip


def render_index(studies: list[dict[str, Any]]) -> str:
    """The page that leads to the reports of all studies."""
    script = asset("page.js")
    return environment().get_template("index.html.j2").render(
        studies=studies, other_lengths=index.other_lengths(studies),
        in_a_word=index.in_a_word(studies), numbers=index.main_numbers(studies), claims=index.claims(studies),
        style=style_sheet(), script=Markup(script), script_hash=script_hash(script),
    )  # fmt: skip


def strip(page: Page) -> list[int]:
    """Columns of the gallery shown under the answer.

    Gray input, truth, baseline, the published loss, the arm whose amount of colour is closest to the truth's, then
    others in declared order.
    """
    shown = page.gallery
    if shown is None:
        return []
    published = published_arm(page.result)
    wanted = [page.result.baseline, published.name if published else None, recommended_arm(page.result)]
    wanted += [nearest(page.result, "chroma_ratio", [arm for arm in page.arms if not arm.control])]
    wanted += [arm.name for arm in page.arms if arm.loss in ("classification", "perceptual")]
    wanted += [arm.name for arm in page.arms]
    columns = [shown.column_index(name) for name in wanted if name is not None]
    arms = list(dict.fromkeys(column for column in columns if column is not None))[: STRIP - 2]
    return [0, 1, *sorted(arms)]
