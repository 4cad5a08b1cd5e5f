"""Devices without float64: every loss and its gradient are computed in float32 there."""

from __future__ import annotations

import pytest
import torch

from study.color.lab import rgb_to_lab
from study.losses import Loss, PerceptualLoss, build_loss, loss_names
from tests.color.test_without_float64 import device_without_float64
from tests.losses.test_registry import PRIOR, ROOT, Settings


@pytest.mark.parametrize("name", [*loss_names(), "lpips"])
def test_a_loss_and_its_gradient_need_no_float64(name: str) -> None:
    options = {"weights": "untrained"} if name == "anti_average_lpips" else {}
    lpips = name == "lpips"
    loss = PerceptualLoss(weights="untrained") if lpips else build_loss(Settings(name, options=options), PRIOR, ROOT)
    generator = torch.Generator().manual_seed(0)
    target = rgb_to_lab(torch.rand(2, 3, 32, 32, generator=generator))
    prediction = target + 10 * torch.randn(target.shape, generator=generator)
    if isinstance(loss, Loss) and not loss.needs_lightness:
        prediction, target = prediction[:, 1:], target[:, 1:]
    if isinstance(loss, Loss) and loss.head == "bins":
        prediction = torch.randn(2, 313, 32, 32, generator=generator)

    def results() -> list[torch.Tensor]:
        given = prediction.clone().requires_grad_()
        out = loss(given, target)
        out = out if isinstance(out, dict) else {"total": out}
        gradients = [torch.autograd.grad(value, given, retain_graph=True)[0] for value in out.values()]
        return [*(value.detach() for value in out.values()), *gradients]

    expected = results()
    with device_without_float64():
        found = results()
    for value, wanted in zip(found, expected, strict=True):
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, wanted, rtol=2e-6, atol=1e-8)
