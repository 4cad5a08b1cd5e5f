"""The known distribution of colour: its moments against sampling and brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.data.color_distribution import ColorDistribution
from study.data.palette_world import color_distribution, draw_scenes


def random_distribution(rng: np.random.Generator, counts: list[int]) -> ColorDistribution:
    modes = np.full((len(counts), max(counts), 2), np.nan, np.float32)
    probabilities = np.zeros((len(counts), max(counts)), np.float32)
    for k, count in enumerate(counts):
        modes[k, :count] = rng.uniform(-60, 60, (count, 2))
        probabilities[k, :count] = rng.dirichlet(np.ones(count))
    return ColorDistribution(tuple(f"region{k}" for k in range(len(counts))), modes, probabilities)


@given(st.integers(0, 2**32), st.lists(st.integers(1, 6), min_size=1, max_size=5))
def test_moments_equal_sums_over_the_listed_modes(seed, counts):
    declared = random_distribution(np.random.default_rng(seed), counts)
    for k, count in enumerate(counts):
        colors, p = declared.modes[k, :count].astype(float), declared.probabilities[k, :count].astype(float)
        mean = sum(weight * color for weight, color in zip(p, colors, strict=True))
        spread = sum(w * ((c[0] - mean[0]) ** 2 + (c[1] - mean[1]) ** 2) for w, c in zip(p, colors, strict=True))
        np.testing.assert_allclose(declared.mean[k], mean, atol=1e-3)
        np.testing.assert_allclose(declared.variance[k], spread / 2, rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(declared.mean_chroma[k], p @ np.hypot(*colors.T), atol=1e-3)
        assert declared.wide[k] == (count > 1)


def test_reachable_mse_is_what_the_best_constant_color_per_region_leaves_in_a_large_sample():
    scenes = draw_scenes(4096, 16, seed=5, split="train")
    declared = color_distribution()
    ab = declared.modes[scenes.region, scenes.mode].astype(np.float64)
    left = 0.0
    for k in range(len(declared.regions)):
        pixels = ab[scenes.region == k]
        left += np.square(pixels - pixels.mean(0)).sum() / 2
    assert declared.reachable_mse(scenes.region) == pytest.approx(left / scenes.region.size, rel=0.02)


def test_reachable_mse_weighs_regions_by_their_pixels():
    declared = random_distribution(np.random.default_rng(0), [3, 1, 2])
    region_map = np.array([[0, 0, 0], [2, 1, 1]], np.uint8)
    expected = (3 * declared.variance[0] + 2 * declared.variance[1] + declared.variance[2]) / 6
    assert declared.reachable_mse(region_map) == pytest.approx(expected)
