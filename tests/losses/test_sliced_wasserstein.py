"""SlicedWassersteinLoss against exact transport along each direction."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from scipy.stats import wasserstein_distance
from torch import Tensor
from torch.nn.functional import mse_loss

from study.losses import SlicedWassersteinLoss
from tests.losses.test_anti_average import colors


def distance(pred: Tensor, target: Tensor, directions: int = 16) -> float:
    return SlicedWassersteinLoss(directions)(pred, target)["sliced_wasserstein"].item()


def shuffled(picture: Tensor, seed: int) -> Tensor:
    pixels = picture.flatten(2)
    order = torch.randperm(pixels.shape[2], generator=torch.Generator().manual_seed(seed))
    return pixels[:, :, order].view_as(picture)


@pytest.mark.parametrize("directions", [2, 3, 16])
def test_is_exact_transport_along_every_direction(directions):
    pred, target = colors(2, 2, 3, 4, seed=1), colors(2, 2, 3, 4, seed=2)
    costs = []
    for image in range(2):
        for k in range(directions):
            unit = np.array([math.cos(math.pi * k / directions), math.sin(math.pi * k / directions)])
            one, other = (x[image].flatten(1).numpy().T @ unit for x in (pred, target))
            cost = (one[:, None] - other) ** 2
            rows, columns = linear_sum_assignment(cost)
            costs.append(cost[rows, columns].mean())
    assert distance(pred, target, directions) == pytest.approx(np.mean(costs), rel=1e-10)


def test_along_one_line_it_bounds_scipys_first_wasserstein_distance():
    values, others = np.random.default_rng(0).normal(size=(2, 30)) * 20
    pred, target = (torch.tensor(np.stack([x, 0 * x])).view(1, 2, 5, 6) for x in (values, others))
    # Colours on the a axis: the direction d sees them shortened by its a component, whose mean square is 1/2.
    second = np.mean((np.sort(values) - np.sort(others)) ** 2)
    assert distance(pred, target) == pytest.approx(second / 2)
    assert math.sqrt(2 * distance(pred, target)) >= wasserstein_distance(values, others)
    # Moved by a constant, all Wasserstein distances are that constant.
    assert math.sqrt(2 * distance(pred, pred + torch.tensor([7.0, 0]).view(1, 2, 1, 1))) == pytest.approx(7)


@given(st.integers(0, 1000), st.integers(1, 4), st.integers(1, 4))
def test_zero_for_the_same_colours_in_any_order_and_never_above_the_squared_error(seed, height, width):
    pred, target = colors(2, 2, height, width, seed=seed), colors(2, 2, height, width, seed=seed + 1)
    assert distance(shuffled(target, seed), target) < 1e-20
    between = distance(pred, target)
    assert 0 < between <= mse_loss(pred, target).item() * (1 + 1e-12)
    assert distance(shuffled(pred, seed), shuffled(target, seed + 2)) == pytest.approx(between, rel=1e-9)
    assert distance(target, pred) == pytest.approx(between, rel=1e-9)


def test_one_pixel_and_constant_pictures_cost_the_squared_error():
    for side in (1, 4):
        pred = torch.tensor([10.0, -20.0]).view(1, 2, 1, 1).repeat(1, 1, side, side)
        target = torch.tensor([-5.0, 30.0]).view(1, 2, 1, 1).repeat(1, 1, side, side)
        assert distance(pred, target) == pytest.approx(mse_loss(pred, target).item(), rel=1e-5)


@pytest.mark.parametrize("directions", [1, 0, -3, 2.5, True])
def test_impossible_numbers_of_directions_are_refused(directions):
    with pytest.raises(ValueError, match="directions"):
        SlicedWassersteinLoss(directions)


def test_a_model_made_without_memory_has_its_directions_afterwards():
    with torch.device("meta"):
        deferred = SlicedWassersteinLoss()
    deferred = deferred.to_empty(device="cpu")
    deferred.load_state_dict(SlicedWassersteinLoss().state_dict())
    pred, target = torch.randn(2, 1, 2, 6, 6, generator=torch.Generator().manual_seed(0)).unbind(0)
    assert torch.equal(deferred(pred, target)["total"], SlicedWassersteinLoss(np.int64(16))(pred, target)["total"])
