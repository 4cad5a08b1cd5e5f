"""The transport of predicted colours to the true ones: what it reaches, and that a picture keeps its colours apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from study.analysis.limits import least_error_at_distance
from study.metrics import ab_distance
from study.models.recolor import Lift
from study.training.transport import fit_transport

KINDS = torch.tensor([[-10.0, -30.0], [-30.0, 35.0], [10.0, 8.0]])


def pictures(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Lightness, predicted ab (a kind's mean, nearly) and true ab (one of two colours) of pictures of one kind each."""
    rng = np.random.default_rng(seed)
    lightness = torch.tensor(rng.uniform(20, 80, (count, 1, 1, 1)), dtype=torch.float32).expand(count, 1, 4, 4)
    mean = KINDS[rng.integers(0, 3, count)].view(count, 2, 1, 1)
    side = torch.tensor(rng.choice([-25.0, 25.0], (count, 1, 1, 1)), dtype=torch.float32)
    truth = (mean + side * torch.tensor([0.6, 0.8]).view(1, 2, 1, 1)).expand(count, 2, 4, 4)
    predicted = mean + torch.tensor(rng.normal(0, 0.5, (count, 2, 4, 4)), dtype=torch.float32)
    return lightness, predicted, truth


def flat(ab: torch.Tensor) -> np.ndarray:
    return ab.movedim(1, -1).reshape(-1, 2).double().numpy()


def test_the_whole_way_has_the_truths_colors_and_half_the_way_lies_near_the_limit() -> None:
    _, predicted, truth = pictures(300, 0)
    lightness, own, true = pictures(1200, 1)
    base = float((own - true).square().mean())
    start = ab_distance(flat(own), flat(true))
    for strength in (0.0, 0.5, 1.0):
        moved = fit_transport(flat(predicted), flat(truth), strength)(lightness, own)
        left = ab_distance(flat(moved), flat(true))
        assert left == pytest.approx((1 - strength) * start, abs=0.15 * start)
        error = float((moved - true).square().mean())
        assert error == pytest.approx(least_error_at_distance(base, start, left), rel=0.1)


def test_equal_colors_of_a_picture_stay_equal_and_differ_between_pictures() -> None:
    _, predicted, truth = pictures(300, 0)
    move = fit_transport(flat(predicted), flat(truth), 1.0)
    lightness = torch.linspace(30, 70, 50).view(50, 1, 1, 1).expand(50, 1, 4, 4)
    moved = move(lightness, KINDS[0].view(1, 2, 1, 1).expand(50, 2, 4, 4))
    assert torch.allclose(moved, moved[..., :1, :1].expand_as(moved), atol=1e-4)
    assert moved[:, :, 0, 0].std(0).max() > 5
    assert torch.equal(moved, move(lightness, KINDS[0].view(1, 2, 1, 1).expand(50, 2, 4, 4)))


def test_a_lift_raises_every_chroma_by_the_same_amount_and_keeps_hues() -> None:
    ab = torch.tensor([[3.0, 0.0, -6.0], [4.0, 0.0, 8.0]]).view(1, 2, 1, 3)
    lifted = Lift(5.0)(torch.zeros(1, 1, 1, 3), ab)
    torch.testing.assert_close(lifted.flatten(2)[0], torch.tensor([[6.0, 0.0, -9.0], [8.0, 0.0, 12.0]]))
    assert Lift(-7.0)(torch.zeros(1, 1, 1, 3), ab).norm(dim=1).flatten().tolist() == pytest.approx([0, 0, 3])
