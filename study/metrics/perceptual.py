"""LPIPS: distance between deep features of two images, measured where the network's weights can be had."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor, nn

from study.errors import StudyError
from study.files import sha256_file
from study.metrics.base import check_pair, unit_rgb
from study.metrics.card import metric
from study.metrics.lpips_network import TRUNKS, VERSION, Weights, build_lpips, find_weights

NET = "alex"


@metric(
    "lpips",
    unit="1",
    better="lower",
    margin=0.005,
    key=10,
    says="distance between deep features of the prediction and the truth",
    weakness="values depend on network and version; made for distortions of larger pictures, not for colour",
)
@torch.no_grad()
def lpips_distance(lpips: nn.Module, rgb_pred: Tensor, rgb_target: Tensor) -> Tensor:
    """LPIPS (Zhang et al. 2018) between sRGB images, one value per image, 0 for identical images.

    lpips: an `lpips.LPIPS(spatial=False)` or anything called like it: (N, 3, H, W) twice, in [-1, 1] -> N values.
    Values of different trunks (alex, vgg, squeeze) or versions cannot be compared: record both.
    rgb_pred, rgb_target: (N, 3, H, W), uint8, or float in [0, 1], on any device. Returns (N,), on theirs.
    Raises ValueError, naming both shapes, where they differ.
    """
    check_pair(rgb_pred, rgb_target, 3)
    place = next(lpips.parameters(), rgb_pred).device
    pictures = (unit_rgb(rgb).to(place) * 2 - 1 for rgb in (rgb_pred, rgb_target))
    return lpips(*pictures).reshape(len(rgb_pred)).to(rgb_pred.device)


def lpips_model(setting: str, device: torch.device, size: int) -> tuple[nn.Module | None, dict[str, Any]]:
    """The LPIPS network for `lpips_distance`, and what a report must say about it.

    setting: "auto" takes AlexNet's weights from where `find_weights` finds them, and measures nothing where it finds
    none; "off" measures nothing; anything else is the path of AlexNet's state dict as torchvision publishes it.
    size: height and width of the pictures; smaller ones than the network takes are not measured.
    Returns (network, facts), facts as `lpips_facts` gives them. The network is None where LPIPS is not measured.
    Raises StudyError when a path was given and LPIPS cannot be measured with that file.
    """
    weights, facts = _found(setting, size, download=True)
    if weights is None:
        return None, facts
    try:
        return build_lpips(NET, weights).to(device), facts
    except StudyError as error:
        return None, _unmeasured(_told(setting, error))


def lpips_facts(setting: str, size: int, download: bool = True) -> dict[str, Any]:
    """How `lpips_model` would measure LPIPS, without loading the network.

    Holds measured (bool) and reason (str: why not, "" if measured). If measured, also net, version, package (version
    of the package lpips, which has the linear layers) and trunk_sha256. download: fetch weights that are missing.
    Raises StudyError when a path was given and there is no such file.
    """
    return _found(setting, size, download)[1]


def _found(setting: str, size: int, download: bool) -> tuple[Weights | None, dict[str, Any]]:
    if setting == "off":
        return None, _unmeasured("it is switched off (evaluate.lpips: off)")
    if size < (smallest := TRUNKS[NET].smallest):
        return None, _unmeasured(f"pictures of {size} pixels are too small: LPIPS ({NET}) needs {smallest} or more")
    try:
        weights = find_weights(NET, None if setting == "auto" else setting, download)
    except StudyError as error:
        return None, _unmeasured(_told(setting, error))
    facts = {"net": NET, "version": VERSION, "package": version("lpips"), "trunk_sha256": sha256_file(weights.file)}
    return weights, {"measured": True, "reason": "", **facts}


def _told(setting: str, error: StudyError) -> str:
    """Why LPIPS is not measured; raised where it was asked for with a file of its own."""
    if setting == "auto":
        return str(error)
    raise StudyError(f"evaluate.lpips: {error} (or set it to auto or off)") from error


def _unmeasured(reason: str) -> dict[str, Any]:
    return {"measured": False, "reason": reason}
