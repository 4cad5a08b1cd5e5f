"""Theory beside the measurement: the optimum that each arm's loss asks for, and what its networks paint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from study.analysis.theory import classification_ab, huber_range, optimal_ab, raw_weights
from study.losses import (
    AntiAverageCircularLoss,
    AntiAverageLPIPSLoss,
    CircularDiversityLoss,
    ColorizationAntiAverageLoss,
    MSELoss,
)

if TYPE_CHECKING:
    from study.config.params import Arm
    from study.data.color_distribution import ColorDistribution

TOLERANCE, RELATIVE_TOLERANCE = 3.0, 0.15
"""A prediction explains a measurement within 3 Lab units, or 15 % of the predicted chroma where that is more.

3 is little above a just-noticeable difference (2.3), 15 % of a chroma of 50 are three of them: a network that was
trained for a finite time comes near an optimum and does not sit on it, the less the further out it lies. Theories that
differ in substance differ by more: on palette_world the optima of MSE and of the normalized convention are 12 to 40 Lab
units apart in every kind of several colours. Those of MSE and of the published weights are not (1 to 2 units): for
them read `change`, which is paired, instead of `explained`.
"""

GRAY = 5.0
"""Lab units of chroma, the threshold of the metric gray_share. Where the mean colour is grayer, its hue is nearly a tie
that small disturbances decide. And pixels may scatter that far around their mean: those at the edges of regions do."""

# Losses whose terms lab, saturation and confidence are those of theory.py; what else they have is not per pixel.
PIXEL_LOSSES = {
    "mse": MSELoss,
    "anti_average": ColorizationAntiAverageLoss,
    "anti_average_circular": AntiAverageCircularLoss,
    "anti_average_lpips": AntiAverageLPIPSLoss,
    "circular_diversity": CircularDiversityLoss,
}
PIXEL_TERMS = {"lab", "saturation", "confidence"}

COLUMNS = [
    "arm", "kind", "predicted_a", "predicted_b", "predicted_chroma", "a", "b", "chroma", "chroma_low", "chroma_high",
    "true_chroma", "distance", "explained", "predicted_change", "change", "note", "mse_explains",
]  # fmt: skip


@dataclass(frozen=True)
class Optimum:
    """The colours that theory predicts: all ab between `low` and `high`, (2,) each and mostly the same; or None.

    note: what must be said with the prediction, or why there is none.
    """

    low: np.ndarray | None
    high: np.ndarray | None
    note: str = ""

    def nearest(self, ab: np.ndarray) -> np.ndarray:
        """The optimal colour nearest to ab (2,)."""
        return np.clip(ab, self.low, self.high)


def theory_rows(
    law: ColorDistribution | None,
    arms: list[Arm],
    kinds: pd.DataFrame,
    prior: np.ndarray | None = None,
    gains: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """The table theory.csv, a row per arm and kind of the law; without a law only its header.

    kinds: the table kinds.csv (arm, kind, metric, mean, low, high); arms without rows in it are left out.
    prior: (313,) frequencies of the colour bins, for classes that are weighted by them. gains: of control arms.

    distance: Lab distance between the predicted colour and the mean a, b over the pixels of the kind.
    explained: "yes" when that distance is within the tolerance (see TOLERANCE) and mean chroma - chroma of the mean
    colour, the scatter of the pixels, is at most GRAY: theory predicts one colour for all pixels of a kind, and
    networks that paint many whose mean happens to be it are not explained. "no theory" where the loss has none.
    predicted_change, change: chroma minus that of the first arm with plain squared error, in theory and measured;
    empty without such an arm. note: limits of the prediction, and what differs. mse_explains: whether the optimum of
    plain squared error, the mean colour, would pass as `explained` for this arm, too.
    """
    if law is None:
        return pd.DataFrame(columns=COLUMNS)
    measured = kinds.set_index(["arm", "kind", "metric"])[["mean", "low", "high"]].dropna(subset="mean").sort_index()
    scored = set(kinds["arm"])
    averaging = next((a.name for a in arms if a.loss.name == "mse" and not a.control and not a.tuned), None)
    rows = []
    for arm in arms:
        if arm.name not in scored:
            continue
        for k, kind in enumerate(law.regions):
            if (arm.name, kind, "chroma") not in measured.index:
                continue  # no test picture has a region of this kind
            real = law.probabilities[k] > 0
            colors, probabilities = law.modes[k][real].astype(float), law.probabilities[k][real].astype(float)
            probabilities /= probabilities.sum()
            optimum = predicted_optimum(arm, colors, probabilities, prior, (gains or {}).get(arm.name))
            mean_color = probabilities @ colors
            row = {"arm": arm.name, "kind": kind} | _measured(measured.loc[arm.name, kind])
            if averaging in scored:
                row["change"] = row["chroma"] - measured.at[(averaging, kind, "chroma"), "mean"]
            rows.append(row | _judged(optimum, row, mean_color, tied=_vivid(arm), has_mse=averaging in scored))
    return pd.DataFrame(rows, columns=COLUMNS)


def predicted_optimum(
    arm: Arm, colors: np.ndarray, probabilities: np.ndarray, prior: np.ndarray | None = None, gain: float | None = None
) -> Optimum:
    """What `arm` asks for where the colour is colors (K,2) with probabilities (K,).

    prior: (313,) frequencies of the colour bins; gain: of a control arm, None where it is not known.
    """
    if arm.control is not None:
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
        return arm.control.match != "gray"
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
    """The columns of one row that compare the optimum with what was measured."""
    if optimum.low is None:
        return {"explained": "no theory", "note": optimum.note}
    measured, average = np.array([row["a"], row["b"]]), float(np.hypot(*mean_color))
    ab = optimum.nearest(measured)
    chroma = float(np.hypot(*ab))
    tolerance = max(TOLERANCE, RELATIVE_TOLERANCE * chroma)
    distance = float(np.hypot(*(measured - ab)))
    scattered = row["chroma"] - float(np.hypot(*measured)) > GRAY
    notes = [optimum.note]
    if tied and 0 < average < GRAY:
        notes.append("the mean is nearly gray: hue nearly a tie")
    if scattered:
        notes.append("pixels scatter around their mean")
    elif distance > tolerance and abs(row["chroma"] - chroma) <= tolerance:
        notes.append("chroma as predicted, hue not")
    by_mse = np.hypot(*(measured - mean_color)) <= max(TOLERANCE, RELATIVE_TOLERANCE * average) and not scattered
    judged = {
        "predicted_a": ab[0],
        "predicted_b": ab[1],
        "predicted_chroma": chroma,
        "distance": distance,
        "explained": "yes" if distance <= tolerance and not scattered else "no",
        "note": _joined(*notes),
        "mse_explains": "yes" if by_mse else "no",
    }
    if has_mse:
        judged["predicted_change"] = chroma - average
    return judged
