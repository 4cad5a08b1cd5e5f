"""The report as report.md with its figures in files beside it, for places where repositories are read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

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
    blocks = [*_head(page), *_pictures(page, files, hero=True), *_results(page), *_differences(page, files)]
    blocks += [*_pictures(page, files, hero=False), *_colour(page, files), *_training(page, files), *_cost(page)]
    blocks += [*_method(page), *_provenance(page), *_cells(page)]
    return "\n\n".join(blocks) + "\n", files


def _parts(parts: Iterable[str]) -> str:
    return "".join(code(part) if isinstance(part, Code) else _inline(part) for part in parts)


def _inline(text: str) -> str:
    """Words inside a line, with the spaces at both ends kept."""
    escaped = SPECIAL.sub(r"\\\1", escape(" ".join(text.split()), quote=False))
    return f"{' ' if text[:1].isspace() else ''}{escaped}{' ' if text[-1:].isspace() else ''}"


def _image(figure: Drawing, files: dict[str, bytes], width: int | None = None) -> str:
    files[f"{figure.name}.svg"] = figure.standalone.encode()
    alt = escape(" ".join(figure.alt.split()))
    return f'<img src="figures/{figure.name}.svg" alt="{alt}" width="{width or figure.width}">'


def _head(page: Page) -> list[str]:
    blocks = [f"# {words(page.result.title)}"]
    blocks.append("*My model paints sepia: which loss, at which weights, fixes that, and what does it cost?*")
    blocks.append(" · ".join([f"study {code(page.result.study)}", *map(words, page.in_short)]))
    blocks.append("## The answer")
    blocks.append("\n".join(f"* **{words(line.label)}.** {_parts(line.parts)}" for line in page.answer))
    blocks.append(
        "The same report with sortable tables and a picture slider is in [index.html](index.html), its numbers in [report.json](report.json)."
    )
    return blocks


def _pictures(page: Page, files: dict[str, bytes], hero: bool) -> list[str]:
    shown = page.gallery
    if shown is None:
        return []
    columns = strip(page) if hero else list(range(len(shown.columns)))
    names = ", ".join(code(shown.columns[c]) if c > 1 else shown.columns[c] for c in columns)
    showcase = page.result.facts.get("pictures") == "showcase"
    kind = "photographs that are free to use" if showcase else "test pictures"
    if hero:
        files["hero.png"] = contact_sheet(shown, columns, [shown.hero])
        return [f'<img src="figures/hero.png" alt="One picture: {escape(_names(shown.columns, columns))}">',
                f"From left to right: {names}. The most colourful of the pictures below."]  # fmt: skip
    files["pictures.png"] = contact_sheet(shown)
    return ["## Pictures", f"Columns: {names}. Rows: {kind}, not chosen by eye; each arm’s first finished seed.",
            f'<img src="figures/pictures.png" alt="Pictures: {escape(_names(shown.columns, columns))}">']  # fmt: skip


def _names(names: tuple[str, ...], columns: list[int]) -> str:
    return " ".join(", ".join(names[column] for column in columns).split())


def _results(page: Page) -> list[str]:
    if not page.columns:
        return []
    result = page.result
    keys = [card for card in page.columns if page.is_key(card.name)]
    rest = [card for card in page.columns if not page.is_key(card.name)]
    blocks = ["## Results", f"Mean over test images and seeds with its 95 % interval, and the verdict on the paired difference to {code(result.baseline)}.",
              _results_table(page, keys)]  # fmt: skip
    if rest:
        blocks.append(_folded(f"The other {len(rest)} metrics", _results_table(page, rest)))
    lines = [
        [words(c.label), words(c.says), words(c.unit), c.range, words(c.direction), f"±{c.margin:g}", words(c.weakness)]
        for c in result.metrics.values()
    ]
    blocks.append(
        _folded(
            "What the metrics mean",
            table(["metric", "what it is", "unit", "range", "direction", "margin", "weakness"], lines, 7),
        )
    )
    return blocks


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
            row.append(
                "<br>".join(
                    part for part in (f"**{score.text}**", words(score.interval).replace(" ", "\u00a0"), told) if part
                )
            )
        rows.append([*row, page.seeds_of(arm.name)])
    return table(["arm", *(f"{words(card.label)}<br>{_goal(card)}" for card in cards), "seeds"], rows)


def _goal(card: Metric) -> str:
    if card.better == "target":
        return f"→ {card.target:g}"
    return {"higher": "↑", "lower": "↓", None: ""}[card.better]


def _differences(page: Page, files: dict[str, bytes]) -> list[str]:
    if not page.differences:
        return []
    images = "\n".join(_image(figure, files) for _, figure in page.forests)
    rows = [
        [words(card.label), code(arm, table=True), number(c.mean, card.decimals, True),
         words(interval(c.low, c.high, card.decimals, True)), escape(p_value(c.p)), escape(p_value(c.p_holm)),
         escape(p_value(c.p_min)), str(c.seeds), f"{VERDICTS[c.verdict][0]} {c.verdict}"]
        for arm, card, c in page.differences
    ]  # fmt: skip
    head = ["metric", "arm", "difference", "95 % interval", "p", "p (Holm)", "smallest p", "seeds", "verdict"]
    return [
        "## Differences to the baseline",
        f"Arm minus {code(page.result.baseline)}, paired by seed and image, with 95 % intervals. Shaded: the margin within which a difference does not "
        "matter. Full marks are decided, hollow ones equivalent or undecided. "
        + "  ".join(f"{sign} {name}" for name, (sign, _) in VERDICTS.items()),
        f"<p>\n{images}\n</p>",
        _folded(f"All {len(rows)} differences", table(head, rows, 2)),
    ]


def _colour(page: Page, files: dict[str, bytes]) -> list[str]:
    blocks = []
    if page.vividness:
        blocks += ["### Vividness against fidelity", _image(page.vividness, files)]
    if page.kinds:
        blocks += [
            "### Averaging at a glance",
            "Solid line: the mean chroma of a kind’s palette, which the truth has. Dashed line: the chroma of the palette’s average "
            "colour, which is all that averaging can give.",
            _image(page.kinds, files),
        ]
    if page.planes:
        blocks += [
            "### Where in the plane of colours",
            "Discs are the colours a kind really has, their area the probability; the cross is their average. A mark is the mean colour "
            "that an arm paints there.",
            "<p>\n" + "\n".join(_image(figure, files) for figure in page.planes) + "\n</p>",
        ]
    return ["## How the arms use colour", _image(page.key, files), *blocks] if blocks else []


def _training(page: Page, files: dict[str, bytes]) -> list[str]:
    if not page.curves and not page.terms:
        return []
    blocks = ["## Training", "Lines are means over seeds, tints the range from the lowest to the highest seed."]
    if page.curves:
        blocks.append("<p>\n" + "\n".join(_image(figure, files) for figure in page.curves) + "\n</p>")
    if page.terms:
        images = "<p>\n" + "\n".join(_image(figure, files) for figure in page.terms) + "\n</p>"
        blocks.append(_folded(f"Every loss term on training pictures ({len(page.terms)})", images))
    return blocks


def _cost(page: Page) -> list[str]:
    if not page.cost:
        return []
    rows = [
        [code(row.arm, table=True), amount(row.step_ratio), amount(row.memory_ratio), amount(row.step_ms), amount(row.images_per_s),
         amount(row.peak_memory_mb), duration(row.seconds), count(row.parameters)]
        for row in page.cost
    ]  # fmt: skip
    head = [
        "arm",
        "time of a step, ratio",
        "peak memory, ratio",
        "step, ms",
        "images/s",
        "memory, MB",
        "a cell",
        "parameters",
    ]
    return [
        "## Cost",
        f"Medians over seeds; ratios are to {code(page.result.baseline)}, trained on the same machine.",
        table(head, rows),
    ]


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
        [code(cell.arm, table=True), f"{cell.seed:g}", words(cell.status), words(cell.detail), count(cell.steps), duration(cell.seconds),
         code(cell.signature[:10], table=True), code(cell.command, table=True)]
        for cell in page.cells
    ]  # fmt: skip
    head = ["arm", "seed", "status", "detail", "steps", "time", "signature", "command"]
    return ["## Every cell", _folded(f"{len(rows)} cells with the line that reproduces each", table(head, rows, 8))]


def _folded(summary: str, content: str) -> str:
    return f"<details>\n<summary>{escape(summary)}</summary>\n\n{content}\n\n</details>"
