"""Trains arms on seeds, and scores their networks on the validation pictures."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import numpy as np

from study.config.arms import Arm
from study.config.study import TrainSettings
from study.models.features import Features
from study.project import Project
from study.search.objectives import Judge
from study.training.cell import Cell
from study.training.executor import run_cells
from study.training.machine import prepare_torch, resolve_device
from study.training.networks import load_network


class Scorer:
    """Training and judging for one study, `jobs` training runs at a time. Test pictures are never loaded.

    device: where networks are trained and judged. pace: seconds that a training picture has taken so far; None before
    anything was trained.
    """

    def __init__(self, project: Project, study: str, jobs: int) -> None:
        prepare_torch()
        self.project, self.study, self.jobs = project, study, jobs
        self.device = resolve_device(project.study(study).train.device)
        self._pictures, self._seconds = 0, 0.0

    @cached_property
    def judge(self) -> Judge:
        """The judge, with the study's validation pictures."""
        folder = self.project.features(self.study)
        features = Features(folder) if folder else None
        return Judge(self.project.prepared(self.study).images("val"), self.device, features)

    @property
    def pace(self) -> float | None:
        """Seconds for each training picture so far."""
        return self._seconds / self._pictures if self._pictures else None

    def train_and_score(
        self, wanted: list[tuple[Arm, int]], train: TrainSettings
    ) -> tuple[list[float], list[dict[str, np.ndarray] | None]]:
        """Train arms on seeds where that is not done yet, and score them.

        Returns the seconds of training of each, and its scores as `Judge.per_image` gives them, None where it diverged.
        """
        cells = [cell for arm, seed in wanted for cell in self.project.cells(self.study, [arm], [seed], train)]
        started = time.perf_counter()
        new = {cell.signature for cell in cells if self.project.store.record(cell.signature) is None}
        records = run_cells(cells, self.project.store, self.jobs)
        with ThreadPoolExecutor(self.jobs) as pool:
            scores = list(pool.map(self._score, cells, records))
        if new:
            self._seconds += time.perf_counter() - started
            self._pictures += train.images * len(new)
        return [record["seconds"] for record in records], scores

    def _score(self, cell: Cell, record: dict[str, Any]) -> dict[str, np.ndarray] | None:
        if record["status"] == "diverged":
            return None
        model = load_network(self.project.store.path(cell.signature), self.project.root, self.device)
        scores = self.judge.per_image(model, cell.arm.decode.temperature)
        usable = all(np.isfinite(value) for value in self.judge.summary(scores).values())
        return scores if usable else None
