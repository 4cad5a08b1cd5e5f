"""The region that the data cannot tell from the best, and its middle.

The best of 20 candidates is a matter of luck: a search on another processor finds another one. So the search
recommends the middle of a region in place of a point.

1. A surface is fitted to each score that the rule of `recommend` looks at: chroma ratio, ab_rmse and gap of hue
   diversity, as functions of the logarithms of the searched numbers and of the options (`surfaces`). The noise of a
   candidate's mean over s seeds is known from the paired seeds: sigma^2 / s, with sigma from `front.paired_noise`.
2. Candidates train for a shorter time than the study's arms. The median change of the finalists' scores from their
   short to their full training is added to the surface.
3. The surfaces are evaluated on a dense grid: all combinations of values with one significant digit, and of others
   between them where these lie far apart. x* is the point of the grid that the rule recommends.
4. A point x cannot be told from x* when it passes the rule, score by score, with an allowance of one standard error of
   the difference of the two predictions:

       SE(x) = sqrt(Var f(x) + Var f(x*) - 2 Cov(f(x), f(x*)))    given all candidates' scores

   It is small near x* and where candidates lie close, and large where nobody has looked. The region is the connected
   part of such points around x*, at the options of x*. Points that are nearest to a candidate that diverged are out.
5. The range of a number is from its smallest to its largest value over the region. Where weights are correlated, the
   middles of the ranges need not lie in the region. So the middle is the point of the region with one significant digit
   that is nearest to them, with logarithms as coordinates and 0 where `axes` places it. Of points that are at most a
   factor of 1.5 further away, those are preferred that pass the rule without allowance: they lie inside. When a region
   is so small that no point of it has one significant digit, the nearest such point stands for it.

Why surfaces: of 20 candidates only one or two lie within a standard error of the best. Why this SE and not the noise of
two candidates alone: between candidates the surface itself is uncertain. In simulated repeats on surfaces like those of
photographs, regions with that smaller allowance missed the best point in nine of ten cases; each range of these
contained it in all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from scipy.ndimage import label
from scipy.spatial import cKDTree

from study.search.axes import Axis
from study.search.front import paired_noise
from study.search.recommend import SCORES, alike, best_point
from study.search.surfaces import Surface

NEARBY = 1.5
MOST_POINTS = 2**16  # of the grid; with more combinations every number gets fewer values


@dataclass(frozen=True)
class Judged:
    """A candidate: its settings by column of trials.csv, and its `SCORES` (seeds, 3), None where it diverged."""

    settings: dict[str, Any]
    scores: np.ndarray | None


@dataclass(frozen=True)
class Range:
    """From where to where a number cannot be told from the best, and its value at the region's middle.

    open_low, open_high: the range ends where the searched range ends, so that it may go on beyond.
    """

    low: float
    high: float
    middle: float
    open_low: bool
    open_high: bool


@dataclass(frozen=True)
class Region:
    """ranges: of the searched numbers, by column of trials.csv.

    options: by column, the values of each option that cannot be told from the best one. middle: settings of the middle.
    predicted: its scores after full training. noise: standard deviation of each score on one seed, once seeds are
    paired.
    """

    ranges: dict[str, Range]
    options: dict[str, list[Any]]
    middle: dict[str, Any]
    predicted: dict[str, float]
    noise: dict[str, float]


def find_region(
    axes: dict[str, Axis], options: dict[str, list[Any]], judged: list[Judged], shift: dict[str, float], colors: bool
) -> Region | None:
    """The region of a family; None without numbers, or with fewer candidates than 2 + 2 for every fitted column.

    axes, options: what is searched, by column of trials.csv. shift: what full training adds to each score.
    colors: whether anything is searched that is meant to change colours.
    """
    judged = _distinct(judged)
    usable = [one for one in judged if one.scores is not None]
    if not axes or len(usable) < 2 + 2 * (len(axes) + sum(map(len, options.values()))):
        return None
    grid = _Grid(axes, options)
    surfaces, noise = _fit(grid.encoded_candidates(usable), [one.scores for one in usable])
    x = grid.encoded(grid.values, grid.chosen)
    table = {name: surface.predict(x) + shift[name] for name, surface in surfaces.items()}
    if diverged := [one for one in judged if one.scores is None]:
        lost = _nearer(x, grid.encoded_candidates(diverged), grid.encoded_candidates(usable))
        table = {name: np.where(lost, np.inf, values) for name, values in table.items()}
    best = best_point(table, colors)
    errors = {name: surface.error_of_difference(x, x[best]) for name, surface in surfaces.items()}
    inside = alike(table, colors, errors)
    rows = grid.connected(inside, best)
    middle = grid.middle(rows, as_good=alike(table, colors, dict.fromkeys(SCORES, 0.0)))
    return Region(
        {
            name: _range(axis, grid.values[rows, k], grid.values[middle, k])
            for k, (name, axis) in enumerate(axes.items())
        },
        grid.options_among(inside, rows),
        grid.settings(middle),
        {name: float(values[middle]) for name, values in table.items()},
        noise,
    )


class _Grid:
    """The points at which surfaces are evaluated: all combinations of options, and within each all of numbers.

    values: (n, numbers) of the searched numbers. chosen: (n, options), which of its values each option has. tried:
    which points of a block, one combination of options, have values that are tried.
    """

    def __init__(self, axes: dict[str, Axis], options: dict[str, list[Any]]) -> None:
        self.axes, self.options = axes, options
        self.combinations = list(product(*map(range, map(len, options.values()))))
        along = [axis.fine for axis in axes.values()]
        most = max(map(len, along))
        while math.prod(map(len, along)) * len(self.combinations) > MOST_POINTS and most > 2:
            most -= 1
            along = [axis.thinned(most) for axis in axes.values()]
        self.shape = tuple(map(len, along))
        numbers = np.array(list(product(*along)))
        self.block = len(numbers)
        self.tried = np.all([np.isin(numbers[:, k], axis.values) for k, axis in enumerate(axes.values())], axis=0)
        self.values = np.tile(numbers, (len(self.combinations), 1))
        self.chosen = np.repeat(np.array(self.combinations, dtype=int), self.block, axis=0)

    def encoded(self, values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """Points as surfaces take them, (n, columns): logarithms as 0 to 1, each value of an option as 0 or 1."""
        columns = []
        for k, axis in enumerate(self.axes.values()):
            low, high = axis.log(axis.values[[0, -1]])
            columns.append((axis.log(values[:, k]) - low) / (high - low))
        for k, known in enumerate(self.options.values()):
            columns += [(chosen[:, k] == place).astype(float) for place in range(len(known))]
        return np.stack(columns, axis=1)

    def encoded_candidates(self, judged: list[Judged]) -> np.ndarray:
        """Candidates as surfaces take them."""
        values = [[one.settings[name] for name in self.axes] for one in judged]
        chosen = [[known.index(one.settings[name]) for name, known in self.options.items()] for one in judged]
        return self.encoded(np.array(values, dtype=float), np.array(chosen, dtype=int))

    def connected(self, inside: np.ndarray, row: int) -> np.ndarray:
        """Rows of `inside` that are connected with `row` by neighbouring numbers, at the options of `row`."""
        start = row - row % self.block
        block = inside[start : start + self.block].reshape(self.shape)
        labels, _ = label(block, np.ones((3,) * block.ndim))
        return start + np.flatnonzero(labels.ravel() == labels.ravel()[row - start])

    def middle(self, rows: np.ndarray, as_good: np.ndarray) -> int:
        """The row in the middle of `rows`: see point 5 above. as_good: (n,), which points pass without allowance."""
        start = rows[0] - rows[0] % self.block
        tried = start + np.flatnonzero(self.tried)
        pool = np.intersect1d(rows, tried) if np.isin(rows, tried).any() else tried
        middles = (self._logs(rows).min(0) + self._logs(rows).max(0)) / 2
        far = np.linalg.norm(self._logs(pool) - middles, axis=1)
        near = far <= far.min() + math.log(NEARBY)
        return int(pool[np.lexsort((far, ~(near & as_good[pool])))[0]])

    def _logs(self, rows: np.ndarray) -> np.ndarray:
        return np.stack([axis.log(self.values[rows, k]) for k, axis in enumerate(self.axes.values())], axis=1)

    def options_among(self, inside: np.ndarray, rows: np.ndarray) -> dict[str, list[Any]]:
        """The values of each option with which a point of `rows` stays inside when only that option is changed."""
        chosen = self.combinations[rows[0] // self.block]
        found = {}
        for k, (name, known) in enumerate(self.options.items()):
            swapped = [self.combinations.index((*chosen[:k], place, *chosen[k + 1 :])) for place in range(len(known))]
            kept = [inside[place * self.block + rows % self.block].any() for place in swapped]
            found[name] = [value for value, keep in zip(known, kept, strict=True) if keep]
        return found

    def settings(self, row: int) -> dict[str, Any]:
        """The settings of a point by column of trials.csv."""
        numbers = {name: float(value) for name, value in zip(self.axes, self.values[row], strict=True)}
        chosen = zip(self.options.items(), self.chosen[row], strict=True)
        return numbers | {name: known[place] for (name, known), place in chosen}


def _distinct(judged: list[Judged]) -> list[Judged]:
    """One of all candidates with the same settings, which have the same networks: the one that most is known of."""

    def known(one: Judged) -> float:
        return math.inf if one.scores is None else len(one.scores)

    found: dict[str, Judged] = {}
    for one in judged:
        key = repr(sorted(one.settings.items()))
        found[key] = max(found.get(key, one), one, key=known)
    return list(found.values())


def _fit(x: np.ndarray, scores: list[np.ndarray]) -> tuple[dict[str, Surface], dict[str, float]]:
    """A surface for each score, and the standard deviation of the score on one seed.

    x: (n, columns). scores: of each candidate (seeds, 3).
    """
    seeds = max(map(len, scores))
    full = np.stack([one for one in scores if len(one) == seeds])
    luck = full.mean(0) - full.mean((0, 1))  # of each seed, shared by all candidates
    levels = np.array([(one - luck[: len(one)]).mean(0) for one in scores])
    counts = np.array([len(one) for one in scores])
    known = paired_noise(list(full))
    surfaces, noise = {}, {}
    for k, name in enumerate(SCORES):
        surfaces[name] = Surface(x, levels[:, k], (0.0 if known is None else known[k] ** 2) / counts)
        noise[name] = surfaces[name].noise if known is None else float(known[k])
    return surfaces, noise


def _nearer(x: np.ndarray, some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which points x (n, columns) are nearer to one of `some` than to all `others`."""
    return cKDTree(some).query(x)[0] < cKDTree(others).query(x)[0]


def _range(axis: Axis, values: np.ndarray, middle: float) -> Range:
    """The range of these values, its ends among the values that are tried."""
    low, high = values.min(), values.max()
    return Range(
        float(min(axis.nearest(low), middle)),
        float(max(axis.nearest(high), middle)),
        float(middle),
        bool(low == axis.values[0] > 0),
        bool(high == axis.values[-1]),
    )
