"""The rule that recommends one of several points, and which points it cannot tell from the best.

    1. chroma:  |chroma_ratio - 1| is at most 0.03, or else at most that of the point nearest to 1
    2. error:   of those, ab_rmse exceeds the smallest by at most 1 %
    3. hue:     of those, the gap of hue diversity is smallest

Where nothing is searched that is meant to change colours, as for plain MSE and its learning rate, step 1 is left out:
chroma tells nothing there.

A point cannot be told from the best when it passes every step after an allowance of one standard error. For hue the
allowance is 0.02 more: smaller gaps do not matter.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

SCORES = ("chroma_ratio", "ab_rmse", "diversity")
"""The scores that the rule looks at, in this order."""

# Nearer than the 5 % that are asked for: the cheapest point among those is usually the dullest.
CLOSE = 0.03
ALIKE = 0.01
HUE = 0.02

Table = Mapping[str, np.ndarray]


def best_point(table: Table, colors: bool) -> int:
    """Which point the rule recommends.

    table: `SCORES` of n points, (n,) each. colors: whether anything is searched that is meant to change colours.
    """
    chroma, error = _steps(table, colors, dict.fromkeys(SCORES, 0.0))
    left = np.flatnonzero(chroma & error)
    return int(left[np.asarray(table["diversity"])[left].argmin()])


def passed(table: Table, colors: bool, errors: Table | Mapping[str, float]) -> dict[str, np.ndarray]:
    """For every score of `SCORES`, which points (n,) cannot be told from the best in it.

    errors: standard errors of the difference of each point and the best one, a number or (n,).
    """
    chroma, error = _steps(table, colors, errors)
    diversity = np.asarray(table["diversity"])
    limit = diversity[best_point(table, colors)] + HUE + errors["diversity"]
    return dict(zip(SCORES, (chroma, error, diversity <= limit), strict=True))


def alike(table: Table, colors: bool, errors: Table | Mapping[str, float]) -> np.ndarray:
    """Which points (n,) cannot be told from the best one, which is always among them."""
    return np.logical_and.reduce(list(passed(table, colors, errors).values()))


def _steps(table: Table, colors: bool, errors: Table | Mapping[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """Which points pass the first two steps of the rule with these allowances."""
    gaps = np.abs(np.asarray(table["chroma_ratio"]) - 1) if colors else np.zeros(len(table["chroma_ratio"]))
    reach = max(CLOSE, gaps.min())
    error = np.asarray(table["ab_rmse"])
    smallest = error[gaps <= reach].min()
    return gaps <= reach + errors["chroma_ratio"], error <= smallest * (1 + ALIKE) + errors["ab_rmse"]
