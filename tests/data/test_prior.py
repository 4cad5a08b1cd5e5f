"""The colour prior against scikit-image's Lab and a comparison with all bins."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.color import rgb2lab

from study.color.bins import AB_BINS
from study.data.prior import half_resolution_ab, prior_of_counts, soft_counts, training_prior


@pytest.fixture
def images() -> np.ndarray:
    """Blocks of colour with some noise, so that a few bins are common and many are rare."""
    rng = np.random.default_rng(0)
    blocks = rng.integers(40, 216, (5, 4, 4, 3)).repeat(4, 1).repeat(4, 2)
    return (blocks + rng.integers(-20, 21, blocks.shape)).astype(np.uint8)


def expected_ab(images: np.ndarray) -> np.ndarray:
    ab = rgb2lab(images)[..., 1:]
    return ab.reshape(len(images), 8, 2, 8, 2, 2).mean((2, 4))


def expected_counts(ab: np.ndarray) -> np.ndarray:
    bins, counts = AB_BINS.numpy().astype(float), np.zeros(313)
    for color in ab.reshape(-1, 2):
        squared = ((bins - color) ** 2).sum(1)
        nearest = np.argsort(squared)[:5]
        weights = np.exp(-squared[nearest] / 50)
        counts[nearest] += weights / weights.sum()
    return counts


def test_half_resolution_is_the_mean_of_two_by_two_pixels_in_lab(images):
    found = half_resolution_ab(images).numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(found, expected_ab(images), atol=1e-3)


def test_soft_counts_are_those_of_a_comparison_with_all_bins(images):
    ab = half_resolution_ab(images)
    np.testing.assert_allclose(soft_counts(ab), expected_counts(ab.numpy().transpose(0, 2, 3, 1)), atol=1e-9)


def test_the_prior_is_the_smoothed_frequency(images):
    counts = expected_counts(expected_ab(images))
    bins = AB_BINS.numpy().astype(float)
    kernel = np.exp(-((bins[:, None] - bins) ** 2).sum(-1) / 50)
    smooth = kernel @ counts
    smooth /= smooth.sum()
    found = training_prior(images, batch=2)
    np.testing.assert_allclose(found, np.maximum(smooth, 1e-8), rtol=1e-4, atol=1e-7)
    assert found.sum(dtype=float) == pytest.approx(1, abs=1e-6)


def test_the_prior_of_counts_depends_on_their_shares_only():
    counts = np.random.default_rng(1).random(313)
    np.testing.assert_array_equal(prior_of_counts(counts), prior_of_counts(8 * counts))
