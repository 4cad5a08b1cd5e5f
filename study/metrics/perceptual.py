"""LPIPS: distance between deep features of two images, measured where the network's weights can be had."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from study.errors import StudyError
from study.files import sha256_file
from study.metrics.base import check_pair, unit_rgb
from study.metrics.lpips_network import VERSION, build_lpips, find_weights

NET = "alex"


@torch.no_grad()
def lpips_distance(module: nn.Module, rgb_pred: Tensor, rgb_target: Tensor) -> Tensor:
    """LPIPS (Zhang et al. 2018) between sRGB images, one value per image, 0 for identical images.

    module: an `lpips.LPIPS(spatial=False)` or anything called like it: (N, 3, H, W) twice, in [-1, 1] -> N values.
    Values of different trunks (alex, vgg, squeeze) or versions cannot be compared: record both.
    rgb_pred, rgb_target: (N, 3, H, W), uint8, or float in [0, 1], on the module's device. Returns (N,).
    Raises ValueError, naming both shapes, where they differ.
    """
    check_pair(rgb_pred, rgb_target, 3)
    return module(unit_rgb(rgb_pred) * 2 - 1, unit_rgb(rgb_target) * 2 - 1).reshape(rgb_pred.shape[0])


def lpips_model(setting: str, device: torch.device) -> tuple[nn.Module | None, dict[str, Any]]:
    """The LPIPS network for `lpips_distance`, and what a report must say about it.

    setting: "auto" takes the AlexNet weights from where `find_weights` finds them, and measures
    nothing where they cannot be had; "off" measures nothing; anything else is the path of an AlexNet state dict as
    torchvision publishes it.
    Returns (module, facts), facts with measured (bool), reason (str: why not, "" if measured) and, if measured, net,
    version and trunk_sha256. The module is None where LPIPS is not measured.
    Raises StudyError when a path was given and LPIPS cannot be measured with that file.
    """
    if setting == "off":
        return _unmeasured("it is switched off (evaluate.lpips: off)")
    try:
        weights = find_weights(NET, None if setting == "auto" else setting)
        module = build_lpips(NET, weights).to(device)
    except StudyError as error:
        if setting == "auto":
            return _unmeasured(str(error))
        raise StudyError(f"evaluate.lpips: {error} (or set it to auto or off)") from error
    facts = {"net": NET, "version": VERSION, "trunk_sha256": sha256_file(weights.file)}
    return module, {"measured": True, "reason": "", **facts}


def _unmeasured(reason: str) -> tuple[None, dict[str, Any]]:
    return None, {"measured": False, "reason": reason}
