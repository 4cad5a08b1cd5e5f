"""What the losses of ab share: finite everywhere, any precision and layout, one graph."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import mse_loss

from study.losses import (
    AntiAverageCircularLoss,
    CircularDiversityLoss,
    ColorizationAntiAverageLoss,
    HuberLoss,
    HueLoss,
    MSELoss,
    PinballLoss,
    SlicedWassersteinLoss,
)
from tests.losses.test_anti_average import awkward_batches, colors

LOSSES = [AntiAverageCircularLoss, CircularDiversityLoss, ColorizationAntiAverageLoss, HuberLoss, HueLoss, MSELoss,
          PinballLoss, SlicedWassersteinLoss]  # fmt: skip


@pytest.mark.parametrize("loss", LOSSES)
def test_gradcheck_away_from_gray(loss):
    pred, target = (colors(2, 2, 2, 3, seed=s).requires_grad_() for s in (3, 4))
    assert torch.autograd.gradcheck(lambda *given: tuple(loss()(*given).values()), (pred, target))


@pytest.mark.parametrize("loss", LOSSES)
@given(awkward_batches(), st.sampled_from(["float32", "float64", "autocast"]))
def test_values_and_gradients_are_finite_for_any_batch(loss, batch, precision):
    pred, target = batch
    if precision == "float64":
        pred, target = pred.double(), target.double()
    pred.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "autocast"):
        out = loss()(pred.to(torch.bfloat16) if precision == "autocast" else pred, target)
    for value in out.values():
        assert value.isfinite()
        assert torch.autograd.grad(value, pred, retain_graph=True)[0].isfinite().all()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(loss, dtype):
    pred, target = (colors(2, 2, 6, 6, seed=s, dtype=torch.float32).to(dtype) for s in (5, 6))
    pred.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        out = loss()(pred, target)
    expected = loss()(pred.float(), target.float())
    for name in out:
        assert out[name].dtype == torch.float32
        torch.testing.assert_close(out[name], expected[name], rtol=1e-6, atol=0)
    assert torch.autograd.grad(out["total"], pred)[0].dtype == dtype


@pytest.mark.parametrize("loss", LOSSES)
def test_float64_stays_float64_and_float32_is_close_to_it(loss):
    pred, target = (colors(2, 3, 8, 8, seed=s) for s in (7, 8))
    exact, single = loss()(pred, target), loss()(pred.float(), target.float())
    for name in exact:
        assert (exact[name].dtype, single[name].dtype) == (torch.float64, torch.float32)
        torch.testing.assert_close(single[name].double(), exact[name], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("loss", LOSSES)
def test_lab_is_the_mean_over_the_channels_given_and_the_other_terms_ignore_lightness(loss):
    pred, target = (colors(2, 3, 4, 4, seed=s) for s in (9, 10))
    with_lightness, without = loss()(pred, target), loss()(pred[:, 1:], target[:, 1:])
    for name in loss.terms:
        if name == "lab":
            torch.testing.assert_close(with_lightness[name], mse_loss(pred, target))
            torch.testing.assert_close(without[name], mse_loss(pred[:, 1:], target[:, 1:]))
        elif name != "huber":  # a mean over the channels, too
            torch.testing.assert_close(with_lightness[name], without[name])


@pytest.mark.parametrize("loss", LOSSES)
def test_a_perfect_prediction_costs_nothing(loss):
    target = colors(2, 2, 5, 5, seed=11)
    assert abs(loss()(target.clone(), target)["total"].item()) < 1e-10


@pytest.mark.parametrize("loss", LOSSES)
def test_any_memory_layout_gives_the_same(loss):
    pred, target = (colors(2, 3, 4, 6, seed=s) for s in (12, 13))
    strided = loss()(pred.contiguous(memory_format=torch.channels_last), target)
    torch.testing.assert_close(strided, loss()(pred, target))


@pytest.mark.parametrize("loss", LOSSES)
def test_compiles_into_one_graph_with_the_same_values(loss):
    pred, target = (colors(2, 2, 4, 4, seed=s, dtype=torch.float32) for s in (14, 15))
    pred[0, :, 0, 0] = 0.0  # a gray pixel
    pred.requires_grad_()
    plain = loss()
    ours, theirs = plain(pred, target), torch.compile(plain, backend="eager", fullgraph=True)(pred, target)
    torch.testing.assert_close(theirs, ours)
    gradients = [torch.autograd.grad(out["total"], pred)[0] for out in (ours, theirs)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("pred", "target"),
    [((2, 2, 4, 4), (2, 2, 4, 5)), ((2, 2, 4, 4), (1, 2, 4, 4)), ((2, 4, 4, 4), (2, 4, 4, 4)), ((0, 2, 4, 4),) * 2],
)
def test_wrong_or_empty_shapes_are_named(loss, pred, target):
    with pytest.raises(ValueError) as error:
        loss()(torch.zeros(pred), torch.zeros(target))
    assert str(pred) in str(error.value)
    assert str(target) in str(error.value)
