"""LPIPS (Zhang et al. 2018) between Lab pictures as a loss, and finding the network's weights."""

from __future__ import annotations

import hashlib
import os
import pickle
import warnings
from http.client import HTTPException
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

import torch
from torch import Tensor, nn

from study.color import lab_to_rgb
from study.errors import StudyError
from study.files import atomic_write
from study.losses.base import check_same_shape

WEIGHTS_VARIABLE = "STUDY_LPIPS_WEIGHTS"
UNTRAINED = "untrained"
DOWNLOADS = "https://download.pytorch.org/models"
TIMEOUT_SECONDS = 5.0


class Trunk(NamedTuple):
    """The network under LPIPS: torchvision's file of its ImageNet weights, and the smallest picture it takes."""

    file: str
    smallest: int

    @property
    def url(self) -> str:
        return f"{DOWNLOADS}/{self.file}"

    @property
    def cached(self) -> Path:
        return Path(torch.hub.get_dir(), "checkpoints", self.file)


TRUNKS = {
    "alex": Trunk("alexnet-owt-7be5be79.pth", 31),
    "vgg": Trunk("vgg16-397923af.pth", 16),
    "squeeze": Trunk("squeezenet1_1-b8a52dc0.pth", 17),
}


class PerceptualLoss(nn.Module):
    """Mean LPIPS distance (version 0.1) of a batch; 0 for identical pictures.

    pred, target: (N,3,H,W) Lab, raw units, at least 31 pixels high and wide (vgg 16, squeeze 17). Both are
    turned into sRGB, clipped to its gamut (where a clipped channel has gradient 0), and scaled to [-1,1].
    Returns a scalar, differentiable in pred, and in target if that asks for a gradient. Computed in float32,
    also under autocast. To be added to another loss:

        total = anti_avg(pred, target)["total"] + 0.3 * perceptual(pred, target)

    net: the trunk, "alex", "vgg" or "squeeze"; distances of different nets cannot be compared.
    weights: path of the trunk's ImageNet weights as torchvision publishes them (the linear layers on top come
    with the package lpips). Without it the environment variable STUDY_LPIPS_WEIGHTS, then torch's hub cache, then a
    download into that cache. "untrained" takes random weights, always the same: for tests only.

    Raises StudyError when net is unknown, lpips is not installed, or the weights cannot be had; the forward pass
    raises ValueError naming both shapes where they differ or are too small.
    """

    def __init__(
        self, net: str = "alex", device: torch.device | str | None = None, weights: str | Path | None = None
    ) -> None:
        super().__init__()
        problem = _unusable(net)
        if problem:
            raise StudyError(problem)
        self.trunk = TRUNKS[net]
        file = None if weights == UNTRAINED else _find_weights(net, weights)
        if file is None and weights != UNTRAINED:
            file = _download(net)
        self.lpips = _build(net, file)
        self.to(device)

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Mean LPIPS distance between the pictures of two batches, a scalar."""
        check_same_shape(pred, target, channels=(3,))
        if min(pred.shape[2:]) < self.trunk.smallest:
            raise ValueError(
                f"this LPIPS network needs pictures of at least {self.trunk.smallest} pixels a side, got prediction "
                f"{tuple(pred.shape)} and target {tuple(target.shape)}"
            )
        with torch.autocast(pred.device.type, enabled=False):
            with torch.set_grad_enabled(torch.is_grad_enabled() and target.requires_grad):
                true_features = self._features(target)
            features = self._features(pred)
            layers = zip(self.lpips.lins, features, true_features, strict=True)
            return torch.stack([lin((x - y).square()).mean() for lin, x, y in layers]).sum()

    def train(self, mode: bool = True) -> PerceptualLoss:
        """Stays in evaluation mode, also as a part of a module in training: LPIPS has dropout inside."""
        return super().train(False)

    def _features(self, lab: Tensor) -> list[Tensor]:
        rgb = lab_to_rgb(lab).float()
        return [_unit(layer) for layer in self.lpips.net(self.lpips.scaling_layer(rgb * 2 - 1))]


def perceptual_availability(
    net: str = "alex", weights: str | Path | None = None, download: bool = False
) -> tuple[bool, str]:
    """Whether PerceptualLoss(net, weights=weights) can be built, and in one line why not ("" if it can).

    Looks for packages and files without importing anything. With download=True weights that are missing are
    fetched into torch's hub cache; without a network that takes 5 seconds at the most.
    """
    problem = _unusable(net)
    if problem or weights == UNTRAINED:
        return not problem, problem
    try:
        if _find_weights(net, weights) is None:
            if not download:
                return False, f"{TRUNKS[net].file} is not in torch's hub cache ({TRUNKS[net].cached.parent})"
            _download(net)
    except StudyError as error:
        return False, str(error)
    return True, ""


def _unusable(net: str) -> str:
    if net not in TRUNKS:
        return f"unknown LPIPS network {net!r}: it is one of {', '.join(TRUNKS)}"
    missing = [package for package in ("lpips", "torchvision") if find_spec(package) is None]
    return f"LPIPS needs the package {missing[0]}: pip install {missing[0]}" if missing else ""


def _find_weights(net: str, weights: str | Path | None) -> Path | None:
    """The weights that were named or are in the cache; None when only a download is left."""
    if weights is not None:
        source, named = "weights", Path(weights)
    elif os.environ.get(WEIGHTS_VARIABLE):
        source, named = WEIGHTS_VARIABLE, Path(os.environ[WEIGHTS_VARIABLE])
    else:
        return TRUNKS[net].cached if TRUNKS[net].cached.is_file() else None
    if not named.is_file():
        raise StudyError(f"{source}: there is no file {named}; give the path of {TRUNKS[net].file}")
    return named


def _download(net: str) -> Path:
    trunk = TRUNKS[net]
    wanted = trunk.file.removesuffix(".pth").rsplit("-", 1)[1]
    try:
        with urlopen(trunk.url, timeout=TIMEOUT_SECONDS) as response:
            content = response.read()
    except (OSError, HTTPException) as error:
        raise StudyError(
            f"the LPIPS weights {trunk.file} could not be fetched ({getattr(error, 'reason', error)}): put them into "
            f"{trunk.cached.parent} or set {WEIGHTS_VARIABLE} to their path"
        ) from error
    if not hashlib.sha256(content).hexdigest().startswith(wanted):
        raise StudyError(f"{trunk.url} sent something other than {trunk.file}: fetch it by hand into {trunk.cached}")
    atomic_write(trunk.cached, lambda file: file.write(content))
    return trunk.cached


def _build(net: str, weights: Path | None) -> nn.Module:
    """The lpips module, frozen, on the trunk's weights or, for None, random ones."""
    import lpips  # here, because it imports torchvision, which takes seconds

    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")  # lpips calls torchvision by arguments it has deprecated
        torch.manual_seed(0)
        module = lpips.LPIPS(net=net, version="0.1", pnet_rand=True, verbose=False)
    if weights is not None:
        try:
            trunk = torch.load(weights, map_location="cpu", weights_only=True)
            # "slice2.3.weight" here is "features.3.weight" in torchvision
            names = {name: "features." + name.split(".", 1)[1] for name in module.net.state_dict()}
            module.net.load_state_dict({name: trunk[other] for name, other in names.items()})
        except (KeyError, TypeError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise StudyError(
                f"{weights} does not hold torchvision's weights: give the path of {TRUNKS[net].file}"
            ) from error
    return module.eval().requires_grad_(False)


def _unit(features: Tensor) -> Tensor:
    """Features divided by their norm over the channels; like lpips's own, but the gradient at 0 is 0, not NaN."""
    norm = features.square().sum(1, keepdim=True).clamp(min=1e-20).sqrt()
    return features / (norm + 1e-10)
