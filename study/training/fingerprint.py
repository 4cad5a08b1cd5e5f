"""Signatures: a hash of everything that decides a cell's numbers, and nothing else.

Comments, docstrings and layout of the code do not count: a module enters as its syntax tree without them. Nor does
what the cell's device cannot reach: branches under a test of `is_cuda` count for cells of a graphics card alone, and
so do the kernels that they import.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from study.config.params import Arm, TrainSettings
from study.training.syntax import PACKAGE, meaning, modules_of

# The modules that decide what every cell and its history hold, whatever its loss; the module of the loss itself is
# added for each cell, so that a new loss leaves the cells of the others alone. Some metrics are among them because
# the history keeps validation scores, and the published loss because its terms are followed for every arm.
TRAINING_CODE = (
    "color/bins.py",
    "color/lab.py",
    "losses/anti_average.py",
    "losses/base.py",
    "losses/registry.py",
    "metrics/base.py",
    "metrics/fidelity.py",
    "metrics/hue.py",
    "metrics/vividness.py",
    "models/unet.py",
    "training/memory.py",
    "training/schedule.py",
    "training/train.py",
)

# Settings of a cell that change how it is run, but not one bit of its result.
WITHOUT_EFFECT = {"checkpoint_seconds", "device"}


def code_digest(paths: Iterable[Path], device: str = "cpu") -> str:
    """SHA-256 (hex) of Python files as `device` runs them: syntax trees without docstrings and comments, in the order
    given."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.name}\n{meaning(path, device)}\n".encode())
    return digest.hexdigest()


def with_imports(file: Path, device: str = "cpu") -> list[Path]:
    """`file` and the modules of the project that it imports on `device`, beyond those that are in every signature;
    sorted."""
    # The kernels are in the signature of every cell of a graphics card. Those that a loss imports are in it twice, but
    # for their __init__.py: with it the cells that are trained would get other signatures.
    known = {PACKAGE / name for name in (*TRAINING_CODE, "color/triton/__init__.py")}
    return sorted(modules_of(file, device, known))


@cache
def training_code_digest(device: str) -> str:
    """`code_digest` of TRAINING_CODE and, on a graphics card, of the kernels that it runs there."""
    kernels = (
        sorted([*(PACKAGE / "color" / "triton").glob("*.py"), *(PACKAGE / "losses" / "triton").glob("*.py")])
        if device == "cuda"
        else []
    )
    return code_digest([*(PACKAGE / name for name in TRAINING_CODE), *kernels], device)


def cell_signature(arm: Arm, train: TrainSettings, seed: int, data_hash: str, device: str, loss_code: str) -> str:
    """Signature (16 hex digits) of the cell that trains `arm` with `seed` on the data of `data_hash` on `device`.

    loss_code: `code_digest` of the loss's module `with_imports`. How the arm decodes is no part of the signature:
    that needs no training, and arms that differ in it alone share their cells.
    """
    facts: dict[str, Any] = {
        "loss": arm.loss.model_dump(exclude={"file"}),
        "train": train.model_dump(exclude=WITHOUT_EFFECT),
        "seed": seed,
        "data": data_hash,
        "device": device,
        "code": training_code_digest(device),
        "loss_code": loss_code,
        "torch": version("torch"),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def control_signature(match: str, sources: list[str], temperature: float | None = None) -> str:
    """Signature (16 hex digits) of a control made from the cells with the signatures `sources`.

    temperature: at which the arm that is matched decodes; None where it predicts no bins.
    """
    facts: dict[str, Any] = {
        "control": match,
        "sources": sources,
        "code": code_digest([PACKAGE / "training" / "controls.py"]),
    }
    if temperature is not None:
        facts["temperature"] = temperature
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
