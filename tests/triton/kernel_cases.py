"""The kernels beside the definitions that they replace: `python -m tests.triton.kernel_cases` prints the differences.

On a processor they run in Triton's interpreter, which TRITON_INTERPRET=1 must have chosen before they are imported.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from study.color import bins, dispatch
from study.color import lab as color
from study.color.triton import bins as bins_kernels
from study.color.triton import lab as color_kernels
from study.losses import ClassificationLoss, ColorizationAntiAverageLoss, classification
from study.losses.base import Loss, weighted_sum
from study.losses.triton import anti_average as anti_average_kernel
from study.losses.triton import classification as classification_kernels

Case = tuple[str, float, float]  # what, how far apart, how far apart it may be


def cases(device: torch.device) -> Iterator[Case]:
    """Every kernel on `device` beside the processor, in shapes that do and do not fill its blocks."""
    generator = torch.Generator().manual_seed(0)
    yield from _color(device, generator)
    yield from _anti_average(device, generator)
    yield from _soft_encoding(device, generator)
    yield from _classification(device, generator)
    with _as_on_a_card(device):
        yield from _losses_as_called(device, generator)


@contextmanager
def _as_on_a_card(device: torch.device) -> Iterator[None]:
    """Let the losses take the way to their kernels: where these are interpreted, tensors pass for a card's."""
    if device.type == "cuda":
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            dispatch, "usable", lambda *tensors, own_gradient=False: all(x.dtype != torch.float64 for x in tensors)
        )
        yield


def _losses_as_called(device: torch.device, generator: torch.Generator) -> Iterator[Case]:
    """The two losses by the functions that people call: precisions, layouts, channels, gradients of gradients."""
    prior = torch.rand(313, generator=generator)
    lab = torch.tensor([20.0, 40.0, 40.0]).view(3, 1, 1) * torch.randn(2, 3, 6, 7, generator=generator)
    ab = 0.5 * lab + torch.randn(lab.shape, generator=generator)
    logits = torch.randn(2, 313, 6, 7, generator=generator)
    average = ColorizationAntiAverageLoss(1.0, 2.0, 100.0, 3.0)
    classes = ClassificationLoss(prior / prior.sum())
    for name, loss, prediction, target in (
        ("anti-average loss, Lab", average, ab, lab),
        ("anti-average loss, ab", average, ab[:, 1:], lab[:, 1:]),
        ("classification loss, Lab", classes, logits, lab),
        ("classification loss, ab", classes, logits, lab[:, 1:]),
    ):
        for layout, dtype in (
            (torch.contiguous_format, torch.float32),
            (torch.channels_last, torch.float32),
            (torch.contiguous_format, torch.float16),
            (torch.channels_last, torch.bfloat16),
            (torch.contiguous_format, torch.float64),
        ):
            there = prediction.to(device, dtype, memory_format=layout).requires_grad_()
            exact = there.detach().cpu().double().requires_grad_()
            wanted = _terms(loss.cpu(), exact, target.double())
            (slope,) = torch.autograd.grad(3 * weighted_sum(wanted, loss.weights), exact)
            out = loss.to(device)(there, target.to(device))
            total = out["total"]
            (gradient,) = torch.autograd.grad(3 * total, there, retain_graph=True)
            (again,) = torch.autograd.grad(total, there, create_graph=True)
            what = f"{name} as called, {layout}, {dtype}".replace("torch.", "")
            apart = [abs(out[term].item() / value.item() - 1) for term, value in wanted.items()]
            assert out.keys() == {"total", *wanted}
            yield what, max(*apart, abs(total.item() / weighted_sum(wanted, loss.weights).item() - 1)), 1e-4
            allowed = {torch.float16: 2e-3, torch.bfloat16: 2e-2}.get(dtype, 2e-4) * slope.abs().max().item()
            yield f"{what}, gradient", _largest(gradient, slope), allowed
            yield f"{what}, gradient with a graph", _largest(again, slope / 3), allowed
            assert again.requires_grad and gradient.dtype == dtype
            by_kernel = type(total.grad_fn).__name__ in ("AntiAverageBackward", "CrossEntropyBackward")
            assert by_kernel == (dtype != torch.float64), total.grad_fn


def _terms(loss: Loss, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
    """The terms as their definitions read."""
    if isinstance(loss, ClassificationLoss):
        return {"cross_entropy": classification._by_definition(prediction, target[:, -2:], loss)}
    return loss.compute(prediction, target)


def _color(device: torch.device, generator: torch.Generator) -> Iterator[Case]:
    levels = torch.randint(0, 256, (3, 3, 17, 43), dtype=torch.uint8, generator=generator)
    floats = 1.2 * torch.rand(3, 3, 17, 43, generator=generator) - 0.1  # out of range too
    grays = (torch.arange(256, dtype=torch.uint8)).view(1, 1, 16, 16).repeat(1, 3, 1, 1)
    for name, rgb in {
        "bytes": levels,
        "floats": floats,
        "half precision": floats.half(),
        "grays": grays,
        "pixels last": levels.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2),
        "one pixel": floats[:1, :, :1, :1],
    }.items():
        exact = color.rgb_to_lab(rgb.double() / 255 if rgb.dtype == torch.uint8 else rgb.double())
        yield f"Lab of {name}", _largest(color_kernels.rgb_to_lab(rgb.to(device)), exact), 1e-4
    lab = color.rgb_to_lab(levels)
    wild = lab + 40 * torch.randn(lab.shape, generator=generator)  # out of gamut too
    for name, pictures in {"pictures": lab, "colours out of gamut": wild, "half precision": wild.half()}.items():
        exact = color.lab_to_rgb(pictures.double())
        yield f"sRGB of {name}", _largest(color_kernels.lab_to_rgb(pictures.to(device)), exact), 2e-5
    back = color.to_uint8(color_kernels.lab_to_rgb(color_kernels.rgb_to_lab(levels.to(device))))
    yield "bytes there and back", float(abs(back.astype(int) - color.to_uint8(levels / 255)).max()), 0.0


def _anti_average(device: torch.device, generator: torch.Generator) -> Iterator[Case]:
    most_parts = anti_average_kernel._MOST_PARTS
    # In parts of more than one block. An interpreter takes its time: it gets fewer pixels, in fewer parts.
    large = (1, 2, 521, 523) if device.type == "cuda" else (1, 2, 81, 83)
    for shape, weights, units in (
        ((2, 2, 17, 40), (1.0, 0.01, 0.5, 1.0), "raw"),
        ((3, 3, 30, 50), (1.0, 0.01, 0.5, 1.0), "raw"),
        ((2, 3, 40, 60), (1.0, 2.0, 1.0, 1.0), "normalized"),
        ((2, 2, 9, 9), (0.0, 1.0, 0.0, 0.0), "raw"),
        ((2, 2, 9, 9), (0.0, 0.0, 1.0, 0.0), "raw"),
        ((2, 3, 9, 9), (0.0, 0.0, 0.0, 1.0), "raw"),
        ((3, 2, 1, 1), (1.0, 0.01, 0.5, 1.0), "raw"),
        (large, (1.0, 0.01, 0.5, 1.0), "raw"),
    ):
        anti_average_kernel._MOST_PARTS = 4 if shape == (1, 2, 81, 83) else most_parts
        target = 30 * torch.randn(shape, generator=generator)
        pred = 0.5 * target + 10 * torch.randn(shape, generator=generator)
        pred[0, -2:, 0, 0] = target[-1, -2:, 0, -1] = 0  # gray
        pred[-1, -1, -1, -1] = -0.0  # the hue's cut
        loss = ColorizationAntiAverageLoss(*weights, units=units).double()
        exact = pred.double().requires_grad_()
        terms = loss(exact, target.double())
        (slope,) = torch.autograd.grad(terms["total"], exact)
        on_device = pred.to(device), target.to(device)
        *values, room = anti_average_kernel.sweep(*on_device, loss)
        three = torch.tensor(3.0, device=device)
        gradient = anti_average_kernel.gradient(*on_device, room, loss, loss.weights, three)
        name = f"anti-average loss of {'x'.join(map(str, shape))}, weights {weights}, {units}"
        apart = [abs(value.item() - wanted.item()) for value, wanted in zip(values, terms.values(), strict=True)]
        scale = [1e-3 + abs(wanted.item()) for wanted in terms.values()]
        yield name, max(a / s for a, s in zip(apart, scale, strict=True)), 2e-4
        yield f"{name}, gradient", _largest(gradient / 3, slope) / slope.abs().max().item(), 2e-4
        yield from _anti_average_again(name, loss, *on_device, values, exact, target, slope)
    anti_average_kernel._MOST_PARTS = most_parts


def _anti_average_again(
    name: str,
    loss: ColorizationAntiAverageLoss,
    pred: Tensor,
    target: Tensor,
    values: list[Tensor],
    exact: Tensor,
    exact_target: Tensor,
    slope: Tensor,
) -> Iterator[Case]:
    """The same bits at a second call, and gradients by autograd, whose total may be changed in place."""
    *again, _ = anti_average_kernel.sweep(pred, target, loss)
    yield f"{name}, again", max(abs(a.item() - v.item()) for a, v in zip(again, values, strict=True)), 0
    asked = pred.clone().requires_grad_()
    total, *terms = anti_average_kernel.AntiAverage.apply(asked, target, loss)
    (of_term,) = torch.autograd.grad(terms[1], asked, retain_graph=True)
    (slope_of_term,) = torch.autograd.grad(loss(exact, exact_target.double())["saturation"], exact)
    largest = 1e-9 + slope_of_term.abs().max().item()
    yield f"{name}, gradient of one term", _largest(of_term, slope_of_term) / largest, 2e-4
    loss.weights.update(lab=7.0, saturation=0.0)  # a gradient is that of the weights under which the total was computed
    total *= 2
    (of_total,) = torch.autograd.grad(total, asked)
    yield f"{name}, gradient after all", _largest(of_total / 2, slope) / slope.abs().max().item(), 2e-4


def _soft_encoding(device: torch.device, generator: torch.Generator) -> Iterator[Case]:
    wild = 50 * torch.randn(3, 2, 7, 9, generator=generator)
    wild[1] *= 4  # mostly out of gamut
    for name, ab in {
        "colours": 240 * torch.rand(3, 2, 7, 9, generator=generator) - 120,
        "colours out of gamut": wild,
    }.items():
        for neighbors in (1, 5, 16):
            indices, weights = bins.soft_encode(ab, neighbors)
            there, shares = (x.cpu() for x in bins_kernels.soft_encode(ab.to(device), neighbors, 5.0))
            yield f"bins of {name}, {neighbors} neighbours", (indices != there).float().mean().item(), 0.0
            yield f"weights of {name}, {neighbors} neighbours", _largest(shares, weights), 1e-6
    wild[0, 0, 0, 0] = torch.nan
    _, shares = bins_kernels.soft_encode(wild.to(device), 5, 5.0)
    yield (
        "bins of NaN weigh NaN, and no others",
        abs(shares.isnan().sum().item() - 5) + float(not shares[0, 0, 0, 0].isnan()),
        0.0,
    )


def _classification(device: torch.device, generator: torch.Generator) -> Iterator[Case]:
    ab = 40 * torch.randn(3, 2, 7, 7, generator=generator)  # more pixels than a program takes
    ab[1] /= 40  # a gray picture
    ab[0, 0, 0, 1] = 0.01  # among the first values, one that no mask may be taken from; no bins are equally near to it
    ab[0, :, 0, 0] = torch.tensor([83.0, 61.0])  # far from the bins that are ruled out below
    lab = torch.cat([50 + ab[:, :1], ab], 1)
    prior = torch.rand(313, generator=generator)
    prior /= prior.sum()
    for name, loss in {
        "rebalanced": ClassificationLoss(prior),
        "plain": ClassificationLoss(None),
        "3 neighbours, gray counts": ClassificationLoss(prior, neighbors=3, sigma=8.0, gray_mask=False),
    }.items():
        for layout, dtype in (
            (torch.contiguous_format, torch.float32),
            (torch.channels_last, torch.float32),
            (torch.contiguous_format, torch.float16),
            (torch.channels_last, torch.bfloat16),
        ):
            logits = 3 * torch.randn(3, 313, 7, 7, generator=generator)
            logits[0, :100, 0, 0] = -torch.inf  # the first bins are ruled out
            logits = logits.to(dtype, memory_format=layout).float().requires_grad_()
            wanted = loss(logits, ab)["total"]
            (slope,) = torch.autograd.grad(3 * wanted, logits)
            loss.to(device)
            there, target = logits.detach().to(device, dtype), lab.to(device)[:, 1:]
            value, *kept = classification_kernels.cross_entropy(there, target, loss)
            factor = torch.tensor(3.0, device=device)
            gradient = classification_kernels.cross_entropy_gradient(*kept, loss, factor)
            loss.to("cpu")
            assert gradient.stride() == logits.stride()
            what = f"classification loss, {name}, {layout}, {dtype}".replace("torch.", "")
            yield what, abs(value.item() / wanted.item() - 1), 1e-5
            allowed = {torch.float32: 1e-5, torch.float16: 1e-3, torch.bfloat16: 1e-2}[dtype]
            yield f"{what}, gradient", _largest(gradient, slope) / slope.abs().max().item(), allowed


def _largest(one: Tensor, other: Tensor) -> float:
    return (one.cpu().double() - other.double()).abs().max().item()


if __name__ == "__main__":
    print(json.dumps(list(cases(torch.device("cpu")))))
