"""A loss whose target is in wrong units warns once; right targets, predictions of any size and tracing never do."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from study.color.lab import rgb_to_lab
from study.color.units import UnitWarning
from study.losses import (
    AntiAverageLPIPSLoss,
    ClassificationLoss,
    ColorizationAntiAverageLoss,
    MSELoss,
    PerceptualLoss,
    SlicedWassersteinLoss,
)
from tests.color.test_units import warned

LPIPS = PerceptualLoss(weights="untrained")


def colors(scale: float = 1.0, side: int = 32) -> Tensor:
    """Lab pictures (2,3,side,side) of random sRGB colours times `scale`."""
    return rgb_to_lab(scale * torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0)))


def prediction_for(loss: torch.nn.Module, target: Tensor) -> Tensor:
    """What a network predicts before its first step: nearly gray, or undecided."""
    noise = 0.1 * torch.randn(len(target), 313, *target.shape[2:], generator=torch.Generator().manual_seed(1))
    if isinstance(loss, ClassificationLoss):
        return noise
    prediction = target.clone()
    prediction[:, -2:] = noise[:, :2]
    return prediction


def make(name: str) -> tuple[torch.nn.Module, int]:
    """A new loss, and how many channels its target has."""
    if name == "lpips":
        LPIPS.target_watch = type(LPIPS.target_watch)("PerceptualLoss")  # as in a new loss
        return LPIPS, 3
    kind = {"classification": ClassificationLoss, "mse": MSELoss, "wasserstein": SlicedWassersteinLoss}
    return (ColorizationAntiAverageLoss() if name.startswith("anti") else kind[name]()), 3 if name == "anti 3" else 2


@pytest.mark.parametrize("name", ["classification", "mse", "wasserstein", "anti 2", "anti 3", "lpips"])
def test_a_loss_warns_once_about_a_target_that_was_divided(name: str) -> None:
    for factor in (torch.tensor([1, 1 / 110, 1 / 110]), torch.tensor([0.01, 1 / 128, 1 / 128])):
        loss, channels = make(name)
        target = (colors() * factor.view(3, 1, 1))[:, -channels:]
        prediction = prediction_for(loss, target)
        (says,) = warned(*[lambda p=prediction, t=target, f=loss: f(p, t)] * 3)
        assert type(loss).__name__ in says


@pytest.mark.parametrize("name", ["classification", "mse", "wasserstein", "anti 2", "anti 3", "lpips"])
@pytest.mark.parametrize("kind", ["colourful", "dark", "gray", "black"])
def test_a_loss_is_silent_about_targets_in_lab_units(name: str, kind: str) -> None:
    loss, channels = make(name)
    target = {"colourful": colors(), "dark": colors(0.05), "gray": colors(), "black": colors(0.0)}[kind].clone()
    if kind == "gray":
        target[:, 1:] = 0.006 * torch.rand(2, 2, 32, 32)  # as the rounded white leaves it
    target = target[:, -channels:]
    assert warned(lambda: loss(prediction_for(loss, target), target)) == []


def test_parts_of_a_loss_do_not_warn_again() -> None:
    loss = AntiAverageLPIPSLoss(weights="untrained")
    target = colors() / 110
    assert len(warned(*[lambda: loss(0.5 * target, target)] * 3)) == 1


@pytest.mark.parametrize("name", ["classification", "anti 2"])
def test_a_compiled_loss_does_not_look(name: str) -> None:
    loss, channels = make(name)
    target = colors(side=8)[:, -channels:] / 110
    prediction = prediction_for(loss, target)
    assert warned(lambda: torch.compile(loss, backend="eager")(prediction, target)) == []
    with pytest.warns(UnitWarning):
        loss(prediction, target)
