"""What a device can do: which kernel replaces a definition there, and whether it has float64.

PyTorch runs a definition as many small kernels, and on a graphics card starting them takes longer than what they
compute. The `triton` folders hold the hot functions as single kernels. This module alone loads them: definitions ask
for them by name and import none. On processors, and wherever `usable` says no, the definition itself runs.
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter


def find_kernel(module: str, name: str, *tensors: Tensor, own_gradient: bool = False) -> Any | None:
    """The object `name` of the kernel module `module` if it can take these tensors, else None.

    own_gradient: the kernel comes with its own backward pass.
    """
    return _load(module, name) if usable(*tensors, own_gradient=own_gradient) else None


def usable(*tensors: Tensor, own_gradient: bool = False) -> bool:
    """Whether kernels can take these tensors.

    They must lie on one NVIDIA card, hold values and not be float64. Autograd must not record the call, unless the
    kernel has its own gradient. Nothing may trace the call.
    """
    device = tensors[0].device
    if device.type != "cuda" or traced():
        return False
    recorded = not own_gradient and torch.is_grad_enabled()
    for x in tensors:
        if x.device != device or x.dtype == torch.float64 or x.numel() == 0 or not in_memory(x):
            return False
        if recorded and x.requires_grad:
            return False
    return _compiles_on(device)


def has_float64(device: torch.device) -> bool:
    """Whether a device computes in float64. Apple's do not (mps), nor do some of Intel's (xpu)."""
    return device.type in ("cpu", "cuda") or _computes_float64(device)


def in_memory(x: Tensor) -> bool:
    """Whether a tensor's values lie in memory. Those of transforms (vmap, ...) and of fake tensors do not."""
    if type(x) not in (Tensor, Parameter):
        return False
    try:
        x.data_ptr()
    except RuntimeError:
        return False
    return True


def traced() -> bool:
    """Whether torch.compile, torch.jit.trace or a transform of torch.func (vmap, grad, ...) runs the code.

    Values cannot be read then, and results cannot be written into existing memory.
    """
    looks_on = torch.compiler.is_compiling() or torch.jit.is_tracing()
    return looks_on or torch._C._are_functorch_transforms_active()


@cache
def _computes_float64(device: torch.device) -> bool:
    try:
        return torch.ones(1, dtype=torch.float64, device=device).add_(1).item() == 2
    except (RuntimeError, TypeError):
        return False


@cache
def _load(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


@cache
def _compiles_on(device: torch.device) -> bool:
    """Whether Triton works for this card, tried once. It may be missing, lack a C compiler, or not know the card."""
    if torch.version.hip or importlib.util.find_spec("triton") is None:
        return False
    try:
        _load("study.color.triton.lab", "rgb_to_lab")(torch.zeros(1, 3, 1, 1, device=device))
    except Exception as error:  # a compiler may raise anything
        reason = " ".join(str(error).split())[:200]
        warnings.warn(f"Triton cannot compile for {device}; slower kernels are used: {reason}", stacklevel=5)
        return False
    return True
