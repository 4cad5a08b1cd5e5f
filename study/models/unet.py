"""A small U-Net: the trunk that trains in seconds on a processor."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from study.models.colorizer import Trunk
from study.models.registry import register


def _convolutions(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [nn.Conv2d(channels, outputs, 3, padding=1, bias=False), nn.GroupNorm(4, outputs), nn.ReLU()]
    return nn.Sequential(*layers)


@register("unet")
class UNet(Trunk):
    """Features at half the picture's resolution.

    The 2x2 pixels that share one predicted colour enter as four channels. So all work is done at the resolution of the
    colours or below. width: channels at half resolution, a multiple of 4, doubled at each further level up to 4x.
    levels: resolutions (H/2, H/4, ...).
    """

    stride = 2

    def __init__(self, width: int = 16, levels: int = 2) -> None:
        super().__init__()
        if width < 4 or width > 512 or width % 4:
            raise ValueError(f"width must be a multiple of 4 in 4..512, got {width}")
        if not 1 <= levels <= 6:
            raise ValueError(f"levels must be in 1..6, got {levels}")
        self.channels, self.multiple = width, 2**levels
        channels = [width * min(2**level, 4) for level in range(levels)]
        self.down = nn.ModuleList(_convolutions(i, o) for i, o in zip([4, *channels], channels, strict=False))
        self.up = nn.ModuleList(
            _convolutions(channels[level] + channels[level - 1], channels[level - 1])
            for level in range(levels - 1, 0, -1)
        )

    def forward(self, lightness: Tensor) -> Tensor:
        x = F.pixel_unshuffle(lightness, 2)
        skips = []
        for level, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if level else x)
            skips.append(x)
        for block, skip in zip(self.up, reversed(skips[:-1]), strict=True):
            x = block(torch.cat([F.interpolate(x, scale_factor=2, mode="nearest"), skip], dim=1))
        return x
