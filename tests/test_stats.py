"""The statistics against scipy, closed forms and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from study import stats


def test_sign_flip_p_equals_scipys_exact_permutation_test() -> None:
    rng = np.random.default_rng(0)
    for seeds in (3, 5, 8):
        deltas = rng.normal(0.4, 1, seeds)
        expected = reference.permutation_test(
            (deltas, np.zeros(seeds)), lambda a, b, axis: np.mean(a - b, axis=axis), permutation_type="samples"
        ).pvalue
        p, smallest = stats.sign_flip_p(deltas)
        assert p == pytest.approx(expected)
        assert smallest == pytest.approx(2 / 2**seeds)


def test_sign_flip_p_of_one_sided_deltas_is_the_smallest_attainable() -> None:
    p, smallest = stats.sign_flip_p(np.array([0.1, 0.2, 0.3, 0.4, 0.5]))
    assert p == smallest == 0.0625


def test_sign_flip_p_of_no_difference_is_one() -> None:
    assert stats.sign_flip_p(np.zeros(5))[0] == 1.0


def test_holm_on_a_worked_example() -> None:
    adjusted = stats.holm(np.array([0.01, 0.04, 0.03, 0.005]))
    assert adjusted == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_the_raw_p_and_bonferroni(p: list[float]) -> None:
    p_values = np.array(p)
    adjusted = stats.holm(p_values)
    assert np.all(adjusted >= p_values)
    assert np.all(adjusted <= np.minimum(1, p_values * len(p_values)) + 1e-12)
    order = np.argsort(p_values, kind="stable")
    assert np.all(np.diff(adjusted[order]) >= 0)


def test_holm_leaves_missing_values_out_of_the_family() -> None:
    adjusted = stats.holm(np.array([0.02, np.nan, 0.5]))
    assert adjusted[0] == pytest.approx(0.04)
    assert np.isnan(adjusted[1])


@pytest.mark.parametrize(
    ("low", "high", "gain", "expected"),
    [
        (0.5, 1.0, 1, "better"),
        (0.5, 1.0, -1, "worse"),
        (-1.0, -0.5, -1, "better"),
        (-1.0, -0.5, 1, "worse"),
        (0.5, 1.0, None, "higher"),
        (-1.0, -0.5, None, "lower"),
        (-0.1, 0.1, 1, "equivalent"),
        (0.05, 0.1, 1, "equivalent"),
        (-0.5, 1.0, 1, "undecided"),
        (float("nan"), float("nan"), 1, "undecided"),
    ],
)
def test_verdict(low: float, high: float, gain: int | None, expected: str) -> None:
    assert stats.verdict(low, high, 0.2, gain) == expected


def test_interval_equals_students_when_images_do_not_vary() -> None:
    seed_means = np.array([1.0, 1.4, 0.7, 1.2, 1.1])
    scores = np.repeat(seed_means[None, :, None], 30, axis=2)
    weights = stats.bootstrap_weights(5, 30, 40_000, np.random.default_rng(0))
    mean, low, high = stats.interval(scores, weights)
    expected = reference.t.interval(0.95, 4, loc=seed_means.mean(), scale=reference.sem(seed_means))
    assert mean[0] == pytest.approx(seed_means.mean())
    # The bootstrap of five values is not quite normal, so its quantiles are near Student's, not on them.
    assert (low[0], high[0]) == pytest.approx(expected, abs=0.1 * (expected[1] - expected[0]))


def test_resampled_means_equal_resampling_by_index() -> None:
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(2, 3, 7))
    weights = stats.bootstrap_weights(3, 7, 50, rng)
    means = stats.resampled_means(scores, weights)
    for r in range(50):
        seeds = np.repeat(np.arange(3), np.round(weights.seeds[r] * 3).astype(int))
        images = np.repeat(np.arange(7), np.round(weights.images[r] * 7).astype(int))
        assert means[r] == pytest.approx(scores[:, seeds][:, :, images].mean(axis=(1, 2)))


@pytest.mark.parametrize(("seeds", "seed_sd", "image_sd"), [(5, 1.0, 0.3), (5, 0.2, 2.0), (3, 1.0, 1.0)])
def test_intervals_cover_the_truth_at_least_nearly_as_often_as_they_say(
    seeds: int, seed_sd: float, image_sd: float
) -> None:
    rng = np.random.default_rng(7)
    worlds, images = 400, 60
    effects = rng.normal(0, seed_sd, (worlds, seeds, 1)) + rng.normal(0, image_sd, (worlds, 1, images))
    scores = effects + rng.normal(0, 0.5, (worlds, seeds, images))
    weights = stats.bootstrap_weights(seeds, images, 2000, rng)
    _, low, high = stats.interval(scores, weights)
    coverage = np.mean((low <= 0) & (high >= 0))
    # 400 worlds give the share with a standard error of 1.1 points.
    assert 0.92 <= coverage <= 0.995
