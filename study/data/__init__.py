"""Sources of pictures: a generated world with a known answer, Tiny ImageNet, and any folder of pictures."""

from __future__ import annotations

from pathlib import Path

from study.config.data import DataSettings
from study.data import folder, palette_world, tiny_imagenet
from study.data.source import Skipped, Source, Split

__all__ = ["Skipped", "Source", "Split", "load_source"]

LOADERS = {"palette_world": palette_world.load, "tiny_imagenet": tiny_imagenet.load, "folder": folder.load}


def load_source(settings: DataSettings, root: Path) -> Source:
    """Generate, unpack or read the pictures that `settings` asks for.

    root: the project folder, to which relative paths in the settings refer and below which archives are looked for.
    Raises StudyError in one line when the source is missing, damaged or too small.
    """
    return LOADERS[settings.source](settings, root)
