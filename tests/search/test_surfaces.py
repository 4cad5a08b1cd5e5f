"""The surface through scores: against the closed form of a Gaussian process, and on functions that are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import qmc

from study.search.surfaces import Surface


def known(x: np.ndarray) -> np.ndarray:
    return 20 + 3 * (x[:, 0] - 0.4) ** 2 + 0.5 * np.sin(3 * x[:, 0])


@pytest.fixture
def x() -> np.ndarray:
    return qmc.Sobol(2, rng=0).random(32)


def test_it_finds_the_function_and_which_setting_it_depends_on(x: np.ndarray) -> None:
    noise = 0.02
    y = known(x) + noise * np.random.default_rng(0).normal(size=len(x))
    surface = Surface(x, y, np.full(len(x), noise**2))
    elsewhere = qmc.Sobol(2, rng=1).random(256)
    assert np.sqrt(np.mean((surface.predict(elsewhere) - known(elsewhere)) ** 2)) < noise
    first, second = surface.fit.kernel_.k1.k2.length_scale
    assert second > 3 * first


def test_unknown_noise_is_found_and_known_noise_is_not_counted_twice(x: np.ndarray) -> None:
    y = known(x) + 0.1 * np.random.default_rng(0).normal(size=len(x))
    assert Surface(x, y, np.zeros(len(x))).noise == pytest.approx(0.1, rel=0.5)
    assert Surface(x, y, np.full(len(x), 0.01)).noise < 0.05


def test_the_error_of_a_difference_is_that_of_the_joint_posterior(x: np.ndarray) -> None:
    y = known(x) + 0.1 * np.random.default_rng(0).normal(size=len(x))
    surface = Surface(x, y, np.full(len(x), 0.01))
    points = np.array([[0.2, 0.7], [0.9, 0.9], [0.5, 0.5]])
    scale, (smooth, white) = y.std(), (surface.fit.kernel_.k1, surface.fit.kernel_.k2)
    seen = smooth(x) + np.diag(np.full(len(x), 0.01 / scale**2 + 1e-8 + white.noise_level))
    covariance = smooth(points) - smooth(points, x) @ np.linalg.solve(seen, smooth(x, points))
    weights = np.array([1.0, 0.0, -1.0])
    expected = scale * np.sqrt(weights @ covariance @ weights)
    found = surface.error_of_difference(points, points[2])
    assert found[0] == pytest.approx(expected, rel=1e-6)
    assert found[2] == pytest.approx(0, abs=1e-6)


def test_far_from_all_candidates_the_difference_is_less_sure() -> None:
    x = np.linspace(0, 0.5, 12)[:, None]
    surface = Surface(x, known(x), np.full(12, 1e-4))
    near, far = surface.error_of_difference(np.array([[0.3], [1.0]]), np.array([0.2]))
    assert far > 3 * near


def test_scores_that_are_all_the_same_make_a_flat_surface(x: np.ndarray) -> None:
    surface = Surface(x, np.full(len(x), 7.0), np.zeros(len(x)))
    assert surface.predict(x) == pytest.approx(np.full(len(x), 7.0), abs=1e-6)
