"""The report as report.md with its figures in files beside it, for places where repositories are read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

from study.report import captions
from study.report.answer import Code
from study.report.html import strip
from study.report.page import Page
from study.report.pictures import contact_sheet
from study.report.result import Metric
from study.report.style import VERDICTS, amount, count, duration, interval, number, p_value
from study.report.svg import Drawing

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


def render_markdown(page: Page) -> tuple[str, dict[str, bytes]]:
    """The text of report.md, and the files it shows: name inside figures/ -> content."""
    files: dict[str, bytes] = {}
    blocks = [*_head(page), *_hero(page, files), *_results(page), *_differences(page, files)]
    blocks += [*_pictures(page, files), *_colour(page, files), *_training(page, files), *_cost(page)]
    blocks += [*_method(page), *_provenance(page), *_cells(page)]
    return "\n\n".join(blocks) + "\n", files


def _parts(parts: Iterable[str]) -> str:
    return "".join(code(part) if isinstance(part, Code) else _inline(part) for part in parts)


def _inline(text: str) -> str:
    """Words inside a line, with the spaces at both ends kept."""
    escaped = SPECIAL.sub(r"\\\1", escape(" ".join(text.split()), quote=False))
    return f"{' ' if text[:1].isspace() else ''}{escaped}{' ' if text[-1:].isspace() else ''}"


def _images(figures: Iterable[Drawing], files: dict[str, bytes]) -> str:
    """Pictures side by side as far as they fit; their files are added to `files`."""
    tags = []
    for figure in figures:
        files[f"{figure.name}.svg"] = figure.standalone.encode()
        alt = escape(" ".join(figure.alt.split()))
        tags.append(f'<img src="figures/{figure.name}.svg" alt="{alt}" width="{figure.width}">')
    return "<p>\n" + "\n".join(tags) + "\n</p>"


def _head(page: Page) -> list[str]:
    lines = [f"* **{words(line.label)}.** {_parts(line.parts)}" for line in page.answer]
    return [
        f"# {words(page.result.title)}",
        f"*{words(captions.QUESTION)}*",
        " · ".join([f"study {code(page.result.study)}", *map(words, page.in_short)]),
        "## The answer",
        "\n".join(lines),
        "The same report with sortable tables and a picture slider is in [index.html](index.html), its numbers in "
        "[report.json](report.json).",
    ]


def _hero(page: Page, files: dict[str, bytes]) -> list[str]:
    if page.gallery is None:
        return []
    columns = strip(page)
    files["hero.png"] = contact_sheet(page.gallery, columns, [page.gallery.hero])
    names = [page.gallery.columns[column] for column in columns]
    return [_picture("hero.png", names), f"From left to right: {_named(names)}. {words(captions.hero(page.gallery))}"]


def _pictures(page: Page, files: dict[str, bytes]) -> list[str]:
    if page.gallery is None:
        return []
    files["pictures.png"] = contact_sheet(page.gallery)
    names = list(page.gallery.columns)
    return [
        "## Pictures",
        f"{_parts(captions.pictures(page.result, page.gallery))} Columns: {_named(names)}.",
        _picture("pictures.png", names),
    ]


def _picture(file: str, names: list[str]) -> str:
    return f'<img src="figures/{file}" alt="{escape(" ".join(", ".join(names).split()))}">'


def _named(columns: list[str]) -> str:
    return ", ".join([*columns[:2], *map(code, columns[2:])])


def _results(page: Page) -> list[str]:
    if not page.columns:
        return []
    keys = [card for card in page.columns if page.is_key(card.name)]
    rest = [card for card in page.columns if not page.is_key(card.name)]
    blocks = ["## Results", _parts(captions.results(page.result)), _results_table(page, keys)]
    if rest:
        blocks.append(_folded(f"The other {len(rest)} metrics", _results_table(page, rest)))
    head = ["metric", "what it is", "unit", "range", "direction", "margin", "weakness"]
    lines = [
        [*map(words, (c.label, c.says, c.unit, c.range, c.direction)), f"±{c.margin:g}", words(c.weakness)]
        for c in page.result.metrics.values()
    ]
    return [*blocks, _folded("What the metrics mean", table(head, lines, len(head)))]


def _results_table(page: Page, cards: list[Metric]) -> str:
    rows = []
    for arm in page.arms:
        row = [code(arm.name, table=True)]
        for card in cards:
            score = page.scores.get((arm.name, card.name))
            if score is None:
                row.append(words(page.why_no_scores(arm.name)) if card is cards[0] else "–")
                continue
            told = f"{VERDICTS[score.comparison.verdict][0]} {score.comparison.verdict}" if score.comparison else ""
            lines = (f"**{score.text}**", words(score.interval).replace(" ", "\u00a0"), told)
            row.append("<br>".join(line for line in lines if line))
        rows.append([*row, page.seeds_of(arm.name)])
    return table(["arm", *(f"{words(card.label)}<br>{_goal(card)}" for card in cards), "seeds"], rows)


def _goal(card: Metric) -> str:
    if card.better == "target":
        return f"→ {card.target:g}"
    return {"higher": "↑", "lower": "↓", None: ""}[card.better]


def _differences(page: Page, files: dict[str, bytes]) -> list[str]:
    if not page.differences:
        return []
    rows = [
        [
            words(card.label),
            code(arm, table=True),
            number(found.mean, card.decimals, True),
            words(interval(found.low, found.high, card.decimals, True)),
            *(words(p_value(p)) for p in (found.p, found.p_holm, found.p_min)),
            str(found.seeds),
            f"{VERDICTS[found.verdict][0]} {found.verdict}",
        ]
        for arm, card, found in page.differences
    ]
    head = ["metric", "arm", "difference", "95 % interval", "p", "p (Holm)", "smallest p", "seeds", "verdict"]
    signs = " · ".join(f"{sign} {name}" for name, (sign, _) in VERDICTS.items())
    return [
        "## Differences to the baseline",
        _parts(captions.differences(page.result)),
        signs,
        _images([figure for _, figure in page.forests], files),
        _folded(f"All {len(rows)} differences", table(head, rows, 2)),
    ]


def _colour(page: Page, files: dict[str, bytes]) -> list[str]:
    blocks = []
    if page.vividness:
        blocks += [
            "### Vividness against fidelity",
            words(captions.VIVIDNESS + captions.CUT),
            _images([page.vividness], files),
        ]
    if page.kinds:
        blocks += ["### Averaging at a glance", words(captions.KINDS + captions.CUT), _images([page.kinds], files)]
    if page.planes:
        blocks += ["### Where in the plane of colours", words(captions.PLANES), _images(page.planes, files)]
    return ["## How the arms use colour", _images([page.key], files), *blocks] if blocks else []


def _training(page: Page, files: dict[str, bytes]) -> list[str]:
    if not page.curves and not page.terms:
        return []
    blocks = ["## Training", words(captions.CURVES)]
    if page.curves:
        blocks.append(_images(page.curves, files))
    if page.terms:
        summary = f"Every loss term on training pictures ({len(page.terms)})"
        blocks.append(_folded(summary, _images(page.terms, files)))
    return blocks


def _cost(page: Page) -> list[str]:
    if not page.cost:
        return []
    amounts = ("step_ratio", "memory_ratio", "step_ms", "images_per_s", "peak_memory_mb")
    rows = [
        [
            code(row.arm, table=True),
            *(amount(getattr(row, name)) for name in amounts),
            duration(row.seconds),
            count(row.parameters),
        ]
        for row in page.cost
    ]
    head = ["arm", "time of a step, ratio", "peak memory, ratio", "step, ms", "images/s", "memory, MB", "whole cell",
            "parameters"]  # fmt: skip
    return ["## Cost", _parts(captions.cost(page.result)), table(head, rows)]


def _method(page: Page) -> list[str]:
    blocks = ["## Method", *(_parts(paragraph) for paragraph in page.how)]
    if page.law_sentence:
        blocks.append(words(page.law_sentence))
    arms = [[code(arm.name, table=True), words(page.arm_loss(arm)), words(arm.description)] for arm in page.arms]
    blocks.append(_folded("The arms", table(["arm", "loss and weights", "in words"], arms, 3)))
    if page.settings:
        pairs = [[words(key), code(value, table=True)] for key, value in page.settings]
        blocks.append(_folded("Settings of training and data", table(["setting", "value"], pairs, 2)))
    doubts = "\n".join(
        f"{place}. **{words(title)}.** {words(text)}" for place, (title, text) in enumerate(page.threats, 1)
    )
    return [*blocks, "## Threats to validity", doubts]


def _provenance(page: Page) -> list[str]:
    pairs = [[words(key.replace("_", " ")), code(value, table=True)] for key, value in page.provenance]
    blocks = ["## Provenance", table(["what", "value"], pairs, 2)] if pairs else ["## Provenance"]
    if page.commands:
        blocks += ["The whole study again:", _fenced(page.commands)]
    return blocks


def _fenced(lines: list[str]) -> str:
    text = "\n".join(lines)
    fence = "`" * max(3, max(map(len, re.findall("`+", text)), default=0) + 1)
    return f"{fence}\n{text}\n{fence}"


def _cells(page: Page) -> list[str]:
    rows = [
        [
            code(cell.arm, table=True),
            f"{cell.seed:g}",
            words(cell.status),
            words(cell.detail),
            count(cell.steps),
            duration(cell.seconds),
            code(cell.signature[:10], table=True),
            code(cell.command, table=True),
        ]
        for cell in page.cells
    ]
    head = ["arm", "seed", "status", "detail", "steps", "time", "signature", "command"]
    summary = f"{len(rows)} cells with the line that reproduces each"
    return ["## Every cell", words(captions.CELLS), _folded(summary, table(head, rows, len(head)))]


def _folded(summary: str, content: str) -> str:
    return f"<details>\n<summary>{escape(summary)}</summary>\n\n{content}\n\n</details>"
