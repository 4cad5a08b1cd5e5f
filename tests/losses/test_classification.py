"""ClassificationLoss: cross-entropy over the bins against dense oracles, rebalancing, gray mask, precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from study.color.bins import AB_BINS, class_weights
from study.losses import ClassificationLoss
from study.losses import classification as module
from study.training.memory import peak_bytes

BINS = 313


def batch(n: int = 2, height: int = 3, width: int = 4, seed: int = 0, dtype: torch.dtype = torch.float32):
    """Logits that want a gradient, and ab pictures within reach of the bins."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(n, BINS, height, width, generator=generator, dtype=torch.float64)
    ab = 30 * torch.randn(n, 2, height, width, generator=generator, dtype=torch.float64)
    ab[:, 0, 0, 0] = 41.3  # no picture is gray (and no pixel lies halfway between bins)
    return logits.to(dtype).requires_grad_(), ab.to(dtype)


def prior(seed: int = 0) -> np.ndarray:
    frequencies = np.random.default_rng(seed).random(BINS) ** 3
    return frequencies / frequencies.sum()


def dense_target(ab: Tensor, neighbors: int = 5, sigma: float = 5.0) -> Tensor:
    """Soft targets over all bins, (N,313,H,W), by sorting all distances."""
    n, _, height, width = ab.shape
    points = ab.double().permute(0, 2, 3, 1).reshape(-1, 2)
    target = torch.zeros(len(points), BINS, dtype=torch.float64)
    for row, point in zip(target, points, strict=True):
        squared = (AB_BINS.double() - point).square().sum(1)
        nearest = squared.argsort()[:neighbors]
        weights = torch.exp(-squared[nearest] / (2 * sigma**2))
        row[nearest] = weights / weights.sum()
    return target.view(n, height, width, BINS).permute(0, 3, 1, 2)


def dense_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of every pixel, (N,H,W)."""
    return -(target * torch.log_softmax(logits.double(), 1)).sum(1)


class MultiplyGradient(torch.autograd.Function):
    """As the released code rebalances: the identity, whose gradient is multiplied by each pixel's weight."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(weight)
        return x.clone()

    @staticmethod
    def backward(ctx, gradient: Tensor):
        return gradient * ctx.saved_tensors[0], None


def test_value_is_the_cross_entropy_with_a_dense_soft_target():
    logits, ab = batch()
    out = ClassificationLoss(neighbors=7, sigma=4.0)(logits, ab)
    expected = dense_cross_entropy(logits, dense_target(ab, 7, 4.0)).mean()
    assert set(out) == {"total", "cross_entropy"}
    assert out["cross_entropy"].item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("rebalance", [0.5, 0.1])
def test_gradient_is_that_of_the_published_gradient_only_rebalancing(rebalance):
    logits, ab = batch(seed=1)
    ours = ClassificationLoss(prior(), rebalance)(logits, ab)["total"]
    target = dense_target(ab)
    weight = class_weights(prior(), rebalance).double()[target.argmax(1)]
    rebalanced = MultiplyGradient.apply(logits.double(), weight[:, None])
    theirs = dense_cross_entropy(rebalanced, target).mean()
    (gradient,), (expected,) = torch.autograd.grad(ours, logits), torch.autograd.grad(theirs, logits)
    torch.testing.assert_close(gradient, expected.float(), rtol=1e-4, atol=1e-7)


def test_value_weights_each_pixel_by_its_strongest_bin():
    logits, ab = batch(seed=2)
    target = dense_target(ab)
    weight = class_weights(prior(), 0.5).double()[target.argmax(1)]
    expected = (weight * dense_cross_entropy(logits, target)).mean()
    assert ClassificationLoss(prior())(logits, ab)["total"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_gray_images_teach_nothing_and_change_nobody_elses_gradient():
    logits, ab = batch(n=3, seed=4)
    ab[1] = ab[1].clamp(-5.0, 5.0)
    loss, unmasked = ClassificationLoss(prior()), ClassificationLoss(prior(), gray_mask=False)
    (gradient,) = torch.autograd.grad(loss(logits, ab)["total"], logits)
    (everything,) = torch.autograd.grad(unmasked(logits, ab)["total"], logits)
    assert gradient[1].abs().max() == 0
    assert everything[1].abs().max() > 0
    torch.testing.assert_close(gradient[[0, 2]], everything[[0, 2]])
    ab[1, 0, 0, 0] = 5.001
    assert torch.autograd.grad(loss(logits, ab)["total"], logits)[0][1].abs().max() > 0


def test_a_batch_of_gray_images_gives_zero_with_a_zero_gradient():
    logits, _ = batch(seed=5)
    total = ClassificationLoss(prior())(logits, torch.zeros(2, 2, 3, 4))["total"]
    total.backward()
    assert total == 0
    assert logits.grad.abs().max() == 0


def test_lightness_of_a_lab_target_is_ignored():
    logits, ab = batch(seed=6)
    lab = torch.cat([torch.full_like(ab[:, :1], 60.0), ab], dim=1)
    assert ClassificationLoss()(logits, lab)["total"] == ClassificationLoss()(logits, ab)["total"]


def test_pieces_of_a_batch_and_memory_layouts_give_the_same(monkeypatch):
    logits, ab = batch(n=5, seed=8)
    loss = ClassificationLoss(prior())
    expected = loss(logits, ab)["total"]
    (gradient,) = torch.autograd.grad(expected, logits)
    monkeypatch.setattr(module, "_CHUNK", 2 * BINS * 12)  # two pictures at a time, one at the end
    for layout in (torch.contiguous_format, torch.channels_last):
        strided = logits.detach().contiguous(memory_format=layout).requires_grad_()
        total = loss(strided, ab)["total"]
        torch.testing.assert_close(total, expected)
        torch.testing.assert_close(torch.autograd.grad(total, strided)[0], gradient)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits_are_computed_in_float32(dtype):
    logits, ab = batch(seed=9)
    half = logits.detach().to(dtype).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        total = ClassificationLoss(prior())(half, ab)["total"]
    expected = ClassificationLoss(prior())(half.float(), ab)["total"]
    torch.testing.assert_close(total, expected)
    (gradient,) = torch.autograd.grad(total, half)
    assert gradient.dtype == dtype


@given(st.sampled_from([0.0, 1e4, -1e4, 1e-3]), st.sampled_from([0.0, 5.0, 1e4, -130.0]), st.integers(0, 100))
def test_extreme_logits_and_colors_stay_finite(scale, color, seed):
    logits, ab = batch(seed=seed)
    logits = (scale * logits.detach()).requires_grad_()
    ab[0] = color
    total = ClassificationLoss(prior())(logits, ab)["total"]
    assert total.isfinite()
    assert torch.autograd.grad(total, logits)[0].isfinite().all()


@given(st.sampled_from([-65536.0, -4096.0, 0.0, 1024.0, 65536.0]), st.integers(0, 100))
def test_what_all_logits_share_changes_neither_value_nor_gradient(offset, seed):
    logits, ab = batch(seed=seed)
    logits = (logits.detach() * 64).round() / 64  # so that the offset rounds nothing
    loss = ClassificationLoss(prior())
    for x in (logits, logits + offset):
        x.requires_grad_()
        total = loss(x, ab)["total"]
        target = dense_target(ab)
        weight = loss.class_weights[target.argmax(1)]
        expected = (weight * dense_cross_entropy(logits, target)).mean()
        assert total.item() == pytest.approx(expected.item(), rel=2e-6)
        torch.testing.assert_close(torch.autograd.grad(total, x)[0], gradient_of(loss, logits, ab), rtol=0, atol=0)


def gradient_of(loss: ClassificationLoss, logits: Tensor, ab: Tensor, factor: float = 1.0) -> Tensor:
    logits = logits.detach().requires_grad_()
    return torch.autograd.grad(factor * loss(logits, ab)["total"], logits)[0]


def test_value_is_the_same_whether_a_gradient_is_wanted_or_not():
    logits, ab = batch(seed=12)
    loss = ClassificationLoss(prior())
    expected = loss(logits, ab)["total"].detach()
    assert loss(logits.detach(), ab)["total"] == expected


def test_no_gradient_is_made_where_none_is_recorded():
    logits, ab = batch(n=16, height=32, width=32, seed=14)
    loss = ClassificationLoss(prior())
    with torch.no_grad():
        alone = peak_bytes(lambda: loss(logits, ab), torch.device("cpu"))
    assert alone < 0.7 * peak_bytes(lambda: loss(logits, ab), torch.device("cpu"))


def test_gradients_too_small_for_half_precision_arrive_when_the_loss_is_scaled():
    logits, ab = batch(n=2, height=32, width=32, seed=13)
    half = (4 * logits.detach()).half()  # most gradients are below 6e-8, the smallest number of float16
    loss = ClassificationLoss()
    scaled = gradient_of(loss, half, ab, 65536.0)
    torch.testing.assert_close(scaled.float(), 65536 * gradient_of(loss, half.float(), ab), rtol=1e-3, atol=6e-8)
    assert (scaled != 0).sum() > 2 * (gradient_of(loss, half, ab) != 0).sum()


def test_no_dense_target_is_kept_for_the_backward_pass():
    logits, ab = batch(n=2, height=16, width=16)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: (kept.append(x), x)[1], lambda x: x):
        ClassificationLoss(prior())(logits, ab)
    beside_logits = sum(x.nbytes for x in kept if x.data_ptr() != logits.data_ptr())
    assert 0 < beside_logits < 0.1 * logits.nbytes


def test_compiled_values_and_gradients_are_the_same():
    logits, ab = batch(seed=10)
    loss = ClassificationLoss(prior())
    compiled = torch.compile(loss, backend="aot_eager")
    ours, theirs = loss(logits, ab)["total"], compiled(logits, ab)["total"]
    torch.testing.assert_close(theirs, ours)
    torch.testing.assert_close(torch.autograd.grad(theirs, logits)[0], torch.autograd.grad(ours, logits)[0])


@pytest.mark.parametrize(
    ("logits", "target"),
    [((2, 313, 4, 4), (2, 2, 4, 5)), ((2, 313, 4, 4), (1, 2, 4, 4)), ((2, 312, 4, 4), (2, 2, 4, 4)),
     ((2, 313, 4, 4), (2, 1, 4, 4)), ((2, 313, 4), (2, 2, 4, 4)), ((0, 313, 4, 4), (0, 2, 4, 4))],
)  # fmt: skip
def test_shapes_that_do_not_match_are_named(logits, target):
    with pytest.raises(ValueError) as error:
        ClassificationLoss()(torch.zeros(logits), torch.zeros(target))
    assert str(logits) in str(error.value)
    assert str(target) in str(error.value)


@pytest.mark.parametrize(
    "options",
    [{"neighbors": 0}, {"neighbors": 314}, {"neighbors": 5.0}, {"neighbors": True}, {"sigma": 0.0}, {"rebalance": 2.0}],
)
def test_impossible_options_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        ClassificationLoss(prior(), **options)
