"""The report as report.md with its figures in files beside it, for places where repositories are read."""

from __future__ import annotations

from html import escape
from itertools import zip_longest

from study.report import captions
from study.report.html import strip
from study.report.markdown_evidence import claims_blocks, training_blocks, tuning_blocks, why_blocks
from study.report.markdown_text import code, fenced, folded, images, parts_text, sheet_table, table, words
from study.report.page import Page
from study.report.pictures import contact_sheet, sheet_of
from study.report.result import Metric
from study.report.style import VERDICTS, count, duration


def render_markdown(page: Page) -> tuple[str, dict[str, bytes]]:
    """The text of report.md, and the files it shows: name inside figures/ -> content."""
    files: dict[str, bytes] = {}
    blocks = [*_head(page), *_hero(page, files), *claims_blocks(page), *_results(page), *_differences(page, files)]
    blocks += [*_pictures(page, files), *_colour(page, files), *why_blocks(page, files), *tuning_blocks(page, files)]
    blocks += [*training_blocks(page, files), *_cost(page), *_method(page), *_provenance(page), *_cells(page)]
    return "\n\n".join(blocks) + "\n", files


def _head(page: Page) -> list[str]:
    lines = [
        f"* **{words(line.label)}.** {parts_text(line.head)}\n\n  {parts_text(line.detail)}".rstrip()
        for line in page.answer
    ]
    return [
        f"# {words(page.result.title)}",
        f"*{words(captions.QUESTION)}*",
        " · ".join([f"study {code(page.result.study)}", *map(words, page.in_short)]),
        "## The answer",
        "\n\n".join(lines),
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
    columns = [place for place, name in enumerate(page.gallery.columns)
               if place < 2 or not (page.crowded and page.result.is_derived(name))]  # fmt: skip
    files["pictures.png"] = contact_sheet(page.gallery, columns)
    names = [page.gallery.columns[place] for place in columns]
    return [
        "## Pictures",
        f"{parts_text(captions.pictures(page.result, page.gallery))} Columns: {_named(names)}.",
        _picture("pictures.png", names),
        *_chosen(page, files),
    ]


def _chosen(page: Page, files: dict[str, bytes]) -> list[str]:
    blocks = []
    for place, duel in enumerate(page.duels):
        name = f"duel-{place}.png"
        labels = ["truth", duel.first, duel.second]
        rows = zip_longest(duel.for_first, duel.for_second)
        tiles = [[t for choice in pair for t in (choice.tiles if choice else (None,) * 3)] for pair in rows]
        files[name] = sheet_of(labels * 2, tiles, page.gallery.size, 700)
        told = (
            f"{code(duel.first)} is nearer to the truth on {duel.wins} of {duel.of} pictures, {code(duel.second)} on "
        )
        told += f"{duel.of - duel.wins}. Left: where {code(duel.first)} is better by most; right: where it is worse."
        blocks += [told, _picture(name, ["truth", duel.first, duel.second])]
    return ["### Where two arms differ most", words(captions.DUELS), *blocks] if blocks else []


def _picture(file: str, names: list[str]) -> str:
    return f'<img src="figures/{file}" alt="{escape(" ".join(", ".join(names).split()))}">'


def _named(columns: list[str]) -> str:
    return ", ".join([*columns[:2], *map(code, columns[2:])])


def _results(page: Page) -> list[str]:
    if not page.columns:
        return []
    rest = [card for card in page.columns if not page.is_key(card.name)]
    absent = [f"{code(arm.name)}: {words(page.why_no_scores(arm.name))}" for arm in page.arms
              if not any((arm.name, card.name) in page.scores for card in page.columns)]  # fmt: skip
    keys = [card for card in page.columns if page.is_key(card.name)]
    blocks = ["## Results", parts_text(captions.results(page.result)), _results_table(page, keys)]
    blocks += [f"Without scores: {'; '.join(absent)}."] if absent else []
    if rest:
        blocks.append(folded(f"The other {len(rest)} metrics", _results_table(page, rest)))
    head = ["metric", "what it is", "unit", "range", "direction", "margin", "weakness"]
    lines = [
        [*map(words, (c.label, c.says, c.unit, c.range, c.direction)), f"±{c.margin:g}", words(c.weakness)]
        for c in page.result.metrics.values()
    ]
    return [*blocks, folded("What the metrics mean", table(head, lines, len(head)))]


def _results_table(page: Page, cards: list[Metric]) -> str:
    rows = []
    for arm in page.arms:
        row = [code(arm.name, table=True)]
        for card in cards:
            score = page.scores.get((arm.name, card.name))
            if score is None:
                row.append("–")
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
    signs = " · ".join(f"{sign} {name}" for name, (sign, _) in VERDICTS.items())
    blocks = [
        "## Differences to the baseline",
        parts_text(captions.differences(page.result)),
        signs,
        images([figure for _, figure in page.forests], files),
        words(captions.DIFFERENCES),
        folded(f"All {len(page.differences)} differences", sheet_table(page.sheets["differences"])),
    ]
    if page.seeds:
        blocks.append(folded("Every seed", images([figure for _, figure in page.seeds], files)))
    return blocks


def _colour(page: Page, files: dict[str, bytes]) -> list[str]:
    blocks = []
    if page.bars:
        blocks += ["### All colours, sorted", words(captions.BARS), images([page.bars], files)]
    if page.vividness:
        blocks += [
            "### Vividness against fidelity",
            words(captions.VIVIDNESS + captions.CUT),
            images([page.vividness], files),
        ]
    if page.usage:
        blocks += ["### Colours, hues and chroma of each arm", words(captions.USAGE), images(page.usage, files)]
    if page.kinds:
        blocks += ["### Averaging at a glance", words(captions.KINDS + captions.CUT), images([page.kinds], files)]
    if page.planes:
        blocks += ["### Where in the plane of colours", words(captions.PLANES), images(page.planes, files)]
    return ["## How the arms use colour", images([page.key], files), *blocks] if blocks else []


def _cost(page: Page) -> list[str]:
    if "cost" not in page.sheets:
        return []
    return ["## Cost", parts_text(captions.cost(page.result)), sheet_table(page.sheets["cost"])]


def _method(page: Page) -> list[str]:
    blocks = ["## Method", *(parts_text(paragraph) for paragraph in page.how)]
    if page.law_sentence:
        blocks.append(words(page.law_sentence))
    arms = [[code(arm.name, table=True), words(page.arm_loss(arm)), words(arm.description)] for arm in page.arms]
    blocks.append(folded("The arms", table(["arm", "loss and weights", "in words"], arms, 3)))
    if page.settings:
        pairs = [[words(key), code(value, table=True)] for key, value in page.settings]
        blocks.append(folded("Settings of training and data", table(["setting", "value"], pairs, 2)))
    doubts = "\n".join(
        f"{place}. **{words(title)}.** {words(text)}" for place, (title, text) in enumerate(page.threats, 1)
    )
    return [*blocks, "## Threats to validity", doubts]


def _provenance(page: Page) -> list[str]:
    pairs = [[words(key.replace("_", " ")), code(value, table=True)] for key, value in page.provenance]
    blocks = ["## Provenance", table(["what", "value"], pairs, 2)] if pairs else ["## Provenance"]
    if page.commands:
        blocks += ["The whole study again:", fenced(page.commands)]
    return blocks


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
    return ["## Every cell", words(captions.CELLS), folded(summary, table(head, rows, len(head)))]
