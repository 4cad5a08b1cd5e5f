"""Random weights under the names and in the shapes of torchvision's AlexNet: tests need no download."""

from __future__ import annotations

from pathlib import Path

import torch

from study.models.convolutions import _shapes


def write_weights(path: Path, seed: int = 0) -> Path:
    """Random AlexNet weights, scaled as networks are initialised, in the file `path`."""
    generator = torch.Generator().manual_seed(seed)
    weights = {
        name: torch.randn(shape, generator=generator) / max(1, torch.Size(shape[1:]).numel()) ** 0.5
        for name, shape in _shapes("alexnet").items()
    }
    torch.save(weights, path)
    return path
