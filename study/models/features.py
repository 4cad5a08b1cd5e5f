"""What the frozen part of a network makes of a study's pictures: computed once, read by every cell.

A folder `.features/<key>/` holds train.npy, train_mirrored.npy (where training mirrors pictures), val.npy and test.npy,
float16 (N,...) each, and fitted.pt: what the trunk fitted to the training pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from study.models.colorizer import Trunk


@dataclass(frozen=True)
class Features:
    """Frozen features in `folder`, read on demand."""

    folder: Path

    def of(self, name: str) -> np.ndarray:
        """float16 (N,...), mapped into memory, of "train", "train_mirrored", "val" or "test"."""
        return np.load(self.folder / f"{name}.npy", mmap_mode="c")

    def fit(self, trunk: Trunk) -> None:
        """Give a new trunk what was fitted to the training pictures."""
        fitted = torch.load(self.folder / "fitted.pt", map_location="cpu", weights_only=True)
        trunk.load_state_dict(trunk.state_dict() | fitted)


def features_tensor(features: np.ndarray, device: str | torch.device = "cpu") -> Tensor:
    """Frozen features (N,...) as float32 on `device`, as trunks take them."""
    return torch.from_numpy(np.ascontiguousarray(features)).to(device).float()
