"""The finalists of the search: their honest scores on fresh seeds, and which recommended points others dominate."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from study.report import sheet as s
from study.report.result import StudyResult
from study.report.style import interval, listed, number
from study.report.telling import Code
from study.report.tuning import OBJECTIVES

MOST_NAMED = 3  # finalists that dominate one point


@dataclass(frozen=True)
class Finalist:
    """One candidate by all the names under which it is a finalist; `trial` is nan for a point that was none."""

    family: str
    choices: tuple[str, ...]
    trial: float
    rows: dict[str, Any]  # metric -> its row of finalists.csv

    @property
    def choice(self) -> str:
        """Its names in one, the recommendation first."""
        return ", ".join(self.choices)

    def dominates(self, other: Finalist) -> bool:
        """Whether it is honestly no worse in any objective and better in one."""
        if not (self.rows.keys() & other.rows.keys()) >= set(OBJECTIVES):
            return False
        pairs = [(self.rows[name].honest, other.rows[name].honest) for name in OBJECTIVES]
        return all(mine <= theirs for mine, theirs in pairs) and any(mine < theirs for mine, theirs in pairs)


def finalists(result: StudyResult) -> Iterator[Finalist]:
    """Every finalist; a candidate that is several at once comes once."""
    table = result.search.finalists
    same = table["trial"].map(str).where(table["trial"].notna(), table["choice"])
    for (family, _), part in table.groupby(["family", same], sort=False):
        choices = tuple(sorted(part["choice"].unique(), key=lambda name: name != "recommended"))
        yield Finalist(family, choices, part["trial"].iloc[0], {row.metric: row for row in part.itertuples()})


def finalists_sheet(result: StudyResult) -> s.Sheet:
    """Honest scores of every finalist on fresh seeds, with the score it was tuned to behind each."""
    table, rows = result.search.finalists, []
    metrics = [metric for metric in dict.fromkeys(table["metric"]) if metric == _shown(table, metric)]
    for one in finalists(result):
        fields = [s.code(one.family), s.words(one.choice), _whole(one.trial)]
        fields += [_honest(result, one.rows[name]) if name in one.rows else s.Field("–", math.nan) for name in metrics]
        rows.append([*fields, _whole(next(iter(one.rows.values())).seeds)])
    head = [s.Column("family", words=True), s.Column("finalist", words=True), s.Column("trial")]
    head += [s.Column(_label(result, metric)) for metric in metrics]
    head += [s.Column("fresh seeds")]
    return s.sheet("finalists", "Finalists on fresh seeds", head, rows, "finalists")


def dominated(result: StudyResult) -> list[tuple[str, ...]]:
    """A sentence, names as Code, for each recommended point that another finalist dominates, and one for the rest."""
    known = list(finalists(result))
    recommended = [one for one in known if "recommended" in one.choices]
    told, free = [], []
    for one in recommended:
        better = [other for other in known if other.dominates(one)]
        if better:
            told.append(_dominated(result, one, better))
        else:
            free.append(one)
    if free:
        names: list[str] = []
        for place, one in enumerate(free):
            names += [" and " if place == len(free) - 1 else ", ", Code(one.family)] if place else [Code(one.family)]
        one_alone = len(free) == 1
        told.append(
            (f"The recommended {'point' if one_alone else 'points'} of ", *names,
             f" {'is' if one_alone else 'are'} dominated by no finalist.")
        )  # fmt: skip
    return told


def _dominated(result: StudyResult, one: Finalist, better: list[Finalist]) -> tuple[str, ...]:
    arm = next((arm.name for arm in result.arms if (arm.tuned or {}).get("family") == one.family
                and (arm.tuned or {}).get("choice", "recommended") == "recommended"), None)  # fmt: skip
    stepped = ", stepped to the truth’s mean chroma," if math.isnan(one.trial) else ""
    parts: list[str] = [Code(arm), ", the"] if arm else ["The"]
    parts += [" recommended point of ", Code(one.family), f"{stepped or (',' if arm else '')} is dominated: "]
    names = [_shown(result.search.finalists, name) for name in OBJECTIVES]
    parts.append(f"on the fresh seeds its {listed(_label(result, name) for name in names)} are {_values(result, one)}")
    for place, other in enumerate(better[:MOST_NAMED]):
        parts += ["; those of " if place else ", those of ", Code(other.family)]
        parts.append(f" ({other.choice}) are {_values(result, other)}")
    more = len(better) - MOST_NAMED
    parts.append(f", and {more} more finalists are better, too." if more > 0 else ".")
    if all(other.family != one.family for other in better):
        parts.append(" No finalist of its own family dominates it.")
    parts.append(" These are means, not tested.")
    return tuple(parts)


def _values(result: StudyResult, one: Finalist) -> str:
    names = [_shown(result.search.finalists, name) for name in OBJECTIVES]
    return listed(_honest(result, one.rows[name]).text for name in names)


def _shown(table: pd.DataFrame, metric: str) -> str:
    """The metric under whose name a column is shown: fidelity is ab RMSE under another name."""
    return "ab_rmse" if metric == "fidelity" and "ab_rmse" in set(table["metric"]) else metric


def _whole(value: float) -> s.Field:
    return s.Field("–" if math.isnan(value) else f"{value:g}", float(value))


def _honest(result: StudyResult, row: Any) -> s.Field:
    card = result.metrics.get(row.metric)
    decimals = card.decimals if card else s.enough_decimals(row.tuned, row.honest)
    tuned = "" if math.isnan(row.tuned) else f"tuned {number(row.tuned, decimals)}"
    detail = " ".join(part for part in (interval(row.low, row.high, decimals), tuned) if part)
    return s.Field(number(row.honest, decimals), float(row.honest), "number", detail)


def _label(result: StudyResult, metric: str) -> str:
    gaps = {"vividness": "vividness gap", "diversity": "hue diversity gap"}
    card = result.metrics.get(metric)
    return card.label if card else gaps.get(metric, metric.replace("_", " "))
