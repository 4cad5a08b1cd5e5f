"""Limits: closed forms, the exact figures of palette_world, and the theorems on small exact laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from study.analysis.limits import Law, least_error_at_chroma, least_error_at_distance
from study.data.palette_world import color_distribution
from study.metrics.ab_distance import coupling, transport

SHARES = {"sky": 0.3355, "grass": 0.3767, "flower": 0.1509, "car": 0.0778, "wall": 0.0340, "roof": 0.0250}
few = settings(max_examples=40, deadline=None)
seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def palette_world() -> Law:
    known = color_distribution()
    return Law.of(known, np.array([SHARES[kind] for kind in known.regions]))


def test_the_best_prediction_of_palette_world(palette_world: Law) -> None:
    assert np.sqrt(palette_world.error) == pytest.approx(19.23, abs=0.005)
    assert palette_world.chroma / palette_world.true_chroma == pytest.approx(0.742, abs=5e-4)
    assert palette_world.distance == pytest.approx(23.60, abs=0.005)


def test_what_color_costs_at_least_in_palette_world(palette_world: Law) -> None:
    lifted = palette_world.chroma + 10
    assert lifted / palette_world.true_chroma == pytest.approx(0.986, abs=5e-4)
    assert np.sqrt(palette_world.error_at_chroma(lifted)) == pytest.approx(20.49, abs=0.005)
    all_colors = least_error_at_distance(palette_world.error, palette_world.distance, 0)
    assert np.sqrt(all_colors) == pytest.approx(25.46, abs=0.005)
    assert all_colors < 2 * palette_world.error  # what drawing from the law itself costs


def test_two_opposite_modes_can_be_painted_at_the_price_of_their_chroma() -> None:
    # E[ab | x] is gray: to be as colourful as either mode, any hue at all, costs half the squared chroma.
    assert least_error_at_chroma(np.zeros((5, 2)), 50) == pytest.approx(50**2 / 2)
    squared, _, _ = transport(np.zeros((1, 2)), np.ones(1), np.array([[50.0, 0], [-50, 0]]), np.array([0.5, 0.5]))
    assert least_error_at_distance(50**2 / 2, np.sqrt(squared), 0) == pytest.approx(50**2)


def test_gaussian_colors_known_by_half_their_variance_have_the_closed_form() -> None:
    # The truth is f + noise, with variance s^2 per channel each. Its law is that of f times sqrt(2).
    s = 10.0
    distance = np.sqrt(2) * s * (np.sqrt(2) - 1)
    error = s**2
    assert least_error_at_distance(error, distance, 0) == pytest.approx(error + s**2 * (np.sqrt(2) - 1) ** 2)
    assert least_error_at_distance(error, distance, 2 * distance) == error


@pytest.mark.parametrize(
    ("chroma", "added"),
    # chromas 10 and 30: fading to a mean of 10 takes 10 from each, to 5 leaves nothing of the first
    [(20, 0), (25, 12.5), (10, 50), (5, (10**2 + 20**2) / 4), (0, (10**2 + 30**2) / 4)],
)
def test_chroma_is_lifted_and_lowered_by_equal_steps(chroma: float, added: float) -> None:
    assert least_error_at_chroma(np.array([[0.0, 10], [-30, 0]]), chroma) == pytest.approx(added)


@few
@given(seed=seeds, colors=st.integers(1, 6))
def test_no_prediction_beats_the_limit_at_its_chroma(seed: int, colors: int) -> None:
    rng = np.random.default_rng(seed)
    mean, shares = rng.normal(0, 20, (colors, 2)), rng.dirichlet(np.ones(colors))
    for scale in (1.0, 10, 40):
        painted = mean * rng.uniform(0, 2) + rng.normal(0, scale, mean.shape)
        added = shares @ np.square(painted - mean).sum(1) / 2
        least = least_error_at_chroma(mean, float(shares @ np.linalg.norm(painted, axis=1)), shares)
        assert added >= least - 1e-9


@few
@given(seed=seeds, target=st.floats(0, 80))
def test_the_limit_at_a_chroma_is_reached(seed: int, target: float) -> None:
    rng = np.random.default_rng(seed)
    mean, shares = rng.normal(0, 20, (6, 2)), rng.dirichlet(np.ones(6))
    length = np.linalg.norm(mean, axis=1)
    low, high = -length.max(), 100.0
    for _ in range(80):  # the one step that gives the chroma
        step = (low + high) / 2
        low, high = (step, high) if shares @ np.maximum(length + step, 0) < target else (low, step)
    reached = shares @ np.square(np.maximum(length + step, 0) - length) / 2
    assert least_error_at_chroma(mean, target, shares) == pytest.approx(reached, abs=1e-6)


def small_law(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
    """Means and shares of kinds, all possible colours and their shares, and the error of the means."""
    kinds, modes = rng.integers(1, 4), rng.integers(1, 4)
    shares = rng.dirichlet(np.ones(kinds) * 3) + 0.01
    shares /= shares.sum()
    colors, odds = rng.normal(0, 30, (kinds, modes, 2)), rng.dirichlet(np.ones(modes) * 3, kinds) + 0.01
    odds /= odds.sum(1, keepdims=True)
    mean = (odds[..., None] * colors).sum(1)
    error = float((shares[:, None] * odds * np.square(colors - mean[:, None]).sum(-1)).sum() / 2)
    return mean, shares, colors.reshape(-1, 2), (shares[:, None] * odds).ravel(), error


@few
@given(seed=seeds)
def test_no_prediction_beats_the_limit_at_its_distance(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mean, shares, colors, odds, error = small_law(rng)
    distance = np.sqrt(transport(mean, shares, colors, odds)[0])
    draws = 4  # a prediction that draws one of four colours for every kind
    for scale in (3.0, 30):
        painted = mean[:, None] * rng.uniform(0, 2) + rng.normal(0, scale, (len(mean), draws, 2))
        own_error = error + float(shares @ np.square(painted - mean[:, None]).sum(-1).mean(1)) / 2
        squared = transport(painted.reshape(-1, 2), np.repeat(shares / draws, draws), colors, odds)[0]
        assert own_error >= least_error_at_distance(error, distance, np.sqrt(squared)) - 1e-6


@few
@given(seed=seeds, way=st.floats(0, 1))
def test_the_limit_at_a_distance_is_reached_along_the_transport(seed: int, way: float) -> None:
    mean, shares, colors, odds, error = small_law(np.random.default_rng(seed))
    distance = np.sqrt(transport(mean, shares, colors, odds)[0])
    plan, _ = coupling(mean, shares, colors, odds)
    kind, color = np.nonzero(plan > 1e-12)
    painted, weight = (1 - way) * mean[kind] + way * colors[color], plan[kind, color]
    reached = error + float(weight @ np.square(painted - mean[kind]).sum(1)) / 2
    left = np.sqrt(transport(painted, weight, colors, odds)[0])
    assert left == pytest.approx((1 - way) * distance, abs=1e-3)
    assert reached == pytest.approx(least_error_at_distance(error, distance, left), abs=0.05, rel=1e-3)


def test_amounts_of_color_below_zero_are_refused() -> None:
    with pytest.raises(ValueError, match="chroma"):
        least_error_at_chroma(np.ones((2, 2)), -1)
    with pytest.raises(ValueError, match="distance"):
        least_error_at_distance(1, 2, -0.5)
