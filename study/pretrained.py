"""ImageNet weights of torchvision's networks: where they lie on this machine, and how they are fetched."""

from __future__ import annotations

import hashlib
import os
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

import torch

from study.errors import StudyError
from study.files import atomic_write_bytes

FOLDER_VARIABLE = "STUDY_DATA_DIR"
DOWNLOADS = "https://download.pytorch.org/models"
TIMEOUT_SECONDS = 5.0
HUB_CACHE = "torch's hub cache (~/.cache/torch/hub/checkpoints where TORCH_HOME is not set)"


class Published(NamedTuple):
    """Weights that torchvision publishes.

    file: its name there. features: a file of the convolutional part alone, with the same keys (features.N.weight,
    features.N.bias).
    """

    file: str
    features: str = ""

    @property
    def url(self) -> str:
        return f"{DOWNLOADS}/{self.file}"

    @property
    def cached(self) -> Path:
        return Path(torch.hub.get_dir(), "checkpoints", self.file)


PUBLISHED = {
    "alexnet": Published("alexnet-owt-7be5be79.pth", "alexnet_features.pth"),
    "vgg16": Published("vgg16-397923af.pth", "vgg16_features.pth"),
    "squeezenet": Published("squeezenet1_1-b8a52dc0.pth"),
}


class Weights(NamedTuple):
    """A file of weights, and what messages call it.

    Messages end up in reports that others read. They name a path only where it was given as an argument, not where
    a variable or the cache of one machine points.
    """

    file: Path
    called: str


def find_published(published: Published, download: bool = True) -> Weights:
    """The file of published weights.

    Looks, in this order, into the folder of STUDY_DATA_DIR (alexnet_features.pth, vgg16_features.pth, or the file as
    torchvision names it) and into torch's hub cache. What is nowhere is downloaded into the cache and checked against
    the hash in its name. A server that is silent for 5 seconds is given up. With download=False nothing is fetched.
    Raises StudyError when the weights cannot be had.
    """
    if folder := os.environ.get(FOLDER_VARIABLE):
        for name in filter(None, (published.features, published.file)):
            if (file := Path(folder).expanduser() / name).is_file():
                return Weights(file, f"{name} in the folder of {FOLDER_VARIABLE}")
    if not published.cached.is_file():
        if not download:
            raise StudyError(f"{published.file} is not in {HUB_CACHE}")
        _download(published)
    return Weights(published.cached, f"{published.file} in {HUB_CACHE}")


def _download(published: Published) -> None:
    """Fetch weights into torch's hub cache; a file that is not what its name promises is not kept."""
    wanted = published.file.removesuffix(".pth").rsplit("-", 1)[1]
    try:
        with urlopen(published.url, timeout=TIMEOUT_SECONDS) as response:
            content = response.read()
    except (OSError, HTTPException) as error:
        raise StudyError(
            f"{published.file} could not be fetched: put it into {HUB_CACHE} or into the folder of {FOLDER_VARIABLE}"
        ) from error
    if not hashlib.sha256(content).hexdigest().startswith(wanted):
        raise StudyError(
            f"{published.url} sent something other than {published.file}: put that into {HUB_CACHE} by hand"
        )
    try:
        atomic_write_bytes(published.cached, content)
    except (OSError, StudyError) as error:
        raise StudyError(
            f"{published.file} was fetched but cannot be written to {HUB_CACHE}: make that folder writable, or put the "
            f"file into the folder of {FOLDER_VARIABLE}"
        ) from error
