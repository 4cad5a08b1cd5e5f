"""The table theory.csv: the colour that each loss asks for, beside the colour that its networks paint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from study.analysis.theory import classification_ab, huber_range, optimal_ab, raw_weights
from study.config.arms import Arm
from study.losses import (
    AntiAverageCircularLoss,
    AntiAverageLPIPSLoss,
    CircularDiversityLoss,
    ColorizationAntiAverageLoss,
    MSELoss,
)

TOLERANCE, RELATIVE_TOLERANCE = 3.0, 0.15
"""A prediction explains a measurement within 3 Lab units, or 15 % of the predicted chroma where that is more.

3 is little above a just-noticeable difference (2.3); 15 % of a chroma of 50 are three of them. A network trained for a
finite time comes near an optimum but not onto it, the less the further out it lies. Theories that differ in substance
differ by more: on palette_world the optima of MSE and of the normalized convention are 12 to 40 Lab units apart in
every kind of region with several colours. Those of MSE and of the published weights are only 1 to 2 units apart: for
them `change`, which is paired, says more than `explained`.
"""

GRAY = 5.0
"""Lab units of chroma, the threshold of the metric gray_share. Where the mean colour has less, its hue is nearly a tie
that small disturbances decide. Pixels may scatter that far around their mean, as those at the edges of regions do."""

# Losses whose terms lab, saturation and confidence are those of theory.py. Their other terms are not per pixel.
PIXEL_LOSSES = {
    "mse": MSELoss,
    "anti_average": ColorizationAntiAverageLoss,
    "anti_average_circular": AntiAverageCircularLoss,
    "anti_average_lpips": AntiAverageLPIPSLoss,
    "circular_diversity": CircularDiversityLoss,
}
PIXEL_TERMS = {"lab", "saturation", "confidence"}

Colors = tuple[np.ndarray, np.ndarray]
"""The colour distribution of a kind of region: ab (K,2) in Lab units, and their probabilities (K,)."""


@dataclass(frozen=True)
class Optimum:
    """The colours that theory predicts: all ab between `low` and `high`, (2,) each and mostly equal.

    low, high: None where nothing is predicted. note: limits of the prediction, or why there is none.
    """

    low: np.ndarray | None
    high: np.ndarray | None
    note: str = ""

    def nearest(self, ab: np.ndarray) -> np.ndarray:
        """The optimal colour nearest to ab (2,)."""
        return np.clip(ab, self.low, self.high)


def theory_rows(
    distribution: Mapping[str, Colors],
    arms: list[Arm],
    regions: pd.DataFrame,
    prior: np.ndarray | None = None,
    gains: Mapping[str, float] | None = None,
) -> list[dict[str, Any]]:
    """Rows of theory.csv, one per arm and kind of region whose colour distribution is known.

    distribution: kind of region -> its colours. regions: the table regions.csv; arms without rows in it are left out.
    prior: (313,) frequencies of the colour bins, for classes that are weighted by them. gains: of control arms.

    distance: Lab distance between the predicted colour and the mean a, b over the pixels of the kind.
    explained: "yes" when that distance is within the tolerance (see TOLERANCE), and the scatter of the pixels (mean
    chroma - chroma of the mean colour) is at most GRAY. Theory predicts one colour for all pixels of a kind, so a
    network that paints many colours with that mean is not explained. "no theory" where the loss has none.
    predicted_change, change: chroma minus that of the first arm with plain squared error, in theory and measured;
    empty without such an arm. note: limits of the prediction. mse_explains: whether the optimum of plain squared error,
    the mean colour, would pass as `explained` for this arm, too.
    """
    measured = regions.set_index(["arm", "region", "metric"])[["mean", "low", "high"]].dropna(subset="mean")
    measured = measured.sort_index()
    scored = set(regions["arm"])
    averaging = next((a.name for a in arms if a.loss.name == "mse" and not a.control and not a.tuned), None)
    rows = []
    for arm in arms:
        for region, (colors, probabilities) in distribution.items():
            if (arm.name, region, "chroma") not in measured.index:
                continue  # the arm is not scored, or no test picture has such a region
            optimum = predicted_optimum(arm, colors, probabilities, prior, (gains or {}).get(arm.name))
            mean_color = probabilities @ colors
            row = {"arm": arm.name, "region": region} | _measured(measured.loc[arm.name, region])
            if averaging in scored:
                row["change"] = row["chroma"] - measured.at[(averaging, region, "chroma"), "mean"]
            rows.append(row | _judged(optimum, row, mean_color, tied=_vivid(arm), has_mse=averaging in scored))
    return rows


def predicted_optimum(
    arm: Arm, colors: np.ndarray, probabilities: np.ndarray, prior: np.ndarray | None = None, gain: float | None = None
) -> Optimum:
    """What `arm` asks for where the colour is one of colors (K,2) with probabilities (K,).

    prior: (313,) frequencies of the colour bins. gain: of a control arm, None where it is not known.
    """
    if arm.control is not None:
        if arm.control.by != "gain":
            return Optimum(None, None, f"a {arm.control.by} of the colours of {arm.control.of}")
        gain = 0.0 if arm.control.match == "gray" else gain
        if gain is None:
            return Optimum(None, None, "its gain is not known")
        plain = predicted_optimum(arm.model_copy(update={"control": None}), colors, probabilities, prior)
        if plain.low is None:
            return plain
        return Optimum(gain * plain.low + 0.0, gain * plain.high + 0.0, _joined(f"gain {gain:.3g}", plain.note))
    options = arm.loss.options
    if arm.loss.name in PIXEL_LOSSES:
        weights = dict(arm.loss.weights or PIXEL_LOSSES[arm.loss.name].terms)
        if not weights.get("lab"):
            return Optimum(None, None, "without the lab term no hue is preferred")
        raw = raw_weights(weights, options.get("units", "raw"))
        partly = any(weight and term not in PIXEL_TERMS for term, weight in weights.items())
        return _point(optimal_ab(colors, probabilities, **raw), "per-pixel terms only" if partly else "")
    if arm.loss.name == "huber":
        low, high = huber_range(colors, probabilities, **options)
        return Optimum(low, high, "a range is optimal: its nearest colour is given" if np.any(high > low) else "")
    if arm.loss.name == "classification":
        if options.get("rebalance", 0.5) is not None and prior is None:
            return Optimum(None, None, "needs the frequencies of the colour bins")
        targets = {name: options[name] for name in ("rebalance", "neighbors", "sigma") if name in options}
        return _point(classification_ab(colors, probabilities, arm.decode.temperature, prior, **targets))
    return Optimum(None, None, "its loss has no optimum per pixel")


def _point(ab: np.ndarray, note: str = "") -> Optimum:
    return Optimum(ab, ab, note)


def _joined(*notes: str) -> str:
    return "; ".join(filter(None, notes))


def _vivid(arm: Arm) -> bool:
    """Whether the loss paints the mean's hue at more than the mean's chroma."""
    if arm.control is not None:
        return arm.control.match != "gray" and arm.control.by != "transport"
    return arm.loss.name in PIXEL_LOSSES and arm.loss.name != "mse"


def _measured(found: pd.DataFrame) -> dict[str, float]:
    return {
        "a": found.at["a_mean", "mean"],
        "b": found.at["b_mean", "mean"],
        "chroma": found.at["chroma", "mean"],
        "chroma_low": found.at["chroma", "low"],
        "chroma_high": found.at["chroma", "high"],
        "true_chroma": found.at["true_chroma", "mean"],
    }


def _judged(optimum: Optimum, row: dict, mean_color: np.ndarray, tied: bool, has_mse: bool) -> dict:
    """The fields of one row that compare the optimum with what was measured."""
    measured, average = np.array([row["a"], row["b"]]), float(np.hypot(*mean_color))
    scattered = row["chroma"] - float(np.hypot(*measured)) > GRAY
    by_mse = np.hypot(*(measured - mean_color)) <= max(TOLERANCE, RELATIVE_TOLERANCE * average) and not scattered
    judged = {"mse_explains": bool(by_mse)}
    if optimum.low is None:
        return judged | {"explained": "no theory", "note": optimum.note}
    ab = optimum.nearest(measured)
    chroma = float(np.hypot(*ab))
    tolerance = max(TOLERANCE, RELATIVE_TOLERANCE * chroma)
    distance = float(np.hypot(*(measured - ab)))
    notes = [optimum.note]
    if tied and 0 < average < GRAY:
        notes.append("the mean is nearly gray: hue nearly a tie")
    if scattered:
        notes.append("pixels scatter around their mean")
    elif distance > tolerance and abs(row["chroma"] - chroma) <= tolerance:
        notes.append("chroma as predicted, hue not")
    if has_mse:
        judged["predicted_change"] = chroma - average
    return judged | {
        "predicted_a": ab[0],
        "predicted_b": ab[1],
        "predicted_chroma": chroma,
        "distance": distance,
        "explained": "yes" if distance <= tolerance and not scattered else "no",
        "note": _joined(*notes),
    }
