"""How the benchmarks measure: agreement first, then interleaved timings, or the peak of allocated memory.

Time: both sides run in turns in one process, after a warm-up, the first of each pair alternating. A ratio is taken
within each pair; its median and quartiles are reported, so that a slow moment of the machine hits both sides.

On a graphics card a timing takes as many calls in a row as last some milliseconds, as a training takes its steps: of a
single call the most part may be threads that wake up, autograd's own among them. How long a call takes by itself is
measured where a comparison says so.

Memory: the peak of what torch allocates during a call, above what was allocated before it (study.memory): inputs do
not count, results do.
"""

from __future__ import annotations

import gc
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from study.training.memory import peak_bytes

IN_A_ROW = 0.01  # seconds of a timing on a graphics card

Run = Callable[[], Any]


class DisagreementError(Exception):
    """Two sides of a comparison do not compute the same; says which, and by how much."""


@dataclass(frozen=True)
class Comparison:
    """One row of the table: our function beside an alternative, higher ratios being better.

    what, against   the two sides, in words
    goal            the ratio to reach
    ours, theirs    what is measured; theirs may be a limit in bytes (of memory rows)
    difference      the largest difference between the results of the two sides, in the unit of the results
    tolerance       the difference up to which the results agree
    bounds          what bounds ours: descriptions, and either something to measure in the same way or a number of
                    bytes
    memory          True: bytes are compared instead of seconds
    alone           True: a timing on a graphics card takes one call
    """

    what: str
    against: str
    goal: float
    ours: Run
    theirs: Run | float
    difference: Callable[[], float]
    tolerance: float
    bounds: Sequence[tuple[str, Run | float]] = ()
    memory: bool = False
    alone: bool = False


@dataclass(frozen=True)
class Row:
    """A measured comparison. ours and theirs are medians, in `unit`: ms, or MB of a million bytes.

    device: "cpu", or the name of the graphics card. machine: what it was measured on, in words.
    """

    what: str
    against: str
    ratio: float
    goal: float
    device: str
    threads: int
    ours: float
    theirs: float
    unit: str
    ratio_low: float
    ratio_high: float
    agree: float
    tolerance: float
    version: str
    machine: str

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        return self.ratio >= self.goal


@dataclass(frozen=True)
class Bound:
    """What part of a comparison takes by itself, in the row's unit, and the ratio if ours took nothing else."""

    what: str
    against: str
    bound: str
    value: float
    ours: float
    unit: str
    best_ratio: float
    goal: float
    device: str
    threads: int


def machine(device: torch.device) -> str:
    """The graphics card, or the processor and its threads, and the operating system; without the machine's name."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, {platform.system()}"
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        models = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = models[0] if models else cpu
    return f"{cpu} with {os.cpu_count()} threads, {platform.system()}"


def check_agreement(comparison: Comparison) -> float:
    """The largest difference between the two sides; DisagreementError if it exceeds the tolerance or is NaN."""
    difference = float(comparison.difference())
    if not difference <= comparison.tolerance:
        raise DisagreementError(
            f"{comparison.what} and {comparison.against} differ by {difference:.3g}, more than the tolerance of "
            f"{comparison.tolerance:.3g}: not timed"
        )
    return difference


def measure(comparison: Comparison, device: torch.device, seconds: float) -> tuple[Row, list[Bound]]:
    """Check that both sides agree, then measure them and the bounds; about `seconds` for the pairs of a timing."""
    agree = check_agreement(comparison)
    threads = torch.get_num_threads() if device.type == "cpu" else 1
    name = device.type if device.type == "cpu" else torch.cuda.get_device_name(device)
    if comparison.memory:
        unit, ours = "MB", peak_bytes(comparison.ours, device) / 1e6
        theirs = _bytes(comparison.theirs, device) / 1e6
        low = ratio = high = theirs / ours
        values = [(says, _bytes(bound, device) / 1e6) for says, bound in comparison.bounds]
    else:
        assert callable(comparison.theirs)
        unit = "ms"
        in_a_row = device.type != "cpu" and not comparison.alone
        ours, theirs, ratios = _interleaved(comparison.ours, comparison.theirs, device, seconds, in_a_row)
        low, ratio, high = statistics.quantiles(ratios, n=4, method="inclusive")
        values = [
            (says, _median_ms(bound, comparison.theirs, device, seconds / 2, in_a_row))
            for says, bound in comparison.bounds
            if callable(bound)
        ]
    row = Row(
        what=comparison.what,
        against=comparison.against,
        ratio=ratio,
        goal=comparison.goal,
        device=name,
        threads=threads,
        ours=ours,
        theirs=theirs,
        unit=unit,
        ratio_low=low,
        ratio_high=high,
        agree=agree,
        tolerance=comparison.tolerance,
        version=f"torch {torch.__version__}",
        machine=machine(device),
    )
    bounds = [
        Bound(row.what, row.against, says, value, ours, unit, theirs / value, row.goal, name, threads)
        for says, value in values
    ]
    return row, bounds


def _bytes(run: Run | float, device: torch.device) -> float:
    return peak_bytes(run, device) if callable(run) else run


def _interleaved(
    ours: Run, theirs: Run, device: torch.device, seconds: float, in_a_row: bool
) -> tuple[float, float, list[float]]:
    """Median milliseconds of both, and theirs / ours of every pair."""
    for run in (ours, theirs, ours, theirs):
        _timed(run, device)
    calls, their_calls = (_calls(run, device) if in_a_row else 1 for run in (ours, theirs))
    times: list[tuple[float, float]] = []
    gc.collect()
    gc.disable()
    try:
        end = time.perf_counter() + seconds
        while len(times) < 5 or (time.perf_counter() < end and len(times) < 200):
            if len(times) % 2:
                first = _timed(ours, device, calls)
                times.append((first, _timed(theirs, device, their_calls)))
            else:
                first = _timed(theirs, device, their_calls)
                times.append((_timed(ours, device, calls), first))
    finally:
        gc.enable()
    one, other = (1e3 * statistics.median(side) for side in zip(*times, strict=True))
    return one, other, [b / a for a, b in times]


def _median_ms(run: Run, before: Run, device: torch.device, seconds: float, in_a_row: bool) -> float:
    """Milliseconds of calls after one of `before` each, which leaves the caches as it does for ours."""
    _timed(run, device)
    calls = _calls(run, device) if in_a_row else 1
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 5 or (time.perf_counter() < end and len(times) < 200):
        before()
        times.append(_timed(run, device, calls))
    return 1e3 * statistics.median(times)


def _calls(run: Run, device: torch.device) -> int:
    return max(1, round(IN_A_ROW / _timed(run, device)))


def _timed(run: Run, device: torch.device, calls: int = 1) -> float:
    """Seconds per call of so many in a row, each result released and, on CUDA, all work done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    for _ in range(calls):
        run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - start) / calls
