"""The LPIPS network (Zhang et al. 2018), for the loss and for the metric, and where its weights come from."""

from __future__ import annotations

import hashlib
import os
import warnings
from http.client import HTTPException
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

import torch
from torch import nn

from study.errors import StudyError
from study.files import atomic_write_bytes

VERSION = "0.1"
WEIGHTS_VARIABLE = "STUDY_LPIPS_WEIGHTS"
FOLDER_VARIABLE = "STUDY_DATA_DIR"
UNTRAINED = "untrained"
DOWNLOADS = "https://download.pytorch.org/models"
TIMEOUT_SECONDS = 5.0
HUB_CACHE = "torch's hub cache (~/.cache/torch/hub/checkpoints where TORCH_HOME is not set)"


class Trunk(NamedTuple):
    """The network under LPIPS.

    file: torchvision's file of its ImageNet weights. smallest: height and width of the smallest picture that it takes.
    features: a file of the convolutional part alone, with torchvision's keys (features.N.weight, features.N.bias).
    """

    file: str
    smallest: int
    features: str = ""

    @property
    def url(self) -> str:
        return f"{DOWNLOADS}/{self.file}"

    @property
    def cached(self) -> Path:
        return Path(torch.hub.get_dir(), "checkpoints", self.file)


TRUNKS = {
    "alex": Trunk("alexnet-owt-7be5be79.pth", 31, "alexnet_features.pth"),
    "vgg": Trunk("vgg16-397923af.pth", 16, "vgg16_features.pth"),
    "squeeze": Trunk("squeezenet1_1-b8a52dc0.pth", 17),
}


class Weights(NamedTuple):
    """A file of a trunk's weights, and what messages call it.

    Messages end up in reports that others read. They name a path only where it was given as an argument, not where
    a variable or the cache of one machine points.
    """

    file: Path
    called: str


def find_weights(net: str, named: str | Path | None = None, download: bool = True) -> Weights:
    """The file of a trunk's ImageNet weights.

    net: "alex", "vgg" or "squeeze". Looks, in this order, at the path `named`, the file of STUDY_LPIPS_WEIGHTS, the
    folder of STUDY_DATA_DIR (alexnet_features.pth, vgg16_features.pth, or the file as torchvision names it) and torch's
    hub cache. What is nowhere is downloaded into the cache and checked against the hash in its name. A server that is
    silent for 5 seconds is given up.
    Raises StudyError when net is unknown, lpips or torchvision is not installed, a file that was named is missing, or
    the weights cannot be had. With download=False nothing is fetched.
    """
    _check_usable(net)
    trunk = TRUNKS[net]
    if named is not None:
        if not Path(named).is_file():
            raise StudyError(f"there is no file {named}; give the path of {trunk.file}")
        return Weights(Path(named), str(named))
    if variable := os.environ.get(WEIGHTS_VARIABLE):
        if not Path(variable).is_file():
            raise StudyError(f"{WEIGHTS_VARIABLE} names no file: set it to the path of {trunk.file}")
        return Weights(Path(variable), f"the file of {WEIGHTS_VARIABLE}")
    if folder := os.environ.get(FOLDER_VARIABLE):
        for name in filter(None, (trunk.features, trunk.file)):
            if (file := Path(folder).expanduser() / name).is_file():
                return Weights(file, f"{name} in the folder of {FOLDER_VARIABLE}")
    if not trunk.cached.is_file():
        if not download:
            raise StudyError(f"{trunk.file} is not in {HUB_CACHE}")
        _download(trunk)
    return Weights(trunk.cached, f"{trunk.file} in {HUB_CACHE}")


def build_lpips(net: str, weights: Weights | None) -> nn.Module:
    """`lpips.LPIPS` of version 0.1 on the trunk's weights, frozen, in evaluation mode, on the CPU.

    The linear layers on top of the trunk come with the package lpips. weights: what `find_weights` returned, or None
    for random weights, always the same, which are for tests only.
    Raises StudyError when net is unknown, lpips cannot be imported, or the file holds something else.
    """
    _check_usable(net)
    try:
        import lpips  # here, because it imports torchvision, which takes seconds
    except (ImportError, RuntimeError) as error:  # torchvision raises both when it was made for another torch
        raise StudyError("the package lpips cannot be imported: python -c 'import lpips' says why") from error

    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")  # lpips calls torchvision by arguments it has deprecated
        torch.manual_seed(0)
        module = lpips.LPIPS(net=net, version=VERSION, pnet_rand=True, verbose=False)
    if weights is not None:
        try:
            trunk = torch.load(weights.file, map_location="cpu", weights_only=True)
            # "slice2.3.weight" here is "features.3.weight" in torchvision
            names = {name: "features." + name.split(".", 1)[1] for name in module.net.state_dict()}
            module.net.load_state_dict({name: trunk[other] for name, other in names.items()})
        except Exception as error:  # reading a foreign file as a pickle can raise anything
            raise StudyError(
                f"{weights.called} cannot be read as torchvision's {TRUNKS[net].file}: replace it by {TRUNKS[net].url}"
            ) from error
    return module.eval().requires_grad_(False)


def perceptual_availability(
    net: str = "alex", weights: str | Path | None = None, download: bool = False
) -> tuple[bool, str]:
    """Whether all that LPIPS on `net` needs is there, and in one line what is missing ("" if nothing is).

    weights: a path as `find_weights` takes it, or "untrained". Looks for packages and files; imports no package and
    reads no file. With download=True missing weights are fetched into torch's hub cache.
    """
    try:
        if weights == UNTRAINED:
            _check_usable(net)
        else:
            find_weights(net, weights, download)
    except StudyError as error:
        return False, str(error)
    return True, ""


def _check_usable(net: str) -> None:
    if net not in TRUNKS:
        raise StudyError(f"unknown LPIPS network {net!r}: it is one of {', '.join(TRUNKS)}")
    for package in ("lpips", "torchvision"):
        if find_spec(package) is None:
            raise StudyError(f"LPIPS needs the package {package}: pip install {package}")


def _download(trunk: Trunk) -> None:
    """Fetch a trunk's weights into torch's hub cache; a file that is not what its name promises is not kept."""
    wanted = trunk.file.removesuffix(".pth").rsplit("-", 1)[1]
    try:
        with urlopen(trunk.url, timeout=TIMEOUT_SECONDS) as response:
            content = response.read()
    except (OSError, HTTPException) as error:
        raise StudyError(
            f"its weights could not be fetched: put {trunk.file} into {HUB_CACHE} or into the folder of "
            f"{FOLDER_VARIABLE}, or set {WEIGHTS_VARIABLE} to its path"
        ) from error
    if not hashlib.sha256(content).hexdigest().startswith(wanted):
        raise StudyError(f"{trunk.url} sent something other than {trunk.file}: put that into {HUB_CACHE} by hand")
    try:
        atomic_write_bytes(trunk.cached, content)
    except (OSError, StudyError) as error:
        raise StudyError(
            f"{trunk.file} was fetched but cannot be written to {HUB_CACHE}: make that folder writable, or set "
            f"{WEIGHTS_VARIABLE} to the file's path"
        ) from error
