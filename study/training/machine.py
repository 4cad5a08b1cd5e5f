"""The machine that a cell is trained on: its device, how torch is set up there, and what a run record says of it."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch


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


def processor_kind(device: str | torch.device = "cpu") -> str:
    """What rounding depends on: the architecture and the vector instructions that torch uses, or the GPU's name.

    The same code gives the same bits on the same kind; on another kind the last digits differ.
    """
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


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
        "processor": processor_kind(device),
    }
