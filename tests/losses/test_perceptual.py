"""PerceptualLoss on an untrained trunk."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor

from study.color.lab import lab_to_rgb
from study.losses import PerceptualLoss


@pytest.fixture(scope="module")
def perceptual() -> PerceptualLoss:
    return PerceptualLoss(weights="untrained")


def pictures(seed: int, n: int = 2, size: int = 32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    scale = torch.tensor([60.0, 40.0, 40.0]).view(3, 1, 1)
    return torch.rand(n, 3, size, size, generator=generator) * scale + torch.tensor([20.0, -20.0, -20.0]).view(3, 1, 1)


def test_identical_pictures_have_distance_zero(perceptual):
    assert perceptual(pictures(0), pictures(0)) == 0


def test_value_is_lpips_of_the_srgb_pictures(perceptual):
    pred, target = pictures(0), pictures(1)
    ours = perceptual(pred, target)
    theirs = perceptual.lpips(lab_to_rgb(pred) * 2 - 1, lab_to_rgb(target) * 2 - 1).mean()
    assert ours.ndim == 0
    assert ours.item() > 0
    torch.testing.assert_close(ours, theirs)


def test_gradient_reaches_the_prediction_only(perceptual):
    pred, target = pictures(0).requires_grad_(), pictures(1)
    perceptual(pred, target).backward()
    assert pred.grad.isfinite().all()
    assert pred.grad.abs().sum() > 0
    assert all(p.grad is None and not p.requires_grad for p in perceptual.parameters())


def test_gradient_is_finite_for_black_white_and_colors_out_of_gamut(perceptual):
    for color in ((0.0, 0.0, 0.0), (100.0, 0.0, 0.0), (50.0, 1e4, -1e4)):
        pred = torch.tensor(color).view(1, 3, 1, 1).repeat(1, 1, 32, 32).requires_grad_()
        perceptual(pred, pictures(1, n=1)).backward()
        assert pred.grad.isfinite().all()


def test_gradient_is_finite_where_all_features_are_zero(perceptual):
    loss = deepcopy(perceptual)
    for bias in (p for name, p in loss.lpips.net.named_parameters() if name.endswith("bias")):
        bias.fill_(-1e3)
    pred = pictures(0).requires_grad_()
    loss(pred, pictures(1)).backward()
    assert pred.grad.isfinite().all()


def test_computes_in_float32_under_autocast(perceptual):
    pred, target = pictures(0), pictures(1)
    with torch.autocast("cpu", torch.bfloat16):
        value = perceptual(pred, target)
    torch.testing.assert_close(value, perceptual(pred, target), rtol=0, atol=0)


def test_stays_in_evaluation_mode_inside_a_module_in_training(perceptual):
    torch.nn.Sequential(perceptual).train()
    assert not any(part.training for part in perceptual.modules())


def test_wrong_shapes_are_named(perceptual):
    with pytest.raises(ValueError, match=r"\(1, 3, 32, 32\).*\(2, 3, 32, 32\)"):
        perceptual(pictures(0, n=1), pictures(1))
    with pytest.raises(ValueError, match=r"31 .*\(2, 3, 16, 16\)"):
        perceptual(pictures(0, size=16), pictures(1, size=16))
    with pytest.raises(ValueError, match=r"\(N,3,H,W\).*\(2, 2, 32, 32\)"):
        perceptual(pictures(0)[:, 1:], pictures(1)[:, 1:])


@pytest.mark.parametrize("way", ["argument", "variable"])
def test_takes_the_weights_that_are_named(way, perceptual, tmp_path, monkeypatch):
    path = tmp_path / "alex.pth"
    state = {f"features.{name.split('.', 1)[1]}": 0.5 * w for name, w in perceptual.lpips.net.state_dict().items()}
    torch.save(state, path)
    monkeypatch.setenv("STUDY_LPIPS_WEIGHTS", str(path) if way == "variable" else "")
    loss = PerceptualLoss(weights=path if way == "argument" else None)
    torch.testing.assert_close(loss.lpips.net.state_dict()["slice2.3.weight"], state["features.3.weight"])


def test_tensors_without_memory_give_one(perceptual):
    assert PerceptualLoss(weights="untrained", device="meta")(pictures(0).to("meta"), pictures(1).to("meta")).is_meta


def test_the_network_is_single_precision_whatever_the_default_is():
    torch.set_default_dtype(torch.float64)
    try:
        assert {p.dtype for p in PerceptualLoss(weights="untrained").parameters()} == {torch.float32}
    finally:
        torch.set_default_dtype(torch.float32)
