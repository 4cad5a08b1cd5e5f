"""LPIPS (Zhang et al. 2018) between Lab pictures, as a loss."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn

from study.color.lab import unwatched_lab_to_rgb
from study.color.units import TargetWatch
from study.losses.base import at_its_precision, check_same_shape
from study.metrics.lpips_network import TRUNKS, UNTRAINED, build_lpips, find_weights, perceptual_availability

__all__ = ["PerceptualLoss", "perceptual_availability"]


class PerceptualLoss(nn.Module):
    """Mean LPIPS distance (version 0.1) of a batch; 0 for identical pictures.

    pred, target: (N,3,H,W) Lab, raw Lab units, at least 31 pixels high and wide (vgg 16, squeeze 17). Both are
    converted to sRGB, clipped to its gamut and scaled to [-1,1]. A clipped channel has gradient 0. Returns a scalar,
    differentiable in pred, and in target if that asks for a gradient. Computed in float32, also under autocast and in a
    model that is cast to another precision. Add it to another loss:

        total = anti_avg(pred, target)["total"] + 0.3 * perceptual(pred, target)

    net: the trunk, "alex", "vgg" or "squeeze". Distances of different nets cannot be compared.
    weights: the path of the trunk's ImageNet weights as torchvision publishes them; the linear layers on top come with
    the package lpips. By default the file named by the environment variable STUDY_LPIPS_WEIGHTS, else the one in
    torch's hub cache, else a download into that cache. "untrained" gives random weights, always the same: for tests.

    Raises StudyError if net is unknown, lpips is not installed, or the weights cannot be had. The forward pass warns
    once about wrong units, and raises ValueError if the shapes differ or are too small, naming both.
    """

    def __init__(
        self, net: str = "alex", device: torch.device | str | None = None, weights: str | Path | None = None
    ) -> None:
        super().__init__()
        self.lpips = build_lpips(net, None if weights == UNTRAINED else find_weights(net, weights)).float()
        self.trunk = TRUNKS[net]
        self.target_watch = TargetWatch(type(self).__name__)  # warns about wrong units
        self.to(device)

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Mean LPIPS distance between the pictures of two batches, a scalar."""
        check_same_shape(pred, target, channels=(3,))
        if min(pred.shape[2:]) < self.trunk.smallest:
            raise ValueError(
                f"this LPIPS network needs pictures of at least {self.trunk.smallest} pixels a side, got prediction "
                f"{tuple(pred.shape)} and target {tuple(target.shape)}"
            )
        self.target_watch.look(target)
        with nullcontext() if pred.is_meta else torch.autocast(pred.device.type, enabled=False):
            with torch.set_grad_enabled(torch.is_grad_enabled() and target.requires_grad):
                true_features = self._features(target)
            features = self._features(pred)
            layers = zip(self.lpips.lins, features, true_features, strict=True)
            return torch.stack([lin((x - y).square()).mean() for lin, x, y in layers]).sum()

    def train(self, mode: bool = True) -> PerceptualLoss:
        """Stay in evaluation mode, also inside a module in training: LPIPS has dropout inside."""
        return super().train(False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> PerceptualLoss:
        # A model may be cast with this loss inside. That must not round the weights: the pictures are float32.
        return super()._apply(lambda x: at_its_precision(fn, x), recurse)

    def _features(self, lab: Tensor) -> list[Tensor]:
        rgb = unwatched_lab_to_rgb(lab).float()
        return [_unit(layer) for layer in self.lpips.net(self.lpips.scaling_layer(rgb * 2 - 1))]


def _unit(features: Tensor) -> Tensor:
    """Features divided by their norm over the channels, as in lpips. But the gradient at 0 is 0, not NaN."""
    norm = features.square().sum(1, keepdim=True).clamp(min=1e-20).sqrt()
    return features / (norm + 1e-10)
