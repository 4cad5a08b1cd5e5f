"""LPIPS: distance between deep features of two images, measured where the network's weights can be had."""

from __future__ import annotations

import pickle
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import torch
from torch import Tensor, nn

from study.errors import StudyError
from study.files import sha256_file
from study.metrics.base import check_pair, unit_rgb

NET, VERSION = "alex", "0.1"
TRUNK_URL = "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"
TRUNK_FILE, TRUNK_HASH = "alexnet-owt-7be5be79.pth", "7be5be79"
PROBE_SECONDS = 2.0
"""How long to wait for the server of the weights; without a network an evaluation must not be held up."""


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

    setting: "auto" takes the AlexNet weights from torch's hub cache, or fetches them there; "off" measures nothing;
    anything else is the path of an AlexNet state dict as torchvision publishes it.
    Returns (module, facts), facts with measured (bool), reason (str: why not, "" if measured) and, if measured, net,
    version and trunk_sha256. The module is None where LPIPS cannot be measured.
    Raises StudyError when a path was given and there is no such file, or it holds something else.
    """
    if setting == "off":
        return _unmeasured("it is switched off (evaluate.lpips: off)")
    if setting != "auto" and not Path(setting).is_file():
        raise StudyError(f"evaluate.lpips: there is no file {setting}; give the AlexNet weights' path, auto or off")
    if find_spec("lpips") is None:
        return _unmeasured("the package lpips is not installed")
    try:
        weights = _hub_weights() if setting == "auto" else Path(setting)
    except (OSError, RuntimeError):  # no network, a full or read-only disk, or a broken download
        return _unmeasured(
            f"the AlexNet weights are not in torch's hub cache and could not be fetched; put {TRUNK_FILE} "
            "there, or set evaluate.lpips to its path"
        )
    facts = {"net": NET, "version": VERSION, "trunk_sha256": sha256_file(weights)}
    return _build(weights).to(device), {"measured": True, "reason": "", **facts}


def _unmeasured(reason: str) -> tuple[None, dict[str, Any]]:
    return None, {"measured": False, "reason": reason}


def _hub_weights() -> Path:
    """Path of the trunk's weights in torch's hub cache, fetched first where they are not there (OSError if not)."""
    weights = Path(torch.hub.get_dir(), "checkpoints", TRUNK_FILE)
    if not weights.is_file():
        urlopen(Request(TRUNK_URL, method="HEAD"), timeout=PROBE_SECONDS).close()
        weights.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(TRUNK_URL, str(weights), hash_prefix=TRUNK_HASH, progress=False)
    return weights


def _build(weights: Path) -> nn.Module:
    """LPIPS with its published linear layers (they come with the package) on the AlexNet in `weights`."""
    import lpips  # here, because it imports torchvision, which takes seconds

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lpips calls torchvision by arguments it has deprecated
        module = lpips.LPIPS(net=NET, version=VERSION, pnet_rand=True, verbose=False)
    try:
        trunk = torch.load(weights, map_location="cpu", weights_only=True)
        # "slice2.3.weight" here is "features.3.weight" in torchvision
        renamed = {name: trunk["features." + name.split(".", 1)[1]] for name in module.net.state_dict()}
        module.net.load_state_dict(renamed)
    except (KeyError, TypeError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise StudyError(
            f"{weights} is not an AlexNet state dict of torchvision: give the path of {TRUNK_FILE}"
        ) from error
    return module.eval().requires_grad_(False)
