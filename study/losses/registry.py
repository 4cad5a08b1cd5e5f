"""Finding losses by name: the built-in ones, and those that a file of your own registers."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from torch import Tensor

from study.errors import StudyError
from study.losses.base import HEADS, Loss

if TYPE_CHECKING:
    from study.config.arms import LossSettings

L = TypeVar("L", bound=type[Loss])

_LOSSES: dict[str, type[Loss]] = {}
_LOADED: dict[Path, set[str]] = {}


def register(name: str) -> Callable[[L], L]:
    """Class decorator: the arm files can name this loss from now on.

    Raises StudyError when the name is taken or the class does not fulfil the contract of `Loss`.
    """

    def decorate(cls: L) -> L:
        if name in _LOSSES:
            taken = _LOSSES[name]
            raise StudyError(
                f"the loss name {name!r} is taken by {taken.__module__}.{taken.__qualname__}: choose another"
            )
        if not (inspect.isclass(cls) and issubclass(cls, Loss)):
            raise StudyError(f"the loss {name!r} must be a class derived from study.losses.Loss")
        if cls.head not in HEADS:
            raise StudyError(f"the loss {name!r} has head = {cls.head!r}; it must be one of {', '.join(HEADS)}")
        if not getattr(cls, "terms", None):
            raise StudyError(f'the loss {name!r} must declare its terms and their weights: terms = {{"{name}": 1.0}}')
        _LOSSES[name] = cls
        return cls

    return decorate


def loss_names() -> list[str]:
    """Names of all registered losses, sorted."""
    return sorted(_LOSSES)


def head_of(settings: LossSettings, root: Path) -> str:
    """The head, "ab" or "bins", that the loss of an arm needs. Raises StudyError like `build_loss`."""
    return _find(settings, root).head


def source_of(settings: LossSettings, root: Path) -> Path:
    """The Python file in which the loss of an arm is defined. Raises StudyError like `build_loss`."""
    return Path(inspect.getfile(_find(settings, root)))


def build_loss(settings: LossSettings, prior: np.ndarray | Tensor | None, root: Path) -> Loss:
    """The loss that an arm file describes.

    settings: its name, weights (those not listed are 0; with none listed the loss's own weights hold), options
    and file. prior: (313,) frequencies of the bins, handed to losses that ask for it. root: the project's folder,
    to which settings.file is relative.
    Raises StudyError, one line that names the loss and what is allowed, for an unknown loss, term or option, for
    a weight or option value the loss refuses, and for a file that cannot be loaded.
    """
    cls = _find(settings, root)
    allowed = _options(cls)
    unknown = [key for key in settings.options if key not in allowed]
    if unknown:
        known = ", ".join(allowed) or "none"
        raise StudyError(f"loss {settings.name!r}: unknown option {unknown[0]!r}; its options are: {known}")
    arguments: dict[str, Any] = dict(settings.options)
    if cls.needs_prior:
        arguments["prior"] = prior
    try:
        loss = cls(**arguments)
        if settings.weights:
            loss.set_weights(settings.weights)
    except (TypeError, ValueError) as error:
        raise StudyError(f"loss {settings.name!r}: {_one_line(error)}") from error
    return loss


def _options(cls: type[Loss]) -> list[str]:
    """The constructor's keywords, without those that arm files write elsewhere: weights and the prior."""
    written_elsewhere = {"self", "prior", *(f"{term}_weight" for term in cls.terms)}
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(cls.__init__).parameters.values()
    return [p.name for p in parameters if p.kind in named and p.name not in written_elsewhere]


def _find(settings: LossSettings, root: Path) -> type[Loss]:
    where = ""
    if settings.file:
        path = (root / settings.file).resolve()
        if path not in _LOADED:
            _LOADED[path] = _load(path, settings.file)
        where = f" (and {settings.file} registers {', '.join(sorted(_LOADED[path])) or 'no loss'})"
    try:
        return _LOSSES[settings.name]
    except KeyError:
        raise StudyError(f"unknown loss {settings.name!r}; known: {', '.join(loss_names())}{where}") from None


def _load(path: Path, shown: str) -> set[str]:
    """Run the Python file at `path` and return the names that it registered; none stay when it fails."""
    if not path.is_file():
        raise StudyError(f"the loss file {shown} does not exist: its path is relative to the folder of params.yaml")
    module_name = f"study_loss_{path.stem}_{sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise StudyError(f"the loss file {shown} is no Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    before = dict(_LOSSES)
    sys.modules[module_name] = module  # before it runs: dataclasses and pickle look their module up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[module_name]
        _LOSSES.clear()
        _LOSSES.update(before)
        raise StudyError(f"the loss file {shown} cannot be loaded: {_one_line(error)}") from error
    return set(_LOSSES) - set(before)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or "no further word"
    return text if isinstance(error, StudyError | ValueError | TypeError) else f"{type(error).__name__}: {text}"
