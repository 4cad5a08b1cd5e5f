"""Peak memory of a call, exactly: what torch allocates, not what the process happens to hold."""

from __future__ import annotations

import gc
import itertools
import os
from collections.abc import Callable
from typing import Any

import torch
from torch.autograd.profiler import profile  # that of torch.profiler imports the compiler, for seconds


def peak_bytes(run: Callable[[], Any], device: torch.device) -> int:
    """Peak of what torch allocates during run(), in bytes above what was allocated before: results included.

    On a CPU every allocation and release of torch's allocator is recorded by its profiler (what a library takes from
    the system for itself is not seen); on CUDA it is `torch.cuda.max_memory_allocated`. Unlike the resident size of
    the process this does not depend on what the allocator keeps for later. What run() returns stays alive until the
    end.
    """
    # The profiler tells stderr of every start and stop, and that there is no GPU.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        run()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with profile(profile_memory=True) as record:
        result = run()  # alive until the record ends
    events, todo = [], list(record.kineto_results.experimental_event_tree())
    while todo:
        event = todo.pop()
        todo += event.children
        if event.name == "[memory]":
            events.append((event.start_time_ns, event.extra_fields.alloc_size))
    del result
    return max(itertools.accumulate(size for _, size in sorted(events)), default=0)
