"""What a page shows, worked out from one result before any HTML is written: cells, small interval plots, figures."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from study.report import figures, figures_color, figures_training, method
from study.report.answer import Line, answer
from study.report.pictures import Gallery, data_uri, gallery
from study.report.result import Arm, Comparison, Estimate, Metric, StudyResult
from study.report.style import Look, interval, looks, number
from study.report.svg import Drawing

# A table of more characters is not put into the page; its place in results/ is named instead.
LARGEST_TABLE = 400_000
MICRO = (96, 9)  # width and height of an interval plot inside a table cell, pixels
MOST_PANELS = 24


@dataclass(frozen=True)
class Micro:
    """Positions, in pixels, of the parts of an interval plot in a table cell."""

    low: float | None
    high: float | None
    mean: float
    baseline: float | None
    target: float | None


@dataclass(frozen=True)
class Score:
    """One cell of the results table."""

    estimate: Estimate
    text: str
    interval: str
    badness: float
    comparison: Comparison | None
    micro: Micro


@dataclass(frozen=True)
class Download:
    """A table as a file: either a data: URI or, when too large, only its place."""

    file: str
    uri: str | None


class Page:
    """Everything the templates read. Figures and pictures are made once, when first asked for."""

    def __init__(self, result: StudyResult) -> None:
        self.result = result
        self.looks: dict[str, Look] = looks([arm.name for arm in result.arms], result.baseline)
        self.answer: list[Line] = answer(result)
        self.how, self.threats = method.how(result), method.threats(result)
        self.settings, self.provenance = method.settings(result), method.provenance(result)
        self.commands, self.in_short = method.commands(result), method.in_short(result)
        self.law_sentence = method.law_sentence(result)

    @property
    def arms(self) -> tuple[Arm, ...]:
        """The arms in declared order."""
        return self.result.arms

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
        found = {}
        for card in self.columns:
            scale = self._scale(card)
            base = self.result.estimates.get((self.result.baseline, card.name))
            for arm in self.arms:
                estimate = self.result.estimates.get((arm.name, card.name))
                if estimate:
                    found[arm.name, card.name] = Score(
                        estimate,
                        number(estimate.mean, card.decimals),
                        interval(estimate.low, estimate.high, card.decimals),
                        card.badness(estimate.mean),
                        self.result.comparisons.get((arm.name, card.name)),
                        _micro(estimate, base, card.target, scale),
                    )
        return found

    def _scale(self, card: Metric) -> tuple[float, float]:
        values = [card.target] if card.target is not None else []
        for (_, metric), e in self.result.estimates.items():
            if metric == card.name:
                values += [e.mean, *([e.low, e.high] if e.has_interval else [])]
        return min(values), max(values)

    def seeds_of(self, arm: str) -> str:
        """ "5", or "4 of 5" when some seeds have no scores."""
        found = max((e.seeds for (name, _), e in self.result.estimates.items() if name == arm), default=0)
        declared = len(self.result.seeds)
        return str(found) if found == declared else f"{found} of {declared}"

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
    def vividness(self) -> Drawing | None:
        """Amount of colour against fidelity."""
        return figures.vividness(self.result)

    @cached_property
    def key(self) -> Drawing:
        """Colours and markers of the arms, for Markdown."""
        return figures.key(self.result)

    @cached_property
    def kinds(self) -> Drawing | None:
        """Chroma by kind of region."""
        return figures_color.chroma_by_kind(self.result)

    @cached_property
    def planes(self) -> list[Drawing]:
        """The ab plane of each kind."""
        return figures_color.ab_planes(self.result)[:MOST_PANELS]

    @cached_property
    def curves(self) -> list[Drawing]:
        """Validation curves of the two quantities that tell most."""
        found = [figures_training.curve(self.result, "val", name) for name in ("ab_rmse", "chroma_ratio")]
        return [figure for figure in found if figure]

    @cached_property
    def terms(self) -> list[Drawing]:
        """Training curves of every loss term."""
        found = [figures_training.curve(self.result, "train", name) for name in figures_training.terms(self.result)]
        return [figure for figure in found if figure][:MOST_PANELS]

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
        text = csv_text(self.result.tables[table])
        file = f"{figures.file_name(self.result.study)}-{table}.csv"
        return Download(file, data_uri(text.encode(), "text/csv;charset=utf-8") if len(text) <= LARGEST_TABLE else None)


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


def _micro(estimate: Estimate, base: Estimate | None, target: float | None, scale: tuple[float, float]) -> Micro:
    low, high = scale
    span = (high - low) or 1.0

    def place(value: float | None) -> float | None:
        return None if value is None else round(5 + (value - low) / span * (MICRO[0] - 10), 1)

    ends = (estimate.low, estimate.high) if estimate.has_interval else (None, None)
    return Micro(
        place(ends[0]), place(ends[1]), place(estimate.mean), place(base.mean if base else None), place(target)
    )
