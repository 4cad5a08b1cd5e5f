"""The transport of predicted colours to the true ones: what it reaches, and that a picture keeps its colours apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from study.analysis.limits import least_error_at_distance
from study.metrics import ab_distance
from study.models.recolor import DRAW, Lift
from study.training.transport import fit_transport

KINDS = torch.tensor([[-10.0, -30.0], [-30.0, 35.0], [10.0, 8.0]])


def pictures(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Lightness, predicted ab (a kind's mean, nearly) and true ab (one of two colours) of pictures of one kind each.

    Kinds, colours and draws are all equally frequent: what chance does to their shares would hide the rest.
    """
    rng = np.random.default_rng(seed)
    index = np.arange(count)
    draw = (index // 3 + 0.5) / (count / 3)
    lightness = torch.tensor(20 + draw / DRAW, dtype=torch.float64).view(-1, 1, 1, 1).expand(count, 1, 4, 4)
    mean = KINDS[index % 3].view(count, 2, 1, 1)
    side = torch.tensor(np.where(index // 3 % 2, 25.0, -25.0), dtype=torch.float32).view(-1, 1, 1, 1)
    truth = (mean + side * torch.tensor([0.6, 0.8]).view(1, 2, 1, 1)).expand(count, 2, 4, 4)
    predicted = mean + torch.tensor(rng.normal(0, 0.5, (count, 2, 4, 4)), dtype=torch.float32)
    return lightness, predicted, truth


def flat(ab: torch.Tensor) -> np.ndarray:
    return ab.movedim(1, -1).reshape(-1, 2).double().numpy()


def test_the_way_to_the_truths_colors_costs_little_more_than_it_must() -> None:
    _, predicted, truth = pictures(300, 0)
    lightness, own, true = pictures(600, 1)
    base = float((own - true).square().mean())
    start = ab_distance(flat(own), flat(true))
    # (strength, most of the distance that may be left, most of the error above the limit): splitting is not perfect
    for strength, left, above in ((0.0, 1.001, 1e-4), (0.5, 0.65, 0.05), (1.0, 0.4, 0.25)):
        moved = fit_transport(flat(predicted), flat(truth), strength)(lightness, own)
        distance, error = ab_distance(flat(moved), flat(true)), float((moved - true).square().mean())
        assert distance <= left * start
        assert error <= (1 + above) * least_error_at_distance(base, start, distance)
        assert error < 2 * base  # what drawing from the law itself costs


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
