"""The same numbers on a graphics card as on the processor: colour, bins, losses with gradients, metrics, training."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from study.color import bins
from study.color import lab as color
from study.color.dispatch import _compiles_on, _load, usable
from study.data.prepare import prepare
from study.losses import build_loss, loss_names
from study.losses.base import Loss
from study.project import Project
from study.training.executor import run_cells
from study.training.networks import load_network
from study.training.store import CellStore
from tests.conftest import TINY_STUDY, write_params
from tests.losses.test_registry import Settings
from tests.metrics import test_metrics_contract as contract

CARD = torch.device("cuda")

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


def colors(seed: int, count: int = 3, side: int = 40) -> Tensor:
    """Random sRGB pictures (N,3,S,S), uint8."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=generator)


def assert_same(on_card: Tensor, here: Tensor, *, rtol: float, atol: float) -> None:
    """On the card, of the same dtype, and equal within the tolerances."""
    assert on_card.device.type == "cuda"
    torch.testing.assert_close(on_card.cpu(), here, rtol=rtol, atol=atol, equal_nan=True)


def test_lab_and_back() -> None:
    levels = colors(0)
    lab = color.rgb_to_lab(levels)
    assert_same(color.rgb_to_lab(levels.to(CARD)), lab, rtol=0, atol=1e-4)
    assert_same(color.lab_to_rgb(lab.to(CARD)), color.lab_to_rgb(lab), rtol=0, atol=1e-5)
    back = color.to_uint8(color.lab_to_rgb(color.rgb_to_lab(levels.to(CARD))))
    np.testing.assert_array_equal(back, levels.permute(0, 2, 3, 1).numpy())


@pytest.mark.parametrize("function", [color.chroma, color.hue])
def test_chroma_and_hue_with_their_gradients(function: Callable[[Tensor], Tensor]) -> None:
    ab = color.rgb_to_lab(colors(1))[:, 1:].contiguous()
    ab[0, :, :4] = 0  # gray
    here, there = ab.clone().requires_grad_(), ab.to(CARD).requires_grad_()
    value, other = function(here), function(there)
    value.sum().backward()
    other.sum().backward()
    assert_same(other.detach(), value.detach(), rtol=1e-6, atol=1e-5)
    assert_same(there.grad, here.grad, rtol=1e-4, atol=1e-5)


def test_soft_encoding() -> None:
    ab = torch.cat([color.rgb_to_lab(colors(2))[:, 1:], 120 * torch.randn(3, 2, 40, 40)])  # in and out of gamut
    (indices, shares), (there, weights) = bins.soft_encode(ab), bins.soft_encode(ab.to(CARD))
    assert there.device.type == weights.device.type == "cuda"
    sparse = ((indices, shares), (there.cpu(), weights.cpu()))
    dense = [torch.zeros(6, 313, 40, 40).scatter_(1, index, share) for index, share in sparse]
    # Two bins at equal distance may come in either order, and rounding may choose another fifth neighbour.
    torch.testing.assert_close(dense[1], dense[0], rtol=0, atol=1e-4)


def test_annealed_mean_prior_and_class_weights() -> None:
    logits = 5 * torch.randn(2, 313, 6, 6, generator=torch.Generator().manual_seed(0))
    for temperature in (1e-3, 0.38, 1.0):
        mean = bins.annealed_mean(logits, temperature)
        assert_same(bins.annealed_mean(logits.to(CARD), temperature), mean, rtol=1e-5, atol=1e-3)
    ab = color.rgb_to_lab(colors(3))[:, 1:]
    prior = bins.prior_from_ab(ab)
    torch.testing.assert_close(bins.prior_from_ab(ab.to(CARD)).cpu(), prior, rtol=1e-5, atol=1e-8)
    weights = bins.class_weights(prior)
    torch.testing.assert_close(bins.class_weights(prior.to(CARD)).cpu(), weights, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("name", contract.ALL)
def test_metrics(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    values = contract.batch(torch.float32)
    here = contract.ALL[name](values)
    for constant in ("MODES", "PROBABILITIES", "PRIOR"):
        monkeypatch.setattr(contract, constant, getattr(contract, constant).to(CARD))
    there = contract.ALL[name]({key: value.to(CARD) for key, value in values.items()})
    assert_same(there, here, rtol=1e-4, atol=1e-4)


def loss_and_inputs(name: str) -> tuple[Loss, Tensor, Tensor]:
    """A built-in loss with its own weights, a prediction and a target that it can be called with."""
    options = {"weights": "untrained"} if "lpips" in name else {}
    loss = build_loss(Settings(name=name, options=options), np.full(313, 1 / 313), Path.cwd())
    side = 40
    lab = color.rgb_to_lab(colors(4, side=side))
    generator = torch.Generator().manual_seed(5)
    if loss.head == "bins":
        return loss, torch.randn(len(lab), 313, side, side, generator=generator), lab[:, 1:].contiguous()
    target = lab if loss.needs_lightness else lab[:, 1:].contiguous()
    noise = 10 * torch.randn(lab[:, 1:].shape, generator=generator)
    prediction = target.clone()
    prediction[:, -2:] = 0.5 * target[:, -2:] + noise
    return loss, prediction, target


@pytest.mark.parametrize("name", loss_names())
def test_losses_and_their_gradients(name: str) -> None:
    loss, prediction, target = loss_and_inputs(name)
    results = []
    for device in (torch.device("cpu"), CARD):
        loss.to(device)
        pred = prediction.to(device).requires_grad_()
        out = loss(pred, target.to(device))
        (gradient,) = torch.autograd.grad(out["total"], pred)
        results.append(({term: value.detach() for term, value in out.items()}, gradient))
    (here, gradient), (there, other) = results
    assert here.keys() == there.keys()
    for term, value in here.items():
        assert_same(there[term], value, rtol=1e-3, atol=1e-6)
    largest = gradient.abs().max().item()
    assert_same(other, gradient, rtol=0, atol=2e-3 * largest)


@pytest.mark.parametrize("narrow", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", loss_names())
def test_losses_under_autocast(name: str, narrow: torch.dtype) -> None:
    loss, prediction, target = loss_and_inputs(name)
    loss.to(CARD)
    pred = prediction.to(CARD, narrow).requires_grad_()
    with torch.autocast("cuda", narrow):
        total = loss(pred, target.to(CARD))["total"]
    (gradient,) = torch.autograd.grad(total, pred)
    assert total.dtype == torch.float32 and torch.isfinite(total)
    assert gradient.dtype == narrow and torch.isfinite(gradient).all() and gradient.any()
    exact = loss(pred.detach().float(), target.to(CARD))["total"]
    torch.testing.assert_close(total.detach(), exact, rtol=0.05, atol=1e-4)  # LPIPS alone computes in half precision


@pytest.mark.parametrize("name", ["anti_average", "classification"])
def test_losses_compile(name: str) -> None:
    loss, prediction, target = loss_and_inputs(name)
    loss.to(CARD)
    pred, target = prediction.to(CARD).requires_grad_(), target.to(CARD)
    eager = loss(pred, target)["total"]
    compiled = torch.compile(loss)(pred, target)["total"]
    torch.testing.assert_close(compiled, eager, rtol=1e-4, atol=1e-6)
    (wanted,) = torch.autograd.grad(eager, pred)
    (found,) = torch.autograd.grad(compiled, pred)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-3 * wanted.abs().max().item())


def test_kernels_in_all_shapes() -> None:
    from tests.triton.kernel_cases import cases

    apart = [case for case in cases(CARD) if not case[1] <= case[2]]
    assert not apart


HOT = ["rgb_to_lab", "lab_to_rgb", "soft_encode", "anti_average", "classification"]


def inputs(name: str, rgb: Tensor) -> list[Tensor]:
    """What a function that runs as kernels can be given, from pictures in 0..1 on the card."""
    ab = 200 * rgb[:, 1:] - 100
    given = {
        "soft_encode": [ab],
        "anti_average": [150 * rgb[:, :2] - 70, ab],
        "classification": [5 * rgb.repeat(1, 105, 1, 1)[:, :313], ab],
    }
    return [x.contiguous() for x in given.get(name, [rgb])]


@cache
def loss_on_card(name: str) -> Loss:
    return build_loss(Settings(name=name), np.full(313, 1 / 313), Path.cwd()).to(CARD)


def results(name: str, given: list[Tensor]) -> list[Tensor]:
    """Everything that a function that runs as kernels returns; a loss's gradient too."""
    if name == "soft_encode":
        return list(bins.soft_encode(*given))
    if hasattr(color, name):
        return [getattr(color, name)(*given)]
    prediction = given[0].detach().requires_grad_()
    out = loss_on_card(name)(prediction, given[1])
    (gradient,) = torch.autograd.grad(out["total"], prediction)
    return [*(value.detach() for value in out.values()), gradient]


@pytest.mark.parametrize("name", HOT)
def test_a_kernel_takes_what_begins_anywhere_in_memory(name: str) -> None:
    given = inputs(name, colors(8, side=37).to(CARD) / 255)
    wanted = results(name, given)  # compiled for what begins at round addresses
    shifted = [torch.empty(x.numel() + 1, device=CARD)[1:].view(x.shape).copy_(x) for x in given]
    assert all(x.data_ptr() % 16 for x in shifted)
    assert all(torch.equal(x, y) for x, y in zip(results(name, shifted), wanted, strict=True))


@pytest.mark.parametrize("name", HOT)
def test_kernels_of_two_streams_do_not_meet(name: str) -> None:
    # Which program of a kernel is done last is counted in memory that is kept.
    batches = [inputs(name, colors(9, count=count, side=16).to(CARD) / 255) for count in (3, 1100)]
    wanted = [results(name, given) for given in batches]
    streams = [torch.cuda.Stream(), torch.cuda.Stream()]
    apart = [torch.zeros((), dtype=torch.int64, device=CARD) for _ in streams]
    torch.cuda.synchronize()
    for _ in range(30):
        for stream, given, once, count in zip(streams, batches, wanted, apart, strict=True):
            with torch.cuda.stream(stream):
                for x, y in zip(results(name, given), once, strict=True):
                    count += (x != y).sum()
    torch.cuda.synchronize()
    assert [count.item() for count in apart] == [0, 0]


@pytest.mark.parametrize("name", HOT)
def test_kernels_can_be_captured_in_graphs(name: str) -> None:
    batches = [inputs(name, colors(seed).to(CARD) / 255) for seed in (11, 12)]
    wanted = [results(name, given) for given in batches]
    places = [[torch.zeros_like(x) for x in given] for given in batches]
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        results(name, places[0])
    torch.cuda.current_stream().wait_stream(aside)
    graphs, found = [torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()], []
    for graph, given in zip(graphs, places, strict=True):
        with torch.cuda.graph(graph):
            found.append(results(name, given))
    for place, given in zip(places, batches, strict=True):
        for x, y in zip(place, given, strict=True):
            x.copy_(y)
    torch.cuda.synchronize()
    streams = [torch.cuda.Stream(), torch.cuda.Stream()]
    for _ in range(30):  # side by side
        for stream, graph in zip(streams, graphs, strict=True):
            with torch.cuda.stream(stream):
                graph.replay()
    torch.cuda.synchronize()
    for outcome, once in zip(found, wanted, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(outcome, once, strict=True))


def test_the_hot_functions_run_kernels_unless_a_gradient_or_double_precision_is_asked_for() -> None:
    rgb = colors(6).to(CARD)
    assert usable(rgb)
    assert not usable(rgb.double()) and not usable(rgb[:0]) and not usable(rgb.cpu())
    floats = (rgb / 255).requires_grad_()
    assert not usable(floats)
    (slope,) = torch.autograd.grad(color.rgb_to_lab(floats).sum(), floats)
    assert torch.isfinite(slope).all()
    assert color.rgb_to_lab(rgb.double() / 255).dtype == torch.float64
    assert color.rgb_to_lab(rgb[:0]).shape == (0, 3, 40, 40)


def test_without_a_compiler_the_definitions_run_and_say_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from study.color.triton import lab as kernels

    def fail(rgb: Tensor) -> Tensor:
        raise RuntimeError("Failed to find C compiler")

    levels = colors(7)
    monkeypatch.setattr(kernels, "rgb_to_lab", fail)
    _compiles_on.cache_clear()
    _load.cache_clear()
    try:
        with pytest.warns(UserWarning, match="Failed to find C compiler"):
            lab = color.rgb_to_lab(levels.to(CARD))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            color.rgb_to_lab(levels.to(CARD))
        assert_same(lab, color.rgb_to_lab(levels), rtol=0, atol=1e-4)
    finally:
        _compiles_on.cache_clear()
        _load.cache_clear()


def test_a_cell_trains_there_as_here_and_the_same_twice(root: Path, tmp_path: Path) -> None:
    arms = ["mse", "anti_average", "zhang"]
    on_card = {**TINY_STUDY, "train": {**TINY_STUDY["train"], "device": "cuda"}}
    pipeline = {"studies": ["tiny", "card"], "arms": arms, "baseline": "mse"}
    write_params(root, {"pipeline": pipeline, "studies": {"tiny": TINY_STUDY, "card": on_card}})
    project = Project.open(root)
    for name in ("tiny", "card"):
        prepare(name, project.study(name), root)
    weights, errors = {}, {}
    for study, store in (("tiny", "here"), ("card", "there"), ("card", "again")):
        cells = project.cells(study, project.arms(study, arms), [0])
        records = run_cells(cells, CellStore(tmp_path / store), jobs=1)
        assert [record["status"] for record in records] == ["finished"] * len(arms)
        assert {record["environment"]["device"] == "cpu" for record in records} == {study == "tiny"}
        weights[store] = [record["weights_sha256"] for record in records]
        errors[store] = []
        for cell in cells:
            table = pd.read_csv(tmp_path / store / cell.signature / "history.csv")
            validation = table[(table["split"] == "val") & (table["name"] == "ab_rmse")]
            errors[store].append(validation["value"].iloc[-1])
            load_network(tmp_path / store / cell.signature, Path(), "cpu")  # what a card trained loads anywhere
    assert weights["there"] == weights["again"]
    np.testing.assert_allclose(errors["there"], errors["here"], rtol=0.05)
