"""The region of settings that the data cannot tell from the best, on surfaces that are known."""

from __future__ import annotations

import os

import numpy as np
import pytest

from study.search.axes import Axis
from study.search.region import Judged, find_region
from tests.search.synthetic import NO_SHIFT, NOISE, axes_of, draw, region_of, true_points

WIDE = Axis(0.1, 100)


def flat_valley(a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
    """Chroma rises with a, the error with distance from a = 3; b has no effect."""
    far = np.log10(a / 3)
    return {"chroma_ratio": 1 + 0.05 * far, "ab_rmse": 20 + 3 * far**2, "diversity": 0.1}


def ridge(a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
    """Two weights that do the same: any with a + b = 20 are best, a ridge that is curved on logarithmic scales."""
    done = (a + b) / (20 + a + b)
    return {"chroma_ratio": 0.6 + 0.8 * done, "ab_rmse": 20 + 2 * done, "diversity": 0.1}


def sharp(a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
    """One narrow optimum at a = 2, b = 40."""
    far = np.hypot(np.log10(a / 2), np.log10(b / 40))
    return {"chroma_ratio": 1 - 0.02 * far, "ab_rmse": 20 + 12 * far**2, "diversity": 0.1}


def harmful(a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
    """a is best at 3, and b at 0: all of it adds error."""
    return flat_valley(a, b) | {"ab_rmse": 20 + 3 * np.log10(a / 3) ** 2 + 1.5 * np.log1p(10 * b)}


def test_a_weight_without_effect_may_be_anything_and_the_other_is_found() -> None:
    found = region_of(flat_valley, axes_of(a=WIDE, b=WIDE)).ranges
    assert (found["w_b"].low, found["w_b"].high) == (0.1, 100)
    assert found["w_b"].open_low
    assert found["w_b"].open_high
    assert found["w_b"].middle in (2, 3, 4)
    true = true_points(flat_valley, axes_of(a=WIDE, b=WIDE))[:, 0]
    assert true.min() / 2 <= found["w_a"].low <= true.min()
    assert true.max() <= found["w_a"].high <= true.max() * 2
    assert not found["w_a"].open_low
    assert not found["w_a"].open_high


def test_on_a_curved_ridge_the_middle_lies_on_it_where_the_middles_of_the_ranges_do_not() -> None:
    axes = axes_of(a=WIDE, b=WIDE)
    found = list(region_of(ridge, axes).ranges.values())
    middles = [np.sqrt(one.low * one.high) for one in found]
    assert ridge(*middles)["chroma_ratio"] < 0.8
    assert ridge(*(one.middle for one in found))["chroma_ratio"] == pytest.approx(1, abs=0.06)
    true = true_points(ridge, axes)
    for one, low, high in zip(found, true.min(0), true.max(0), strict=True):
        assert one.low == pytest.approx(low, rel=0.5)
        assert one.high == pytest.approx(high, rel=0.5)


def test_a_sharp_optimum_leaves_a_small_region_around_it() -> None:
    found = region_of(sharp, axes_of(a=WIDE, b=WIDE), count=24).ranges
    for one, best in ((found["w_a"], 2), (found["w_b"], 40)):
        assert one.low <= best <= one.high
        assert one.high / one.low <= 4
        assert best / 2 <= one.middle <= best * 2


def test_a_term_that_only_harms_may_be_left_out() -> None:
    found = region_of(harmful, axes_of(a=WIDE, b=Axis(0.1, 100, zero=True))).ranges["w_b"]
    assert found.low == 0
    assert not found.open_low
    assert found.high < 1
    assert found.middle <= 0.1


def test_every_number_has_one_significant_digit() -> None:
    found = region_of(ridge, axes_of(a=WIDE, b=Axis(0.03, 40, zero=True)))
    for one in found.ranges.values():
        assert all(value == float(f"{value:.0e}") for value in (one.low, one.middle, one.high))
    assert found.middle == {name: one.middle for name, one in found.ranges.items()}


def test_the_region_keeps_away_from_where_training_diverged() -> None:
    axes = axes_of(a=WIDE)

    def truth(a: np.ndarray) -> dict[str, np.ndarray]:
        return {"chroma_ratio": 1, "ab_rmse": 20 - 0.05 * np.log10(a), "diversity": 0.1}

    judged = draw(truth, axes, 16, 0)
    with_some = [Judged(one.settings, None if one.settings["w_a"] > 10 else one.scores) for one in judged]
    assert find_region(axes, {}, judged, NO_SHIFT, colors=True).ranges["w_a"].high == 100
    assert find_region(axes, {}, with_some, NO_SHIFT, colors=True).ranges["w_a"].high < 30


def test_options_that_cannot_be_told_apart_are_listed_and_worse_ones_are_not() -> None:
    axes = axes_of(a=WIDE)
    judged = []
    for option, worse in ((None, 0.0), (0.5, 0.0), (0.25, 3.0)):
        for one in draw(lambda a: flat_valley(a, a), axes, 8, seed=1):
            scores = one.scores + np.array([0, worse, 0])
            judged.append(Judged(one.settings | {"o_mix": option}, scores))
    found = find_region(axes, {"o_mix": [None, 0.5, 0.25]}, judged, NO_SHIFT, colors=True)
    assert found.options == {"o_mix": [None, 0.5]}
    assert found.middle["o_mix"] in (None, 0.5)


def test_full_training_that_adds_chroma_moves_the_region_as_more_chroma_does() -> None:
    axes = axes_of(a=WIDE, b=WIDE)
    judged = draw(ridge, axes, 16, 0)
    more = [Judged(one.settings, one.scores + np.array([0.1, 0, 0])) for one in judged]
    shifted = find_region(axes, {}, judged, NO_SHIFT | {"chroma_ratio": 0.1}, colors=True)
    assert shifted.ranges == find_region(axes, {}, more, NO_SHIFT, colors=True).ranges
    assert shifted.ranges != find_region(axes, {}, judged, NO_SHIFT, colors=True).ranges


def test_without_colours_to_change_the_error_decides() -> None:
    axes = axes_of(a=WIDE)

    def truth(a: np.ndarray) -> dict[str, np.ndarray]:
        return flat_valley(a, a) | {"chroma_ratio": 0.5 + 0.2 * np.log10(a / 0.1)}

    found = find_region(axes, {}, draw(truth, axes, 12, 0), NO_SHIFT, colors=False).ranges["w_a"]
    assert 1 <= found.low <= 3 <= found.high <= 9


def test_candidates_judged_twice_or_on_fewer_seeds_change_little() -> None:
    axes = axes_of(a=WIDE, b=WIDE)
    judged = draw(flat_valley, axes, 16, 0)
    whole = find_region(axes, {}, judged, NO_SHIFT, colors=True)
    assert find_region(axes, {}, [*judged, *judged[:5]], NO_SHIFT, colors=True) == whole
    worst = sorted(judged, key=lambda one: -one.scores[:, 1].mean())[:4]
    stopped = [Judged(one.settings, one.scores[:1] if one in worst else one.scores) for one in judged]
    fewer = find_region(axes, {}, stopped, NO_SHIFT, colors=True).ranges["w_a"]
    assert fewer.low == pytest.approx(whole.ranges["w_a"].low, rel=0.6)
    assert fewer.high == pytest.approx(whole.ranges["w_a"].high, rel=0.6)


def test_the_noise_is_that_of_the_paired_seeds_or_of_the_fit_with_one_seed() -> None:
    axes = axes_of(a=WIDE, b=WIDE)
    paired = find_region(axes, {}, draw(flat_valley, axes, 64, 0), NO_SHIFT, colors=True).noise
    fitted = find_region(axes, {}, draw(flat_valley, axes, 64, 0, seeds=1), NO_SHIFT, colors=True).noise
    for noise, allowed in ((paired, 0.2), (fitted, 0.5)):
        assert list(noise.values()) == pytest.approx(NOISE, rel=allowed)


def test_a_few_wild_candidates_do_not_make_the_others_look_alike() -> None:
    axes = axes_of(a=WIDE, b=WIDE)
    judged = draw(flat_valley, axes, 20, 0)
    usual = find_region(axes, {}, judged, NO_SHIFT, colors=True)
    swing = np.array([[1.0], [-1.0]]) * 100 * NOISE
    wild = [Judged(one.settings, one.scores + swing if one.settings["w_a"] > 40 else one.scores) for one in judged]
    found = find_region(axes, {}, wild, NO_SHIFT, colors=True)
    assert 0 < sum(one.settings["w_a"] > 40 for one in judged) < 6
    assert list(found.noise.values()) == pytest.approx(list(usual.noise.values()), rel=0.6)
    assert found.ranges["w_a"].high <= 2 * usual.ranges["w_a"].high
    assert found.ranges["w_a"].low >= usual.ranges["w_a"].low / 2


def test_too_few_candidates_have_no_region_and_more_weights_need_more() -> None:
    axes = axes_of(a=WIDE, b=WIDE)
    judged = draw(flat_valley, axes, 8, 0)
    assert find_region(axes, {}, judged[:5], NO_SHIFT, colors=True) is None
    assert find_region(axes, {}, judged[:6], NO_SHIFT, colors=True) is not None
    lost = [Judged(one.settings, None) for one in judged[:3]]
    assert find_region(axes, {}, [*lost, *judged[3:]], NO_SHIFT, colors=True) is None


def test_many_weights_are_looked_at_on_a_coarser_grid() -> None:
    axes = axes_of(**{f"t{k}": Axis(0.01, 100, zero=k % 2 == 0) for k in range(5)})

    def truth(*weights: np.ndarray) -> dict[str, np.ndarray]:
        return flat_valley(np.maximum(weights[1], 1e-3), weights[0])

    found = find_region(axes, {}, draw(truth, axes, 24, 0), NO_SHIFT, colors=True).ranges
    assert found["w_t1"].low <= 3 <= found["w_t1"].high
    assert 0.5 <= found["w_t1"].middle <= 20


# `make soak` may raise it.
REPEATS = int(os.environ.get("STUDY_TEST_REPEATS", "25"))


@pytest.mark.parametrize("truth", [flat_valley, ridge])
def test_a_repeated_search_finds_an_overlapping_region_and_much_the_same_middle(truth) -> None:
    axes = axes_of(a=WIDE, b=WIDE)
    found = [region_of(truth, axes, count=16, seed=seed) for seed in range(REPEATS)]
    true = true_points(truth, axes)
    for k, name in enumerate(axes):
        ranges = [one.ranges[name] for one in found]
        lows, highs = (np.array([getattr(one, end) for one in ranges]) for end in ("low", "high"))
        assert (lows[:, None] <= highs).mean() > 0.95  # of all pairs
        assert ((lows <= np.median(true[:, k])) & (np.median(true[:, k]) <= highs)).mean() > 0.8
        middles = np.array([one.middle for one in ranges])
        usual = np.median(middles)
        assert ((usual / 3 <= middles) & (middles <= usual * 3)).mean() > 0.8
