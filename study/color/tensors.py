"""Pictures as arrays and as tensors: the one place that turns one into the other."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def images_to_tensor(images: np.ndarray, device: str | torch.device = "cpu") -> Tensor:
    """Pictures as files hold them, (N,H,W,3), as networks take them: (N,3,H,W), same values and type, on `device`."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).to(device)
