"""MSELoss and HuberLoss."""

from __future__ import annotations

import pytest
import torch

from study.losses import ColorizationAntiAverageLoss, HuberLoss, MSELoss


def test_mse_is_the_lab_term_of_the_anti_average_loss():
    pred, target = (40 * torch.randn(2, 2, 8, 8, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    out = MSELoss()(pred, target)
    assert set(out) == {"total", "lab"}
    assert out["total"].item() == pytest.approx((pred - target).square().mean().item())
    torch.testing.assert_close(out["lab"], ColorizationAntiAverageLoss()(pred, target)["lab"])


def test_huber_is_quadratic_near_zero_and_linear_beyond_delta():
    target = torch.zeros(1, 2, 1, 2)
    pred = torch.tensor([[[[0.5, -2.0]], [[10.0, 0.0]]]])
    expected = (0.5 * 0.25 + 2 * (2 - 1) + 2 * (10 - 1) + 0) / 4
    out = HuberLoss(delta=2.0)(pred, target)
    assert out["huber"].item() == pytest.approx(expected)
    assert out["total"] == out["huber"]


def test_huber_gradient_never_exceeds_delta():
    pred = (torch.randn(2, 2, 8, 8, generator=torch.Generator().manual_seed(0)) * 50).requires_grad_()
    HuberLoss(delta=3.0)(pred, torch.zeros_like(pred))["total"].backward()
    assert pred.grad.abs().max() * pred.numel() <= 3.0 + 1e-4


@pytest.mark.parametrize("delta", [0.0, -1.0, float("nan")])
def test_huber_refuses_an_impossible_delta(delta):
    with pytest.raises(ValueError, match="delta"):
        HuberLoss(delta=delta)
