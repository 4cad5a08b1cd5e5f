"""What a loss asks for: the colour that minimises its expected value where the true colour is not certain.

For a pixel whose colour c has a known conditional law, the per-pixel terms of the anti-average loss have an exact
optimum. With x the prediction, r = |x|, C = |c| and m = |E[c]|,

    E[loss] = lab * E|x - c|^2 / 2 + saturation * E(r - C)^2 + confidence * E max(C - r, 0)

depends on the direction of x through -lab * x.E[c] alone: the optimal hue is that of the mean colour, whatever the
weights. What is left is convex in r, with derivative

    lab * (r - m) + 2 * saturation * (r - E[C]) - confidence * P(C > r),

which rises in jumps at the chromas of the law; the optimum is where it crosses zero.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize

from study.losses.anti_average import UNITS


def optimal_ab(
    colors: ArrayLike, probabilities: ArrayLike, lab: float = 1.0, saturation: float = 0.0, confidence: float = 0.0
) -> np.ndarray:
    """The ab (2,), Lab units, that minimises the expected per-pixel loss; float64.

    colors: (K,2) possible ab of the pixel in Lab units; probabilities: (K,), summing to 1. lab, saturation,
    confidence: weights of the terms in raw Lab units, the squared error averaged over the two channels.
    Where the mean colour is gray every hue is as good as any other; the most probable colour's is returned. Where
    a range of chromas is optimal (lab = saturation = 0) the smallest is.
    Raises ValueError for shapes that do not match, probabilities that are no distribution, and weights that are
    negative or all 0.
    """
    colors, probabilities = _law(colors, probabilities)
    if min(lab, saturation, confidence) < 0 or lab + saturation + confidence == 0:
        raise ValueError(f"weights must be >= 0 and not all 0, got {lab}, {saturation}, {confidence}")
    chroma = np.hypot(*colors.T)
    mean = probabilities @ colors
    length = float(np.hypot(*mean))
    curvature = lab + 2 * saturation
    pull = lab * length + 2 * saturation * float(probabilities @ chroma)
    # Between two neighbouring chromas of the law P(C > r) is constant, so the crossing is that of a straight line.
    edges = [0.0, *np.unique(chroma[probabilities > 0])]
    radius = edges[-1]
    for low, high in zip(edges, [*edges[1:], np.inf], strict=True):
        force = pull + confidence * float(probabilities[chroma > low].sum())
        crossing = force / curvature if curvature else (np.inf if force > 0 else low)
        if crossing <= high:
            radius = max(low, crossing)
            break
    # A mean that is zero but for rounding has no hue.
    direction = mean if length > 1e-9 * max(1.0, chroma.max()) else colors[np.argmax(probabilities)]
    norm = float(np.hypot(*direction))
    return radius * direction / norm if norm else np.zeros(2)


def expected_loss(
    ab: ArrayLike,
    colors: ArrayLike,
    probabilities: ArrayLike,
    lab: float = 1.0,
    saturation: float = 0.0,
    confidence: float = 0.0,
) -> float:
    """The expected per-pixel loss of predicting `ab` (2,); the other arguments as in `optimal_ab`."""
    colors, probabilities = _law(colors, probabilities)
    ab = np.asarray(ab, float)
    shortfall = np.hypot(*colors.T) - np.hypot(*ab)
    squared = np.square(colors - ab).sum(axis=1) / 2
    losses = lab * squared + saturation * shortfall**2 + confidence * np.maximum(shortfall, 0)
    return float(probabilities @ losses)


def numerical_optimum(
    colors: ArrayLike, probabilities: ArrayLike, lab: float = 1.0, saturation: float = 0.0, confidence: float = 0.0
) -> np.ndarray:
    """`optimal_ab` found by search instead of algebra: Nelder-Mead from every colour, the mean and around it."""
    colors, probabilities = _law(colors, probabilities)
    weights = {"lab": lab, "saturation": saturation, "confidence": confidence}
    mean = probabilities @ colors
    starts = [*colors, mean, *(mean + offset for offset in ([5, 0], [-5, 0], [0, 5], [0, -5]))]
    options = {"xatol": 1e-11, "fatol": 1e-13, "maxiter": 4000, "maxfev": 4000}
    found = [
        minimize(
            expected_loss, start, (colors, probabilities, *weights.values()), method="Nelder-Mead", options=options
        )
        for start in starts
    ]
    return min(found, key=lambda result: result.fun).x


def raw_weights(weights: dict[str, float], units: str) -> dict[str, float]:
    """Weights of the per-pixel terms in raw Lab units, lab = 1, that ask for the same as `weights` in `units`.

    In the normalized convention the squared error is divided by 256^2, chroma by 181: its default weights 1, 2, 1
    (lab, saturation, confidence) are 1, 4.0 and 362 in raw units.
    """
    scale = UNITS[units]
    lab = weights.get("lab", 0.0) / scale.ab**2
    if lab == 0:
        raise ValueError("without a weight on lab there is nothing to relate the other weights to")
    return {
        "lab": 1.0,
        "saturation": weights.get("saturation", 0.0) / scale.chroma**2 / lab,
        "confidence": weights.get("confidence", 0.0) / scale.chroma / lab,
    }


def _law(colors: ArrayLike, probabilities: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    colors, probabilities = np.asarray(colors, float), np.asarray(probabilities, float)
    if colors.ndim != 2 or colors.shape[1] != 2 or probabilities.shape != colors.shape[:1]:
        raise ValueError(f"colors must be (K,2) and probabilities (K,), got {colors.shape} and {probabilities.shape}")
    if np.any(probabilities < 0) or not np.isclose(probabilities.sum(), 1):
        raise ValueError(f"probabilities must be >= 0 and sum to 1, got {probabilities}")
    return colors, probabilities
