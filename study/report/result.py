"""Everything that a report is made from, as values: tables of results/<study>/, metadata, pictures and the search."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from study.statistics import badness

AMOUNT, ERROR, SEPIA, COMMITMENT = "chroma_ratio", "ab_rmse", "sepia_cast", "mode_commitment"
KEY_METRICS = 7
# The weights that were published with the anti-average loss, in raw Lab units.
PUBLISHED = {"lab": 1.0, "saturation": 0.01, "diversity": 0.5, "confidence": 1.0}
_CAPITALS = {"rmse", "mse", "psnr", "ssim", "auc", "lpips", "ciede2000", "fid"}


@dataclass(frozen=True)
class Metric:
    """A row of metrics.csv.

    better: "higher", "lower", "target", or "" where neither way is better. key: place among the metrics that are shown
    first, NaN for one that is not among them.
    """

    name: str
    unit: str
    low: float
    high: float
    better: str
    target: float
    margin: float
    says: str
    weakness: str
    key: float

    @property
    def label(self) -> str:
        """The name as people read it."""
        return " ".join(word.upper() if word in _CAPITALS else word for word in self.name.split("_"))

    @property
    def unit_label(self) -> str:
        """The unit in brackets with a space before; empty for a pure number."""
        if self.unit == "1" or self.unit.lower() == self.name:
            return ""
        return f" ({self.unit} units)" if self.unit == "Lab" else f" ({self.unit})"

    @property
    def decimals(self) -> int:
        """Digits after the point: one more than the margin needs."""
        if not 0 < self.margin < math.inf:
            return 3
        return min(5, max(0, math.ceil(-math.log10(self.margin)) + 1))

    def badness(self, value: float) -> float:
        """A number that is smaller for a better value; the value itself when no way is better."""
        return badness(value, self.better, self.target)


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval; `low` and `high` are NaN where there is none."""

    mean: float
    low: float
    high: float
    seeds: int = 0

    @property
    def has_interval(self) -> bool:
        """Whether both ends are numbers."""
        return math.isfinite(self.low) and math.isfinite(self.high)


@dataclass(frozen=True)
class Comparison(Estimate):
    """A row of paired.csv: `mean` is arm minus baseline. p: of the interval, corrected by Holm over the arms."""

    p: float = math.nan
    verdict: str = "inconclusive"
    half: str = ""  # verdict at half the margin
    double: str = ""  # verdict at twice the margin


@dataclass(frozen=True)
class Pictures:
    """Pictures of one arm: uint8 (P,S,S,3) sRGB; `names` and, where they must be given, `credits` in the same order."""

    names: tuple[str, ...]
    gray: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray
    credits: tuple[str, ...] = ()
    grid: tuple[int, ...] = ()  # indices of the few that a gallery shows; the others wait to be chosen by score


@dataclass(frozen=True)
class ColorUse:
    """How often one arm, and the truth, use which colour over all test pictures.

    ab: counts (44,44) over a (rows) and b (columns), -110..110; hue: (36,) chroma-weighted share per 10 degrees from
    -180; chroma: (60,) counts of 0..150.
    """

    ab: np.ndarray
    true_ab: np.ndarray
    hue: np.ndarray
    true_hue: np.ndarray
    chroma: np.ndarray
    true_chroma: np.ndarray


@dataclass(frozen=True)
class Search:
    """What the search for weights left: its tables, search.json and best.yaml."""

    trials: pd.DataFrame
    finalists: pd.DataFrame
    meta: dict[str, Any]
    best: dict[str, Any]


@dataclass(frozen=True)
class Arm:
    """An arm as study.json describes it. control and tuned say how it came by its network or its weights."""

    name: str
    description: str = ""
    loss: str = ""
    weights: dict[str, float] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    decode: dict[str, Any] = field(default_factory=dict)
    train: dict[str, Any] = field(default_factory=dict)
    control: dict[str, Any] | None = None
    tuned: dict[str, Any] | None = None

    @property
    def is_gray(self) -> bool:
        """Whether it is the reference without any colour."""
        return bool(self.control) and self.control.get("match") == "gray"


@dataclass(frozen=True)
class StudyResult:
    """All that a report is made from. meta: study.json; tables: by name, as their schemas declare them."""

    meta: dict[str, Any]
    tables: dict[str, pd.DataFrame]
    pictures: dict[str, Pictures] = field(default_factory=dict)
    color_use: dict[str, ColorUse] = field(default_factory=dict)
    search: Search | None = None

    @property
    def study(self) -> str:
        """The study's name in params.yaml."""
        return self.meta["study"]

    @property
    def title(self) -> str:
        """The study's title, or its name when it has none."""
        return self.meta.get("title") or self.study

    @property
    def baseline(self) -> str:
        """The arm that all others are compared with."""
        return self.meta["baseline"]

    @property
    def seeds(self) -> list[int]:
        """The declared seeds."""
        return list(self.meta["seeds"])

    @cached_property
    def arms(self) -> dict[str, Arm]:
        """The declared arms by name, in declared order."""
        found = {}
        for one in self.meta["arms"]:
            known = {key: one.get(key) or {} for key in ("weights", "options", "decode")}
            known["train"] = {key: value for key, value in (one.get("train") or {}).items() if value is not None}
            found[one["name"]] = Arm(one["name"], one.get("description") or "", one.get("loss") or "", **known,
                                     control=one.get("control"), tuned=one.get("tuned"))  # fmt: skip
        return found

    @cached_property
    def trained(self) -> list[str]:
        """Names of the arms that are trained; the others are references."""
        return [name for name, arm in self.arms.items() if not arm.control]

    @cached_property
    def references(self) -> list[str]:
        """Names of the arms that are made without training."""
        return [name for name, arm in self.arms.items() if arm.control]

    @cached_property
    def metrics(self) -> dict[str, Metric]:
        """Every metric by name, in the order of metrics.csv."""
        fields = ("metric", "unit", "low", "high", "better", "target", "margin", "says", "weakness", "key")
        return {row.metric: Metric(*(getattr(row, name) for name in fields)) for row in self.rows("metrics")}

    @cached_property
    def measured(self) -> tuple[str, ...]:
        """Metrics of which at least one arm has a mean."""
        present = {metric for _, metric in self.estimates}
        return tuple(name for name in self.metrics if name in present)

    @cached_property
    def key_metrics(self) -> tuple[str, ...]:
        """The few measured metrics that are shown first."""
        usable = [name for name in self.measured if not self.is_foreign(name)]
        chosen = sorted(usable, key=lambda name: np.nan_to_num(self.metrics[name].key, nan=math.inf))[:KEY_METRICS]
        return tuple(name for name in self.measured if name in chosen)

    def is_foreign(self, metric: str) -> bool:
        """Whether it is a colour cast that averaging does not bring in this world: less of it says nothing."""
        casts = (self.distribution or {}).get("casts") or {}
        return metric in casts and metric in self.metrics and casts[metric] < self.metrics[metric].margin

    @property
    def distribution(self) -> dict[str, Any] | None:
        """The known colour distribution of the data, where there is one."""
        return self.meta.get("color_distribution")

    @cached_property
    def estimates(self) -> dict[tuple[str, str], Estimate]:
        """(arm, metric) -> its mean and interval."""
        return {(row.arm, row.metric): Estimate(row.mean, row.low, row.high, row.seeds)
                for row in self.rows("arms") if not math.isnan(row.mean)}  # fmt: skip

    @cached_property
    def comparisons(self) -> dict[tuple[str, str], Comparison]:
        """(arm, metric) -> its paired difference to the baseline."""
        return self.differences_to(self.baseline)

    def differences_to(self, baseline: str | None) -> dict[tuple[str, str], Comparison]:
        """(arm, metric) -> its paired difference to the given arm."""
        return {
            (row.arm, row.metric): Comparison(row.delta, row.low, row.high, row.seeds, row.p_t_holm, row.verdict,
                                              row.verdict_half_margin, row.verdict_double_margin)
            for row in self.rows("paired")
            if row.baseline == baseline and row.arm != baseline and not math.isnan(row.delta)
        }  # fmt: skip

    def regions(self, metric: str) -> dict[tuple[str, str], Estimate]:
        """(arm, region) -> estimate of one metric of regions.csv."""
        return {(row.arm, row.region): Estimate(row.mean, row.low, row.high, row.seeds)
                for row in self.rows("regions") if row.metric == metric and not math.isnan(row.mean)}  # fmt: skip

    def rows(self, table: str) -> list[Any]:
        """Rows of a table as named tuples; none of a table that is not there."""
        return list(self.tables[table].itertuples(index=False)) if table in self.tables else []

    @cached_property
    def published(self) -> str | None:
        """The arm with the published weights in raw units; with several, the one with the fewest options."""
        found = [
            arm for arm in self.arms.values()
            if arm.loss == "anti_average" and not arm.control and arm.options.get("units", "raw") == "raw"
            and {name: float(value) for name, value in arm.weights.items()} == PUBLISHED
        ]  # fmt: skip
        return min(found, key=lambda arm: len(arm.options)).name if found else None

    @cached_property
    def twins(self) -> dict[str, str]:
        """Arms with the settings of an earlier one (a tuned one may come to be that), and which."""
        first: dict[str, str] = {}
        found = {}
        for arm in self.arms.values():
            parts = (arm.weights, arm.options, arm.decode, arm.train, arm.control or {})
            settings = repr([arm.loss, *(sorted(part.items()) for part in parts)])
            if first.setdefault(settings, arm.name) != arm.name:
                found[arm.name] = first[settings]
        return found
