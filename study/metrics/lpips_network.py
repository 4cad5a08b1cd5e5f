"""The LPIPS network (Zhang et al. 2018), for the loss and for the metric, and where its weights come from."""

from __future__ import annotations

import os
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from study.errors import StudyError
from study.pretrained import PUBLISHED, Published, Weights, find_published

VERSION = "0.1"
WEIGHTS_VARIABLE = "STUDY_LPIPS_WEIGHTS"
UNTRAINED = "untrained"


class Trunk(NamedTuple):
    """The network under LPIPS: its published weights, and height and width of the smallest picture that it takes."""

    published: Published
    smallest: int


TRUNKS = {
    "alex": Trunk(PUBLISHED["alexnet"], 31),
    "vgg": Trunk(PUBLISHED["vgg16"], 16),
    "squeeze": Trunk(PUBLISHED["squeezenet"], 17),
}


def find_weights(net: str, named: str | Path | None = None, download: bool = True) -> Weights:
    """The file of a trunk's ImageNet weights.

    net: "alex", "vgg" or "squeeze". Looks at the path `named`, then at the file of STUDY_LPIPS_WEIGHTS, then where
    `study.pretrained.find_published` looks.
    Raises StudyError when net is unknown, lpips or torchvision is not installed, a file that was named is missing, or
    the weights cannot be had.
    """
    _check_usable(net)
    published = TRUNKS[net].published
    if named is not None:
        if not Path(named).is_file():
            raise StudyError(f"there is no file {named}; give the path of {published.file}")
        return Weights(Path(named), str(named))
    if variable := os.environ.get(WEIGHTS_VARIABLE):
        if not Path(variable).is_file():
            raise StudyError(f"{WEIGHTS_VARIABLE} names no file: set it to the path of {published.file}")
        return Weights(Path(variable), f"the file of {WEIGHTS_VARIABLE}")
    return find_published(published, download)


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
        published = TRUNKS[net].published
        try:
            trunk = torch.load(weights.file, map_location="cpu", weights_only=True)
            # "slice2.3.weight" here is "features.3.weight" in torchvision
            names = {name: "features." + name.split(".", 1)[1] for name in module.net.state_dict()}
            module.net.load_state_dict({name: trunk[other] for name, other in names.items()})
        except Exception as error:  # reading a foreign file as a pickle can raise anything
            raise StudyError(
                f"{weights.called} cannot be read as torchvision's {published.file}: replace it by {published.url}"
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
