"""What a training step takes under every loss, measured side by side.

The losses take turns, a few steps each, round after round in one process: what else the machine does then slows all of
them alike, and the ratios of a round stay true. The times in the records of cells are of no use for that: cells are
trained one after the other, in different hours and beside others.
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from study.errors import StudyError
from study.files import atomic_write_json
from study.params import Arm
from study.plan import Project
from study.train import Cell, _Run, environment, prepare_torch

ROUNDS = 24
STEPS = 2
"""Timed steps of a turn; one more goes before them untimed, which brings the loss's data and code into the caches."""


@dataclass(frozen=True)
class StepTimes:
    """Times of training steps.

    of: arm -> milliseconds of a step, one value per round, the same rounds for all arms. environment: the machine.
    """

    of: dict[str, np.ndarray]
    rounds: int
    environment: dict[str, Any]


def time_steps(project: Project, study: str, rounds: int = ROUNDS, again: bool = False) -> dict[str, Any]:
    """Time the steps of all arms of a study and write results/<study>/step_times.json.

    Every round each loss, in a new random order, takes STEPS steps of training, as its first seed's cell takes them,
    on one thread as cells are trained or on the graphics card. Arms that train alike are timed once. Returns what is
    written: the machine, and for every arm the signature of that cell and the milliseconds of a step in each round,
    none where the loss stopped being finite.
    Times that are there, of these cells on this machine in at least as many rounds, stay as they are unless `again`.
    Raises StudyError for arms and settings that do not fit, and for a damaged file of times.
    """
    prepare_torch()
    cells = _first_cells(project, study)
    machine = environment(torch.device(next(iter(cells.values())).device)) if cells else {}
    before = _read(project, study)
    enough = before and before["rounds"] >= rounds and before["environment"] == machine
    if enough and not again and _signatures(before) == _by_arm(cells):
        return before
    times = _take_turns({cell.signature: cell for cell in cells.values()}, rounds)
    found = {
        "study": study,
        "rounds": rounds,
        "environment": machine,
        "arms": {
            arm: {"signature": signature, "step_ms": times[signature]} for arm, signature in _by_arm(cells).items()
        },
    }
    atomic_write_json(_file(project, study), found)
    return found


def read_step_times(project: Project, study: str, arms: list[Arm]) -> StepTimes:
    """The times of those `arms` whose cells still have the signature that was timed; a control has its source's."""
    found = _read(project, study)
    if found is None:
        return StepTimes({}, 0, {})
    current = _by_arm(_first_cells(project, study))
    known = {
        arm: np.array(found["arms"][arm]["step_ms"])
        for arm, signature in _signatures(found).items()
        if signature == current.get(arm) and found["arms"][arm]["step_ms"]
    }
    source = {arm.name: arm.control.of if arm.control else arm.name for arm in arms}
    timed = {arm: known[of] for arm, of in source.items() if of in known}
    return StepTimes(timed, found["rounds"] if timed else 0, found["environment"])


def _read(project: Project, study: str) -> dict[str, Any] | None:
    file = _file(project, study)
    try:
        found = json.loads(file.read_text())
        if {"rounds", "environment", "arms"} <= found.keys():
            return found
    except FileNotFoundError:
        return None
    except (ValueError, AttributeError):
        pass
    raise StudyError(f"{file.relative_to(project.root)} is not what `study time {study}` writes: delete it")


def _signatures(found: dict[str, Any]) -> dict[str, str]:
    return {arm: own["signature"] for arm, own in found["arms"].items()}


def _by_arm(cells: dict[str, Cell]) -> dict[str, str]:
    return {arm: cell.signature for arm, cell in cells.items()}


def _file(project: Project, study: str) -> Path:
    return project.results(study) / "step_times.json"


def _first_cells(project: Project, study: str) -> dict[str, Cell]:
    arms = [arm for arm in project.arms(study) if not arm.control]
    return {cell.arm.name: cell for cell in project.cells(study, arms, project.seeds(study)[:1])}


def _take_turns(cells: dict[str, Cell], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of a step of each cell, a value per round; [] for one whose loss or gradient is not finite."""
    order = random.Random(0)
    times: dict[str, list[float]] = {key: [] for key in cells}
    with TemporaryDirectory() as folder:
        runs = {}
        for key, cell in cells.items():
            Path(folder, key).mkdir()
            runs[key] = _Run(cell, Path(folder, key))
            runs[key].images = next(iter(runs.values())).images  # the same for all, once in memory
        for number in range(rounds + 1):  # one for warming up
            for key in order.sample(sorted(runs), len(runs)):
                taken = _turn(runs[key])
                if taken is None:
                    del runs[key]
                    times[key].clear()
                elif number:
                    times[key].append(round(taken, 4))
    return times


def _turn(run: _Run) -> float | None:
    """Milliseconds of a step, the mean of STEPS; None when the loss or its gradient is not finite."""
    begun = 0.0
    for number in range(STEPS + 1):
        if number == 1:
            begun = _now(run.device)
        _, problem = run._step(run.settings.learning_rate)
        run.step += 1
        if problem is not None:
            return None
    return 1000 * (_now(run.device) - begun) / STEPS


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
