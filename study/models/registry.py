"""Finding networks by name: the built-in ones, and those that a file of your own registers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch

from study.errors import StudyError, did_you_mean
from study.models.colorizer import Colorizer, Trunk
from study.models.heads import HEADS, Head
from study.plugins import load_plugin

T = TypeVar("T", bound=type[Trunk])

_TRUNKS: dict[str, type[Trunk]] = {}


class ModelSpec(Protocol):
    """What names a network: a registered trunk, options of its constructor, upsampling of its colours, own file.

    trunk_learning_rate: of pretrained weights; 0 keeps them as they are.
    """

    name: str
    options: dict[str, Any]
    upsampling: str
    trunk_learning_rate: float
    file: str | None


def register(name: str) -> Callable[[T], T]:
    """Class decorator: studies can name this trunk from now on.

    Raises StudyError when the name is taken or the class is no `Trunk`.
    """

    def decorate(cls: T) -> T:
        if name in _TRUNKS:
            raise StudyError(f"the model name {name!r} is taken by {_TRUNKS[name].__module__}: choose another")
        if not (inspect.isclass(cls) and issubclass(cls, Trunk)):
            raise StudyError(f"the model {name!r} must be a class derived from study.models.Trunk")
        _TRUNKS[name] = cls
        return cls

    return decorate


def model_names() -> list[str]:
    """Names of all registered trunks, sorted."""
    return sorted(_TRUNKS)


def model_source(spec: ModelSpec, root: Path) -> Path:
    """The Python file that defines a network's trunk. Raises StudyError like `build_model`."""
    return Path(inspect.getfile(_find(spec, root)))


def pretrained_sha256(spec: ModelSpec, root: Path) -> str | None:
    """SHA-256 of the pretrained weights that a network starts from; None where it has none. Raises like `build_model`,
    also for weights that cannot be found."""
    return _find(spec, root).weights_sha256(spec.options)


def build_model(spec: ModelSpec, head: str | type[Head], seed: int, root: Path = Path()) -> Colorizer:
    """A freshly initialised network; the trunk's weights depend on `seed` alone, not on the head.

    So all arms of one seed start from the same trunk, and all arms with the same head from the same network.
    head: "ab", "bins" or a class (`study.models.heads`). root: the project's folder, to which spec.file is relative.
    Raises StudyError, one line, for an unknown name or option, for a value that the trunk refuses, for pretrained
    weights that cannot be found, and for a file that cannot be loaded.
    """
    cls = _find(spec, root)
    known = [name for name in inspect.signature(cls.__init__).parameters if name != "self"]
    for option in spec.options:
        if option not in known:
            raise StudyError(f"model {spec.name!r}: unknown option {option!r}; {did_you_mean(option, known)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            trunk = cls(**spec.options)
        except (TypeError, ValueError) as error:
            raise StudyError(f"model {spec.name!r}: {' '.join(str(error).split())}") from error
        # The trunk has drawn first, so the head's size cannot disturb it.
        model = Colorizer(trunk, (HEADS[head] if isinstance(head, str) else head)(trunk.channels), spec.upsampling)
    if spec.trunk_learning_rate:
        model.tuned = trunk.unfreeze()
        if not model.tuned:
            raise StudyError(f"model {spec.name!r} has no pretrained weights: leave out trunk_learning_rate")
    return model


def _find(spec: ModelSpec, root: Path) -> type[Trunk]:
    if spec.file:
        load_plugin(root, spec.file, _TRUNKS)
    if spec.name not in _TRUNKS:
        raise StudyError(f"unknown model {spec.name!r}; {did_you_mean(spec.name, model_names())}")
    return _TRUNKS[spec.name]
