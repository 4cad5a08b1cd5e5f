"""Circular hue diversity as a loss, alone and in place of the published hue term."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import circvar
from torch import Tensor

from study.losses import AntiAverageCircularLoss, CircularDiversityLoss, ColorizationAntiAverageLoss
from study.losses.circular import MEAN_CHROMA_FLOOR, circular_variance
from study.metrics import hue_diversity
from tests.losses.test_anti_average import colors, gradient_of


def picture(*hues_in_degrees: float, chroma: float = 50.0) -> Tensor:
    """One row of pixels with these hues, (1,2,1,W) float64."""
    hue = torch.tensor(hues_in_degrees, dtype=torch.float64) * (math.pi / 180)
    return chroma * torch.stack([hue.cos(), hue.sin()]).view(1, 2, 1, -1)


def turned(ab: Tensor, degrees: float) -> Tensor:
    angle = math.radians(degrees)
    a, b = ab.unbind(1)
    return torch.stack([a * math.cos(angle) - b * math.sin(angle), a * math.sin(angle) + b * math.cos(angle)], dim=1)


def test_by_hand():
    # Two hues 90 degrees apart: |mean colour| = 50 / sqrt 2. One hue has no diversity.
    out = CircularDiversityLoss()(picture(0, 90), picture(30, 30))
    assert out["diversity"].item() == pytest.approx((1 - math.sqrt(0.5)) ** 2)
    assert out["total"].item() == pytest.approx(out["lab"].item() + 2000 * out["diversity"].item())
    assert circular_variance(picture(10, 190)).item() == pytest.approx(1)


def test_is_the_metric_and_scipys_circular_variance_at_constant_chroma():
    pred, target = colors(4, 2, 6, 7, seed=1), colors(4, 2, 6, 7, seed=2)
    torch.testing.assert_close(circular_variance(pred), hue_diversity(pred), rtol=1e-12, atol=0)
    expected = (hue_diversity(pred) - hue_diversity(target)).square().mean()
    torch.testing.assert_close(CircularDiversityLoss()(pred, target)["diversity"], expected, rtol=1e-10, atol=0)
    hues = (10.0, 35.0, -170.0, 80.0, 170.0)
    assert circular_variance(picture(*hues)).item() == pytest.approx(circvar([math.radians(h) for h in hues]))


@pytest.mark.parametrize("degrees", [17.0, 90.0, 179.0, -123.4])
def test_does_not_change_when_all_hues_turn(degrees):
    pred = colors(3, 2, 5, 5, seed=3)
    torch.testing.assert_close(circular_variance(turned(pred, degrees)), circular_variance(pred))


def test_is_blind_to_gray_pixels_and_to_a_common_factor_of_chroma():
    pred = colors(1, 2, 2, 4, seed=4)
    with_gray = torch.cat([pred, torch.zeros(1, 2, 3, 4, dtype=torch.float64)], dim=2)
    torch.testing.assert_close(circular_variance(with_gray), circular_variance(pred))
    noisy = with_gray.clone()
    noisy[:, :, 2:] = 1e-3 * torch.randn(1, 2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(circular_variance(noisy), circular_variance(pred), rtol=0, atol=1e-4)
    torch.testing.assert_close(circular_variance(3 * pred), circular_variance(pred))


def test_the_gradient_never_changes_chroma_alone():
    pred = colors(2, 2, 4, 4, seed=5).requires_grad_()
    gradient = gradient_of(circular_variance(pred).sum(), pred)
    assert gradient.abs().max() > 1e-5
    # V is the same for all multiples of a picture, so the slope along the picture itself is 0.
    assert (gradient * pred).sum((1, 2, 3)).abs().max() < 1e-14


def test_a_gray_picture_has_no_diversity_and_a_gradient_that_is_bounded():
    for size in (0.0, 1e-30, 1e-12, 1e-6, 1e-3, 1.0):
        pred = size * colors(2, 2, 4, 4, seed=6, dtype=torch.float32) / 60
        pred.requires_grad_()
        variance = circular_variance(pred)
        gradient = gradient_of(variance.sum(), pred)
        assert ((variance >= 0) & (variance <= 1)).all()
        assert gradient.isfinite().all()
        assert gradient.norm(dim=1).max() <= 2.001 / (16 * MEAN_CHROMA_FLOOR)
        if size == 0:
            assert variance.tolist() == [0, 0]
            assert gradient.abs().max() == 0


def test_the_corrected_loss_differs_from_the_published_one_in_the_hue_term_alone():
    pred, target = colors(3, 3, 5, 5, seed=8), colors(3, 3, 5, 5, seed=9)
    corrected, published = AntiAverageCircularLoss(), ColorizationAntiAverageLoss()
    assert corrected.weights == published.weights
    ours, theirs = corrected(pred, target), published(pred, target)
    for name in ("lab", "saturation", "confidence"):
        torch.testing.assert_close(ours[name], theirs[name])
    torch.testing.assert_close(ours["diversity"], CircularDiversityLoss()(pred, target)["diversity"])
    total = ours["lab"] + 0.01 * ours["saturation"] + 0.5 * ours["diversity"] + ours["confidence"]
    torch.testing.assert_close(ours["total"], total)
