"""Sections of report.md on claims, theory, tuning and training."""

from __future__ import annotations

from study.report import captions
from study.report.markdown_text import folded, images, parts_text, sheet_table, words
from study.report.page import Page
from study.report.style import chip


def claims_blocks(page: Page) -> list[str]:
    """The ledger of claims."""
    if "claims" not in page.sheets:
        return []
    short = " · ".join(f"{chip(verdict)[0]} {many} {verdict}" for verdict, many in page.claims_in_short)
    return ["## Claims", parts_text(captions.claims(page.result)), words(short), sheet_table(page.sheets["claims"])]


def why_blocks(page: Page, files: dict[str, bytes]) -> list[str]:
    """Theory beside the measurement, and what each term contributes."""
    blocks = []
    if "theory" in page.sheets:
        blocks += ["### Theory beside the measurement", *map(words, page.theory_sentences), words(captions.THEORY)]
        blocks += [images([page.theory], files)] if page.theory else []
        sheet = page.sheets["theory"]
        blocks.append(folded(f"All {len(sheet.rows)} predictions", sheet_table(sheet)))
    if page.effects:
        sheet = page.sheets["factorial"]
        blocks += ["### What each term contributes", words(captions.FACTORIAL), images(page.effects, files)]
        blocks.append(folded(f"All {len(sheet.rows)} effects", sheet_table(sheet)))
    return ["## Why", *blocks] if blocks else []


def tuning_blocks(page: Page, files: dict[str, bytes]) -> list[str]:
    """What the search for weights found."""
    if page.result.search is None:
        return []
    blocks = ["## Tuning", *map(words, page.search_sentences), words(page.search_budget)]
    if "recommended" in page.sheets:
        blocks.append(sheet_table(page.sheets["recommended"]))
    figures = page.search_figures
    if figures["fronts"]:
        blocks += ["### Candidates", words(captions.FRONTS), images(figures["fronts"], files)]
    if "finalists" in page.sheets:
        blocks += ["### Finalists on fresh seeds", words(captions.FINALISTS), *map(parts_text, page.dominated)]
        blocks.append(sheet_table(page.sheets["finalists"]))
    more = [*figures["history"], *figures["importance"]]
    if more:
        blocks += ["### Progress and importance", words(captions.IMPORTANCE), images(more, files)]
    if figures["slices"]:
        blocks.append(folded("Every setting against every objective", images(figures["slices"], files)))
    return blocks


def training_blocks(page: Page, files: dict[str, bytes]) -> list[str]:
    """Curves, the gradient ledger, convergence and other lengths."""
    blocks, notes = [], page.training_notes
    if page.curves or page.terms:
        blocks.append(words(captions.CURVES))
    if page.curves:
        blocks.append(images(page.curves, files))
    if page.terms:
        summary = f"Every loss term on training pictures ({len(page.terms)})"
        blocks.append(folded(summary, images(page.terms, files)))
    if "ledger" in page.sheets:
        blocks += ["### The gradient ledger", words(notes["ledger"]), words(captions.LEDGER)]
        blocks += [images([page.ledger], files)] if page.ledger else []
        blocks.append(folded("Shares as a table", sheet_table(page.sheets["ledger"])))
    if "convergence" in page.sheets:
        blocks += ["### Had the curves flattened?", words(notes["convergence"]), words(captions.CONVERGENCE)]
        blocks.append(folded("Every curve", sheet_table(page.sheets["convergence"])))
    if "lengths" in page.sheets:
        blocks += ["### Other lengths of training", words(notes["lengths"])]
        blocks += [images(page.lengths, files)] if page.lengths else []
        blocks.append(folded("Means and ranks", sheet_table(page.sheets["lengths"])))
    return ["## Training", *blocks] if blocks else []
