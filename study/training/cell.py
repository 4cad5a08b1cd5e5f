"""A cell: one network to train, and all that its numbers depend on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from study.config.arms import Arm
from study.config.study import ModelSettings, TrainSettings


@dataclass(frozen=True)
class Cell:
    """Study x arm x seed.

    data: folder of the prepared study. device: "cpu" or "cuda". signature: hash of everything that decides the result.
    root: the project. sources: of a control, the cells that it is made from. features: folder of what the frozen part
    of the network makes of the pictures.
    """

    study: str
    arm: Arm
    seed: int
    model: ModelSettings
    train: TrainSettings
    data: Path
    device: str
    signature: str
    root: Path
    features: Path | None = None
    sources: tuple[Cell, ...] = ()
