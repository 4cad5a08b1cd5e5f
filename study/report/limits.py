"""How far each arm lies above the least error at its own amount, and its own spread, of colour: values from tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from study.report.result import Estimate, StudyResult

MEASURES = ("excess_at_chroma", "excess_at_distance")
EXACT = "exact_law"
"""The arm of limits.csv that predicts from the known law of a generated world."""
CURVES = ("chroma_limit", "distance_limit", "gain", "lift", "transport")


@dataclass(frozen=True)
class Spot:
    """Where an arm lies, mean over seeds; each with the smallest and the largest of its seeds.

    error: root of the pooled squared error per channel; chroma, ab_distance: Lab units.
    """

    error: Estimate
    chroma: Estimate
    ab_distance: Estimate


@dataclass(frozen=True)
class Limits:
    """spots: arm -> where it lies, the exact law included where it is known; excess: (arm, measure) -> share above.

    curves: name -> columns chroma, ab_distance and error (the root), NaN where a curve does not say.
    """

    spots: dict[str, Spot]
    excess: dict[tuple[str, str], Estimate]
    curves: dict[str, dict[str, np.ndarray]]

    def above(self, arm: str) -> tuple[float, float] | None:
        """Mean excess of an arm at its chroma and at its distance; None where one is not known."""
        found = [self.excess.get((arm, measure)) for measure in MEASURES]
        return (found[0].mean, found[1].mean) if all(found) else None


def find_limits(result: StudyResult) -> Limits | None:
    """Read the limits; None where they were not worked out."""
    table = result.tables.get("limits")
    if table is None or table.empty:
        return None
    spots = {}
    for arm, rows in table.assign(error=np.sqrt(table["error"])).groupby("arm", sort=False):
        if arm in result.arms or arm == EXACT:
            spots[arm] = Spot(*(Estimate(own.mean(), own.min(), own.max(), len(own))
                                for own in (rows["error"], rows["chroma"], rows["ab_distance"])))  # fmt: skip
    # Rows "against" another arm are differences to it.
    excess = {(row.arm, row.measure): Estimate(row.mean, row.low, row.high) for row in result.rows("limits_arms")
              if row.measure in MEASURES and not getattr(row, "against", "") and row.mean == row.mean}  # fmt: skip
    curves = {}
    known = result.tables.get("limit_curves")
    for name, rows in known.groupby("curve", sort=False) if known is not None else ():
        if name.removesuffix("_exact") in CURVES:
            rows = rows.sort_values("parameter")
            curves[name] = {key: rows[key].to_numpy(float) for key in ("chroma", "ab_distance")}
            curves[name]["error"] = np.sqrt(rows["error"].to_numpy(float))
    return Limits(spots, excess, curves)
