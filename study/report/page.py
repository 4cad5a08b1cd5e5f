"""What a page shows, worked out from one result before any HTML is written: rows, sentences, figures, pictures."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from study.report import (
    choices,
    evidence,
    figures,
    figures_color,
    figures_ledger,
    figures_pareto,
    figures_seeds,
    figures_theory,
    figures_training,
    figures_tuning,
    figures_usage,
    finalists,
    method,
    progress,
    sheets,
    tuning,
)
from study.report.answer import answer
from study.report.looks import FAMILIES, Look
from study.report.pictures import Gallery, data_uri, gallery
from study.report.result import Arm, Comparison, Metric, StudyResult
from study.report.scores import Score, result_scores
from study.report.sheet import Sheet
from study.report.svg import Drawing
from study.report.telling import Line

# A table of more characters is not put into the page; the page links to the file beside it instead.
LARGEST_TABLE = 400_000
MOST_PANELS = 24
CROWDED = 12  # arms in one picture table before those derived from others are folded away


@dataclass(frozen=True)
class Download:
    """A table as a file: a data: URI or, when too large, a file beside the page."""

    file: str
    uri: str
    inside: bool


class Page:
    """Everything the templates read. Figures and pictures are made once, when first asked for."""

    def __init__(self, result: StudyResult) -> None:
        self.result = result
        self.looks: dict[str, Look] = result.looks
        self.answer: list[Line] = answer(result)
        self.how, self.threats = method.how(result), method.threats(result)
        self.settings, self.provenance = method.settings(result), method.provenance(result)
        self.commands, self.in_short = method.commands(result), method.in_short(result)
        self.law_sentence = method.law_sentence(result)

    @property
    def arms(self) -> tuple[Arm, ...]:
        """The arms in the order in which they are shown: family by family."""
        return self.result.shown

    @cached_property
    def columns(self) -> list[Metric]:
        """Measured metrics, the key ones first."""
        keys = self.result.key_metrics
        return [self.result.metrics[name] for name in (*keys, *(m for m in self.result.measured if m not in keys))]

    def is_key(self, metric: str) -> bool:
        """Whether a metric is among those shown at once."""
        return metric in self.result.key_metrics

    @cached_property
    def scores(self) -> dict[tuple[str, str], Score]:
        """(arm, metric) -> what its cell shows."""
        return result_scores(self.result, self.columns)

    @property
    def families(self) -> list[tuple[str, list[Arm]]]:
        """Heading and arms of every family that occurs."""
        found = [(title, [arm for arm in self.arms if self.looks[arm.name].family == family])
                 for family, title in FAMILIES.items()]  # fmt: skip
        return [(title, arms) for title, arms in found if arms]

    @property
    def crowded(self) -> bool:
        """Whether the arms are so many that those derived from others are folded away where they take much room."""
        return len(self.arms) > CROWDED and any(look.family in ("dose", "control") for look in self.looks.values())

    def seeds_of(self, arm: str) -> str:
        """ "5", or "4 of 5" when some seeds have no scores."""
        found = max((e.seeds for (name, _), e in self.result.estimates.items() if name == arm), default=0)
        declared = len(self.result.seeds)
        return str(found) if found == declared else f"{found} of {declared}"

    @property
    def seeds_differ(self) -> bool:
        """Whether some arm lacks a seed."""
        return any(self.seeds_of(arm.name) != str(len(self.result.seeds)) for arm in self.arms)

    @property
    def gray_flattered(self) -> list[str]:
        """Key metrics on which a control without any colour is called better than the baseline."""
        gray = [arm.name for arm in self.arms if arm.control and arm.control.get("match") == "gray"]
        return [
            card.label
            for card in self.columns
            for arm in gray
            if self.is_key(card.name)
            and (found := self.result.comparisons.get((arm, card.name)))
            and found.verdict == "better"
        ]

    def why_no_scores(self, arm: str) -> str:
        """Why an arm has no row of numbers, from cells.csv."""
        cells = self.result.tables["cells"]
        states = cells[cells["arm"] == arm]["status"].value_counts(sort=False)
        return ", ".join(f"{many} {state}" for state, many in states.items()) or "not in cells.csv"

    @cached_property
    def forests(self) -> list[tuple[Metric, Drawing]]:
        """Paired differences, a panel for each metric shown at once."""
        compared = {metric for _, metric in self.result.comparisons}
        return [
            (card, figures.forest(self.result, card.name))
            for card in self.columns
            if self.is_key(card.name) and card.name in compared
        ]

    @cached_property
    def differences(self) -> list[tuple[str, Metric, Comparison]]:
        """(arm, metric, comparison) for every paired difference, metric by metric."""
        known = self.result.comparisons
        return [
            (a, card, known[a, card.name])
            for card in self.columns
            for a in self.result.others
            if (a, card.name) in known
        ]

    @cached_property
    def gallery(self) -> Gallery | None:
        """The pictures, or None."""
        return gallery(self.result)

    @cached_property
    def chooser(self) -> choices.Chooser:
        """Errors of the kept pictures."""
        return choices.Chooser(self.result)

    @cached_property
    def duels(self) -> list[choices.Duel]:
        """Pictures on which two arms differ most."""
        return choices.duels(self.chooser)

    @cached_property
    def spreads(self) -> list[choices.Spread]:
        """Best, median and worst picture of each arm."""
        return choices.spreads(self.chooser)

    @cached_property
    def claims(self) -> list[evidence.Claim]:
        """The ledger of claims."""
        return evidence.claims(self.result)

    @property
    def claims_in_short(self) -> list[tuple[str, int]]:
        """How many claims got which verdict."""
        return evidence.claims_in_short(self.result)

    @cached_property
    def vividness(self) -> Drawing | None:
        """Amount of colour against fidelity."""
        return figures_pareto.vividness(self.result)

    @cached_property
    def key(self) -> Drawing:
        """Colours and markers of the arms, for Markdown."""
        return figures.key(self.result)

    @cached_property
    def bars(self) -> Drawing | None:
        """All colours of every arm, sorted."""
        return figures_usage.bars(self.result)

    @cached_property
    def usage(self) -> list[Drawing]:
        """ab histogram, hue rose and chroma distribution of the truth and of each arm."""
        return figures_usage.cards(self.result)

    @property
    def usage_main(self) -> list[Drawing]:
        """The cards of the arms that are not folded away."""
        return [card for card in self.usage[1:] if not (self.crowded and self.result.is_derived(card.title))]

    @property
    def usage_derived(self) -> list[Drawing]:
        """The cards of doses and controls, where they are folded away."""
        return [card for card in self.usage[1:] if self.crowded and self.result.is_derived(card.title)]

    @property
    def theory_matrix(self) -> tuple[list[str], dict]:
        """Kinds, and what theory and measurement say of them, arm by arm."""
        return evidence.theory_matrix(self.result)

    @cached_property
    def kinds(self) -> Drawing | None:
        """Chroma by kind of region."""
        return figures_color.chroma_by_kind(self.result)

    @cached_property
    def planes(self) -> list[Drawing]:
        """The ab plane of each kind."""
        return figures_color.ab_planes(self.result)[:MOST_PANELS]

    @cached_property
    def seeds(self) -> list[tuple[Metric, Drawing]]:
        """Every seed as a dot, on the metrics shown at once."""
        return figures_seeds.seeds(self.result)

    @cached_property
    def theory(self) -> Drawing | None:
        """Predicted against measured chroma."""
        return figures_theory.predicted_and_measured(self.result)

    @cached_property
    def theory_sentences(self) -> list[str]:
        """Where theory explains the outcome and where not."""
        return evidence.theory_sentences(self.result)

    @property
    def arms_by_kind(self) -> list[str]:
        """Arms that the figures on kinds of regions show."""
        return figures_color.not_derived(self.result, list(self.looks))

    @property
    def arms_with_curves(self) -> set[str]:
        """Arms with a training of their own."""
        return {arm.name for arm in self.arms if not arm.control}

    @cached_property
    def effects(self) -> list[Drawing]:
        """Effects of the terms of the loss."""
        return figures_theory.effects(self.result)

    @cached_property
    def curves(self) -> list[Drawing]:
        """Validation curves of the two quantities that tell most."""
        names = ("ab_rmse", "chroma_ratio")
        return [figure for name in names for figure in figures_training.curves(self.result, "val", name)]

    @cached_property
    def terms(self) -> list[Drawing]:
        """Training curves of every loss term."""
        found = figures_training.terms(self.result)
        return [f for name in found for f in figures_training.curves(self.result, "train", name)][:MOST_PANELS]

    @cached_property
    def ledger(self) -> Drawing | None:
        """Share of each term in the gradient."""
        return figures_ledger.ledger(self.result)

    @cached_property
    def lengths(self) -> list[Drawing]:
        """Ranks at other lengths of training."""
        return figures_ledger.lengths(self.result)

    @property
    def training_notes(self) -> dict[str, str]:
        """A sentence on the gradient ledger, on convergence and on length, where there is something to say."""
        return {
            "ledger": progress.ledger_sentence(self.result),
            "convergence": progress.convergence_sentence(self.result),
            "lengths": progress.lengths_sentence(self.result),
        }

    @cached_property
    def search_figures(self) -> dict[str, list[Drawing]]:
        """Figures on the search by subject; empty without a search."""
        if self.result.search is None:
            return {}
        history = figures_tuning.history(self.result)
        return {
            "fronts": figures_tuning.fronts(self.result),
            "history": [history] if history else [],
            "importance": figures_tuning.importances(self.result),
            "slices": figures_tuning.slices(self.result),
        }

    @property
    def search_sentences(self) -> list[str]:
        """What the search recommends."""
        return tuning.sentences(self.result.search) if self.result.search else []

    @property
    def dominated(self) -> list[tuple[str, ...]]:
        """Which recommended points are dominated by another finalist, and by which."""
        return finalists.dominated(self.result) if self.result.search else []

    @property
    def search_budget(self) -> str:
        """How much the search was allowed."""
        return tuning.budget(self.result) if self.result.search else ""

    @cached_property
    def sheets(self) -> dict[str, Sheet]:
        """Every table of the report by the name of its .tex file."""
        return sheets.all_sheets(self.result, self.columns, self.scores)

    @cached_property
    def cost(self) -> list[Any]:
        """Rows of cost.csv of declared arms."""
        return [row for row in self.result.tables["cost"].itertuples() if row.arm in self.looks]

    @property
    def cells(self) -> list[Any]:
        """Rows of cells.csv."""
        return list(self.result.tables["cells"].itertuples())

    def arm_loss(self, arm: Arm) -> str:
        """Loss, weights and options of an arm in one line."""
        return method.arm_loss(arm)

    def download(self, table: str) -> Download:
        """A table of results/ as a link."""
        text = csv_text(self.result_table(table))
        inside = len(text) <= LARGEST_TABLE
        uri = data_uri(text.encode(), "text/csv;charset=utf-8") if inside else f"tables/{table}.csv"
        return Download(f"{figures.file_name(self.result.study)}-{table}.csv", uri, inside)

    def result_table(self, table: str) -> pd.DataFrame:
        """A table of results/ by its name, those of the search included."""
        if table in ("trials", "finalists"):
            return getattr(self.result.search, table)
        return self.result.tables[table]

    def csv_files(self) -> dict[str, str]:
        """Every table of results/ that has rows, as CSV by its name."""
        names = [name for name, table in self.result.tables.items() if len(table)]
        names += ["trials", "finalists"] if self.result.search else []
        return {name: csv_text(self.result_table(name)) for name in names}


def csv_text(table: pd.DataFrame) -> str:
    """The table as CSV with the shortest digits that read back as the same number."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([_csv_field(value) for value in row] for row in table.itertuples(index=False))
    return file.getvalue()


def _csv_field(value: Any) -> Any:
    if isinstance(value, float):
        return "" if math.isnan(value) else int(value) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return value
