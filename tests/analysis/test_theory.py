"""The exact optimum against the published table, a search, and the loss classes themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from study.analysis.theory import classification_ab, huber_range, optimal_ab, raw_weights
from study.color.bins import AB_BINS, annealed_mean, prior_from_ab
from study.data.palette_world import PALETTES
from study.losses import ClassificationLoss, ColorizationAntiAverageLoss
from study.losses.regression import HuberLoss

OPPOSITE = np.array([[50.0, 0.0], [-50.0, 0.0]])
RIGHT_ANGLE = np.array([[50.0, 0.0], [0.0, 50.0]])
HALF = np.array([0.5, 0.5])


@pytest.mark.parametrize(
    ("colors", "saturation", "confidence", "chroma"),
    [
        (OPPOSITE, 0, 0, 0.0),
        (OPPOSITE, 0.01, 1, 1.96),
        (OPPOSITE, 1, 0, 33.3),
        (OPPOSITE, 0, 10, 10.0),
        (OPPOSITE, 0, 50, 50.0),
        (RIGHT_ANGLE, 0, 0, 35.4),
        (RIGHT_ANGLE, 0.01, 1, 36.6),
        (RIGHT_ANGLE, 1, 0, 45.1),
        (RIGHT_ANGLE, 0, 10, 45.4),
        (RIGHT_ANGLE, 0, 50, 50.0),
        (OPPOSITE * 0.364, 0, 0, 0.0),
        (OPPOSITE * 0.364, 0.01, 1, 1.34),
        (OPPOSITE * 0.364, 1, 0, 12.1),
        (OPPOSITE * 0.364, 0, 10, 10.0),
        (OPPOSITE * 0.364, 0, 50, 18.2),
    ],
)
def test_chroma_of_the_optimum_for_two_colours(
    colors: np.ndarray, saturation: float, confidence: float, chroma: float
) -> None:
    found = np.hypot(*optimal_ab(colors, HALF, saturation=saturation, confidence=confidence))
    assert found == pytest.approx(chroma, abs=0.05)


laws = st.integers(2, 5).flatmap(
    lambda k: st.tuples(
        st.lists(st.tuples(st.floats(-80, 80), st.floats(-80, 80)), min_size=k, max_size=k),
        st.lists(st.floats(0.05, 1), min_size=k, max_size=k),
    )
)


@settings(max_examples=60, deadline=None)
@given(laws, st.floats(0, 10), st.floats(0, 60))
@example(([(30.0, 0.0), (30.0, 0.0)], [0.5, 0.5]), 0.0, 5.0)
def test_no_prediction_does_better_than_the_closed_form(law: tuple, saturation: float, confidence: float) -> None:
    colors, shares = np.array(law[0]), np.array(law[1]) / np.sum(law[1])
    weights = {"lab": 1.0, "saturation": saturation, "confidence": confidence}
    ours = optimal_ab(colors, shares, **weights)

    def expected(ab: np.ndarray) -> np.ndarray:
        off = np.hypot(*colors.T) - np.hypot(ab[..., 0], ab[..., 1])[..., None]
        squared = np.square(ab[..., None, :] - colors).sum(-1) / 2
        return (squared + saturation * off**2 + confidence * np.maximum(off, 0)) @ shares

    chromas, hues = np.linspace(0, 120, 121), np.linspace(-np.pi, np.pi, 91)
    grid = chromas[:, None, None] * np.stack([np.cos(hues), np.sin(hues)], axis=-1)
    start = grid.reshape(-1, 2)[expected(grid).argmin()]
    searched = minimize(expected, start, method="Nelder-Mead", options={"xatol": 1e-5, "fatol": 1e-9})
    assert expected(ours) <= searched.fun + 1e-9


@settings(max_examples=50)
@given(laws, st.floats(0, 10), st.floats(0, 60))
def test_no_weights_change_the_hue(law: tuple, saturation: float, confidence: float) -> None:
    colors, shares = np.array(law[0]), np.array(law[1]) / np.sum(law[1])
    mean = shares @ colors
    optimum = optimal_ab(colors, shares, saturation=saturation, confidence=confidence)
    if np.hypot(*mean) > 1e-3:
        cross = mean[0] * optimum[1] - mean[1] * optimum[0]
        assert abs(cross) <= 1e-9 * max(1, np.hypot(*mean) * np.hypot(*optimum))


@pytest.mark.parametrize(("saturation", "confidence"), [(0.0, 0.0), (0.01, 1.0), (1.0, 0.0), (0.0, 10.0), (2.0, 30.0)])
def test_one_parameter_trained_with_the_loss_class_lands_on_the_optimum(saturation: float, confidence: float) -> None:
    colors, shares = np.array([[40.0, 10.0], [5.0, 45.0], [-20.0, 30.0]]), np.array([0.5, 0.3, 0.2])
    loss = ColorizationAntiAverageLoss(1.0, saturation, 0.0, confidence)
    pixels = torch.tensor(np.repeat(colors, (shares * 10).astype(int), axis=0)).T.reshape(1, 2, 1, 10)
    prediction = torch.tensor([[1.0], [1.0]], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([prediction], max_iter=500, tolerance_grad=1e-12, tolerance_change=1e-14)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        total = loss(prediction.view(1, 2, 1, 1).expand(1, 2, 1, 10), pixels)["total"]
        total.backward()
        return total

    optimizer.step(closure)
    expected = optimal_ab(colors, shares, saturation=saturation, confidence=confidence)
    # Where the optimum is a kink of the confidence term, gradients stop a little short of it.
    assert prediction.detach().flatten().numpy() == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("kind", ["sky", "grass", "flower"])
@pytest.mark.parametrize("units", ["raw", "normalized"])
def test_gradient_descent_on_drawn_colours_lands_on_the_optimum_in_both_conventions(kind: str, units: str) -> None:
    weights = {"raw": (1.0, 0.01, 0.0, 1.0), "normalized": (1.0, 2.0, 0.0, 1.0)}[units]
    loss = ColorizationAntiAverageLoss(*weights, units=units)
    colors = np.array([(mode.a, mode.b) for mode in PALETTES[kind]], float)
    law = np.array([mode.probability for mode in PALETTES[kind]])
    drawn = np.random.default_rng(0).choice(len(law), size=300, p=law)
    shares = np.bincount(drawn, minlength=len(law)) / len(drawn)
    pixels = torch.tensor(colors[drawn].T.reshape(1, 2, 1, 300))
    prediction = torch.tensor([10.0, -10.0], dtype=torch.float64, requires_grad=True)
    # The squared error counts 256^2 times less in the normalized convention; so many times longer steps undo that.
    optimizer = torch.optim.SGD([prediction], lr=0.1 * loss.units.ab**2)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.997)
    for _ in range(2000):
        optimizer.zero_grad()
        loss(prediction.view(1, 2, 1, 1).expand_as(pixels), pixels)["total"].backward()
        optimizer.step()
        schedule.step()
    raw = raw_weights(dict(zip(loss.terms, weights, strict=True)), units)
    expected = optimal_ab(colors, shares, **raw)
    # At normalized weights the pull on the hue is a hundredth of that on the chroma: its last tenths take long.
    assert prediction.detach().numpy() == pytest.approx(expected, abs=0.3)


@settings(max_examples=60, deadline=None)
@given(laws, st.floats(0.1, 30))
@example(([(0.0, 0.0), (40.0, 10.0)], [0.5, 0.5]), 1.0)
def test_no_prediction_has_a_smaller_huber_loss_than_any_of_the_range(law: tuple, delta: float) -> None:
    colors, shares = torch.tensor(law[0], dtype=torch.float64), np.array(law[1]) / np.sum(law[1])
    low, high = huber_range(colors.numpy(), shares, delta)
    assert np.all(low <= high)

    def expected(ab: np.ndarray) -> float:
        each = [HuberLoss(delta)(torch.tensor(ab).view(1, 2, 1, 1), c.view(1, 2, 1, 1))["huber"] for c in colors]
        return float(shares @ np.array([float(loss) for loss in each]))

    grid = np.random.default_rng(0).uniform(-90, 90, (40, 2))
    near = (low + high) / 2 + np.random.default_rng(1).normal(0, 0.5, (40, 2))
    best = expected(low)
    assert expected(high) == pytest.approx(best, rel=1e-6, abs=1e-9)
    assert best <= min(expected(ab) for ab in [*grid, *near, *colors.numpy()]) + 1e-9
    outside = [
        end + np.array(step) for end, sign in ((low, -1), (high, 1)) for step in ((sign * 0.1, 0), (0, sign * 0.1))
    ]
    assert all(expected(ab) > best for ab in outside)


def test_huber_between_two_halves_of_a_law_leaves_the_colour_open() -> None:
    low, high = huber_range([[0.0, 10.0], [40.0, 10.0]], HALF, delta=1.0)
    assert (low.tolist(), high.tolist()) == ([1.0, 10.0], [39.0, 10.0])
    with pytest.raises(ValueError, match="delta"):
        huber_range([[0.0, 10.0]], [1.0], delta=0)


@pytest.mark.parametrize("rebalance", [None, 0.5])
def test_free_logits_trained_with_the_classification_loss_decode_to_the_prediction(rebalance: float | None) -> None:
    colors, counts = np.array([[42.0, 20.0], [-4.0, 56.0], [-36.0, 4.0], [0.0, 0.0]]), [2, 3, 1, 6]
    pixels = torch.tensor(np.repeat(colors, counts, axis=0)).T.reshape(1, 2, 1, 12)
    prior = prior_from_ab(pixels) if rebalance else None
    loss = ClassificationLoss(prior, rebalance)
    logits = torch.zeros(1, len(AB_BINS), 1, 1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.1)
    for _ in range(800):
        optimizer.zero_grad()
        loss(logits.expand(1, -1, 1, 12), pixels)["total"].backward()
        optimizer.step()
    for temperature in (0.1, 0.38, 1.0):
        found = annealed_mean(logits.detach(), temperature).flatten().numpy()
        expected = classification_ab(colors, np.array(counts) / 12, temperature, prior, rebalance)
        assert found == pytest.approx(expected, abs=0.05)


def test_rebalancing_moves_the_decoded_colour_towards_the_rare_one() -> None:
    colors, shares = np.array([[50.0, 0.0], [-50.0, 0.0]]), np.array([0.8, 0.2])
    prior = np.zeros(len(AB_BINS))
    for color, share in zip(colors, shares, strict=True):
        prior[np.flatnonzero((AB_BINS.numpy() == color).all(axis=1))] = share
    plain = classification_ab(colors, shares, 1.0)
    assert plain == pytest.approx(shares @ colors, abs=1.0)
    assert classification_ab(colors, shares, 1.0, prior)[0] < plain[0] - 10


def test_normalized_weights_in_raw_units() -> None:
    found = raw_weights({"lab": 1.0, "saturation": 2.0, "confidence": 1.0}, "normalized")
    assert found == pytest.approx({"lab": 1.0, "saturation": 2 * (256 / 181) ** 2, "confidence": 256**2 / 181})
    assert raw_weights({"lab": 2.0, "saturation": 1.0}, "raw") == {"lab": 1.0, "saturation": 0.5, "confidence": 0.0}


def test_confidence_alone_asks_for_the_largest_chroma_and_nothing_more() -> None:
    colors = np.array([[30.0, 0.0], [10.0, 0.0]])
    assert optimal_ab(colors, HALF, lab=0, confidence=1) == pytest.approx([30, 0])


@pytest.mark.parametrize(
    ("colors", "shares", "weights"),
    [
        (OPPOSITE, [1.0], {}),
        (OPPOSITE, [0.7, 0.7], {}),
        (OPPOSITE, HALF, {"saturation": -1}),
        (OPPOSITE, HALF, {"lab": 0}),
        ([50.0, 0.0], HALF, {}),
    ],
)
def test_what_is_no_law_or_no_loss_is_refused(colors: object, shares: object, weights: dict) -> None:
    with pytest.raises(ValueError, match=r"must be|>= 0"):
        optimal_ab(colors, shares, **weights)
