"""One object that holds everything a report says: the tables of results/<study>/ and a few predicted pictures."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from study.errors import StudyError

# Columns that hold words; every other column of a table holds numbers. An arm may be called "nan" or "1e3".
WORDS = {"study", "arm", "baseline", "metric", "kind", "split", "name", "status", "detail", "signature", "command",
         "verdict", "unit", "better", "says", "weakness"}  # fmt: skip
TABLES = ("arms", "paired", "kinds", "curves", "cells", "cost", "metrics")
KEY_METRICS = 6
SPELLED = {"rmse", "mse", "psnr", "ssim", "auc", "lpips", "ciede2000", "fid"}
NEEDED = {
    "arms": ("study", "arm", "metric", "mean", "low", "high", "seeds"),
    "paired": ("arm", "baseline", "metric", "delta", "low", "high", "p", "p_holm", "p_min", "verdict"),
    "kinds": ("arm", "kind", "metric", "mean", "low", "high"),
    "curves": ("arm", "split", "name", "images", "mean", "low", "high"),
    "cells": ("arm", "seed", "status", "detail", "signature", "steps", "seconds", "images_per_s", "command"),
    "cost": ("arm", "parameters", "step_ms", "images_per_s", "peak_memory_mb", "seconds", "step_ratio",
             "memory_ratio"),
    "metrics": ("metric", "unit", "low", "high", "better", "target", "margin", "says", "weakness"),
}  # fmt: skip


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
    """A paired difference to the baseline: `mean` is arm minus baseline."""

    p: float
    p_holm: float
    p_min: float
    verdict: str


@dataclass(frozen=True)
class Pictures:
    """Pictures of one arm: uint8 (P,S,S,3) sRGB, `names` and, where they must be given, `credits` in the same order."""

    names: tuple[str, ...]
    gray: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray
    credits: tuple[str, ...] = ()


@dataclass(frozen=True)
class Arm:
    """An arm as study.json describes it."""

    name: str
    description: str
    loss: str
    weights: dict[str, float] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    decode: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StudyResult:
    """All that a report is made from; nothing here is computed from the pictures or the models again."""

    facts: dict[str, Any]
    tables: dict[str, pd.DataFrame]
    pictures: dict[str, Pictures]

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
                a.get("options") or {}, a.get("decode") or {})
            for a in self.facts["arms"]
        )  # fmt: skip

    @cached_property
    def others(self) -> tuple[str, ...]:
        """Names of the arms that are not the baseline."""
        return tuple(arm.name for arm in self.arms if arm.name != self.baseline)

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
        about = [name for name in QUESTION if name in self.measured]
        rest = [name for name in self.measured if name not in about]
        chosen = set((about + rest)[:KEY_METRICS])
        return tuple(name for name in self.measured if name in chosen)

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
        seeds = {key: estimate.seeds for key, estimate in self.estimates.items()}
        return {
            (row.arm, row.metric): Comparison(
                row.delta, row.low, row.high, int(getattr(row, "seeds", seeds.get((row.arm, row.metric), 0))),
                row.p, row.p_holm, row.p_min, row.verdict,
            )
            for row in self.tables["paired"].itertuples()
            if not math.isnan(row.delta) and row.arm != self.baseline
        }  # fmt: skip

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

    def finished_seeds(self, arm: str) -> int:
        """How many seeds of an arm were trained to the end."""
        cells = self.tables["cells"]
        return int(((cells["arm"] == arm) & (cells["status"] == "finished")).sum())

    def kind_values(self, metric: str) -> dict[tuple[str, str], Estimate]:
        """(arm, kind) -> estimate of one metric of kinds.csv."""
        table = self.tables["kinds"]
        return {
            (row.arm, row.kind): Estimate(row.mean, row.low, row.high, int(getattr(row, "seeds", 0) or 0))
            for row in table[table["metric"] == metric].itertuples()
            if not math.isnan(row.mean)
        }


# Metrics that the question "sepia, and at what cost" is about, the telling ones first.
QUESTION = ("chroma_ratio", "ab_rmse", "ciede2000", "averaging_index", "mode_commitment", "colorfulness",
            "hue_diversity", "auc", "lpips")  # fmt: skip


def _loss_name(loss: Any) -> str:
    return loss.get("name", "") if isinstance(loss, dict) else loss or ""


def load_result(results: Path) -> StudyResult:
    """Read results/<study>/ (tables/*.csv, tables/study.json, predictions/*.npz).

    Raises StudyError when a table is missing, cannot be read or lacks a column.
    """
    folder = Path(results) / "tables"
    facts = _read_json(folder / "study.json")
    tables = {name: read_table(folder / f"{name}.csv", NEEDED[name]) for name in TABLES}
    prefix = "showcase_" if facts.get("pictures") == "showcase" else ""
    names = [arm["name"] for arm in facts["arms"]]
    pictures = {name: found for name in names if (found := _read_pictures(Path(results), name, prefix))}
    return StudyResult(facts, tables, pictures)


def read_table(path: Path, needed: Iterable[str]) -> pd.DataFrame:
    """One CSV: columns of words stay text as written, the others become floats (an empty field is NaN)."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise StudyError(f"{path} does not exist: run `study compare` first") from None
    except (OSError, ValueError) as error:
        raise StudyError(f"{path} cannot be read as a table ({error}): run `study compare` again") from error
    missing = [name for name in needed if name not in table.columns]
    if missing:
        raise StudyError(f"{path} has no column {', '.join(missing)}: run `study compare` again")
    for name in table.columns.difference(list(WORDS)):
        try:
            table[name] = [math.nan if text == "" else float(text) for text in table[name]]
        except ValueError as error:
            raise StudyError(f"{path}: column {name}: {error}") from None
    for name in table.columns.intersection(list(WORDS)):
        table[name] = table[name].astype(object)
    return table


def _read_json(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StudyError(f"{path} does not exist: run `study compare` first") from None
    except (OSError, ValueError) as error:
        raise StudyError(f"{path} cannot be read ({error}): run `study compare` again") from error
    missing = [key for key in ("study", "baseline", "seeds", "arms") if key not in facts]
    if missing:
        raise StudyError(f"{path} does not name {', '.join(missing)}: run `study compare` again")
    return facts


def _read_pictures(results: Path, arm: str, prefix: str) -> Pictures | None:
    path = results / "predictions" / f"{arm}.npz"
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as archive:
            if f"{prefix}prediction" not in archive or len(archive[f"{prefix}prediction"]) == 0:
                return None
            parts = (archive[prefix + part] for part in ("gray", "truth", "prediction"))
            names = tuple(str(name) for name in archive[f"{prefix}names"])
            credited = archive.get(f"{prefix}credits", ())
            return Pictures(names, *parts, tuple(str(credit) for credit in credited))
    except (OSError, ValueError, KeyError) as error:
        raise StudyError(f"{path} cannot be read ({error}): run `study evaluate` again") from error
