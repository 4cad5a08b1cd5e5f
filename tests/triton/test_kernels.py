"""The kernels for graphics cards compute what their definitions do: in Triton's interpreter, without a card."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec

import pytest
import torch

from tests.conftest import REPOSITORY

needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="there is no Triton for this system")


@needs_triton
def test_every_kernel_agrees_with_its_definition() -> None:
    # In a process of its own: whether kernels are compiled or interpreted is decided when Triton is imported.
    done = subprocess.run(
        [sys.executable, "-m", "tests.triton.kernel_cases"],
        cwd=REPOSITORY,
        env={**os.environ, "TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    cases = json.loads(done.stdout)
    subjects = ("Lab of", "sRGB of", "anti-average loss", "bins of", "classification loss")
    assert all(any(what.startswith(subject) for what, *_ in cases) for subject in subjects)
    assert not [case for case in cases if not case[1] <= case[2]]


@needs_triton
def test_a_kernel_is_compiled_once_for_types_and_constants_and_never_for_numbers_that_do_not_fit() -> None:
    import triton.language as tl

    from study.color.triton.launch import kernel

    started: list[tuple[str, tuple]] = []

    class Compiled:
        def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
            return lambda *arguments: started.append(("again", (grid, *arguments)))

    class Compiler:
        def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., Compiled]:
            def compile_and_start(*arguments: object, num_warps: int) -> Compiled:
                started.append(("compiled", (grid, num_warps, *arguments)))
                return Compiled()

            return compile_and_start

    @kernel(warps=8)
    def double(x, count, BLOCK: tl.constexpr) -> None:
        pass

    double._function = Compiler()
    x, y = torch.zeros(3), torch.ones(3)
    for tensor, count, block in ((x, 3, 64), (y, 5, 64), (x.half(), 3, 64), (x, 3, 32), (x, 2**31, 64), (x, 7, 64)):
        double(2, (tensor,), (count, 0.5), (block,))
    how = [what for what, _ in started]
    assert how == ["compiled", "again", "compiled", "compiled", "compiled", "again"]
    assert started[0][1][:2] == ((2,), 8)
    assert started[1][1][0] == (2, 1, 1) and started[1][1][1] is y and started[1][1][2:] == (5, 0.5, 64)
