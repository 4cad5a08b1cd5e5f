"""PinballLoss: the quantile of chroma is what it asks for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from sklearn.metrics import mean_pinball_loss
from torch import Tensor

from study.losses import PinballLoss
from tests.losses.test_anti_average import colors

CHROMAS = np.random.default_rng(0).gamma(2.0, 12.0, 2001)  # skewed: mean, median and quantiles lie apart
HUE = torch.tensor([0.6, 0.8], dtype=torch.float64)


def settled(loss: PinballLoss, chromas: np.ndarray) -> float:
    """The chroma at which a model that paints every pixel in one colour of the right hue has the least loss."""
    target = (torch.from_numpy(chromas) * HUE[:, None]).view(1, 2, 1, -1)

    def total(chroma: float) -> float:
        return loss((chroma * HUE).view(1, 2, 1, 1).expand_as(target), target)["total"].item()

    return minimize_scalar(total, bounds=(0, chromas.max()), method="bounded").x


def with_weights(lab: float, pinball: float, quantile: float) -> PinballLoss:
    loss = PinballLoss(quantile)
    loss.set_weights({"lab": lab, "pinball": pinball})
    return loss


def test_by_hand():
    pred, target = torch.tensor([[[[3.0, 30.0]], [[4.0, 40.0]]]]), torch.tensor([[[[0.0, 0.0]], [[25.0, 10.0]]]])
    out = PinballLoss(quantile=0.75)(pred, target)  # 20 too little, 40 too much
    assert out["pinball"].item() == pytest.approx((0.75 * 20 + 0.25 * 40) / 2)
    assert out["lab"].item() == pytest.approx((9 + 441 + 900 + 900) / 4)
    assert out["total"].item() == pytest.approx(out["lab"].item() + 30 * out["pinball"].item())


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
def test_is_the_mean_pinball_loss_of_scikit_learn_on_chroma(quantile):
    pred, target = colors(2, 2, 6, 6, seed=1), colors(2, 2, 6, 6, seed=2)
    chroma, true_chroma = (x.norm(dim=1).flatten().numpy() for x in (pred, target))
    ours = PinballLoss(quantile)(pred, target)["pinball"].item()
    assert ours == pytest.approx(mean_pinball_loss(true_chroma, chroma, alpha=quantile))


@pytest.mark.parametrize("quantile", [0.25, 0.5, 0.75, 0.95])
def test_descent_lands_on_the_quantile_of_the_chromas(quantile):
    assert settled(with_weights(0, 1, quantile), CHROMAS) == pytest.approx(np.quantile(CHROMAS, quantile), abs=0.3)


def test_with_squared_error_descent_lands_where_both_pulls_balance():
    """(r - E[C]) = weight (quantile P(C > r) - (1 - quantile) P(C < r)) for colours of one hue."""
    weight, quantile = 20.0, 0.9
    grid = np.linspace(0, 100, 20_001)
    above = (CHROMAS[:, None] > grid).mean(0)
    pull = weight * (quantile * above - (1 - quantile) * (1 - above)) - (grid - CHROMAS.mean())
    balance = grid[np.argmin(np.abs(pull))]
    assert balance > CHROMAS.mean() + 3
    assert settled(with_weights(1, weight, quantile), CHROMAS) == pytest.approx(balance, abs=0.3)


def test_leaves_the_hue_alone():
    pred: Tensor = colors(1, 2, 3, 3, seed=5).requires_grad_()
    (gradient,) = torch.autograd.grad(PinballLoss()(pred, colors(1, 2, 3, 3, seed=6))["pinball"], pred)
    across = gradient[:, 0] * pred[:, 1] - gradient[:, 1] * pred[:, 0]
    assert across.abs().max() < 1e-12


@pytest.mark.parametrize("quantile", [0.0, 1.0, -0.2, float("nan")])
def test_impossible_quantiles_are_refused(quantile):
    with pytest.raises(ValueError, match="quantile"):
        PinballLoss(quantile)
