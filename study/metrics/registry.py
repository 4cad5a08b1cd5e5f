"""METRICS, every metric that a file of this folder declares, in the order of the tables; and scoring by all of them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import Tensor

from study.metrics.card import Metric

_FAMILIES = ("fidelity", "color_difference", "similarity", "threshold_curve", "perceptual", "vividness", "cast", "hue",
             "averaging")  # fmt: skip


def _found() -> dict[str, Metric]:
    """The cards of all files: the families in their order, then new ones by name; in a file, as they stand there."""
    files = {path.stem for path in Path(__file__).parent.glob("*.py")} - {"__init__", "registry"}
    cards: dict[str, Metric] = {}
    for family in (*_FAMILIES, *sorted(files - set(_FAMILIES))):
        module = import_module(f"study.metrics.{family}")
        own = (value for value in vars(module).values() if getattr(value, "__module__", None) == module.__name__)
        for card in (value.card for value in own if isinstance(getattr(value, "card", None), Metric)):
            if card.name in cards:
                raise ValueError(f"two metrics are called {card.name}: one of them is in study/metrics/{family}.py")
            cards[card.name] = card
    return cards


METRICS: dict[str, Metric] = _found()


def scores(inputs: Mapping[str, Any]) -> dict[str, Tensor]:
    """One value per image, (N,), of every metric whose inputs are there: name -> values.

    inputs: by name, those of `study.metrics.inputs.INPUTS` that exist.
    """
    return {name: card.measure(inputs) for name, card in METRICS.items() if card.measurable(inputs)}
