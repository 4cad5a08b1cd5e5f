"""Starting kernels fast, and finding out which program of a kernel finishes last.

Triton inspects every argument of every call, its value and alignment too. That takes as long as some kernels here run.
These kernels are compiled for any value and alignment. So the types of the tensors and the constants alone identify
the compiled kernel.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

_LARGEST = 2**31 - 1  # a kernel is compiled for whole numbers up to this one


class Kernel:
    """A Triton kernel, compiled once for each card, types of its tensors, and constants.

    Its parameters are tensors, then numbers, then constants (tl.constexpr). A call gives them as three tuples.
    """

    def __init__(self, function: Callable[..., None], warps: int) -> None:
        parameters = inspect.signature(function).parameters.values()
        plain = [p.name for p in parameters if "constexpr" not in str(p.annotation)]
        self._function = triton.jit(function, do_not_specialize=plain, do_not_specialize_on_alignment=plain)
        self._warps = warps
        self._compiled: dict[tuple[Any, ...], Any] = {}

    def __call__(
        self, programs: int, tensors: tuple[Tensor, ...], numbers: tuple[float, ...], constants: tuple[int, ...]
    ) -> None:
        """Start this many programs on the card of the first tensor, in its current stream."""
        device = tensors[0].device
        key = (device, constants, *[x.dtype for x in tensors])
        compiled = None if max(numbers) > _LARGEST else self._compiled.get(key)
        with torch.cuda.device_of(tensors[0]):
            if compiled is not None:
                compiled[(programs, 1, 1)](*tensors, *numbers, *constants)
                return
            compiled = self._function[(programs,)](*tensors, *numbers, *constants, num_warps=self._warps)
        if compiled is not None and max(numbers) <= _LARGEST:  # Triton's interpreter compiles nothing
            self._compiled[key] = compiled


def kernel(warps: int = 4) -> Callable[[Callable[..., None]], Kernel]:
    """Decorator that makes a `Kernel` of a Triton function. warps: how many times 32 threads run a program."""
    return lambda function: Kernel(function, warps)


_counters: dict[tuple[torch.device, int], Tensor] = {}


def counters(count: int, device: torch.device) -> Tensor:
    """At least `count` int32 zeros for `is_last`, which leaves zeros behind.

    Kernels of one stream run one after the other and share them. A captured graph may be replayed in any stream and has
    its own.
    """
    if device.type != "cuda" or torch.cuda.is_current_stream_capturing():
        return torch.zeros(count, dtype=torch.int32, device=device)
    key = (device, triton.runtime.driver.active.get_current_stream(device.index))
    zeros = _counters.get(key)
    if zeros is None or len(zeros) < count:
        zeros = _counters[key] = torch.zeros(max(1024, 2 * count), dtype=torch.int32, device=device)
    return zeros


@triton.jit
def is_last(counter, count):
    """Whether this is the last of `count` programs to arrive. The last one sees all that the others have stored."""
    tl.debug_barrier()  # what this program stores is written before it is counted
    last = tl.atomic_add(counter, 1, sem="acq_rel") == count - 1
    if last:
        tl.store(counter, 0)
    tl.debug_barrier()  # and nothing is read before that
    return last
