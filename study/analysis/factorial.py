"""Effects of three loss terms: main effects, interactions and Shapley values of a 2^3 factorial of arms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations, product
from math import factorial
from typing import Any

import numpy as np
import pandas as pd

from study import statistics as stats
from study.config.arms import Arm
from study.losses.anti_average import ColorizationAntiAverageLoss

TERMS = ("saturation", "diversity", "confidence")
CORNERS = tuple(product((0, 1), repeat=len(TERMS)))
TOTAL = "all three"


def factorial_arms(arms: list[Arm]) -> dict[tuple[int, int, int], str] | None:
    """The arms at the eight corners (saturation, diversity, confidence off or on) of a full factorial, or None.

    Weights tell them: arms of the anti-average loss in raw units, with the same weight on lab and the same training, in
    which each of the three terms has the weight 0 or one common positive value. The arm without the three terms is mse.
    Of several full factorials the one with the largest product of the three weights counts. Controls and tuned arms do
    not count.
    """
    known: dict[tuple, str] = {}
    for arm in arms:
        if arm.control or arm.tuned or arm.loss.options.get("units", "raw") != "raw":
            continue
        if arm.loss.name in ("mse", "anti_average"):
            own = {"lab": 1.0} if arm.loss.name == "mse" else ColorizationAntiAverageLoss.terms
            weights = arm.loss.weights or own
            key = (arm.train, weights.get("lab", 0.0), *(weights.get(term, 0.0) for term in TERMS))
            known.setdefault(key, arm.name)
    full = []
    for train, lab, *top in known:
        corners = {corner: (train, lab, *(w * on for w, on in zip(top, corner, strict=True))) for corner in CORNERS}
        if all(top) and all(key in known for key in corners.values()):
            full.append((np.prod(top), {corner: known[key] for corner, key in corners.items()}))
    return max(full, key=lambda found: found[0])[1] if full else None


def factorial_rows(
    scores: Mapping[str, Mapping[str, pd.DataFrame]],
    arms: list[Arm],
    weights: Callable[[int, int], stats.Weights],
) -> list[dict[str, Any]]:
    """Rows of factorial.csv, none when `arms` hold no full factorial (`factorial_arms`).

    scores: metric -> arm -> scores, seeds x images. A metric that one of the eight arms lacks is left out, and only
    seeds that all eight have are used. weights: (seeds, images) -> bootstrap weights.

    Effects in the metric's unit, with signs s = -1 (off), +1 (on) and the score y. A term: 1/4 sum s y, its effect
    averaged over the others on and off. Interactions "x": 1/4 sum s s y and 1/4 sum s s s y, 0 when effects only add
    up. "shapley <term>": what the term adds, averaged over the six orders of switching the terms on. "all three":
    111 - 000, the sum of the three Shapley values. All are linear in the scores of the eight arms, paired by seed and
    image, so `stats.interval` gives their intervals.
    shapley: share of "all three" in the rows of a term and of its Shapley value. It is empty where the interval of
    "all three" holds 0: there is nothing to share.
    """
    corners = factorial_arms([arm for arm in arms if any(arm.name in found for found in scores.values())])
    rows = []
    for metric, found in scores.items():
        if corners and all(name in found for name in corners.values()):
            rows += [{"metric": metric} | row for row in _rows([found[name] for name in corners.values()], weights)]
    return rows


def _rows(matrices: list[pd.DataFrame], weights: Callable[[int, int], stats.Weights]) -> list[dict[str, Any]]:
    shared = matrices[0].index
    for matrix in matrices:
        shared = shared.intersection(matrix.index)
    images = matrices[0].shape[1]
    if not len(shared) or not images:
        return []
    contrasts = effect_contrasts()
    corner_scores = np.stack([matrix.loc[shared].to_numpy(float) for matrix in matrices])
    arrays = np.einsum("ek,ksi->esi", np.stack(list(contrasts.values())), corner_scores)
    estimates = zip(*stats.interval(arrays, weights(len(shared), images)), strict=True)
    found = dict(zip(contrasts, estimates, strict=True))
    total, low, high = found[TOTAL]
    shares = {}
    if low > 0 or high < 0:
        for term in TERMS:
            share = found[f"shapley {term}"][0] / total
            shares |= {term: share, f"shapley {term}": share}
    return [
        {"effect": effect, "estimate": estimate, "low": low, "high": high,
         "shapley": shares.get(effect), "seeds": len(shared)}
        for effect, (estimate, low, high) in found.items()
    ]  # fmt: skip


def effect_contrasts() -> dict[str, np.ndarray]:
    """Effect -> weights (8,) of the scores at CORNERS, in the order of the table."""
    signs = 2 * np.array(CORNERS) - 1
    found = {}
    for size in (1, 2, 3):
        for chosen in combinations(range(len(TERMS)), size):
            found[" x ".join(TERMS[k] for k in chosen)] = signs[:, chosen].prod(axis=1) / 4
    for k, term in enumerate(TERMS):
        found[f"shapley {term}"] = _shapley(k)
    found[TOTAL] = np.array([(corner == (1, 1, 1)) * 1.0 - (corner == (0, 0, 0)) for corner in CORNERS])
    return found


def _shapley(k: int) -> np.ndarray:
    n = len(TERMS)
    contrast = np.zeros(len(CORNERS))
    for position, corner in enumerate(CORNERS):
        before = sum(corner) - corner[k]
        share = factorial(before) * factorial(n - before - 1) / factorial(n)
        contrast[position] = share if corner[k] else -share
    return contrast
