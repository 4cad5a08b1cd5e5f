"""HueLoss against the CIE definition and its optimum where the hue is uncertain."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from torch import Tensor

from study.losses import ColorizationAntiAverageLoss, HueLoss


def one(a: float, b: float) -> Tensor:
    return torch.tensor([a, b], dtype=torch.float64).view(1, 2, 1, 1)


def test_by_hand():
    assert HueLoss()(one(0, 3), one(4, 0))["hue"].item() == pytest.approx(12)  # a right angle: 3 * 4 - 0
    assert HueLoss()(one(-3, 0), one(4, 0))["hue"].item() == pytest.approx(24)  # opposite: 12 + 12
    assert HueLoss()(one(8, 0), one(4, 0))["hue"].item() == 0  # the same hue, another chroma


@given(st.lists(st.floats(-110, 110), min_size=4, max_size=4))
def test_squared_error_is_chroma_error_plus_hue_error(values):
    pred, target = one(*values[:2]), one(*values[2:])
    ours, published = HueLoss()(pred, target), ColorizationAntiAverageLoss()(pred, target)
    assert ours["lab"].item() == pytest.approx(published["saturation"].item() / 2 + ours["hue"].item(), abs=1e-9)
    assert ours["hue"].item() >= -1e-11


def test_a_gray_prediction_is_pulled_towards_the_target():
    pred = torch.zeros(1, 2, 1, 1, dtype=torch.float64, requires_grad=True)
    out = HueLoss()(pred, one(30, -40))
    (gradient,) = torch.autograd.grad(out["hue"], pred)
    assert out["hue"] == 0
    torch.testing.assert_close(gradient, -one(30, -40))


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0, 3.0])
def test_the_best_single_colour_for_two_equally_likely_ones(weight):
    """Hues 90 degrees apart: less chroma than the mean colour has, in its hue, and gray from weight 2.41 on."""
    colours = torch.cat([one(50, 0), one(0, 50)])
    mean = colours.mean(0)
    length, mean_chroma = mean.norm().item(), 50.0
    expected = max(length - weight * (mean_chroma - length), 0)
    loss = HueLoss()
    loss.set_weights({"lab": 1.0, "hue": weight})
    found = minimize(lambda ab: loss(one(*ab).expand(2, -1, -1, -1), colours)["total"].item(), [3, -7], method="Powell")
    assert math.hypot(*found.x) == pytest.approx(expected, abs=0.2)
    if expected:
        assert math.degrees(math.atan2(*found.x[::-1])) == pytest.approx(45, abs=0.1)
