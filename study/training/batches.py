"""Batches of training pictures, gathered from a memory-mapped array: data may be larger than memory."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from study.color.tensors import images_to_tensor
from study.training.schedule import BatchOrder

GPU_SHARE = 0.5  # of a GPU's free memory that the training pictures may take


class Batches:
    """The pictures of every step, a pure function of seed and step.

    file: uint8 (N,S,S,3). On a GPU all pictures move there when they fit; otherwise a thread gathers the next batch
    into pinned memory while a step runs.
    """

    def __init__(self, file: Path, order: BatchOrder, flip: bool, device: torch.device) -> None:
        self._images = np.load(file, mmap_mode="r")
        self._order, self._flip, self._device = order, flip, device
        self._resident: Tensor | None = None
        self._next: tuple[int, Future[Tensor]] | None = None
        if device.type == "cuda":
            if self._images.nbytes <= GPU_SHARE * torch.cuda.mem_get_info(device)[0]:
                self._resident = images_to_tensor(np.asarray(self._images), device)
            else:
                self._pool = ThreadPoolExecutor(1)

    def __call__(self, step: int) -> Tensor:
        """Pictures (B,3,S,S) uint8 of `step`, some of them mirrored, on the device."""
        if self._resident is not None:
            batch = self._resident[torch.from_numpy(self._order.indices(step)).to(self._device)]
        elif self._device.type == "cuda":
            batch = self._ahead(step).to(self._device, non_blocking=True)
        else:
            batch = self._gathered(step)
        if not self._flip:
            return batch
        flips = torch.from_numpy(self._order.flips(step)).to(self._device)
        return torch.where(flips[:, None, None, None], batch.flip(-1), batch)

    def _gathered(self, step: int) -> Tensor:
        return images_to_tensor(self._images[self._order.indices(step)])

    def _ahead(self, step: int) -> Tensor:
        number, future = self._next or (None, None)
        ready = future.result() if number == step else self._gathered(step).pin_memory()
        self._next = step + 1, self._pool.submit(lambda: self._gathered(step + 1).pin_memory())
        return ready
