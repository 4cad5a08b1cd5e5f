"""Families with known surfaces: scores of settings, candidates drawn from them, and the region that they truly have."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.stats import qmc

from study.search.axes import Axis
from study.search.recommend import SCORES, alike
from study.search.region import Judged, Region, find_region

Truth = Callable[..., dict[str, np.ndarray]]
NOISE = np.array([0.01, 0.08, 0.004])  # standard deviation of chroma ratio, ab_rmse and diversity, seeds paired
NO_SHIFT = dict.fromkeys(SCORES, 0.0)


def axes_of(**given: Axis) -> dict[str, Axis]:
    return {f"w_{name}": axis for name, axis in given.items()}


def draw(
    truth: Truth, axes: dict[str, Axis], count: int, seed: int, noise: float = 1.0, seeds: int = 2
) -> list[Judged]:
    """`count` candidates spread over the box, judged on `seeds` seeds that all share."""
    rng = np.random.default_rng(seed)
    even = qmc.LatinHypercube(len(axes), rng=rng).random(count)
    columns = [
        axis.nearest(axis.bottom * (axis.high / axis.bottom) ** even[:, k]) for k, axis in enumerate(axes.values())
    ]
    scores = truth(*columns)
    level = np.stack([np.broadcast_to(scores[name], count) for name in SCORES], axis=1)
    luck = rng.normal(size=(seeds, 1, 3)) * NOISE
    judged = level + luck + noise * rng.normal(size=(seeds, count, 3)) * NOISE
    names = list(axes)
    return [
        Judged(dict(zip(names, map(float, row), strict=True)), judged[:, k])
        for k, row in enumerate(np.stack(columns, axis=1))
    ]


def region_of(truth: Truth, axes: dict[str, Axis], count: int = 16, seed: int = 0, noise: float = 1.0) -> Region:
    found = find_region(axes, {}, draw(truth, axes, count, seed, noise), NO_SHIFT, colors=True)
    assert found is not None
    return found


def true_points(truth: Truth, axes: dict[str, Axis]) -> np.ndarray:
    """All settings (n, numbers) that the rule cannot tell from the best by the true scores, without any noise."""
    mesh = np.meshgrid(*(axis.values for axis in axes.values()), indexing="ij")
    settings = np.stack([part.ravel() for part in mesh], axis=1)
    scores = truth(*settings.T)
    table = {name: np.broadcast_to(scores[name], len(settings)) for name in SCORES}
    return settings[alike(table, True, NO_SHIFT)]
