"""What the search for weights recommends, as values: settings with their range, finalists, and what dominates what."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pandas as pd

from study.report.result import StudyResult

OBJECTIVES = ("fidelity", "vividness", "diversity")
KINDS = {"w_": "weights", "o_": "options", "d_": "decode", "t_": "train"}
_LABELS = {"fidelity": "ab RMSE", "vividness": "vividness gap", "diversity": "hue diversity gap"}


@dataclass(frozen=True)
class Region:
    """A setting of a family: the recommended value, and the range that the data cannot tell from the best.

    open_low, open_high: the range reaches the end of what was searched, so that it may go on.
    """

    column: str  # of trials.csv
    value: float
    low: float
    high: float
    open_low: bool = False
    open_high: bool = False

    @property
    def label(self) -> str:
        """The setting as people read it."""
        return setting_label(self.column)

    @property
    def low_text(self) -> str:
        """The lower end, marked where it is open."""
        return "–" if math.isnan(self.low) else f"{'≤ ' if self.open_low else ''}{self.low:.2g}"

    @property
    def high_text(self) -> str:
        """The upper end, marked where it is open."""
        return "–" if math.isnan(self.high) else f"{'≥ ' if self.open_high else ''}{self.high:.2g}"


@dataclass(frozen=True)
class Finalist:
    """One candidate by all the names under which it is a finalist; scores: metric -> its row of finalists.csv."""

    family: str
    choices: tuple[str, ...]
    trial: float
    scores: dict[str, Any]

    def dominates(self, other: Finalist) -> bool:
        """Whether its refit scores are no worse in any objective and better in one."""
        pairs = [(self.scores[name].refit, other.scores[name].refit) for name in OBJECTIVES
                 if name in self.scores and name in other.scores]  # fmt: skip
        return len(pairs) == len(OBJECTIVES) and all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


@dataclass(frozen=True)
class Family:
    """A family of losses that was searched.

    reason: why it has no region of settings; dominated_by: finalists that dominate its recommended point.
    """

    name: str
    arm: str | None
    candidates: int
    states: dict[str, int]
    regions: tuple[Region, ...]
    reason: str
    finalists: tuple[Finalist, ...]
    dominated_by: tuple[Finalist, ...]

    @property
    def ranged(self) -> tuple[Region, ...]:
        """The settings of which a range is known."""
        return tuple(one for one in self.regions if not math.isnan(one.low))


def find_families(result: StudyResult) -> list[Family]:
    """Every searched family in the order of its first trial; empty without a search."""
    if result.search is None:
        return []
    trials, known = result.search.trials, _finalists(result.search.finalists)
    found = []
    for name in dict.fromkeys(trials["family"]):
        own = tuple(one for one in known if one.family == name)
        point = next((one for one in own if "recommended" in one.choices), None)
        better = tuple(other for other in known if point and other.dominates(point))
        rows = trials[trials["family"] == name]
        arm = next((arm.name for arm in result.arms.values() if (arm.tuned or {}).get("family") == name
                    and (arm.tuned or {}).get("choice", "recommended") == "recommended"), None)  # fmt: skip
        reason = (_told(result, name).get("middle") or {}).get("reason") or ""
        states = dict(Counter(rows["state"]))
        found.append(Family(name, arm, len(rows), states, _regions(result, name), reason, own, better))
    return found


def _finalists(table: pd.DataFrame) -> list[Finalist]:
    same = table["trial"].map(str).where(table["trial"].notna(), table["choice"])
    found = []
    for (family, _), part in table.groupby(["family", same], sort=False):
        choices = tuple(sorted(part["choice"].unique(), key=lambda name: name != "recommended"))
        found.append(Finalist(family, choices, float(part["trial"].iloc[0]),
                              {row.metric: row for row in part.itertuples()}))  # fmt: skip
    return found


def _told(result: StudyResult, family: str) -> dict[str, Any]:
    """What search.json says of one family."""
    return (result.search.meta.get("families") or {}).get(family) or {}


def _regions(result: StudyResult, family: str) -> tuple[Region, ...]:
    """The searched settings of a family, recommended value and range; without a range where the search gives none."""
    told = _told(result, family).get("region") or {}
    best = ((result.search.best.get("families") or {}).get(family) or {}).get("recommended") or {}
    trials = result.search.trials
    known, found = varied(trials[trials["family"] == family]), []
    for start, kind in KINDS.items():
        for name, value in (best.get(kind) or {}).items():
            if isinstance(value, bool) or not isinstance(value, int | float) or f"{start}{name}" not in known:
                continue
            span = told.get(f"{start}{name}") or {}
            found.append(Region(f"{start}{name}", float(value), span.get("low", math.nan), span.get("high", math.nan),
                                bool(span.get("open_low")), bool(span.get("open_high"))))  # fmt: skip
    return tuple(found)


def completed(result: StudyResult) -> pd.DataFrame:
    """Trials with numbers for all objectives."""
    trials = result.search.trials
    return trials[trials[list(OBJECTIVES)].notna().all(axis=1)]


def varied(trials: pd.DataFrame) -> list[str]:
    """Columns of numeric settings that vary in these trials."""
    return [name for name in trials.columns if name[:2] in KINDS and pd.api.types.is_numeric_dtype(trials[name])
            and trials[name].nunique() > 1]  # fmt: skip


def setting_label(column: str) -> str:
    """A column of settings as people read it."""
    name = column[2:].replace("_", " ")
    return {"w_": f"{name} weight", "o_": f"option {name}", "d_": f"decode {name}"}.get(column[:2], name)


def objective_label(metric: str, result: StudyResult) -> str:
    """An objective or a metric as people read it."""
    return result.metrics[metric].label if metric in result.metrics else _LABELS.get(metric, metric.replace("_", " "))
