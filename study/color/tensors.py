"""Pictures as arrays and as tensors: only this module converts between them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def images_to_tensor(images: np.ndarray, device: str | torch.device = "cpu") -> Tensor:
    """Pictures (N,H,W,3), as files hold them, to (N,3,H,W) on `device`, as networks take them; same values and type."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).to(device)
