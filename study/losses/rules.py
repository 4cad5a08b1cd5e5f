"""What a loss may not do although Python lets it: told before anything is trained, and by `study check`."""

from __future__ import annotations

from study.config.yaml_files import NAME
from study.losses.base import Loss

# What stands beside the terms in the history of a cell.
TAKEN = ("total", "lr", "grad_norm", "images_per_s")


def broken_name(loss: Loss) -> str | None:
    """What is wrong with a name of the loss's terms, in one line; None when they are sound."""
    for name in loss.terms:
        if name in TAKEN:
            return f"no term may be called {name}: the history of a cell has a row of that name"
        if not NAME.fullmatch(name):
            return f"{name!r} is no name of a term (letters, digits, _ and . only; a letter first)"
    return None


def untrained_parameter(loss: Loss) -> str | None:
    """The first parameter of the loss that wants to be trained, in one line that says what to do; None without one."""
    for name, parameter in loss.named_parameters():
        if parameter.requires_grad:
            return (
                f"the parameter {name} asks for a gradient, but only the network is trained: make it a buffer "
                "(register_buffer), or call requires_grad_(False)"
            )
    return None
