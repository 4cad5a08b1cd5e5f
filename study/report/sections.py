"""The order of a report: sections made of text, tables, figures and galleries, the same for every format."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from study.report import evidence, tables
from study.report import figures_color as color
from study.report import figures_limits as limit_figures
from study.report import figures_more as more
from study.report import figures_results as figures
from study.report.findings import Findings, find
from study.report.limits import find_limits
from study.report.pictures import Chooser, Gallery, example_pairs, gallery, strip
from study.report.result import SEPIA, StudyResult
from study.report.search import Family, find_families
from study.report.styles import Style, arm_styles

MOST_SPREADS = 30
PICTURE_COUNTS = ("skipped", "flagged", "monochrome", "color_spaces", "seen_in_training")


@dataclass(frozen=True)
class Block:
    """A piece of a section.

    kind: "text" (content: the name of a macro, "file.macro"; title: a heading above it), "table", "plots", "strip"
    (title: the macro of its caption), "gallery", "pairs", "spreads", "code" (lines), "downloads" (names of tables),
    "columns" (blocks side by side) or "fold" (blocks under `title`).
    """

    kind: str
    content: Any
    title: str = ""


@dataclass(frozen=True)
class Section:
    """A section; `teaser` names the macro of the line that stands beside its title while it is folded."""

    id: str
    title: str
    blocks: tuple[Block, ...]
    teaser: str = ""


class Report:
    """A result with all that is worked out from it, for sections and templates."""

    def __init__(self, result: StudyResult) -> None:
        self.result = result
        self.findings: Findings = find(result)
        self.styles: dict[str, Style] = arm_styles(list(result.arms.values()), result.baseline)
        self.families: list[Family] = find_families(result)
        self.gallery: Gallery | None = gallery(result, list(self.styles))

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """All sections that have something to show, in order."""
        made = (
            _answer(self), _pictures(self), _results(self), _limits(self), _claims(self), _colours(self), _why(self),
            _tuning(self), _training(self), _cost(self), _method(self), _threats(), _provenance(self),
        )  # fmt: skip
        return tuple(section for section in made if section.blocks)

    @cached_property
    def tables(self) -> dict[str, Any]:
        """Tables by name that prose refers to."""
        return {"margins": tables.margins_table(self.result, self.findings)}

    @cached_property
    def context(self) -> dict[str, Any]:
        """Names that prose may use."""
        r = self.result
        search = r.search.meta if r.search else {}
        told = search.get("sentences") or []
        return {
            "report": self, "r": r, "f": self.findings, "families": self.families, "tables": self.tables,
            "e": {"claims": evidence.find_claims(r), "theory": evidence.find_theory(r),
                  "training": evidence.find_training(r), "lengths": evidence.find_lengths(r),
                  "limits": find_limits(r)},
            "weights": tables.weights, "verdict_counts": tables.verdict_counts,
            "labels": lambda names: [r.metrics[one].label if one in r.metrics else one for one in names],
            "sepia_testable": SEPIA in r.measured and not r.is_foreign(SEPIA),
            "sentences": [told] if isinstance(told, str) else list(told.values() if isinstance(told, dict) else told),
            "seconds": search.get("training_seconds"), "timing": r.meta["timing"],
            "untimed": [row.arm for row in r.rows("cost") if math.isnan(row.step_ms)],
        }  # fmt: skip


def _blocks(*found: Block | None) -> tuple[Block, ...]:
    """Those that have content."""
    return tuple(block for block in found if block is not None and block.content)


def _fold(title: str, *found: Block | None) -> Block | None:
    """Blocks that are folded away; None when nothing but text is in them."""
    kept = _blocks(*found)
    return Block("fold", kept, title) if any(block.kind != "text" for block in kept) else None


def _with(text: str, title: str, *found: Block | None) -> tuple[Block, ...]:
    """A text under a heading before blocks, if there are any."""
    kept = _blocks(*found)
    return (Block("text", text, title), *kept) if kept else ()


def _plots(*plots: Any) -> Block:
    return Block("plots", [one for one in plots if one])


def _detail(result: StudyResult, name: str) -> Block:
    return Block("table", tables.detail_table(result, name))


def _answer(report: Report) -> Section:
    found = report.findings
    shown = strip(report.gallery, found) if report.gallery else None
    named = [one.arm for one in found.rows]
    pilot = Block("text", "answer.pilot") if found.pilot else None
    table = tables.answer_table(report.result, found) if found.rows else None
    return Section("answer", "Answer", _blocks(
        pilot,
        Block("strip", shown, "answer.hero") if shown else
        _plots(figures.tradeoff(report.result, report.styles, named)),
        Block("columns", _blocks(Block("text", "answer.sentences"), Block("table", table))),
        Block("text", "answer.note"),
    ))  # fmt: skip


def _pictures(report: Report) -> Section:
    if report.gallery is None:
        return Section("pictures", "Pictures", ())
    chooser = Chooser(report.result, list(report.styles))
    spreads = [chooser.spread(arm) for arm in list(chooser.pictures)[:MOST_SPREADS]]
    return Section("pictures", "Pictures", _blocks(
        Block("text", "pictures.intro"), Block("gallery", report.gallery),
        _fold("Where two arms differ most", Block("text", "pictures.pairs"),
              Block("pairs", example_pairs(report.result, report.findings, chooser))),
        _fold("Best, median and worst picture of each arm", Block("text", "pictures.spreads"),
              Block("spreads", spreads)),
    ), "pictures.teaser")  # fmt: skip


def _results(report: Report) -> Section:
    result, found, styles = report.result, report.findings, report.styles
    if not result.measured:
        return Section("results", "Results", ())
    named = [one.arm for one in found.rows]
    trade = figures.tradeoff(result, styles, named) if report.gallery else None  # else it is on the first screen
    return Section("results", "Results", _blocks(
        Block("text", "results.intro"), Block("table", tables.results_table(result)),
        _fold("The other metrics", Block("table", tables.results_table(result, key=False))),
        *_with("results.tradeoff", "Error against amount of colour", _plots(trade)),
        *_with("results.differences", "Differences to the baseline", _plots(*figures.differences(result, styles))),
        Block("text", "results.verdicts") if found.verdicts else None,
        _fold("All differences", Block("text", "results.paired"), _detail(result, "paired")),
        _fold("Verdicts that hang on the margin", Block("text", "results.margins"),
              Block("table", report.tables["margins"])),
    ), "results.teaser")  # fmt: skip


def _limits(report: Report) -> Section:
    found = report.context["e"]["limits"]
    if found is None:
        return Section("limits", "Limits", ())
    return Section("limits", "Limits", _blocks(
        Block("text", "limits.intro"), _plots(limit_figures.limits(report.result, found, report.styles)),
        Block("text", "limits.figure"),
        *_with("limits.table", "", Block("table", tables.limits_table(report.result, found))),
    ), "limits.teaser")  # fmt: skip


def _claims(report: Report) -> Section:
    blocks = _with("claims.intro", "", Block("table", tables.claims_table(report.result)))
    return Section("claims", "Claims", blocks, "claims.teaser")


def _colours(report: Report) -> Section:
    result, styles = report.result, report.styles
    first = [name for name, style in styles.items() if not style.derived]
    rest = [name for name, style in styles.items() if style.derived]
    return Section("colours", "Colours", (
        *_with("colours.bars", "All colours, sorted", _plots(color.bars(result, styles))),
        *_with("colours.cards", "Colours, hues and chroma of each arm",
               _plots(color.truth_card(result, styles), *color.cards(result, styles, first)),
               _fold("Variants and references", _plots(*color.cards(result, styles, rest)))),
        *_with("colours.regions", "Where averaging costs colour", _plots(color.chroma_by_region(result, styles))),
        *_with("colours.planes", "The plane of colours", _plots(color.ab_planes(result, styles))),
    ), "colours.teaser")  # fmt: skip


def _why(report: Report) -> Section:
    result, styles = report.result, report.styles
    return Section("why", "Why", (
        *(_with("why.theory_found", "Theory beside measurement",
                _plots(more.theory(result, styles)), Block("text", "why.theory_figure"),
                Block("table", tables.theory_matrix(result)), Block("text", "why.theory_rule"),
                _fold("All predictions", _detail(result, "theory")))
          if evidence.find_theory(result) else ()),
        *_with("why.factorial", "What each term contributes", _plots(*more.effects(result, styles)),
               _fold("All effects", _detail(result, "factorial"))),
    ), "why.teaser")  # fmt: skip


def _tuning(report: Report) -> Section:
    result, families, styles = report.result, report.families, report.styles
    if not families:
        return Section("tuning", "Tuning", ())
    return Section("tuning", "Tuning", (
        Block("text", "tuning.advice"),
        *_with("tuning.weights", "Recommended settings", Block("table", tables.weights_table(families))),
        *_with("tuning.slices", "Every setting against every objective",
               _plots(*more.settings(result, families, styles))),
        *_with("tuning.fronts", "Candidates", _plots(more.fronts(result, families, styles))),
        *_with("tuning.finalists", "Finalists on fresh seeds",
               Block("table", tables.finalists_table(result, families))),
        *_with("tuning.progress", "Progress", _plots(more.progress(families, result, styles))),
    ), "tuning.teaser")  # fmt: skip


def _training(report: Report) -> Section:
    result, styles = report.result, report.styles
    return Section("training", "Training", (
        *_with("training.curves", "On validation pictures", _plots(*more.validation_curves(result, styles)),
               _fold("Every loss term on training pictures", _plots(*more.term_curves(result, styles)))),
        *_with("training.gradients", "Gradients of the terms", _plots(more.gradients(result, styles)),
               _fold("Shares as a table", _detail(result, "gradients"))),
        *_with("training.convergence", "Had the curves flattened?",
               _fold("Every validation curve", _detail(result, "convergence"))),
        *_with("training.lengths", "Other lengths of training",
               _fold("Means at every length", _detail(result, "lengths"))),
    ), "training.teaser")  # fmt: skip


def _cost(report: Report) -> Section:
    return Section("cost", "Cost", _with("method.cost", "", _detail(report.result, "cost")),
                   "method.cost_teaser")  # fmt: skip


def _method(report: Report) -> Section:
    result = report.result
    meta = {key: result.meta[key] for key in ("model", "training", "data")}
    return Section("method", "Method", _blocks(
        Block("text", "method.intro"), Block("table", tables.arms_table(result)),
        _fold("The metrics", _detail(result, "metrics")),
        _fold("All settings", Block("table", tables.pairs_table("training", "Settings", meta))),
    ), "method.teaser")  # fmt: skip


def _threats() -> Section:
    return Section("threats", "Threats to validity", (Block("text", "threats.all"),), "threats.teaser")


def _provenance(report: Report) -> Section:
    result = report.result
    facts = dict(result.meta["provenance"] or {})
    commands = [str(line) for line in facts.pop("commands", [])]
    facts["seeds"] = result.seeds
    facts |= {f"pictures {key}": value for key, value in result.meta["data"].items() if key in PICTURE_COUNTS}
    raw = [name for name, table in result.tables.items() if len(table)]
    raw += ["trials", "finalists"] if result.search else []
    return Section("provenance", "Provenance", _blocks(
        Block("text", "method.origins"), Block("table", tables.pairs_table("provenance", "Provenance", facts)),
        *_with("method.commands", "The whole study again", Block("code", commands)),
        *_with("method.downloads", "Tables", Block("downloads", raw)),
        _fold("Every training run", Block("text", "method.runs"), _detail(result, "cells")),
    ), "method.provenance_teaser")  # fmt: skip
