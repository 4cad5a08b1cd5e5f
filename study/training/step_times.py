"""What a training step takes under every loss, measured side by side.

The losses take turns, a few steps each, round after round. So whatever else the machine does slows all of them alike. A
process has luck of its own besides, as with where its memory lies; so several are started, one after the other. The
times in the records of cells say less: cells are trained in different hours and beside others.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import torch
from joblib.externals.loky import ProcessPoolExecutor
from pydantic import Field, model_validator
from tqdm import tqdm

from study.config.study import TimingSettings
from study.config.yaml_files import Strict, checked
from study.errors import StudyError
from study.files import atomic_write_json
from study.training.cell import Cell
from study.training.executor import WORKER_ENVIRONMENT
from study.training.fingerprint import code_fingerprint
from study.training.machine import environment, prepare_torch
from study.training.schedule import learning_rate
from study.training.trainer import Run

STEPS = 2
"""Timed steps of a turn; one more goes before them untimed, which brings the loss's data and code into the caches."""

Milliseconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Timed(Strict):
    """signature: of the cell; step_ms: milliseconds of a step by process and round, none where the loss is not
    finite."""

    signature: str
    step_ms: list[list[Milliseconds]]


class _File(Strict):
    """step_times.json. code: fingerprint of what times and trains."""

    study: str
    code: str
    processes: int
    rounds: int
    environment: dict[str, Any]
    arms: dict[str, _Timed]

    @model_validator(mode="after")
    def _complete(self) -> _File:
        shape = [self.rounds] * self.processes
        for name, arm in self.arms.items():
            if arm.step_ms and [len(own) for own in arm.step_ms] != shape:
                raise ValueError(f"arm {name} has not {self.rounds} times of each of {self.processes} processes")
        return self


@dataclass(frozen=True)
class StepTimes:
    """Times of training steps.

    of: arm -> milliseconds of a step, (processes, rounds), the same rounds for all arms; not for arms whose cells are
    not those that were timed, or whose loss does not stay finite. environment: the machine.
    """

    of: dict[str, np.ndarray]
    processes: int
    rounds: int
    environment: dict[str, Any]


def time_steps(
    cells: Mapping[str, Cell], settings: TimingSettings, path: Path, again: bool = False
) -> dict[str, list[list[float]]]:
    """Time the steps of arms, write them to `path` and return arm -> milliseconds of a step by process and round.

    cells: arm -> the cell of its first seed. In each of settings.processes, started one after the other as those that
    train cells are, every loss takes STEPS steps of training in each of settings.rounds, in a new random order, as its
    cell takes them: on one thread, or on the GPU. Arms that train alike are timed once. No times where a loss does not
    stay finite. Times of these cells, by this code, on such a machine and as often, stay as they are unless `again`.
    Raises StudyError for a damaged file of times.
    """
    wanted = {
        "code": code_fingerprint(Path(__file__)),
        "processes": settings.processes,
        "rounds": settings.rounds,
        "environment": environment(torch.device(next(iter(cells.values())).device)),
    }
    before = None if again else _read(path)
    alike = before and wanted == before.model_dump(include=set(wanted))
    if alike and all(arm in before.arms and before.arms[arm].signature == cells[arm].signature for arm in cells):
        return {arm: before.arms[arm].step_ms for arm in cells}
    times = _in_processes({cell.signature: cell for cell in cells.values()}, settings.processes, settings.rounds)
    arms = {arm: {"signature": cell.signature, "step_ms": times[cell.signature]} for arm, cell in cells.items()}
    study = next(iter(cells.values())).study
    atomic_write_json(path, {"study": study, **wanted, "arms": arms})
    return {arm: own["step_ms"] for arm, own in arms.items()}


def read_step_times(path: Path, cells: Mapping[str, Cell], sources: Mapping[str, str]) -> StepTimes:
    """The times of arms whose cells still have the signature that was timed.

    cells: arm -> the cell of its first seed. sources: arm -> the arm whose steps it takes, itself or, of a control, the
    arm that it is made from. Raises StudyError for a damaged file of times.
    """
    found = _read(path)
    if found is None:
        return StepTimes({}, 0, 0, {})
    known = {
        name: np.array(own.step_ms)
        for name, own in found.arms.items()
        if own.step_ms and name in cells and own.signature == cells[name].signature
    }
    timed = {arm: known[source] for arm, source in sources.items() if source in known}
    return StepTimes(timed, found.processes, found.rounds, found.environment)


def _read(path: Path) -> _File | None:
    where = f"{path} (study time {path.parent.name} --again makes it anew)"
    try:
        return checked(_File, json.loads(path.read_text()), where)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise StudyError(f"{where}: not JSON: {error}") from error


def _in_processes(cells: dict[str, Cell], processes: int, rounds: int) -> dict[str, list[list[float]]]:
    """Milliseconds of a step of each cell by process and round; [] for one whose loss or gradient is not finite."""
    found = []
    for number in range(processes):
        with ProcessPoolExecutor(max_workers=1, env=WORKER_ENVIRONMENT) as fresh:
            found.append(fresh.submit(_take_turns, cells, rounds, number, processes).result())
    return {key: [own[key] for own in found] if all(own[key] for own in found) else [] for key in cells}


def _take_turns(cells: dict[str, Cell], rounds: int, number: int, processes: int) -> dict[str, list[float]]:
    prepare_torch()
    order = random.Random(number)
    times: dict[str, list[float]] = {key: [] for key in cells}
    with TemporaryDirectory() as folder:
        runs: dict[str, Run] = {}
        for key, cell in cells.items():
            Path(folder, key).mkdir()
            runs[key] = Run(cell, Path(folder, key))
        bar = {"desc": f"timing steps, process {number + 1} of {processes}", "unit": "round", "leave": False}
        for turn in tqdm(range(rounds + 1), **bar, delay=2, disable=None):  # one for warming up
            for key in order.sample(sorted(runs), len(runs)):
                taken = _turn(runs[key])
                if taken is None:
                    del runs[key]
                    times[key].clear()
                elif turn:
                    times[key].append(round(taken, 4))
    return times


def _turn(run: Run) -> float | None:
    """Milliseconds of a step, the mean of STEPS; None when the loss or its gradient is not finite."""
    settings, begun = run.settings, 0.0
    for number in range(STEPS + 1):
        if number == 1:
            begun = _now(run.device)
        _, problem = run._step(learning_rate(run.step, run.steps, settings.learning_rate, settings.warmup))
        run.step = (run.step + 1) % run.steps
        if problem is not None:
            return None
    return 1000 * (_now(run.device) - begun) / STEPS


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
