"""What every source of pictures gives: three splits, what was skipped and why, and facts for the manifest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Split:
    """images: uint8 (N,S,S,3) sRGB; names: one for each picture."""

    images: np.ndarray
    names: list[str]


@dataclass(frozen=True)
class Skipped:
    """A file that was not used, or is used with a doubt, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Source:
    """What a loader returns.

    splits: "train", "val", "test". version: of the loader; a higher one reads or draws other pictures from the same
    source. flagged: pictures that are used although their colours may not be those of a scene. facts: JSON values for
    the manifest. extra: arrays of generated worlds only.
    """

    splits: dict[str, Split]
    version: int
    skipped: list[Skipped] = field(default_factory=list)
    flagged: list[Skipped] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, np.ndarray] = field(default_factory=dict)
