"""Losses between the colours of whole batches, against exact transport, closed forms and plain sums."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from scipy.stats import wasserstein_distance_nd
from torch import Tensor

from study.color.bins import AB_BINS
from study.losses import (
    BatchWassersteinLabLoss,
    BatchWassersteinLoss,
    ColorHistogramLoss,
    EnergyDistanceLoss,
    HueHistogramLoss,
    Loss,
)
from tests.losses.test_anti_average import colors

PER_SET = {
    "wasserstein": BatchWassersteinLoss(),
    "energy": EnergyDistanceLoss(),
    "histogram": ColorHistogramLoss(),
    "hue": HueHistogramLoss(),
}


def term(loss: Loss, pred: Tensor, target: Tensor) -> float:
    (name,) = set(loss.terms) - {"lab"}
    return loss(pred, target)[name].item()


def flat(picture: Tensor) -> np.ndarray:
    return picture.transpose(0, 1).flatten(1).T.numpy()


@pytest.mark.parametrize("loss", PER_SET.values(), ids=PER_SET)
@given(seed=st.integers(0, 1000))
def test_the_order_of_pixels_and_pictures_is_nothing_to_them(loss: Loss, seed: int) -> None:
    target = colors(3, 2, 4, 5, seed=seed)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(seed))
    moved = target.transpose(0, 1).flatten(1)[:, order].view(2, 3, 4, 5).transpose(0, 1)
    assert term(loss, moved, target) == pytest.approx(0, abs=1e-9)
    other = colors(3, 2, 4, 5, seed=seed + 1)
    assert term(loss, other, target) > 0


@pytest.mark.parametrize("loss", PER_SET.values(), ids=PER_SET)
def test_pictures_may_exchange_colours_where_single_pictures_may_not(loss: Loss) -> None:
    red, blue = (torch.tensor(c).view(1, 2, 1, 1).expand(1, 2, 4, 4) for c in ([60.0, 40.0], [20.0, -60.0]))
    assert term(loss, torch.cat([red, blue]), torch.cat([blue, red])) == pytest.approx(0, abs=1e-9)
    assert term(loss, torch.cat([red, red]), torch.cat([red, blue])) > 0.1


@pytest.mark.parametrize("directions", [2, 3, 8])
def test_moved_by_a_constant_the_distance_is_half_its_square(directions: int) -> None:
    target, shift = colors(2, 2, 3, 4, seed=1), torch.tensor([3.0, -4.0], dtype=torch.float64).view(1, 2, 1, 1)
    for turned in (False, True):
        loss = BatchWassersteinLoss(directions, turned)
        assert term(loss, target + shift, target) == pytest.approx(25 / 2)


def test_many_directions_bound_the_exact_distance_from_below() -> None:
    pred, target = colors(2, 2, 4, 4, seed=1), colors(2, 2, 4, 4, seed=2)
    sliced = math.sqrt(2 * term(BatchWassersteinLoss(64), pred, target))
    matched = cdist(flat(pred), flat(target)) ** 2
    exact = math.sqrt(matched[linear_sum_assignment(matched)].mean())
    assert 0.5 * exact < sliced <= exact * (1 + 1e-9)
    assert wasserstein_distance_nd(flat(pred), flat(target)) <= exact + 1e-9


def test_with_lightness_colours_must_lie_at_the_right_lightness() -> None:
    light, dark = torch.full((1, 1, 4, 4), 80.0), torch.full((1, 1, 4, 4), 20.0)
    red, blue = (torch.tensor(c).view(1, 2, 1, 1).expand(1, 2, 4, 4) for c in ([60.0, 40.0], [20.0, -60.0]))
    target = torch.cat([torch.cat([light, red], 1), torch.cat([dark, blue], 1)])
    swapped = torch.cat([torch.cat([light, blue], 1), torch.cat([dark, red], 1)])
    loss = BatchWassersteinLabLoss()
    assert term(loss, target, target) == 0
    assert term(loss, swapped, target) > 10
    assert term(BatchWassersteinLoss(), swapped, target) == pytest.approx(0, abs=1e-9)


def test_energy_distance_is_that_of_all_pairs() -> None:
    pred, target = colors(2, 2, 3, 4, seed=1), colors(2, 2, 3, 4, seed=2)
    x, y = flat(pred), flat(target)
    expected = cdist(x, y).mean() - cdist(x, x).mean() / 2 - cdist(y, y).mean() / 2
    assert term(EnergyDistanceLoss(), pred, target) == pytest.approx(expected)


def test_histogram_is_a_sum_over_the_bins() -> None:
    pred, target = colors(2, 2, 3, 4, seed=1), colors(2, 2, 3, 4, seed=2)
    shares = []
    for x in (flat(pred), flat(target)):
        weights = np.exp(-(cdist(x, np.asarray(AB_BINS)) ** 2) / (2 * 7.0**2))
        shares.append((weights / weights.sum(1, keepdims=True)).mean(0))
    expected = 313 * ((shares[0] - shares[1]) ** 2).sum()
    assert term(ColorHistogramLoss(sigma=7.0), pred, target) == pytest.approx(expected)


def test_hue_histogram_is_circular_and_weighs_by_chroma() -> None:
    def one(degrees: float, chroma: float = 40.0) -> Tensor:
        hue = math.radians(degrees)
        return chroma * torch.tensor([math.cos(hue), math.sin(hue)]).double().view(1, 2, 1, 1).expand(1, 2, 2, 2)

    loss = HueHistogramLoss()
    across, along = term(loss, one(177), one(-177)), term(loss, one(-3), one(3))
    assert across == pytest.approx(along, rel=0.05)
    assert term(loss, one(90), one(-90)) > 20 * along
    assert term(loss, one(10, 0.0), one(200, 0.0)) == 0


@pytest.mark.parametrize(
    "build",
    [
        lambda: BatchWassersteinLoss(1),
        lambda: BatchWassersteinLoss(colors=1),
        lambda: BatchWassersteinLabLoss(directions=True),
        lambda: EnergyDistanceLoss(colors=0),
        lambda: ColorHistogramLoss(sigma=0),
        lambda: HueHistogramLoss(hues=2),
        lambda: HueHistogramLoss(sharpness=math.inf),
    ],
)
def test_options_out_of_range_are_refused(build) -> None:
    with pytest.raises(ValueError, match="must be"):
        build()
