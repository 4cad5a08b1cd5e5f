"""Loss validation: names of terms and parameters, checked before training and by the conformance test."""

from __future__ import annotations

import re

from study.losses.base import Loss

TERM_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.]*")

# A history has rows of these names beside those of the terms.
RESERVED = ("total", "lr", "grad_norm", "images_per_s")


def broken_name(loss: Loss) -> str | None:
    """What is wrong with the name of a term, in one line; None when all names are sound."""
    for name in loss.terms:
        if name in RESERVED:
            return f"no term may be called {name}: the history of a training run has a row of that name"
        if not TERM_NAME.fullmatch(name):
            return f"{name!r} is no name of a term: start with a letter, then use letters, digits, _ and . only"
    return None


def untrained_parameter(loss: Loss) -> str | None:
    """The first parameter that asks for a gradient, in one line with the fix; None when there is none."""
    for name, parameter in loss.named_parameters():
        if parameter.requires_grad:
            return (
                f"the parameter {name} asks for a gradient, but only the network is trained: make it a buffer "
                "(register_buffer), or call requires_grad_(False)"
            )
    return None
