"""The anti-average and the classification loss, forward and backward, beside their formulas written straight."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from benchmarks import naive
from benchmarks.measure import Comparison
from study.color.bins import prior_from_ab, soft_encode
from study.color.lab import rgb_to_lab
from study.losses import ClassificationLoss, ColorizationAntiAverageLoss

# Passes over a plane that the definitions ask for beside angles and roots, where one pass may multiply and add
# (addcmul) or square and sum (dot). Differences of a and b, their squares summed (4); two squared chromas (4); their
# roots' difference, its squares summed, the shortfall and its sum (4); of two hues mean, deviations, squares summed
# (6); for the gradient: a and b scaled (2), pull along the chroma (4) and around the hue (2), both added to a and b
# (4).
PASSES = 30
TOLERANCE = 1e-4  # of the largest component of the gradient, and of the loss itself


def comparisons(device: torch.device, quick: bool) -> Iterator[Comparison]:
    """The rows of this subject, one after the other; small inputs if `quick`."""
    yield from _anti_average(device, quick)
    yield from _classification(device, quick)


def _anti_average(device: torch.device, quick: bool) -> Iterator[Comparison]:
    n, side = (2, 24) if quick else (16, 256)
    generator = torch.Generator().manual_seed(0)
    target = _some_ab(n, side, generator).to(device)
    noise = 10 * torch.randn(target.shape, generator=generator).to(device)
    pred = (0.5 * target + noise).requires_grad_()
    loss = ColorizationAntiAverageLoss()
    what = f"anti-average loss, forward and backward, {n}x2x{side}x{side}"

    def ours() -> tuple[Tensor, Tensor]:
        return _with_gradient(loss(pred, target)["total"], pred)

    def straight() -> tuple[Tensor, Tensor]:
        return _with_gradient(naive.anti_average(pred, target), pred)

    def plain_mse() -> tuple[Tensor, Tensor]:
        return _with_gradient(mse_loss(pred, target), pred)

    angles = _pieces(pred.detach(), target, lambda a, b, out: torch.atan2(b, a, out=out))
    roots = _pieces(pred.detach().abs(), target.abs(), lambda a, b, out: torch.sqrt(a, out=out))

    plane = pred.detach()[0, 0].clone()
    product = torch.empty_like(plane)
    # Ours keeps seven planes of a few images each: what is read has left the nearest cache by the time it is needed.
    working = pred.detach()[:4, :1].expand(-1, 7, -1, -1).transpose(0, 1).contiguous()

    def least() -> None:
        plain_mse()
        angles()
        roots()

    compiled = torch.compile(loss)

    def in_one_kernel() -> None:
        _with_gradient(compiled(pred, target)["total"], pred)

    def every_pass() -> None:
        angles()
        roots()
        for _ in range(PASSES * n):
            torch.mul(plane, plane, out=product)

    def every_pass_over_all_planes() -> None:
        angles()
        roots()
        for step in range(PASSES * n // working.shape[1]):
            torch.mul(working[step % 7], working[(step + 3) % 7], out=working[(step + 5) % 7])

    bounds: list[tuple[str, Callable[[], None]]] = [
        ("the angles of both pictures alone, two atan2 per pixel, in cache", angles),
        ("plain MSE with its gradient, two atan2 and two square roots per pixel, nothing in between", least),
    ]
    if device.type == "cpu":  # a graphics card takes longer to start each pass than to do it
        bounds += [
            (f"those angles and roots, and {PASSES} multiplications of a plane, in cache", every_pass),
            ("the same with the seven planes of four images that it works on", every_pass_over_all_planes),
        ]
    if not quick and shutil.which("g++"):  # compiling takes half a minute
        bounds.append(("the same formulas fused by torch.compile into kernels of their own", in_one_kernel))
    beside_straight = Comparison(
        what=what,
        against="the formulas written straight",
        goal=4,
        ours=ours,
        theirs=straight,
        difference=lambda: _relative_difference(ours(), straight()),
        tolerance=TOLERANCE,
        bounds=bounds,
    )
    yield from _in_a_row_and_alone(beside_straight, device, pred)
    only_lab = ColorizationAntiAverageLoss(1.0, 0.0, 0.0, 0.0)
    beside_mse = Comparison(
        what=what,
        against="plain MSE (at most 3 times its time: at least a third)",
        goal=0.3333,
        ours=ours,
        theirs=plain_mse,
        difference=lambda: _relative_difference(_with_gradient(only_lab(pred, target)["total"], pred), plain_mse()),
        tolerance=TOLERANCE,
        bounds=bounds,
    )
    yield from _in_a_row_and_alone(beside_mse, device, pred)


def _classification(device: torch.device, quick: bool) -> Iterator[Comparison]:
    n, side = (2, 8) if quick else (40, 44)
    generator = torch.Generator().manual_seed(0)
    ab = _some_ab(n, side, generator)
    loss = ClassificationLoss(prior_from_ab(ab)).to(device)
    ab = ab.to(device)
    logits = (3 * torch.randn(n, 313, side, side, generator=generator)).to(device).requires_grad_()
    weights = loss.class_weights
    assert weights is not None

    def ours() -> tuple[Tensor, Tensor]:
        return _with_gradient(loss(logits, ab)["total"], logits)

    def dense() -> tuple[Tensor, Tensor]:
        # The same fast encoder on both sides: what is compared is the loss.
        indices, shares = soft_encode(ab)
        target = naive.dense(indices, shares)
        return _with_gradient(naive.dense_classification(logits, target, ab, weights), logits)

    def softmax_alone() -> None:
        for images in logits.detach().split(1 if device.type == "cpu" else n):
            images.softmax(1)

    shape = f"{n}x313x{side}x{side}"
    in_time = Comparison(
        what=f"classification loss, forward and backward, {shape}",
        against="dense soft targets",
        goal=2,
        ours=ours,
        theirs=dense,
        difference=lambda: _relative_difference(ours(), dense()),
        tolerance=TOLERANCE,
        bounds=[
            ("the softmax of the logits alone, which is in its gradient", softmax_alone),
            ("zeros in fresh memory for the gradient alone", lambda: torch.empty_like(logits).zero_()),
        ],
    )
    yield from _in_a_row_and_alone(in_time, device, logits)
    yield Comparison(
        what=f"memory of the classification loss, forward and backward, {shape}",
        against="dense soft targets",
        goal=4,
        ours=ours,
        theirs=dense,
        difference=lambda: _relative_difference(ours(), dense()),
        tolerance=TOLERANCE,
        bounds=[("the gradient of the logits alone, which any loss returns", logits.nbytes)],
        memory=True,
    )


def _in_a_row_and_alone(comparison: Comparison, device: torch.device, prediction: Tensor) -> Iterator[Comparison]:
    """A comparison and, on a graphics card, the same of calls by themselves, which autograd's threads bound."""
    yield comparison
    if device.type == "cuda":
        nothing = ("an autograd function that does nothing but make room", lambda: _NoWork.of(prediction))
        what = f"{comparison.what}, one call at a time"
        yield replace(comparison, what=what, alone=True, bounds=[nothing])


class _NoWork(torch.autograd.Function):
    """Room for a loss and for its gradient, and nothing in it."""

    @classmethod
    def of(cls, prediction: Tensor) -> tuple[Tensor, Tensor]:
        return _with_gradient(cls.apply(prediction), prediction)

    @staticmethod
    def forward(ctx: Any, prediction: Tensor) -> Tensor:
        ctx.save_for_backward(prediction)
        return prediction.new_empty(())

    @staticmethod
    def backward(ctx: Any, of_loss: Tensor) -> Tensor:
        return torch.empty_like(ctx.saved_tensors[0])


def _some_ab(n: int, side: int, generator: torch.Generator) -> Tensor:
    levels = torch.randint(0, 256, (n, 3, side, side), dtype=torch.uint8, generator=generator)
    return rgb_to_lab(levels)[:, 1:].contiguous()


def _with_gradient(loss: Tensor, of: Tensor) -> tuple[Tensor, Tensor]:
    return loss.detach(), torch.autograd.grad(loss, of)[0]


def _relative_difference(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> float:
    """The larger of the differences of value and gradient, as a share of the value and the largest component."""
    return max(((x - y).abs().max() / y.abs().max()).item() for x, y in zip(one, other, strict=True))


def _pieces(pred: Tensor, target: Tensor, operation: Callable[..., Tensor]) -> Callable[[], None]:
    """Runs an operation on a and b of both pictures, on a CPU a few images at a time, written to one small plane."""
    step = 4 if pred.device.type == "cpu" else len(pred)
    out = torch.empty_like(pred[:step, 0])

    def run() -> None:
        for pictures in (pred, target):
            for images in pictures.split(step):
                operation(images[:, 0], images[:, 1], out[: len(images)])

    return run
