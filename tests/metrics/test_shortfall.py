"""Shortfall of chroma: one-sided, and what the confidence term penalises."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from study.losses import ColorizationAntiAverageLoss
from study.metrics import chroma_shortfall, mean_chroma


def some_ab(seed: int, count: int = 3) -> torch.Tensor:
    return 30 * torch.randn(count, 2, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_it_equals_its_definition_in_numpy() -> None:
    pred, target = some_ab(0), some_ab(1)
    missing = np.hypot(*target.numpy().swapaxes(0, 1)) - np.hypot(*pred.numpy().swapaxes(0, 1))
    np.testing.assert_allclose(chroma_shortfall(pred, target), np.maximum(missing, 0).mean(axis=(1, 2)))


def test_gray_misses_all_of_the_chroma_and_the_truth_and_more_than_it_none() -> None:
    target = some_ab(2)
    torch.testing.assert_close(chroma_shortfall(torch.zeros_like(target), target), mean_chroma(target))
    assert chroma_shortfall(target, target).tolist() == chroma_shortfall(1.5 * target, target).tolist() == [0, 0, 0]


def test_too_much_here_does_not_make_up_for_too_little_there() -> None:
    target = torch.full((1, 2, 1, 2), 10.0)
    pred = target * torch.tensor([2.0, 0.0])
    assert mean_chroma(pred) == pytest.approx(mean_chroma(target).item())
    assert chroma_shortfall(pred, target).item() == pytest.approx(np.hypot(10, 10) / 2)


def test_its_mean_over_images_is_the_confidence_term() -> None:
    pred, target = some_ab(3), some_ab(4)
    term = ColorizationAntiAverageLoss()(pred, target)["confidence"]
    assert chroma_shortfall(pred, target).mean().item() == pytest.approx(term.item())
