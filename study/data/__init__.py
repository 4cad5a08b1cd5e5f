"""Sources of pictures: a generated world with a known answer, Tiny ImageNet, and any folder of pictures."""

from __future__ import annotations

from pathlib import Path

from study.config.data import DataSettings
from study.data import folder, palette_world, tiny_imagenet
from study.data.source import Skipped, Source, Split

__all__ = ["LOADERS", "Skipped", "Source", "Split", "load_source"]

# Each module has load(settings, root), state(settings, root), which changes when the source does, and VERSION, which is
# raised when the same source gives other pictures.
LOADERS = {"palette_world": palette_world, "tiny_imagenet": tiny_imagenet, "folder": folder}


def load_source(settings: DataSettings, root: Path) -> Source:
    """Generate, unpack or read the pictures that `settings` asks for.

    root: the project folder, to which relative paths in the settings refer and below which archives are looked for.
    Raises StudyError in one line when the source is missing, damaged or too small.
    """
    return LOADERS[settings.source].load(settings, root)
