"""One object that holds everything a report says: the tables of results/<study>/ and a few predicted pictures."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from study.report.looks import Look, looks

KEY_METRICS = 7
SPELLED = {"rmse", "mse", "psnr", "ssim", "auc", "lpips", "ciede2000", "fid"}


@dataclass(frozen=True)
class Metric:
    """What metrics.csv says of one metric; `better` is "higher", "lower", "target" or None."""

    name: str
    unit: str
    low: float
    high: float
    better: str | None
    target: float | None
    margin: float
    says: str
    weakness: str

    @property
    def label(self) -> str:
        """The name as people read it: spaces for underscores, capitals for what is spelled out."""
        return " ".join(word.upper() if word in SPELLED else word for word in self.name.split("_"))

    @property
    def decimals(self) -> int:
        """Digits after the point: one more than the smallest difference that matters (`margin`) needs."""
        if not self.margin > 0 or math.isinf(self.margin):
            return 3
        return min(5, max(0, math.ceil(-math.log10(self.margin)) + 1))

    @property
    def direction(self) -> str:
        """Which way is better, in words."""
        if self.better == "target":
            return f"nearer {self.target:g} is better"
        return f"{self.better} is better" if self.better else "neither way is better by itself"

    @property
    def range(self) -> str:
        """The values it can take, as an interval."""
        low = "(−∞" if math.isinf(self.low) or math.isnan(self.low) else f"[{self.low:g}".replace("-", "−")
        high = "∞)" if math.isinf(self.high) or math.isnan(self.high) else f"{self.high:g}]".replace("-", "−")
        return f"{low}, {high}"

    def badness(self, value: float) -> float:
        """A number that is smaller for a better value; the value itself when no way is better."""
        if self.better == "target":
            return abs(value - self.target)
        return -value if self.better == "higher" else value


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval; `low` and `high` are NaN where there is none."""

    mean: float
    low: float
    high: float
    seeds: int

    @property
    def has_interval(self) -> bool:
        """Whether both ends are numbers."""
        return math.isfinite(self.low) and math.isfinite(self.high)


@dataclass(frozen=True)
class Comparison(Estimate):
    """A paired difference to the baseline: `mean` is arm minus baseline.

    p, p_holm: exact, of flipping the seeds' signs, alone and corrected for the number of arms; p_min: the smallest that
    the seeds allow. p_interval: of the two-level interval, corrected likewise; what the verdict rests on.
    """

    p: float
    p_holm: float
    p_min: float
    verdict: str
    p_interval: float = math.nan


@dataclass(frozen=True)
class Pictures:
    """Pictures of one arm: uint8 (P,S,S,3) sRGB, `names` and, where they must be given, `credits` in the same order."""

    names: tuple[str, ...]
    gray: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray
    credits: tuple[str, ...] = ()
    grid: tuple[int, ...] = ()  # indices of the few that a grid shows; the others wait to be chosen by score


@dataclass(frozen=True)
class Usage:
    """How often one arm, and the truth, use which colour over all test pictures.

    ab: counts (44,44) over a (rows) and b (columns) from -110 to 110; hue: (36,) chroma-weighted share per 10 degrees
    from -180; chroma: (60,) counts of 0..150.
    """

    ab: np.ndarray
    true_ab: np.ndarray
    hue: np.ndarray
    true_hue: np.ndarray
    chroma: np.ndarray
    true_chroma: np.ndarray


@dataclass(frozen=True)
class Search:
    """What the search for weights left: its tables, search.json and best.yaml (each may be empty)."""

    trials: pd.DataFrame
    finalists: pd.DataFrame
    facts: dict[str, Any]
    best: dict[str, Any]


@dataclass(frozen=True)
class Arm:
    """An arm as study.json describes it; `control` and `tuned` say how it came by its network or its weights."""

    name: str
    description: str
    loss: str
    weights: dict[str, float] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    decode: dict[str, Any] = field(default_factory=dict)
    train: dict[str, Any] = field(default_factory=dict)
    control: dict[str, Any] | None = None
    tuned: dict[str, Any] | None = None


@dataclass(frozen=True)
class StudyResult:
    """All that a report is made from; nothing here is computed from the pictures or the models again."""

    facts: dict[str, Any]
    tables: dict[str, pd.DataFrame]
    pictures: dict[str, Pictures]
    usage: dict[str, Usage] = field(default_factory=dict)
    search: Search | None = None

    @property
    def study(self) -> str:
        """The study's name, as in params.yaml."""
        return self.facts["study"]

    @property
    def title(self) -> str:
        """The study's title, or its name when it has none."""
        return self.facts.get("title") or self.study

    @property
    def baseline(self) -> str:
        """The arm that all others are compared with."""
        return self.facts["baseline"]

    @property
    def seeds(self) -> list[int]:
        """The declared seeds."""
        return list(self.facts["seeds"])

    @cached_property
    def arms(self) -> tuple[Arm, ...]:
        """The declared arms, in declared order."""
        return tuple(
            Arm(a["name"], a.get("description") or "", _loss_name(a.get("loss")), a.get("weights") or {},
                a.get("options") or {}, a.get("decode") or {},
                {key: value for key, value in (a.get("train") or {}).items() if value is not None},
                a.get("control"), a.get("tuned"))
            for a in self.facts["arms"]
        )  # fmt: skip

    @cached_property
    def others(self) -> tuple[str, ...]:
        """Names of the arms that are not the baseline."""
        return tuple(arm.name for arm in self.arms if arm.name != self.baseline)

    @cached_property
    def looks(self) -> dict[str, Look]:
        """How every arm is drawn, everywhere; in the order in which arms are shown: family by family."""
        return looks(self.arms, self.baseline)

    @cached_property
    def shown(self) -> tuple[Arm, ...]:
        """The arms in the order of `looks`: the baseline and the losses, the tuned, the doses, the controls."""
        known = {arm.name: arm for arm in self.arms}
        return tuple(known[name] for name in self.looks)

    def arm(self, name: str) -> Arm | None:
        """An arm by its name."""
        return next((arm for arm in self.arms if arm.name == name), None)

    def is_derived(self, arm: str) -> bool:
        """Whether an arm is a dose or a control, and so the first to leave where room is short.

        The gain that the tuned arms have to beat is not: it is shown beside them.
        """
        return arm in self.looks and self.looks[arm].family in ("dose", "control") and arm != self.gain_control

    def has(self, table: str) -> bool:
        """Whether a table that a study may lack has rows."""
        return len(self.tables[table]) > 0

    @cached_property
    def metrics(self) -> dict[str, Metric]:
        """Every metric of metrics.csv in its order."""
        return {
            row.metric: Metric(
                row.metric, row.unit, row.low, row.high, row.better if row.better not in ("", "None") else None,
                None if math.isnan(row.target) else row.target, row.margin, row.says, row.weakness,
            )
            for row in self.tables["metrics"].itertuples()
        }  # fmt: skip

    @cached_property
    def measured(self) -> tuple[str, ...]:
        """Metrics that at least one arm has a mean of, in table order."""
        present = set(self.tables["arms"]["metric"][self.tables["arms"]["mean"].notna()])
        return tuple(name for name in self.metrics if name in present)

    @cached_property
    def unmeasured(self) -> tuple[str, ...]:
        """Metrics that are defined but that no arm has a value of."""
        return tuple(name for name in self.metrics if name not in self.measured)

    @cached_property
    def key_metrics(self) -> tuple[str, ...]:
        """The few measured metrics shown first: those about the question, then the first ones of the table."""
        about = [name for name in QUESTION if name in self.measured and not self.is_foreign(name)]
        rest = [name for name in self.measured if name not in about and not self.is_foreign(name)]
        chosen = set((about + rest)[:KEY_METRICS])
        return tuple(name for name in self.measured if name in chosen)

    def is_foreign(self, metric: str) -> bool:
        """Whether it is a colour cast that averaging does not bring in this world, so that less of it says nothing."""
        casts = (self.facts.get("law") or {}).get("casts") or {}
        return metric in casts and casts[metric] < self.metrics[metric].margin

    @cached_property
    def estimates(self) -> dict[tuple[str, str], Estimate]:
        """(arm, metric) -> its mean and interval."""
        return {
            (row.arm, row.metric): Estimate(row.mean, row.low, row.high, int(row.seeds))
            for row in self.tables["arms"].itertuples()
            if not math.isnan(row.mean)
        }

    @cached_property
    def comparisons(self) -> dict[tuple[str, str], Comparison]:
        """(arm, metric) -> its paired difference to the baseline."""
        return self._differences(self.baseline)

    @cached_property
    def gain_control(self) -> str | None:
        """The control that tuned arms are compared with beside the baseline, where there is one."""
        others = [name for name in self.tables["paired"]["baseline"] if name != self.baseline]
        return others[0] if others else None

    @cached_property
    def against_gain(self) -> dict[tuple[str, str], Comparison]:
        """(arm, metric) -> its paired difference to `gain_control`; empty without one."""
        return self._differences(self.gain_control) if self.gain_control else {}

    def _differences(self, baseline: str) -> dict[tuple[str, str], Comparison]:
        seeds = {key: estimate.seeds for key, estimate in self.estimates.items()}
        return {
            (row.arm, row.metric): Comparison(
                row.delta, row.low, row.high, int(getattr(row, "seeds", seeds.get((row.arm, row.metric), 0))),
                row.p, row.p_holm, row.p_min, row.verdict, row.p_t_holm,
            )
            for row in self.tables["paired"].itertuples()
            if row.baseline == baseline and not math.isnan(row.delta) and row.arm != baseline
        }  # fmt: skip

    @cached_property
    def twins(self) -> dict[str, str]:
        """Arms that are the same as an earlier one but for their name, as a tuned one may come to be, and which."""
        first: dict[str, str] = {}
        found: dict[str, str] = {}
        for arm in self.arms:
            settings = repr([arm.loss, *(sorted((part or {}).items()) for part in
                                         (arm.weights, arm.options, arm.decode, arm.train, arm.control))])  # fmt: skip
            if first.setdefault(settings, arm.name) != arm.name:
                found[arm.name] = first[settings]
        return found

    @cached_property
    def p_min(self) -> float:
        """The smallest p that the number of seeds allows (the smallest over the table); NaN without comparisons."""
        return min((c.p_min for c in self.comparisons.values() if not math.isnan(c.p_min)), default=math.nan)

    @cached_property
    def holm_floor(self) -> float:
        """The smallest p (Holm) that seeds and number of arms allow on any metric; NaN without comparisons."""
        compared = Counter(metric for _, metric in self.comparisons)
        floors = [min(1.0, compared[metric] * c.p_min) for (_, metric), c in self.comparisons.items()]
        return min((floor for floor in floors if not math.isnan(floor)), default=math.nan)

    @cached_property
    def status(self) -> dict[str, list[Any]]:
        """Rows of cells.csv by status, in the table's order."""
        rows: dict[str, list[Any]] = {}
        for row in self.tables["cells"].itertuples():
            rows.setdefault(row.status, []).append(row)
        return rows

    def kind_values(self, metric: str) -> dict[tuple[str, str], Estimate]:
        """(arm, kind) -> estimate of one metric of kinds.csv."""
        table = self.tables["kinds"]
        return {
            (row.arm, row.kind): Estimate(row.mean, row.low, row.high, int(getattr(row, "seeds", 0) or 0))
            for row in table[table["metric"] == metric].itertuples()
            if not math.isnan(row.mean)
        }


# Metrics that the question "sepia, and at what cost" is about, the telling ones first.
QUESTION = ("chroma_ratio", "ab_rmse", "ciede2000", "sepia_cast", "averaging_index", "mode_commitment",
            "colorfulness", "hue_diversity", "auc", "lpips")  # fmt: skip


def _loss_name(loss: Any) -> str:
    return loss.get("name", "") if isinstance(loss, dict) else loss or ""
