"""Batches of training pictures, gathered from memory-mapped arrays: data may be larger than memory."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from study.color.tensors import images_to_tensor
from study.models.features import Features
from study.training.schedule import BatchOrder

GPU_SHARE = 0.5  # of a GPU's free memory that the training pictures may take


class Batch(NamedTuple):
    """rgb: pictures (B,3,S,S) uint8. frozen: what the frozen part of the network makes of them, where it has one."""

    rgb: Tensor
    frozen: Tensor | None


class Batches:
    """The pictures of every step, a pure function of seed and step.

    file: uint8 (N,S,S,3). features: of the same pictures, for a network with a frozen part. On a GPU all pictures move
    there when they fit; otherwise a thread gathers the next batch into pinned memory while a step runs.
    """

    def __init__(
        self, file: Path, order: BatchOrder, flip: bool, device: torch.device, features: Features | None = None
    ) -> None:
        self._images = np.load(file, mmap_mode="r")
        self._order, self._flip, self._device = order, flip, device
        self._frozen = [features.of(name) for name in ("train", "train_mirrored")[: 1 + flip]] if features else []
        self._resident: Tensor | None = None
        self._next: tuple[int, Future[Batch]] | None = None
        if device.type == "cuda":
            if not features and self._images.nbytes <= GPU_SHARE * torch.cuda.mem_get_info(device)[0]:
                self._resident = images_to_tensor(np.asarray(self._images), device)
            else:
                self._pool = ThreadPoolExecutor(1)

    def __call__(self, step: int) -> Batch:
        """The batch of `step` on the device, some of its pictures mirrored."""
        if self._resident is not None:
            rgb, frozen = self._resident[torch.from_numpy(self._order.indices(step)).to(self._device)], None
        elif self._device.type == "cuda":
            rgb, frozen = (x if x is None else x.to(self._device, non_blocking=True) for x in self._ahead(step))
        else:
            rgb, frozen = self._gathered(step)
        if self._flip:
            flips = torch.from_numpy(self._order.flips(step)).to(self._device)
            rgb = torch.where(flips[:, None, None, None], rgb.flip(-1), rgb)
        return Batch(rgb, None if frozen is None else frozen.float())

    def _gathered(self, step: int) -> Batch:
        indices = self._order.indices(step)
        rgb = images_to_tensor(self._images[indices])
        if not self._frozen:
            return Batch(rgb, None)
        frozen = self._frozen[0][indices]
        if self._flip:
            flips = self._order.flips(step)
            frozen[flips] = self._frozen[1][indices[flips]]
        return Batch(rgb, torch.from_numpy(frozen))

    def _ahead(self, step: int) -> Batch:
        number, future = self._next or (None, None)
        ready = future.result() if number == step else self._pinned(step)
        self._next = step + 1, self._pool.submit(self._pinned, step + 1)
        return ready

    def _pinned(self, step: int) -> Batch:
        return Batch(*(x if x is None else x.pin_memory() for x in self._gathered(step)))
