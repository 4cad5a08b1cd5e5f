"""Definitions reach their kernels by name: on cards, never on processors, and never by an import."""

from __future__ import annotations

import ast
import warnings
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from study.color import dispatch
from tests.conftest import REPOSITORY

DEFINITIONS = [path for room in ("color", "losses") for path in (REPOSITORY / "study" / room).glob("*.py")]


def imported(path: Path) -> set[str]:
    """Every module that a file imports, at its top or in a function."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", DEFINITIONS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_definition_imports_a_kernel(path: Path) -> None:
    assert not [name for name in imported(path) if "triton" in name.split(".")]


def test_color_imports_nothing_above_it() -> None:
    for path in (REPOSITORY / "study" / "color").rglob("*.py"):
        assert all(name.startswith("study.color") for name in imported(path) if name.startswith("study"))


def test_a_kernel_is_found_by_name_where_it_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    here = torch.zeros(1, 3, 2, 2)
    assert dispatch.find_kernel("math", "sqrt", here) is None
    asked = []
    monkeypatch.setattr(dispatch, "usable", lambda *x, own_gradient: asked.append((x, own_gradient)) or True)
    assert dispatch.find_kernel("math", "sqrt", here, own_gradient=True)(9) == 3
    assert asked == [((here,), True)]


def on_card(**changes: object) -> SimpleNamespace:
    """What `usable` looks at in a tensor that lies on a card."""
    seen = {"device": torch.device("cuda", 0), "dtype": torch.float32, "numel": lambda: 6, "requires_grad": False}
    return SimpleNamespace(**seen | changes)


def test_kernels_take_tensors_of_one_card_with_values_and_without_a_recorded_gradient(monkeypatch) -> None:
    monkeypatch.setattr(dispatch, "in_memory", lambda x: not hasattr(x, "fake"))
    monkeypatch.setattr(dispatch, "_compiles_on", lambda device: device.index == 0)
    usable = dispatch.usable
    assert usable(on_card()) and usable(on_card(), on_card(dtype=torch.float16))
    assert not usable(on_card(device=torch.device("cuda", 1)))  # Triton does not know this card
    for other in (
        {"device": torch.device("cpu")},
        {"device": torch.device("cuda", 1)},
        {"dtype": torch.float64},
        {"numel": lambda: 0},
        {"fake": True},
        {"requires_grad": True},
    ):
        assert not usable(on_card(), on_card(**other))
    assert usable(on_card(requires_grad=True), own_gradient=True)
    with torch.no_grad():
        assert usable(on_card(requires_grad=True))
    torch.func.grad(lambda x: x.sum() if not usable(on_card()) else None)(torch.zeros(2))


@pytest.mark.skipif(torch.cuda.is_available(), reason="here a card works")
def test_a_card_that_cannot_be_used_is_tried_once_and_reported() -> None:
    missing = torch.device("cuda", 0)
    dispatch._compiles_on.cache_clear()
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert not dispatch._compiles_on(missing)
            assert not dispatch._compiles_on(missing)
        assert len(caught) == (find_spec("triton") is not None)
        assert all("cuda:0" in str(warning.message) for warning in caught)
    finally:
        dispatch._compiles_on.cache_clear()


def test_tensors_without_memory_are_left_to_the_definitions() -> None:
    seen = []

    def look(x: torch.Tensor) -> torch.Tensor:
        seen.append((dispatch.in_memory(x), dispatch.traced()))
        return x

    torch.vmap(look)(torch.zeros(2, 3))
    torch.func.grad(lambda x: look(x).sum())(torch.zeros(3))
    with FakeTensorMode():
        look(torch.zeros(3))
    assert seen == [(False, True), (False, True), (False, False)]
    for plain in (torch.zeros(3), torch.nn.Parameter(torch.zeros(3)), torch.zeros(0)):
        assert dispatch.in_memory(plain)
    assert not dispatch.traced()
