"""ColorizationAntiAverageLoss: published values, gradients that stay finite, precision, autocast, torch.compile."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import mse_loss

from study.losses import ColorizationAntiAverageLoss
from study.losses import anti_average as module

TERMS = ("lab", "saturation", "diversity", "confidence")


def published(pred: Tensor, target: Tensor, weights: tuple[float, ...] = (1.0, 0.01, 0.5, 1.0)) -> dict[str, Tensor]:
    """The formulas as they are published, raw units; its gradient is NaN at gray."""
    a, b, ta, tb = pred[:, -2], pred[:, -1], target[:, -2], target[:, -1]
    chroma, true_chroma = torch.sqrt(a**2 + b**2), torch.sqrt(ta**2 + tb**2)
    hue, true_hue = torch.atan2(b, a), torch.atan2(tb, ta)
    terms = {
        "lab": mse_loss(pred, target),
        "saturation": mse_loss(chroma, true_chroma),
        "diversity": mse_loss(torch.var(hue.flatten(1), dim=1), torch.var(true_hue.flatten(1), dim=1)),
        "confidence": torch.relu(true_chroma - chroma).mean(),
    }
    return {"total": sum(w * t for w, t in zip(weights, terms.values(), strict=True)), **terms}


def published_normalized(lab: Tensor, true_lab: Tensor) -> dict[str, Tensor]:
    """The same in the other published units: everything scaled to 0..1 first. (N,3,H,W) Lab."""

    def scaled(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        channels = torch.stack([x[:, 0] / 100, (x[:, 1] + 128) / 256, (x[:, 2] + 128) / 256], dim=1)
        chroma = torch.sqrt(x[:, 1] ** 2 + x[:, 2] ** 2) / 181
        return channels, chroma, (torch.atan2(x[:, 2], x[:, 1]) + math.pi) / (2 * math.pi)

    (x, chroma, hue), (y, true_chroma, true_hue) = scaled(lab), scaled(true_lab)
    return {
        "lab": mse_loss(x, y),
        "saturation": mse_loss(chroma, true_chroma),
        "diversity": mse_loss(torch.var(hue, dim=(1, 2)), torch.var(true_hue, dim=(1, 2))),
        "confidence": torch.relu(true_chroma - chroma).mean(),
    }


def colors(*shape: int, seed: int, away_from_gray: float = 2.0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Random Lab or ab pictures, no pixel of which has a chroma below `away_from_gray`."""
    n, channels, height, width = shape
    generator = torch.Generator().manual_seed(seed)
    chroma = away_from_gray + 60 * torch.rand(n, height, width, generator=generator, dtype=torch.float64)
    hue = 6.2 * torch.rand(n, height, width, generator=generator, dtype=torch.float64) - 3.1
    lightness = 100 * torch.rand(n, channels - 2, height, width, generator=generator, dtype=torch.float64)
    ab = torch.stack([chroma * hue.cos(), chroma * hue.sin()], dim=1)
    return torch.cat([lightness, ab], dim=1).to(dtype)


def gradient_of(value: Tensor, pred: Tensor) -> Tensor:
    return torch.autograd.grad(value, pred, retain_graph=True)[0]


def test_two_pixels_by_hand():
    pred = torch.tensor([[[[3.0, -5.0]], [[4.0, 0.0]]]])
    target = torch.tensor([[[[0.0, 6.0]], [[10.0, 8.0]]]])
    out = ColorizationAntiAverageLoss()(pred, target)
    assert out["lab"].item() == pytest.approx((9 + 121 + 36 + 64) / 4)
    assert out["saturation"].item() == pytest.approx(25.0)
    assert out["confidence"].item() == pytest.approx(5.0)
    spread = (math.pi - math.atan2(4, 3)) ** 2 / 2
    true_spread = (math.pi / 2 - math.atan2(8, 6)) ** 2 / 2
    assert out["diversity"].item() == pytest.approx((spread - true_spread) ** 2, rel=1e-5)
    assert out["total"].item() == pytest.approx(57.5 + 0.25 + 0.5 * out["diversity"].item() + 5.0)


@pytest.mark.parametrize("channels", [2, 3])
def test_values_and_gradients_are_those_of_the_published_formulas(channels):
    pred, target = (
        colors(3, channels, 5, 7, seed=1).requires_grad_(),
        colors(3, channels, 5, 7, seed=2),
    )
    weights = (0.7, 0.2, 3.0, 1.5)
    ours = ColorizationAntiAverageLoss(*weights)(pred, target)
    theirs = published(pred, target, weights)
    assert list(ours) == ["total", *TERMS]
    for name in theirs:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-12, atol=0)
        torch.testing.assert_close(
            gradient_of(ours[name], pred), gradient_of(theirs[name], pred), rtol=1e-9, atol=1e-12
        )


def test_normalized_units_are_the_other_published_convention():
    pred, target = colors(3, 3, 6, 5, seed=3).requires_grad_(), colors(3, 3, 6, 5, seed=4)
    ours = ColorizationAntiAverageLoss(1, 2, 1, 1, units="normalized")(pred, target)
    theirs = published_normalized(pred, target)
    theirs["total"] = theirs["lab"] + 2 * theirs["saturation"] + theirs["diversity"] + theirs["confidence"]
    for name in theirs:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-10, atol=0)
        torch.testing.assert_close(
            gradient_of(ours[name], pred), gradient_of(theirs[name], pred), rtol=1e-8, atol=1e-14
        )


@pytest.mark.parametrize("units", ["raw", "normalized"])
def test_pieces_of_a_batch_add_up(units, monkeypatch):
    pred, target = colors(7, 3, 4, 5, seed=5).requires_grad_(), colors(7, 3, 4, 5, seed=6)
    loss = ColorizationAntiAverageLoss(units=units)
    whole = loss(pred, target)
    monkeypatch.setattr(module, "_CHUNK", 40)  # two pictures at a time, one at the end
    pieces = loss(pred, target)
    for name in whole:
        torch.testing.assert_close(pieces[name], whole[name], rtol=1e-12, atol=0)
    torch.testing.assert_close(gradient_of(pieces["total"], pred), gradient_of(whole["total"], pred))


def in_place(loss: ColorizationAntiAverageLoss) -> None:
    loss.weights["saturation"] = 100.0


@pytest.mark.parametrize("change", [in_place, lambda loss: loss.set_weights({"diversity": 7.0})])
@pytest.mark.parametrize("with_term, twice", [(False, False), (False, True), (True, False)])
def test_weights_set_after_the_forward_pass_do_not_change_its_gradient(change, with_term, twice):
    pred, target = colors(2, 2, 4, 4, seed=17).requires_grad_(), colors(2, 2, 4, 4, seed=18)
    loss = ColorizationAntiAverageLoss()
    out, true = loss(pred, target), published(pred, target)
    change(loss)
    if with_term:
        out, true = ({"total": terms["total"] + terms["lab"]} for terms in (out, true))
    (ours,) = torch.autograd.grad(out["total"], pred, create_graph=twice)
    torch.testing.assert_close(ours, gradient_of(true["total"], pred))


def test_without_gradients_nothing_is_kept():
    pred, target = colors(2, 2, 4, 4, seed=13).requires_grad_(), colors(2, 2, 4, 4, seed=14)
    with torch.no_grad():
        assert not any(value.requires_grad for value in ColorizationAntiAverageLoss()(pred, target).values())


def test_a_weight_of_zero_leaves_no_trace_in_the_gradient():
    pred, target = colors(2, 2, 4, 4, seed=15).requires_grad_(), colors(2, 2, 4, 4, seed=16)
    out = ColorizationAntiAverageLoss(1.0, 0.0, 0.0, 0.0)(pred, target)
    assert out["total"] == out["lab"]
    torch.testing.assert_close(gradient_of(out["total"], pred), 2 * (pred - target).detach() / pred.numel())
    assert min(out[name].item() for name in TERMS) > 0
    for kept in range(4):
        weights = [1.0 if i == kept else 0.0 for i in range(4)]
        ours = ColorizationAntiAverageLoss(*weights)(pred, target)["total"]
        theirs = published(pred, target)[TERMS[kept]]
        torch.testing.assert_close(gradient_of(ours, pred), gradient_of(theirs, pred))


def test_chroma_gradient_is_zero_at_gray_and_hue_gradient_is_bounded():
    gray, target = torch.zeros(1, 2, 4, 4, requires_grad=True), colors(1, 2, 4, 4, seed=17, dtype=torch.float32)
    out = ColorizationAntiAverageLoss(0.0, 1.0, 0.0, 1.0)(gray, target)
    assert gradient_of(out["total"], gray).abs().max() == 0
    for size in (0.0, 1e-30, 1e-12, 1e-4, 1e-2):
        near = torch.full((1, 2, 4, 4), size)
        near[0, 1, 0, 0] = -size
        near.requires_grad_()
        out = ColorizationAntiAverageLoss(0.0, 0.0, 1.0, 0.0)(near, target)
        hue_deviations = 2 * math.pi
        largest = 4 * out["diversity"].sqrt().item() * hue_deviations / 15 / math.sqrt(module.CHROMA_SQUARED_FLOOR)
        assert gradient_of(out["total"], near).abs().max() <= largest


def test_one_pixel_has_no_hue_spread():
    out = ColorizationAntiAverageLoss()(torch.tensor([3.0, 4.0]).view(1, 2, 1, 1), torch.zeros(1, 2, 1, 1))
    assert out["diversity"] == 0
    assert out["saturation"].item() == pytest.approx(25.0)


VALUES = st.one_of(
    st.sampled_from([0.0, -0.0, 1e-30, -1e-20, 1e-6, 1e-3, 5.0, -110.0, 1e4, -1e4]), st.floats(-130, 130, width=32)
)


@st.composite
def awkward_batches(draw) -> tuple[Tensor, Tensor]:
    """Two small batches of mostly special values: gray, constant, a single coloured pixel, far out of range."""
    shape = (draw(st.integers(1, 2)), draw(st.sampled_from([2, 3])), draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    batches = []
    for _ in range(2):
        constant = torch.full(shape, draw(VALUES))
        changed = draw(st.lists(st.tuples(st.integers(0, constant.numel() - 1), VALUES), max_size=4))
        for position, value in changed:
            constant.view(-1)[position] = value
        batches.append(constant)
    return batches[0], batches[1]


@given(awkward_batches(), st.sampled_from(["raw", "normalized"]), st.sampled_from(["float32", "float64", "autocast"]))
def test_values_and_gradients_are_finite_for_any_batch(batch, units, precision):
    pred, target = batch
    if precision == "float64":
        pred, target = pred.double(), target.double()
    pred.requires_grad_()
    loss = ColorizationAntiAverageLoss(units=units)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "autocast"):
        x = pred.to(torch.bfloat16) if precision == "autocast" else pred
        out = loss(x, target)
        slow = loss.compute(x, target)
    assert all(value.isfinite() for value in out.values())
    assert gradient_of(out["total"], pred).isfinite().all()
    for name in TERMS:
        assert gradient_of(slow[name], pred).isfinite().all()
        torch.testing.assert_close(out[name], slow[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
def test_impossible_weights_are_refused(weight):
    with pytest.raises(ValueError, match="confidence"):
        ColorizationAntiAverageLoss(confidence_weight=weight)


def test_unknown_units_are_refused():
    with pytest.raises(ValueError, match="raw, normalized"):
        ColorizationAntiAverageLoss(units="lab")


def test_a_derived_class_computes_its_own_terms():
    class Smooth(ColorizationAntiAverageLoss):
        terms = {**ColorizationAntiAverageLoss.terms, "sum": 2.0}

        def __init__(self):
            super().__init__()
            self.set_weights(self.terms)

        def compute(self, prediction, target):
            terms = super().compute(prediction, target)
            return terms | {"lab": torch.nn.functional.l1_loss(prediction, target), "sum": prediction.sum()}

    loss = Smooth()
    pred, target = (40 * torch.randn(2, 2, 6, 6, dtype=torch.float64) for _ in range(2))
    pred.requires_grad_()
    found, wanted = loss(pred, target), loss.compute(pred, target)
    assert all(torch.equal(found[name], wanted[name]) for name in loss.terms)
    total = sum(weight * wanted[name] for name, weight in loss.terms.items())
    torch.testing.assert_close(found["total"], total)
    gradients = (torch.autograd.grad(value, pred, retain_graph=True)[0] for value in (found["total"], total))
    torch.testing.assert_close(*gradients)


def test_arrays_are_refused_by_name():
    with pytest.raises(ValueError, match=r"ndarray.*Tensor"):
        ColorizationAntiAverageLoss()(torch.zeros(1, 2, 3, 3).numpy(), torch.zeros(1, 2, 3, 3))
    with pytest.raises(ValueError, match=r"Tensor.*ndarray"):
        ColorizationAntiAverageLoss()(torch.zeros(1, 2, 3, 3), torch.zeros(1, 2, 3, 3).numpy())


def test_a_derived_class_names_its_terms_in_an_order_of_its_own():
    class Turned(ColorizationAntiAverageLoss):
        terms = dict(reversed(ColorizationAntiAverageLoss.terms.items()))

    pred, target = (40 * torch.randn(2, 2, 6, 6, dtype=torch.float64) for _ in range(2))
    torch.testing.assert_close(Turned()(pred, target), ColorizationAntiAverageLoss()(pred, target))
