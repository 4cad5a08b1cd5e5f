"""Freely usable colour photographs that scikit-image and scikit-learn ship: pictures that any report may show."""

from __future__ import annotations

from importlib.resources import files

import numpy as np

from study.data.images import decode

# name: package, file, credit. They are read as files: the packages' own loaders may try to download.
PHOTOGRAPHS = {
    "astronaut": ("skimage.data", "astronaut.png", "NASA, public domain"),
    "chelsea": ("skimage.data", "chelsea.png", "Stefan van der Walt, CC0"),
    "coffee": ("skimage.data", "coffee.png", "Rachel Michetti, CC0"),
    "rocket": ("skimage.data", "rocket.jpg", "SpaceX, public domain"),
    "china": ("sklearn.datasets.images", "china.jpg", "danielbuechele, CC BY 2.0"),
    "flower": ("sklearn.datasets.images", "flower.jpg", "vultilion, CC BY 2.0"),
}


def photographs(size: int) -> tuple[np.ndarray, list[str]]:
    """The photographs' central squares, resized: uint8 (P,size,size,3) sRGB, and their names (keys of PHOTOGRAPHS)."""
    pictures = [
        decode(files(package).joinpath(file).read_bytes(), size).pixels for package, file, _ in PHOTOGRAPHS.values()
    ]
    return np.stack(pictures), list(PHOTOGRAPHS)
