"""One cell from start to finish: train a network under one loss with one seed, and survive being killed.

Everything a step does is a function of (settings, seed, step, weights, optimiser state), so continuing from a
checkpoint gives bit for bit what an undisturbed run gives.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from study.color.lab import lab_to_rgb, rgb_to_lab
from study.color.tensors import images_to_tensor
from study.config.params import Arm, TrainSettings
from study.files import atomic_write, atomic_write_json, full_disk_named
from study.losses import ColorizationAntiAverageLoss, Loss, build_loss
from study.metrics import ab_rmse, colorfulness, hue_diversity, mean_chroma
from study.models.unet import Colorizer, build_model, half_resolution
from study.training.memory import peak_bytes
from study.training.schedule import BatchOrder, learning_rate

HISTORY_HEADER = "step,images,split,name,value\n"


@dataclass(frozen=True)
class Cell:
    """One network to train: study x arm x seed, and all that its numbers depend on."""

    study: str
    arm: Arm
    seed: int
    train: TrainSettings
    data: Path
    device: str
    signature: str
    root: Path
    sources: tuple[Cell, ...] = ()  # of a control: the cells that it is made from


class ParentGone(Exception):
    """The process that started this worker has died; the cell is checkpointed and left to the next run."""


def resolve_device(wish: str) -> str:
    """ "cuda" or "cpu" for a wish of "auto", "cuda" or "cpu"."""
    return ("cuda" if torch.cuda.is_available() else "cpu") if wish == "auto" else wish


def prepare_torch() -> None:
    """One thread and deterministic kernels: the numbers must not depend on how many cells run side by side.

    On a GPU some kernels have no deterministic form; there torch warns and goes on.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(1)
    # (torch.use_deterministic_algorithms does the same, but imports the compiler, for seconds.)
    torch.set_deterministic_debug_mode("warn" if torch.cuda.is_available() else "error")
    torch.utils.deterministic.fill_uninitialized_memory = False  # all that is asked for is written


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
        self.model = build_model(self.loss.head, settings.width, settings.levels, cell.seed, settings.upsampling)
        self.model.to(self.device, memory_format=torch.channels_last)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.images = images_to_tensor(np.load(cell.data / "train.npy"), self.device)
        self.validation = Validation(np.load(cell.data / "val.npy"), self.device)
        self.order = BatchOrder(len(self.images), self.settings.batch, cell.seed)
        self.step, self.seconds, self.step_times = 0, 0.0, []
        self._restore()

    # -- checkpoints ---------------------------------------------------------------------------------------------

    def _restore(self) -> None:
        history = self.folder / "history.csv"
        try:
            saved = torch.load(self.folder / "checkpoint.pt", map_location=self.device, weights_only=True)
        except FileNotFoundError:
            with full_disk_named(history):
                history.write_text(HISTORY_HEADER)
            return
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.step, self.seconds, self.step_times = saved["step"], saved["seconds"], saved["step_times"]
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
            "history_bytes": history.stat().st_size,
        }
        atomic_write(self.folder / "checkpoint.pt", lambda file: torch.save(state, file))

    # -- training ------------------------------------------------------------------------------------------------

    def steps_until_done(self, still_wanted: Callable[[], bool]) -> dict[str, Any] | None:
        """Train to the end. Returns None, or {"step", "term"} where the loss stopped being finite."""
        total_steps, settings = self.settings.steps, self.settings
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
        self._write_rows("val", self.validation.scores(self.model) | gradients)

    def _step(self, rate: float) -> tuple[dict[str, Tensor], str | None]:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
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
        lab = rgb_to_lab(self._batch(step))
        return self.loss(*loss_inputs(self.loss, self.model, self.model(lab[:, :1]), lab))

    def _peak_memory_mb(self) -> float:
        """What one step takes, from the pictures to the gradients; weights, optimiser state and data do not count."""
        self.optimizer.zero_grad()
        return round(peak_bytes(lambda: self._losses(0)["total"].backward(), self.device) / 1e6, 2)

    def _batch(self, step: int) -> Tensor:
        batch = self.images[torch.from_numpy(self.order.indices(step)).to(self.device)]
        if self.settings.flip:
            flips = torch.from_numpy(self.order.flips(step)).to(self.device)
            batch = torch.where(flips[:, None, None, None], batch.flip(-1), batch)
        return batch

    def _write_rows(self, split: str, values: dict[str, float]) -> None:
        history = self.folder / "history.csv"
        images = self.step * self.settings.batch
        with full_disk_named(history), open(history, "a", encoding="utf-8") as file:
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
            "images": images,
            "seconds": round(self.seconds, 3),
            "images_per_s": round(images / self.seconds, 2) if self.seconds else None,
            "step_ms": round(1000 * float(np.median(self.step_times)), 3) if self.step_times else None,
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "peak_memory_mb": self._peak_memory_mb(),
            "weights_sha256": weights_digest(self.model),
            "arm_settings": cell.arm.model_dump(),
            "train_settings": cell.train.model_dump(),
            "environment": environment(self.device),
            "started": started,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }


def loss_inputs(loss: Loss, model: Colorizer, output: Tensor, lab: Tensor) -> tuple[Tensor, Tensor]:
    """What `loss` compares: the head's raw output and the target ab at half resolution, or Lab pictures in full."""
    if loss.needs_lightness:
        return torch.cat([lab[:, :1], model.upsample(output)], dim=1), lab
    return output, half_resolution(lab[:, 1:])


class Validation:
    """Scores on the validation pictures, the same ones for every arm whatever its loss."""

    def __init__(self, images: np.ndarray, device: torch.device, batch: int = 200) -> None:
        self.batches = []
        self.published = ColorizationAntiAverageLoss()
        for start in range(0, len(images), batch):
            rgb = images_to_tensor(images[start : start + batch], device)
            lab = rgb_to_lab(rgb)
            self.batches.append((lab, half_resolution(lab[:, 1:])))

    @torch.no_grad()
    def scores(self, model: Colorizer) -> dict[str, float]:
        """Means over the validation pictures, bins decoded at the published temperature whatever the arm's own is.

        ab_rmse, chroma, chroma_ratio (mean chroma over the truth's mean chroma), colorfulness, hue_diversity at full
        resolution; and the four published terms lab, saturation, diversity, confidence at half resolution.
        """
        sums: dict[str, float] = {}
        count = 0
        for lab, target in self.batches:
            half = model.decode(model(lab[:, :1]))
            ab = model.upsample(half)
            rgb = lab_to_rgb(torch.cat([lab[:, :1], ab], dim=1))
            values = {
                "ab_rmse": ab_rmse(ab, lab[:, 1:]).sum(),
                "chroma": mean_chroma(ab).sum(),
                "true_chroma": mean_chroma(lab[:, 1:]).sum(),
                "colorfulness": colorfulness(rgb).sum(),
                "hue_diversity": hue_diversity(ab).sum(),
            }
            published = self.published(half, target)
            values |= {name: published[name] * len(lab) for name in ("lab", "saturation", "diversity", "confidence")}
            count += len(lab)
            for name, value in values.items():
                sums[name] = sums.get(name, 0.0) + float(value)
        sums["chroma_ratio"] = count * sums["chroma"] / max(sums.pop("true_chroma"), 1e-6)
        return {name: value / count for name, value in sums.items()}

    def gradients(self, model: Colorizer, loss: Loss, pictures: int) -> dict[str, float]:
        """The gradient ledger: for every term of `loss` the norm of its weighted gradient, 0 for weight 0.

        With respect to the network's output on the first `pictures` validation pictures, so that it is the pull that
        each term has on the colours themselves.
        """
        lab = self.batches[0][0][:pictures]
        with torch.no_grad():
            output = model(lab[:, :1])
        norms = {}
        for name, weight in loss.weights.items():
            norms[f"gradient_{name}"] = 0.0
            if weight > 0:
                asked = output.requires_grad_()
                term = loss.compute(*loss_inputs(loss, model, asked, lab))[name]
                (gradient,) = torch.autograd.grad(weight * term, asked, allow_unused=True)
                norms[f"gradient_{name}"] = 0.0 if gradient is None else float(gradient.norm())
        return norms


def weights_digest(model: torch.nn.Module) -> str:
    """SHA-256 (hex) of all weights, by name: equal digests mean bit-identical networks."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(f"{name}{tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def load_model(run: Path, device: str = "cpu") -> Colorizer:
    """The trained network of a run folder (model.pt beside record.json), ready to predict."""
    record = json.loads((run / "record.json").read_text())
    state = torch.load(run / "model.pt", map_location=device, weights_only=True)
    head = "ab" if state["head.weight"].shape[0] == 2 else "bins"
    settings = record["train_settings"]
    model = Colorizer(head, settings["width"], settings["levels"], settings["upsampling"])
    model.load_state_dict(state)
    return model.to(device, memory_format=torch.channels_last).eval()


def environment(device: torch.device) -> dict[str, Any]:
    """Versions and hardware that a cell was trained with."""
    cpu = platform.processor() or platform.machine()
    if sys.platform == "linux":
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), cpu)
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu": cpu,
        "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
    }
