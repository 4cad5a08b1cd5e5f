"""Starting kernels, and telling which of their programs is done last.

Triton looks at every argument of every call, at its value and alignment too, which takes as long as many a kernel
here. These are compiled without regard of either, so that the types of the tensors and the constants say which compiled
kernel it is.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

_LARGEST = 2**31 - 1  # of the whole numbers that a kernel is compiled for


class Kernel:
    """A Triton kernel, compiled once for every card, types of its tensors, and constants.

    Its parameters are tensors, then numbers, then constants (tl.constexpr), and are given as these three tuples.
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
        """Start as many programs on the card of the first tensor, in its current stream."""
        device = tensors[0].device
        key = (device, constants, *[x.dtype for x in tensors])
        compiled = None if max(numbers) > _LARGEST else self._compiled.get(key)
        with torch.cuda.device_of(tensors[0]):
            if compiled is not None:
                compiled[(programs, 1, 1)](*tensors, *numbers, *constants)
                return
            compiled = self._function[(programs,)](*tensors, *numbers, *constants, num_warps=self._warps)
        if compiled is not None and max(numbers) <= _LARGEST:  # an interpreter has compiled nothing
            self._compiled[key] = compiled


def kernel(warps: int = 4) -> Callable[[Callable[..., None]], Kernel]:
    """Decorates a function as Triton compiles it; warps: 32 threads each, that run a program."""
    return lambda function: Kernel(function, warps)


_counters: dict[tuple[torch.device, int], Tensor] = {}


def counters(count: int, device: torch.device) -> Tensor:
    """At least `count` zeros, int32, for `is_last`, which leaves zeros behind. Kernels of one stream, which run one
    after the other, share them; a captured graph, which may be replayed in any stream, has its own."""
    if device.type != "cuda" or torch.cuda.is_current_stream_capturing():
        return torch.zeros(count, dtype=torch.int32, device=device)
    key = (device, triton.runtime.driver.active.get_current_stream(device.index))
    zeros = _counters.get(key)
    if zeros is None or len(zeros) < count:
        zeros = _counters[key] = torch.zeros(max(1024, 2 * count), dtype=torch.int32, device=device)
    return zeros


@triton.jit
def is_last(counter, count):
    """Whether this is the last of `count` programs to come here; it then sees what the others have left."""
    tl.debug_barrier()  # all that this program leaves is written before it is counted
    last = tl.atomic_add(counter, 1, sem="acq_rel") == count - 1
    if last:
        tl.store(counter, 0)
    tl.debug_barrier()  # and nothing is read before
    return last
