"""One cell from start to finish: train a network under one loss with one seed, and survive being killed.

Everything a step does is a function of (settings, seed, step, weights, optimiser state), so continuing from a
checkpoint gives bit for bit what an undisturbed run gives.
"""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from study.color.lab import rgb_to_lab
from study.files import atomic_write, atomic_write_json, explain_full_disk
from study.losses import Loss, build_loss
from study.models import build_model
from study.models.features import Features
from study.training.batches import Batches
from study.training.cell import Cell
from study.training.digest import weights_digest
from study.training.machine import environment, prepare_torch
from study.training.memory import peak_bytes
from study.training.schedule import BatchOrder, learning_rate, step_count
from study.training.validation import Validation, loss_inputs

HISTORY_HEADER = "step,images,split,name,value\n"


class ParentGone(Exception):
    """The process that started this worker has died; the cell is checkpointed and left to the next run."""


def train_cell(cell: Cell, folder: Path, still_wanted: Callable[[], bool] = lambda: True) -> dict[str, Any]:
    """Train `cell` in `folder` (continuing from the checkpoint there, if any) and return its record.

    Writes history.csv as it goes, checkpoint.pt now and then, and at the end model.pt and, last of all, record.json.
    A total loss or gradient that is not finite ends the cell with status "diverged" and the step and term in the
    record. `still_wanted` is asked at every log row; when it says no, a checkpoint is written and ParentGone raised.
    """
    prepare_torch()
    folder.mkdir(parents=True, exist_ok=True)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    run = Run(cell, folder)
    diverged = run.steps_until_done(still_wanted)
    if diverged is None and run.best is not None:
        run.model.load_state_dict(run.best["weights"])
    record = run.record(diverged, started)
    if diverged is None:
        atomic_write(folder / "model.pt", lambda file: torch.save(run.model.state_dict(), file))
    atomic_write_json(folder / "record.json", record)
    (folder / "checkpoint.pt").unlink(missing_ok=True)
    return record


class Run:
    """The state of a cell while it trains."""

    def __init__(self, cell: Cell, folder: Path) -> None:
        self.cell, self.folder, self.settings = cell, folder, cell.train
        self.device = torch.device(cell.device)
        prior = np.load(cell.data / "prior.npy")
        self.loss: Loss = build_loss(cell.arm.loss, prior, cell.root).to(self.device)
        settings = self.settings
        features = Features(cell.features) if cell.features else None
        self.model = build_model(cell.model, self.loss.head, cell.seed, cell.root)
        if features:
            features.fit(self.model.trunk)
        self.model.to(self.device, memory_format=torch.channels_last)
        self.optimizer = self._optimizer()
        train = cell.data / "train.npy"
        order = BatchOrder(len(np.load(train, mmap_mode="r")), settings.batch, cell.seed)
        self.batches = Batches(train, order, settings.flip, self.device, features)
        self.validation = Validation(np.load(cell.data / "val.npy"), self.device, features)
        self.steps = step_count(settings.images, settings.batch)
        self.step, self.seconds, self.step_times = 0, 0.0, []
        self.best: dict[str, Any] | None = None  # weights of the least validation loss, where those are kept
        self._restore()

    def _optimizer(self) -> torch.optim.Optimizer:
        # share: a group's learning rate over that of the schedule.
        tuned = {id(p) for p in self.model.tuned}
        groups = [{"params": [p for p in self.model.parameters() if id(p) not in tuned], "share": 1.0}]
        if tuned:
            share = self.cell.model.trunk_learning_rate / self.settings.learning_rate
            groups.append({"params": self.model.tuned, "share": share})
        return torch.optim.AdamW(
            groups, lr=self.settings.learning_rate, weight_decay=self.settings.weight_decay, fused=True
        )

    # -- checkpoints ---------------------------------------------------------------------------------------------

    def _restore(self) -> None:
        history = self.folder / "history.csv"
        try:
            saved = torch.load(self.folder / "checkpoint.pt", map_location=self.device, weights_only=True)
        except FileNotFoundError:
            with explain_full_disk(history):
                history.write_text(HISTORY_HEADER)
            return
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.step, self.seconds, self.step_times = saved["step"], saved["seconds"], saved["step_times"]
        self.best = saved["best"]
        # Rows after the checkpoint will be written again; a history shorter than the checkpoint knows cannot be, as
        # it is flushed to the disk first.
        os.truncate(history, saved["history_bytes"])

    def _checkpoint(self) -> None:
        history = self.folder / "history.csv"
        with open(history, "rb") as file:
            os.fsync(file.fileno())
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "step_times": self.step_times,
            "best": self.best,
            "history_bytes": history.stat().st_size,
        }
        atomic_write(self.folder / "checkpoint.pt", lambda file: torch.save(state, file))

    # -- training ------------------------------------------------------------------------------------------------

    def steps_until_done(self, still_wanted: Callable[[], bool]) -> dict[str, Any] | None:
        """Train to the end. Returns None, or {"step", "term"} where the loss stopped being finite."""
        total_steps, settings = self.steps, self.settings
        validate_at = {round((k + 1) * total_steps / settings.validations) for k in range(settings.validations)}
        last_checkpoint = last_row = time.perf_counter()
        sums: dict[str, Tensor | float] = {}
        count = 0
        while self.step < total_steps:
            rate = learning_rate(self.step, total_steps, settings.learning_rate, settings.warmup)
            begun = time.perf_counter()
            terms, problem = self._step(rate)
            self.step += 1
            if problem is not None:
                self.seconds += time.perf_counter() - last_row
                return {"step": self.step, "term": problem}
            count += 1
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + value
            self.step_times.append(time.perf_counter() - begun)
            done = self.step in validate_at
            if not (done or self.step % settings.log_every == 0 or self.step == total_steps):
                continue
            now = time.perf_counter()
            self.seconds += now - last_row
            rows = {name: float(value) / count for name, value in sums.items()}
            rows |= {"lr": rate, "images_per_s": count * settings.batch / (now - last_row)}
            self._write_rows("train", rows)
            sums, count, last_row = {}, 0, now
            if done:
                self._validate()
                last_row = time.perf_counter()
            wanted = still_wanted()
            if not wanted or time.perf_counter() - last_checkpoint >= settings.checkpoint_seconds:
                self._checkpoint()
                last_checkpoint = last_row = time.perf_counter()
            if not wanted:
                raise ParentGone
        return None

    def _validate(self) -> None:
        gradients = self.validation.gradients(self.model, self.loss, self.settings.batch)
        scores = self.validation.scores(self.model, self.loss)
        self._write_rows("val", scores | gradients)
        if self.settings.keep == "best" and (self.best is None or scores["total"] < self.best["total"]):
            weights = copy.deepcopy(self.model.state_dict())
            self.best = {"total": scores["total"], "step": self.step, "weights": weights}

    def _step(self, rate: float) -> tuple[dict[str, Tensor], str | None]:
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["share"]
        self.optimizer.zero_grad()
        losses = self._losses(self.step)
        if not torch.isfinite(losses["total"]):
            bad = [name for name, value in losses.items() if name != "total" and not torch.isfinite(value)]
            return {}, ", ".join(bad) or "total"
        losses["total"].backward()
        norm = torch.nn.utils.get_total_norm([p.grad for p in self.model.parameters() if p.grad is not None])
        if not torch.isfinite(norm):
            return {}, "gradient"
        self.optimizer.step()
        return {name: value.detach() for name, value in losses.items()} | {"grad_norm": norm}, None

    def _losses(self, step: int) -> dict[str, Tensor]:
        rgb, frozen = self.batches(step)
        lab = rgb_to_lab(rgb)
        with self._precision():
            output = self.model(lab[:, :1], frozen)
        return self.loss(*loss_inputs(self.loss, self.model, output.float(), lab))

    def _precision(self) -> AbstractContextManager:
        """bfloat16 for the network where the study asks for it; the loss always has float32."""
        if self.settings.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def _peak_memory_mb(self) -> float:
        """What one step takes, from the pictures to the gradients; weights, optimiser state and data do not count."""
        self.optimizer.zero_grad()
        return round(peak_bytes(lambda: self._losses(0)["total"].backward(), self.device) / 1e6, 2)

    def _write_rows(self, split: str, values: dict[str, float]) -> None:
        history = self.folder / "history.csv"
        images = self.step * self.settings.batch
        with explain_full_disk(history), open(history, "a", encoding="utf-8") as file:
            file.write("".join(f"{self.step},{images},{split},{name},{value!r}\n" for name, value in values.items()))

    def record(self, diverged: dict[str, Any] | None, started: str) -> dict[str, Any]:
        """What is kept of the finished cell beside its weights and history."""
        cell, images = self.cell, self.step * self.settings.batch
        return {
            "study": cell.study,
            "arm": cell.arm.name,
            "seed": cell.seed,
            "signature": cell.signature,
            "status": "finished" if diverged is None else "diverged",
            "diverged": diverged,
            "steps": self.step,
            "kept_step": self.best["step"] if self.best else self.step,
            "images": images,
            "seconds": round(self.seconds, 3),
            "images_per_s": round(images / self.seconds, 2) if self.seconds else None,
            "step_ms": round(1000 * float(np.median(self.step_times)), 3) if self.step_times else None,
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "peak_memory_mb": self._peak_memory_mb(),
            "weights_sha256": weights_digest(self.model),
            "arm_settings": cell.arm.model_dump(),
            "loss_settings": cell.arm.loss.model_dump(),
            "model_settings": cell.model.model_dump(),
            "train_settings": cell.train.model_dump(),
            "environment": environment(self.device),
            "started": started,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }
