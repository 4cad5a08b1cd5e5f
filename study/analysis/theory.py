"""What a loss asks for: the colour that minimises its expected value where the true colour is uncertain.

For a pixel whose colour c has a known distribution, the per-pixel terms of the anti-average loss have an exact optimum
(`optimal_ab`). With x the prediction, r = |x|, C = |c| and m = |E[c]|,

    E[loss] = lab * E|x - c|^2 / 2 + saturation * E(r - C)^2 + confidence * E max(C - r, 0)

depends on the direction of x through -lab * x.E[c] alone. So the optimal hue is that of the mean colour, whatever the
weights. The rest is convex in r, with derivative

    lab * (r - m) + 2 * saturation * (r - E[C]) - confidence * P(C > r),

which rises in jumps at the chromas of the distribution. The optimum is where it crosses zero.

Huber's loss treats a and b apart and asks for something near their medians (`huber_range`). What a classifier paints
follows from the probabilities that it learns for the bins (`classification_ab`).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike

from study.color.bins import AB_BINS, annealed_mean, class_weights, soft_encode
from study.losses.anti_average import UNITS


def optimal_ab(
    colors: ArrayLike, probabilities: ArrayLike, lab: float = 1.0, saturation: float = 0.0, confidence: float = 0.0
) -> np.ndarray:
    """The ab (2,), Lab units, that minimises the expected per-pixel loss; float64.

    colors: (K,2) possible ab of the pixel in Lab units; probabilities: (K,), summing to 1. lab, saturation,
    confidence: weights of the terms in raw Lab units, the squared error averaged over the two channels.
    Where the mean colour is gray every hue is as good as any other, and that of the most probable colour is returned.
    Where a range of chromas is optimal (lab = saturation = 0), the smallest is returned.
    Raises ValueError for shapes that do not match, probabilities that are no distribution, and weights that are
    negative or all 0.
    """
    colors, probabilities = _checked(colors, probabilities)
    if min(lab, saturation, confidence) < 0 or lab + saturation + confidence == 0:
        raise ValueError(f"weights must be >= 0 and not all 0, got {lab}, {saturation}, {confidence}")
    chroma = np.hypot(*colors.T)
    mean = probabilities @ colors
    length = float(np.hypot(*mean))
    curvature = lab + 2 * saturation
    pull = lab * length + 2 * saturation * float(probabilities @ chroma)
    # Between neighbouring chromas of the distribution P(C > r) is constant: the crossing is that of a straight line.
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


def huber_range(colors: ArrayLike, probabilities: ArrayLike, delta: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest ab, (2,) each, Lab units, with the smallest expected Huber loss per channel; float64.

    colors, probabilities: as in `optimal_ab`; delta: Lab units, above 0. The loss of a channel is convex, and its
    derivative sum p * clip(x - c, -delta, delta) is made of straight lines between the points c - delta and
    c + delta. Mostly it is 0 in one point. Between two halves of the distribution it is 0 in a whole range.
    """
    colors, probabilities = _checked(colors, probabilities)
    if not delta > 0:
        raise ValueError(f"delta must be above 0, got {delta}")
    ends = np.array([_zeros_of_slope(channel, probabilities, delta) for channel in colors.T])
    return ends[:, 0], ends[:, 1]


def _zeros_of_slope(values: np.ndarray, probabilities: np.ndarray, delta: float) -> tuple[float, float]:
    knots = np.unique([values - delta, values + delta])
    slopes = np.clip(knots[:, None] - values, -delta, delta) @ probabilities
    # Probabilities that were stored in single precision balance to 1e-7 only.
    level = knots[np.abs(slopes) <= 1e-6 * delta]
    if len(level):
        return level[0], level[-1]
    after = int(np.argmax(slopes > 0))
    crossing = float(np.interp(0, slopes[after - 1 : after + 1], knots[after - 1 : after + 1]))
    return crossing, crossing


def classification_ab(
    colors: ArrayLike,
    probabilities: ArrayLike,
    temperature: float = 0.38,
    prior: ArrayLike | None = None,
    rebalance: float | None = 0.5,
    neighbors: int = 5,
    sigma: float = 5.0,
) -> np.ndarray:
    """The ab (2,), Lab units, that a classifier over the bins decodes at its smallest cross-entropy; float64.

    The expected weighted cross-entropy is smallest at q = sum p_k w_k z_k / sum p_k w_k, with z_k the soft target of
    colour k and w_k the class weight of its nearest bin. So rare colours get a larger probability than they have. The
    decoded colour is the annealed mean of q at `temperature`.
    colors, probabilities: as in `optimal_ab`. prior: (313,) frequencies of the bins. The rest is as in
    `study.losses.ClassificationLoss`. Without a prior, or with rebalance None, all weights are 1.
    """
    colors, probabilities = _checked(colors, probabilities)
    indices, shares = soft_encode(torch.from_numpy(colors).T.reshape(1, 2, 1, -1), neighbors, sigma)
    indices, shares = indices[0, :, 0].numpy(), shares[0, :, 0].double().numpy()  # (neighbors, K)
    weights = np.ones(len(AB_BINS))
    if prior is not None and rebalance is not None:
        weights = class_weights(np.asarray(prior), rebalance).double().numpy()
    believed = np.zeros(len(AB_BINS))
    np.add.at(believed, indices, shares * probabilities * weights[indices[0]])
    with np.errstate(divide="ignore"):
        logits = torch.from_numpy(np.log(believed)).view(1, -1, 1, 1)
    return annealed_mean(logits, temperature).flatten().numpy()


def raw_weights(weights: dict[str, float], units: str) -> dict[str, float]:
    """Weights of the per-pixel terms in raw Lab units, lab = 1, that ask for the same as `weights` in `units`.

    The normalized convention divides the squared error by 256^2 and chroma by 181. Its default weights 1, 2, 1 (lab,
    saturation, confidence) are 1, 4.0 and 362 in raw units.
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


def _checked(colors: ArrayLike, probabilities: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    colors, probabilities = np.asarray(colors, float), np.asarray(probabilities, float)
    if colors.ndim != 2 or colors.shape[1] != 2 or probabilities.shape != colors.shape[:1]:
        raise ValueError(f"colors must be (K,2) and probabilities (K,), got {colors.shape} and {probabilities.shape}")
    if np.any(probabilities < 0) or not np.isclose(probabilities.sum(), 1):
        raise ValueError(f"probabilities must be >= 0 and sum to 1, got {probabilities}")
    return colors, probabilities
