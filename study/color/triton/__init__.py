"""The hot functions as single kernels for graphics cards, written in Triton.

PyTorch runs one kernel after the other, and on a graphics card starting them takes longer than what they compute.
Here a conversion is one kernel, a loss one and its gradient another. They are used by the functions that people
call, which have the definitions, wherever `usable` says so; nobody needs to call them.
"""

from __future__ import annotations

import importlib.util
import warnings
from functools import cache

import torch
from torch import Tensor

from study.color.lab import in_memory, traced

MOST_NEIGHBORS = 16
"""Of a soft target: with more, its kernels grow too large."""


def usable(*tensors: Tensor, own_gradient: bool = False) -> bool:
    """Whether the kernels can take these tensors: all on one NVIDIA card, with values, none in double precision, and,
    unless they come with a gradient of their own, none is asked for of what is done to them."""
    if traced():
        return False
    device = tensors[0].device
    recorded = not own_gradient and torch.is_grad_enabled()
    for x in tensors:
        if x.device != device or x.dtype == torch.float64 or x.numel() == 0 or not in_memory(x):
            return False
        if recorded and x.requires_grad:
            return False
    return device.type == "cuda" and _compile_here(device)


@cache
def _compile_here(device: torch.device) -> bool:
    """Tried once per card: Triton may be missing (Windows), find no C compiler, or not know the card."""
    if torch.version.hip or importlib.util.find_spec("triton") is None:
        return False
    from study.color.triton.lab import rgb_to_lab

    try:
        rgb_to_lab(torch.zeros(1, 3, 1, 1, device=device))
    except Exception as error:  # whatever a compiler says
        reason = " ".join(str(error).split())[:200]
        warnings.warn(f"Triton cannot compile for {device}, slower kernels are used: {reason}", stacklevel=4)
        return False
    return True
