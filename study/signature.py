"""Signatures: a hash of everything that decides a cell's numbers, and nothing else.

Comments, docstrings and layout of the code do not count: a module enters as its syntax tree without them.
"""

from __future__ import annotations

import ast
import hashlib
import json
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from study.errors import StudyError
from study.params import Arm, TrainSettings

# The modules that decide what a trained cell and its history hold. Metrics are among them because the
# history keeps validation scores.
TRAINING_CODE = ("color.py", "bins.py", "model.py", "train.py", "schedule.py", "lpips_network.py", "losses", "metrics")

# Settings of a cell that change how it is run, but not one bit of its result.
WITHOUT_EFFECT = {"checkpoint_seconds", "device"}


def code_digest(paths: list[Path]) -> str:
    """SHA-256 (hex) of Python files as syntax trees without docstrings and comments; folders stand for all in them."""
    digest = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(f"{file.name}\n{_meaning(file)}\n".encode())
    return digest.hexdigest()


def _meaning(file: Path) -> str:
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        raise StudyError(f"{file} cannot be read as Python: {error}") from error
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


@cache
def training_code_digest() -> str:
    """`code_digest` of the package's own training code."""
    package = Path(__file__).parent
    return code_digest([package / name for name in TRAINING_CODE])


def cell_signature(
    arm: Arm, train: TrainSettings, seed: int, data_hash: str, device: str, root: Path, code: str | None = None
) -> str:
    """Signature (16 hex digits) of the cell that trains `arm` with `seed` on the data of `data_hash` on `device`.

    How the arm decodes is no part of it: that needs no training, and arms that differ in it alone share their cells.
    """
    facts: dict[str, Any] = {
        "loss": arm.loss.model_dump(exclude={"file"}),
        "train": train.model_dump(exclude=WITHOUT_EFFECT),
        "seed": seed,
        "data": data_hash,
        "device": device,
        "code": code or training_code_digest(),
        "own_loss": code_digest([root / arm.loss.file]) if arm.loss.file else None,
        "torch": version("torch"),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
