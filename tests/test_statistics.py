"""The statistics against scipy, closed forms and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from benchmarks.coverage import Scenario, simulate
from study import statistics as stats


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


def test_sign_flip_p_of_many_seeds_is_never_below_the_smallest_attainable() -> None:
    for seed in range(20):
        deltas = np.random.default_rng(seed).uniform(1, 2, 17 + seed)
        p, smallest = stats.sign_flip_p(deltas)
        assert smallest == 2 / 2**16
        assert p >= smallest
    deltas = np.random.default_rng(0).normal(0.3, 1, 18)
    every = 1 - 2 * ((np.arange(2**18)[:, None] >> np.arange(18)) & 1)
    exact = np.mean(abs(every @ deltas) >= abs(deltas.sum()) - 1e-12)
    assert abs(stats.sign_flip_p(deltas)[0] - exact) < 0.01


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
        (-0.1, 0.1, 1, "within tolerance"),
        (0.05, 0.1, 1, "within tolerance"),
        (-0.5, 1.0, 1, "inconclusive"),
        (float("nan"), float("nan"), 1, "inconclusive"),
    ],
)
def test_verdict(low: float, high: float, gain: int | None, expected: str) -> None:
    assert stats.verdict((low + high) / 2, low, high, 0.2, gain) == expected


def test_a_verdict_needs_the_corrected_p_unless_it_is_within_tolerance() -> None:
    assert stats.verdict(0.7, 0.5, 1.0, 0.2, 1, p=0.05) == "better"
    assert stats.verdict(0.7, 0.5, 1.0, 0.2, 1, p=0.051) == "inconclusive"
    assert stats.verdict(0.0, -0.1, 0.1, 0.2, 1, p=1.0) == "within tolerance"


@given(st.floats(-1, 1), st.floats(1e-3, 2), st.floats(0.01, 1))
def test_a_sharper_interval_never_turns_a_difference_into_none(mean: float, width: float, factor: float) -> None:
    """At one mean, the width of the interval never chooses between "better" and "within tolerance"."""
    wide, sharp = (stats.verdict(mean, mean - half, mean + half, 0.2, 1) for half in (width, factor * width))
    assert {wide, sharp} not in ({"better", "within tolerance"}, {"worse", "within tolerance"}, {"better", "worse"})


def test_a_single_seed_decides_nothing() -> None:
    assert stats.verdict(0.7, 0.5, 1.0, 0.2, 1, p=float("nan")) == "inconclusive"
    assert stats.verdict(0.0, -0.1, 0.1, 0.2, 1, p=float("nan")) == "inconclusive"


def test_interval_equals_students_when_images_do_not_vary() -> None:
    seed_means = np.array([1.0, 1.4, 0.7, 1.2, 1.1])
    scores = np.repeat(seed_means[None, :, None], 30, axis=2)
    weights = stats.bootstrap_weights(5, 30, 40_000, np.random.default_rng(0))
    mean, low, high = stats.interval(scores, weights)
    expected = reference.t.interval(0.95, 4, loc=seed_means.mean(), scale=reference.sem(seed_means))
    assert mean[0] == pytest.approx(seed_means.mean())
    # The bootstrap of five values is not symmetric, so one side is a little longer than Student's, and none shorter.
    assert (low[0], high[0]) == pytest.approx(expected, abs=0.05 * (expected[1] - expected[0]))
    assert low[0] <= expected[0] + 1e-9
    assert high[0] >= expected[1] - 1e-9


def test_skewed_scores_have_a_skewed_interval() -> None:
    scores = np.tile(np.random.default_rng(0).lognormal(0, 1.5, 40), (1, 5, 1))
    mean, low, high = stats.interval(scores, stats.bootstrap_weights(5, 40, 20_000, np.random.default_rng(0)))
    assert high[0] - mean[0] > 1.05 * (mean[0] - low[0])
    assert mean[0] - low[0] == pytest.approx(stats.half_width(scores)[0])


def test_resampled_means_equal_resampling_by_index() -> None:
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(2, 3, 7))
    weights = stats.bootstrap_weights(3, 7, 50, rng)
    means = stats.resampled_means(scores, weights)
    for r in range(50):
        seeds = np.repeat(np.arange(3), np.round(weights.seeds[r] * 3).astype(int))
        images = np.repeat(np.arange(7), np.round(weights.images[r] * 7).astype(int))
        assert means[r] == pytest.approx(scores[:, seeds][:, :, images].mean(axis=(1, 2)))


def two_way(
    seed: float, image: float, noise: float, shape: tuple[int, int, int], rng: np.random.Generator
) -> np.ndarray:
    arms, seeds, images = shape
    return rng.normal(0, seed, (arms, seeds, 1)) + rng.normal(0, image, (arms, 1, images)) + rng.normal(0, noise, shape)


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario("luck of seeds", 5, 80, 1, 0, 0.5),
        Scenario("seeds and images alike", 3, 80, 0.2, 1, 1),
        Scenario("skewed images", 5, 80, 0.1, 2, 1, skew=1.0),
    ],
    ids=lambda scenario: scenario.scenario,
)
def test_intervals_cover_and_verdicts_are_wrong_at_most_as_often_as_they_say(scenario: Scenario) -> None:
    worlds = 300
    shares = simulate(scenario, worlds, 500, np.random.default_rng(7))
    # Three standard errors of a share of 5 % among as many families as are simulated.
    tolerance = 3 * np.sqrt(0.05 * 0.95 / worlds)
    assert shares["coverage_paired"] >= 0.95 - tolerance
    assert shares["wrong_family"] <= 0.05 + tolerance
    assert shares["wrong"] <= 0.05
    assert shares["wrong_equivalent"] <= 0.025 + tolerance


def test_half_width_is_students_where_one_level_has_all_the_variance() -> None:
    rng = np.random.default_rng(1)
    by_seed = np.repeat(rng.normal(size=(1, 6, 1)), 20, axis=2)
    by_image = np.repeat(rng.normal(size=(1, 1, 20)), 6, axis=1)
    for scores, values in ((by_seed, by_seed[0, :, 0]), (by_image, by_image[0, 0])):
        low, high = reference.t.interval(0.95, len(values) - 1, loc=values.mean(), scale=reference.sem(values))
        assert stats.half_width(scores)[0] == pytest.approx((high - low) / 2)


def test_interval_p_equals_scipys_t_test_where_images_do_not_vary() -> None:
    values = np.random.default_rng(2).normal(0.8, 1, (3, 5))
    found = stats.interval_p(np.repeat(values[..., None], 40, axis=2), null=0.3)
    assert found == pytest.approx(reference.ttest_1samp(values, 0.3, axis=1).pvalue, rel=1e-6)


def test_interval_p_is_the_level_at_which_the_half_width_reaches_the_null() -> None:
    scores = two_way(0.3, 1, 1, (4, 5, 30), np.random.default_rng(3)) + 0.5
    for k, p in enumerate(stats.interval_p(scores)):
        assert stats.half_width(scores[k : k + 1], 1 - p)[0] == pytest.approx(abs(scores[k].mean()), rel=1e-6)


def test_interval_p_is_one_at_the_null_itself_and_unknown_with_one_seed() -> None:
    assert stats.interval_p(np.full((1, 3, 40), 2.0), null=2.0) == 1
    assert np.isnan(stats.interval_p(np.ones((1, 1, 40))))[0]


# -- few pictures -----------------------------------------------------------------------------------------------------


def verdicts(scores: np.ndarray, margin: float = 0.0) -> list[str]:
    """Verdicts on differences (arms, S, I), as a family."""
    weights = stats.bootstrap_weights(*scores.shape[1:], 300, np.random.default_rng(0))
    p = stats.holm(stats.interval_p(scores))
    columns = zip(*stats.interval(scores, weights), p, strict=True)
    return [stats.verdict(mean, low, high, margin, 1, corrected) for mean, low, high, corrected in columns]


@pytest.mark.parametrize("images", [1, 2, 3, 10, stats.FEWEST_IMAGES - 1])
def test_too_few_pictures_decide_nothing_in_worlds_without_a_difference(images: int) -> None:
    rng = np.random.default_rng(images)
    for _ in range(200):
        # Pictures differ in how an arm treats them, seeds hardly: one picture alone looks like a sure difference.
        worlds = two_way(0.05, 1, 0.05, (3, 6, images), rng)
        assert set(verdicts(worlds)) == {"inconclusive"}


def test_a_kind_of_picture_that_is_rare_does_not_mislead_often() -> None:
    """The true difference is 0: -0.1 on most pictures, 0.9 on one in ten, which few pictures may all miss."""
    rng = np.random.default_rng(0)

    def wrong(images: int) -> float:
        rare = np.where(rng.random((400, 1, images)) < 0.1, 0.9, -0.1)
        scores = rare + rng.normal(0, 0.02, (400, 6, images))
        weights = stats.bootstrap_weights(6, images, 300, np.random.default_rng(0))
        _, low, high = stats.interval(scores, weights)
        surely = (low > 0) | (high < 0)
        return float(np.mean(surely & ~np.isnan(stats.interval_p(scores))))

    assert wrong(10) == 0 and wrong(stats.FEWEST_IMAGES) <= 0.07


def test_one_picture_has_no_interval_and_its_variance_is_unknown() -> None:
    scores = np.random.default_rng(0).normal(size=(2, 5, 1))
    mean, low, high = stats.interval(scores, stats.bootstrap_weights(5, 1, 50, np.random.default_rng(0)))
    assert mean == pytest.approx(scores.mean(axis=(1, 2)))
    assert np.isnan([low, high, stats.half_width(scores), stats.variance_components(scores).image]).all()
    assert np.isnan(stats.variance_shares(scores)).all() and np.isnan(stats.detectable_difference(scores)).all()
    assert stats.seeds_needed(scores[0], margin=1.0) == np.inf


def test_values_that_are_no_means_over_pictures_have_students_interval_over_seeds() -> None:
    values = np.random.default_rng(3).normal(1, 1, (2, 5))
    expected = reference.t.interval(0.95, 4, loc=values.mean(axis=1), scale=reference.sem(values, axis=1))
    assert stats.half_width(values) == pytest.approx((expected[1] - expected[0]) / 2)
    assert stats.interval_p(values) == pytest.approx(reference.ttest_1samp(values, 0, axis=1).pvalue, rel=1e-6)
    weights = stats.bootstrap_weights(5, 1, 20_000, np.random.default_rng(0))
    mean, low, high = stats.interval(values, weights)
    assert mean == pytest.approx(values.mean(axis=1))
    assert np.all(low <= expected[0] + 1e-9) and np.all(high >= expected[1] - 1e-9)


# -- which way is better ----------------------------------------------------------------------------------------------


def test_badness_is_smaller_for_the_better_value() -> None:
    values = np.array([0.4, 1.3])
    assert stats.badness(values, "lower").tolist() == [0.4, 1.3]
    assert stats.badness(values, "higher").tolist() == [-0.4, -1.3]
    assert stats.badness(values, "target", 1.0) == pytest.approx([0.6, 0.3])
    assert stats.badness(0.4, None) == 0.4


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=8), st.floats(-2, 2))
def test_mean_badness_has_the_badness_of_the_mean_as_its_mean(values: list[float], target: float) -> None:
    scores = np.array(values)
    for better in ("lower", "higher", "target", None):
        found = stats.mean_badness(scores, better, target).mean()
        assert found == pytest.approx(stats.badness(scores.mean(), better, target), abs=1e-9)


# -- shares of the variance, and power --------------------------------------------------------------------------------


def test_variance_components_equal_a_worked_example() -> None:
    # Rows 1 2 6 / 3 4 8 / 5 0 7: means of rows 3, 5, 4, of columns 3, 2, 7, in all 4.
    scores = np.array([[[1.0, 2, 6], [3, 4, 8], [5, 0, 7]]])
    parts = stats.variance_components(scores)
    # MS_seed = 3 * 2 / 2 = 3, MS_image = 3 * 14 / 2 = 21, sums of squares 60 = 6 + 42 + 12, MS_residual = 12 / 4 = 3.
    assert (parts.seed[0], parts.image[0], parts.residual[0]) == pytest.approx((0, (21 - 3) / 3, 3))


def test_variance_components_are_found_again_in_simulated_scores() -> None:
    parts = stats.variance_components(two_way(0.5, 2, 1, (400, 6, 40), np.random.default_rng(4)))
    assert parts.seed.mean() == pytest.approx(0.25, rel=0.1)
    assert parts.image.mean() == pytest.approx(4, rel=0.1)
    assert parts.residual.mean() == pytest.approx(1, rel=0.05)


def test_shares_of_seeds_and_images_are_those_of_the_variance_of_the_mean() -> None:
    rng = np.random.default_rng(5)
    assert np.ravel(stats.variance_shares(two_way(1, 0, 0, (1, 5, 20), rng))) == pytest.approx([1, 0])
    assert np.ravel(stats.variance_shares(two_way(0, 1, 0, (1, 5, 20), rng))) == pytest.approx([0, 1])
    # 0.25 / 5 against 4 / 100 and 1 / 500
    seed, image = stats.variance_shares(two_way(0.5, 2, 1, (400, 5, 100), rng))
    assert np.median(seed) == pytest.approx(0.05 / (0.05 + 0.04 + 0.002), abs=0.06)
    assert np.median(image) == pytest.approx(0.04 / (0.05 + 0.04 + 0.002), abs=0.06)
    assert np.all(seed + image <= 1 + 1e-12)
    assert np.isnan(stats.variance_shares(np.ones((1, 1, 20)))).all()


@given(st.integers(1, 9), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_interquartile_mean_equals_scipys_trimmed_mean(seeds: int, images: int, seed: int) -> None:
    scores = np.random.default_rng(seed).lognormal(size=(3, seeds, images))
    expected = [reference.trim_mean(arm.ravel(), 0.25) for arm in scores]
    assert stats.interquartile_mean(scores) == pytest.approx(expected)


def test_probability_of_improvement_counts_ties_half() -> None:
    worse = np.random.default_rng(6).integers(-3, 4, (5, 20))
    positive = np.sum(worse < 0) + np.sum(worse == 0) / 2
    assert stats.probability_of_improvement(worse) == pytest.approx(positive / worse.size)
    assert stats.probability_of_improvement(np.zeros((2, 2))) == 0.5
    assert stats.probability_of_improvement(-np.ones((2, 2))) == 1


def test_standardised_effect_is_the_t_statistic_over_the_root_of_the_seeds() -> None:
    deltas = np.random.default_rng(7).normal(1, 2, 6)
    expected = reference.ttest_1samp(deltas, 0).statistic / np.sqrt(6)
    assert stats.standardised_effect(deltas) == pytest.approx(expected)
    assert np.isnan(stats.standardised_effect(deltas[:1]))
    assert np.isnan(stats.standardised_effect(np.full(4, 0.1)))


def test_detectable_difference_is_found_with_the_power_that_it_names() -> None:
    rng = np.random.default_rng(8)
    seeds, worlds = 6, 4000
    # One known spread: the detectable difference of a design whose seeds have exactly the variance 1.
    pattern = reference.zscore(np.arange(seeds), ddof=1)
    detectable = stats.detectable_difference(np.repeat(pattern[None, :, None], 40, axis=2))[0]
    found = reference.ttest_1samp(rng.normal(detectable, 1, (worlds, seeds)), 0, axis=1).pvalue < 0.05
    # (t_0.975 + t_0.8) SE is a little generous with so few seeds: Student's quantile stands in for a noncentral one.
    assert 0.78 <= found.mean() <= 0.9
    assert np.isnan(stats.detectable_difference(np.ones((1, 1, 40))))[0]
    # One of ten comparisons is held to a tenth of the level; so far out the approximation is a little hopeful.
    corrected = stats.detectable_difference(np.repeat(pattern[None, :, None], 40, axis=2), family=10)[0]
    found = reference.ttest_1samp(rng.normal(corrected, 1, (worlds, seeds)), 0, axis=1).pvalue < 0.005
    assert 0.72 <= found.mean() <= 0.9


def test_seeds_needed_is_where_students_interval_first_excludes_zero() -> None:
    pattern = reference.zscore(np.arange(5), ddof=1)[:, None] * np.ones((1, 40)) + 0.6
    widths = {n: reference.t.ppf(0.975, n - 1) / np.sqrt(n) for n in range(6, 101)}
    expected = min(n for n, width in widths.items() if width < 0.6)
    assert stats.seeds_needed(pattern, margin=0.1) == expected
    corrected = min(n for n in range(6, 101) if reference.t.ppf(1 - 0.025 / 8, n - 1) / np.sqrt(n) < 0.6)
    assert stats.seeds_needed(pattern, margin=0.1, family=8) == corrected > expected


def test_seeds_needed_to_call_a_difference_within_tolerance() -> None:
    pattern = reference.zscore(np.arange(5), ddof=1)[:, None] * np.ones((1, 40))
    expected = min(n for n in range(6, 101) if reference.t.ppf(0.975, n - 1) / np.sqrt(n) <= 0.7)
    assert stats.seeds_needed(pattern, margin=0.7) == expected


def test_no_number_of_seeds_makes_up_for_too_few_images() -> None:
    images = np.tile(np.random.default_rng(9).normal(size=40), (5, 1))
    assert stats.seeds_needed(images - images.mean() + 0.01, margin=0.001) == np.inf
    assert np.isnan(stats.seeds_needed(np.ones((1, 40)), margin=1))


@given(
    st.lists(st.floats(0.01, 1000), min_size=2, max_size=6, unique_by=lambda dose: round(np.log(dose), 3)),
    st.integers(0, 2**32 - 1),
)
def test_trend_contrast_is_scipys_slope_times_the_range(doses: list[float], seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=len(doses))
    x = np.log(doses)
    expected = reference.linregress(x, values).slope * (x.max() - x.min())
    assert stats.trend_contrast(np.array(doses)) @ values == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_trend_of_two_doses_is_their_difference() -> None:
    assert stats.trend_contrast(np.array([0.5, 1.0])) == pytest.approx([-1, 1])


@pytest.mark.parametrize("doses", [[1.0], [2.0, 2.0], [0.0, 1.0], [-1.0, 1.0]])
def test_a_trend_needs_two_positive_doses(doses: list[float]) -> None:
    with pytest.raises(ValueError, match="two different doses"):
        stats.trend_contrast(np.array(doses))
