"""What people do with a gradient: differentiate it again, write into it, ask for many at once, transform, cast."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import grad, gradgradcheck

from study.color.bins import AB_BINS, annealed_mean, bin_frequencies, soft_encode
from study.color.lab import lab_to_rgb, rgb_to_lab
from study.losses import (
    AntiAverageCircularLoss,
    AntiAverageLPIPSLoss,
    CircularDiversityLoss,
    ClassificationLoss,
    ColorizationAntiAverageLoss,
    HuberLoss,
    HueLoss,
    Loss,
    MSELoss,
    PinballLoss,
    SlicedWassersteinLoss,
)

AB = [MSELoss, HuberLoss, ColorizationAntiAverageLoss, AntiAverageCircularLoss, CircularDiversityLoss, HueLoss,
      PinballLoss, SlicedWassersteinLoss]  # fmt: skip
PRIOR = torch.arange(1, len(AB_BINS) + 1) / (len(AB_BINS) * (len(AB_BINS) + 1) / 2)


def example(kind: type[Loss], images: int = 3, side: int = 4, dtype: torch.dtype = torch.float64) -> tuple:
    """A loss, a prediction and a target; no pixel is gray."""
    generator = torch.Generator().manual_seed(3)

    def ab() -> Tensor:
        turn = 6.2 * torch.rand(images, side, side, generator=generator, dtype=torch.float64) - 3.1
        chroma = 10 + 50 * torch.rand(images, side, side, generator=generator, dtype=torch.float64)
        return torch.stack([chroma * turn.cos(), chroma * turn.sin()], dim=1).to(dtype)

    if kind is not ClassificationLoss:
        return kind(), ab(), ab()
    logits = 3 * torch.randn(images, len(AB_BINS), side, side, generator=generator, dtype=torch.float64)
    return kind(PRIOR), logits.to(dtype), ab()


def value(loss: Loss, target: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda prediction: loss(prediction, target)["total"]


def gradient(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    at = at.clone().requires_grad_()
    return grad(function(at), at)[0]


@pytest.mark.parametrize("kind", [*AB, ClassificationLoss])
def test_transforms_of_torch_func_agree_with_autograd(kind):
    loss, prediction, target = example(kind)
    function, exact = value(loss, target), gradient(value(loss, target), prediction)
    close = torch.testing.assert_close
    close(torch.func.grad(function)(prediction), exact)
    close(torch.func.jacrev(function)(prediction), exact)
    close(torch.func.vjp(function, prediction)[1](torch.tensor(3.0, dtype=torch.float64))[0], 3 * exact)
    own = [gradient(value(loss, target[i : i + 1]), prediction[i : i + 1])[0] for i in range(len(target))]
    single = torch.func.grad(lambda x, y: loss(x[None], y[None])["total"])
    close(torch.func.vmap(single)(prediction, target), torch.stack(own))


@pytest.mark.parametrize("kind", [*AB, ClassificationLoss])
def test_many_gradients_at_once(kind):
    loss, prediction, target = example(kind)
    factors = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    asked = prediction.clone().requires_grad_()
    (found,) = grad(loss(asked, target)["total"], asked, factors, is_grads_batched=True)
    exact = gradient(value(loss, target), prediction)
    torch.testing.assert_close(found, torch.stack([factor * exact for factor in factors]))


@pytest.mark.parametrize("kind", [*AB, ClassificationLoss])
def test_gradients_of_gradients(kind):
    loss, prediction, target = example(kind, images=2, side=2)
    if kind is ClassificationLoss:  # hundreds of logits a pixel
        prediction, target = prediction[:1, :, :1, :1], target[:1, :, :1, :1]
    assert gradgradcheck(value(loss, target), prediction.clone().requires_grad_(), fast_mode=True)


@pytest.mark.parametrize("kind", [*AB, ClassificationLoss])
def test_a_penalty_on_the_gradient_is_finite_at_gray(kind):
    loss, prediction, target = example(kind)
    if kind is not ClassificationLoss:
        prediction[:, :, 0, 0] = 0
    target[:, :, 1, 1] = 0
    asked = prediction.requires_grad_()
    (first,) = grad(loss(asked, target)["total"], asked, create_graph=True)
    (second,) = grad(first.square().sum(), asked)
    assert second.isfinite().all()
    assert second.any()


@pytest.mark.parametrize("kind", [CircularDiversityLoss, AntiAverageCircularLoss])
def test_a_prediction_that_is_not_a_number_has_no_diversity(kind):
    loss, prediction, target = example(kind)
    prediction[0, 0, 0, 0] = torch.nan
    assert loss(prediction, target)["diversity"].isnan()


@pytest.mark.parametrize("cast", [lambda m: m.half(), lambda m: m.bfloat16(), lambda m: m.to(torch.float16)])
@pytest.mark.parametrize("kind", [ClassificationLoss, SlicedWassersteinLoss, AntiAverageLPIPSLoss])
def test_a_loss_inside_of_a_model_that_is_cast_stays_as_exact(kind, cast):
    if kind is AntiAverageLPIPSLoss:
        loss = kind(weights="untrained")
        prediction, target = 50 * torch.rand(2, 1, 3, 32, 32, generator=torch.Generator().manual_seed(7))
    else:
        loss, prediction, target = example(kind, dtype=torch.float32)
    before = loss(prediction, target)["total"]
    cast(nn.ModuleList([loss, nn.Linear(2, 2)]))
    assert loss(prediction, target)["total"] == before


@pytest.mark.parametrize(
    ("convert", "largest", "dtype"),
    [(rgb_to_lab, 1, torch.float32), (rgb_to_lab, 255, torch.uint8), (lab_to_rgb, 100, torch.float32)],
)
def test_conversions_of_colours_under_vmap(convert, largest, dtype):
    pictures = largest * torch.rand(3, 2, 3, 5, 4, generator=torch.Generator().manual_seed(9))
    pictures = pictures.to(dtype)
    found = torch.func.vmap(convert)(pictures)
    # Vectors of another length may round otherwise: by 3e-5 Lab units where they are the widest, sRGB not at all.
    close = {"rtol": 0, "atol": 5e-5} if convert is rgb_to_lab else {}
    torch.testing.assert_close(found, torch.stack([convert(batch) for batch in pictures]), **close)


def test_what_lies_on_the_cpu_stays_there_whatever_the_default_device():
    ab, logits = 30 * torch.randn(2, 2, 4, 4), torch.randn(2, len(AB_BINS), 4, 4)
    functions = {
        rgb_to_lab: torch.rand(2, 3, 4, 4), lab_to_rgb: torch.rand(2, 3, 4, 4), annealed_mean: logits,
        bin_frequencies: ab, soft_encode: ab,
    }  # fmt: skip
    expected = [function(given) for function, given in functions.items()]
    try:
        torch.set_default_device("meta")  # one that everybody has
        found = [function(given) for function, given in functions.items()]
    finally:
        torch.set_default_device(None)
    torch.testing.assert_close(found, expected)
