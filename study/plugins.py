"""Loading a Python file of a person's own that registers something: a loss, a network."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import MutableMapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from study.errors import StudyError

_LOADED: dict[Path, set[str]] = {}


def load_plugin(root: Path, file: str, registry: MutableMapping[str, Any]) -> set[str]:
    """Run the Python file `file`, relative to `root`, once; returns the names that it added to `registry`.

    When it fails, the registry is as before. StudyError, one line, for a file that is missing or cannot be loaded.
    """
    path = (root / file).resolve()
    if path not in _LOADED:
        _LOADED[path] = _run(path, file, registry)
    return _LOADED[path]


def _run(path: Path, shown: str, registry: MutableMapping[str, Any]) -> set[str]:
    if not path.is_file():
        raise StudyError(f"the file {shown} does not exist: its path is relative to the folder of params.yaml")
    name = f"study_own_{path.stem}_{sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise StudyError(f"the file {shown} is no Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    before = dict(registry)
    sys.modules[name] = module  # before it runs: dataclasses and pickle look their module up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        registry.clear()
        registry.update(before)
        raise StudyError(f"the file {shown} cannot be loaded: {one_line(error)}") from error
    return set(registry) - set(before)


def one_line(error: Exception) -> str:
    """The error in one line, with its type where the text alone does not say what happened."""
    text = " ".join(str(error).split()) or "no further word"
    return text if isinstance(error, StudyError | ValueError | TypeError) else f"{type(error).__name__}: {text}"
