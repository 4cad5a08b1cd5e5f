"""Finding losses by name: the built-in ones, and those that a file of your own registers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from torch import Tensor, nn

from study.errors import StudyError, did_you_mean
from study.losses.base import HEADS, Loss, is_own_head
from study.plugins import load_plugin, one_line

L = TypeVar("L", bound=type[Loss])

_LOSSES: dict[str, type[Loss]] = {}


class LossSpec(Protocol):
    """What describes a loss.

    name: a registered loss. weights: of its terms; terms not listed get 0, and with none listed the loss keeps its own
    weights. options: keywords of its constructor. file: a Python file that registers the loss, or None.
    """

    name: str
    weights: Mapping[str, float]
    options: Mapping[str, Any]
    file: str | None


def register(name: str) -> Callable[[L], L]:
    """Class decorator that lets settings name this loss.

    Raises StudyError when the name is taken or the class breaks the contract of `Loss`.
    """

    def decorate(cls: L) -> L:
        if name in _LOSSES:
            taken = _LOSSES[name]
            raise StudyError(
                f"the loss name {name!r} is taken by {taken.__module__}.{taken.__qualname__}: choose another"
            )
        if not (inspect.isclass(cls) and issubclass(cls, Loss)):
            raise StudyError(f"the loss {name!r} must be a class derived from study.losses.Loss")
        if not (cls.head in HEADS or is_own_head(cls.head)):
            raise StudyError(f"the loss {name!r} has head = {cls.head!r}; it must be {' or '.join(HEADS)}, or a class")
        if not getattr(cls, "terms", None):
            raise StudyError(f'the loss {name!r} must declare its terms and their weights: terms = {{"{name}": 1.0}}')
        _LOSSES[name] = cls
        return cls

    return decorate


def loss_names() -> list[str]:
    """Names of all registered losses, sorted."""
    return sorted(_LOSSES)


def head_of(spec: LossSpec, root: Path) -> str | type[nn.Module]:
    """The head that a loss needs: "ab", "bins" or a class of its own. Raises StudyError like `build_loss`."""
    return _find(spec, root).head


def source_of(spec: LossSpec, root: Path) -> Path:
    """The Python file that defines a loss. Raises StudyError like `build_loss`."""
    return Path(inspect.getfile(_find(spec, root)))


def build_loss(spec: LossSpec, prior: np.ndarray | Tensor | None, root: Path) -> Loss:
    """The loss that `spec` describes.

    prior: (313,) frequencies of the bins, for losses that ask for them. root: the folder to which spec.file is
    relative. Raises StudyError, one line that names the loss, for an unknown loss, term or option, for a value that
    the loss refuses, and for a file that cannot be loaded.
    """
    cls = _find(spec, root)
    known = _options(cls)
    for option in spec.options:
        if option not in known:
            raise StudyError(f"loss {spec.name!r}: unknown option {option!r}; {did_you_mean(option, known)}")
    arguments: dict[str, Any] = dict(spec.options)
    if cls.needs_prior:
        arguments["prior"] = prior
    try:
        loss = cls(**arguments)
        if spec.weights:
            loss.set_weights(spec.weights)
    except (TypeError, ValueError) as error:
        raise StudyError(f"loss {spec.name!r}: {one_line(error)}") from error
    return loss


def _options(cls: type[Loss]) -> list[str]:
    """Keywords of the constructor, without the weights and the prior: those are given elsewhere."""
    given_elsewhere = {"self", "prior", *(f"{term}_weight" for term in cls.terms)}
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(cls.__init__).parameters.values()
    return [p.name for p in parameters if p.kind in named and p.name not in given_elsewhere]


def _find(spec: LossSpec, root: Path) -> type[Loss]:
    own = load_plugin(root, spec.file, _LOSSES) if spec.file else set()
    if spec.name not in _LOSSES:
        where = f"; {spec.file} registers {', '.join(sorted(own)) or 'no loss'}" if spec.file else ""
        raise StudyError(f"unknown loss {spec.name!r}; {did_you_mean(spec.name, loss_names())}{where}")
    return _LOSSES[spec.name]
