"""Freely usable colour photographs that scikit-image and scikit-learn ship: pictures that any report may show."""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path

import numpy as np

from study.data.images import decode

# name: distribution, file in it, credit. They are read as files: the packages' own loaders may try to download, and
# importing scikit-learn takes seconds.
PHOTOGRAPHS = {
    "astronaut": ("scikit-image", "skimage/data/astronaut.png", "NASA, public domain"),
    "chelsea": ("scikit-image", "skimage/data/chelsea.png", "Stefan van der Walt, CC0"),
    "coffee": ("scikit-image", "skimage/data/coffee.png", "Rachel Michetti, CC0"),
    "rocket": ("scikit-image", "skimage/data/rocket.jpg", "SpaceX, public domain"),
    "china": ("scikit-learn", "sklearn/datasets/images/china.jpg", "danielbuechele, CC BY 2.0"),
    "flower": ("scikit-learn", "sklearn/datasets/images/flower.jpg", "vultilion, CC BY 2.0"),
}


def photographs(size: int) -> tuple[np.ndarray, list[str]]:
    """The photographs' central squares, resized: uint8 (P,size,size,3) sRGB, and their names (keys of PHOTOGRAPHS)."""
    found = [Path(str(distribution(name).locate_file(file))) for name, file, _ in PHOTOGRAPHS.values()]
    pictures = [decode(file.read_bytes(), size).pixels for file in found]
    return np.stack(pictures), list(PHOTOGRAPHS)
