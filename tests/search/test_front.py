"""Fronts, knees, hypervolumes and noise against oracles that count or enumerate."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from study.search.front import (
    clearly_dominated,
    hypervolume,
    knee,
    non_dominated,
    own_variances,
    paired_noise,
    seed_luck,
)

TOP = 6
POINTS = arrays.arrays(np.int64, st.tuples(st.integers(1, 8), st.integers(1, 3)), elements=st.integers(0, TOP)).map(
    lambda values: values.astype(float)
)


@given(POINTS)
def test_a_row_is_on_the_front_unless_another_is_nowhere_worse_and_somewhere_better(values: np.ndarray) -> None:
    expected = [
        not any(all(a <= b for a, b in zip(other, row, strict=True)) and tuple(other) != tuple(row) for other in values)
        for row in values
    ]
    assert non_dominated(values).tolist() == expected


@given(POINTS)
def test_hypervolume_counts_the_unit_cells_that_some_row_dominates(values: np.ndarray) -> None:
    cells = product(range(TOP), repeat=values.shape[1])
    expected = sum(any(all(row <= cell) for row in values) for cell in map(np.array, cells))
    assert hypervolume(values, np.full(values.shape[1], float(TOP))) == expected


def test_hypervolume_of_nothing_and_of_points_at_the_reference_is_zero() -> None:
    assert hypervolume(np.empty((0, 3)), np.ones(3)) == 0
    assert hypervolume(np.array([[1.0, 0.0, 0.0]]), np.ones(3)) == 0


@given(POINTS, st.tuples(st.floats(0.1, 10), st.floats(-5, 5)))
def test_the_knee_is_the_nearest_to_the_ideal_and_knows_no_units(
    values: np.ndarray, units: tuple[float, float]
) -> None:
    low, high = values.min(0), values.max(0)
    distances = [
        sum(((v - a) / (b - a)) ** 2 for v, a, b in zip(row, low, high, strict=True) if b > a) for row in values
    ]
    assert distances[knee(values)] == pytest.approx(min(distances))
    scale, offset = units
    moved = values * scale + offset
    assert distances[knee(moved)] == pytest.approx(min(distances), abs=1e-9)


def test_noise_is_what_candidate_and_seed_leave_unexplained() -> None:
    rng = np.random.default_rng(0)
    level, seed = rng.normal(0, 50, (400, 1, 3)), rng.normal(0, 20, (1, 3, 3))
    assert np.abs(paired_noise(list(level + seed))).max() < 1e-9
    sigma = np.array([0.1, 1.0, 5.0])
    noisy = level + seed + rng.normal(size=(400, 3, 3)) * sigma
    assert paired_noise(list(noisy)) == pytest.approx(sigma, rel=0.15)
    assert paired_noise(list(noisy[:, :2])) == pytest.approx(sigma, rel=0.15)


def test_the_noise_is_that_of_usual_candidates_however_noisy_a_few_are() -> None:
    rng = np.random.default_rng(0)
    noisy = rng.normal(0, 50, (40, 1, 2)) + rng.normal(0, 20, (1, 2, 2)) + rng.normal(size=(40, 2, 2))
    wild = noisy.copy()
    wild[:6] += 100 * rng.normal(size=(6, 2, 2))
    assert paired_noise(list(wild)) == pytest.approx(paired_noise(list(noisy)), rel=0.4)


def test_a_seeds_luck_is_what_it_adds_to_every_candidate_and_the_rest_is_the_candidates_own() -> None:
    rng = np.random.default_rng(0)
    seed = np.array([[1.0, -2.0], [-1.0, 2.0]])
    scores = list(rng.normal(0, 50, (9, 1, 2)) + seed)
    scores[3] = scores[3] + np.array([[3.0, 0.0], [-3.0, 0.0]])
    assert seed_luck(scores) == pytest.approx(seed)
    own = own_variances(scores, seed_luck(scores))
    assert own[3] == pytest.approx([18.0, 0.0])
    assert np.delete(own, 3, axis=0) == pytest.approx(np.zeros((8, 2)), abs=1e-9)


def test_noise_is_unknown_without_two_candidates_on_two_seeds() -> None:
    assert paired_noise([]) is None
    assert paired_noise([np.zeros((1, 3)), np.ones((1, 3))]) is None
    assert paired_noise([np.zeros((2, 3)), np.ones((1, 3))]) is None


def test_clearly_dominated_means_by_more_than_the_noise_in_every_objective() -> None:
    noise = np.array([1.0, 1.0, 1.0])
    margin = np.sqrt(2)
    better = np.zeros((2, 3))
    worse = np.full((1, 3), 1.01 * margin)
    assert clearly_dominated(worse, [better], noise)
    assert not clearly_dominated(np.full((1, 3), 0.99 * margin), [better], noise)
    assert not clearly_dominated(np.array([[9.0, 9.0, 0.5]]), [better], noise)
    assert not clearly_dominated(worse, [better], None)
    # On two seeds the means are surer, and a candidate with one seed tells nothing about the second.
    assert clearly_dominated(np.full((2, 3), 1.01), [better], noise)
    assert not clearly_dominated(np.full((2, 3), 9.0), [np.zeros((1, 3))], noise)
