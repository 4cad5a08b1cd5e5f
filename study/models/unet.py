"""The network: one U-Net trunk and two heads that differ in their last layer only."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from study.color.bins import AB_BINS, annealed_mean

# The regression head's outputs are multiplied by this many Lab units, so that weights of order one give colours of
# ordinary chroma and both heads start at the same scale.
AB_SCALE = 50.0


def _convolutions(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [nn.Conv2d(channels, outputs, 3, padding=1, bias=False), nn.GroupNorm(4, outputs), nn.ReLU()]
    return nn.Sequential(*layers)


class Trunk(nn.Module):
    """U-Net from lightness (N,1,H,W) in [-1,1] to features (N,width,H/2,W/2).

    The 2x2 pixels that share one predicted colour enter as four channels, so that all work is done at the resolution
    of the colours or below. `levels` resolutions (H/2, H/4, ...), `width` channels at the first, doubled at each
    further one up to 4x.
    """

    def __init__(self, width: int, levels: int) -> None:
        super().__init__()
        channels = [width * min(2**level, 4) for level in range(levels)]
        self.down = nn.ModuleList(_convolutions(i, o) for i, o in zip([4, *channels], channels, strict=False))
        self.up = nn.ModuleList(
            _convolutions(channels[level] + channels[level - 1], channels[level - 1])
            for level in range(levels - 1, 0, -1)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = F.pixel_unshuffle(x, 2)
        skips = []
        for level, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if level else x)
            skips.append(x)
        for block, skip in zip(self.up, reversed(skips[:-1]), strict=True):
            x = block(torch.cat([F.interpolate(x, scale_factor=2, mode="nearest"), skip], dim=1))
        return x


class Colorizer(nn.Module):
    """A colorizer: lightness in, colour at half resolution out.

    head="ab": (N,2,H/2,W/2) in raw Lab units; head="bins": (N,313,H/2,W/2) logits over `study.color.bins.AB_BINS`.
    upsampling: "bilinear" or "nearest", how `predict` comes back to full resolution.
    """

    def __init__(self, head: str, width: int = 16, levels: int = 2, upsampling: str = "bilinear") -> None:
        super().__init__()
        self.head_kind, self.upsampling = head, upsampling
        self.divisor = 2**levels
        self.trunk = Trunk(width, levels)
        self.head = nn.Conv2d(width, 2 if head == "ab" else len(AB_BINS), 1)

    def forward(self, lightness: Tensor) -> Tensor:
        """Raw output of the head for lightness (N,1,H,W) in 0..100; H and W multiples of 2**levels."""
        if lightness.shape[-1] % self.divisor or lightness.shape[-2] % self.divisor:
            raise ValueError(f"height and width must be multiples of {self.divisor}, got {tuple(lightness.shape)}")
        output = self.head(self.trunk(lightness / 50 - 1))
        return output * AB_SCALE if self.head_kind == "ab" else output

    def decode(self, output: Tensor, temperature: float = 0.38) -> Tensor:
        """ab (N,2,H/2,W/2) from the head's raw output; `temperature` matters for the bins head only."""
        return output if self.head_kind == "ab" else annealed_mean(output, temperature)

    def predict(self, lightness: Tensor, temperature: float = 0.38) -> Tensor:
        """ab (N,2,H,W) at full resolution: decoded, then upsampled."""
        return self.upsample(self.decode(self(lightness), temperature))

    def upsample(self, ab: Tensor) -> Tensor:
        """Double the resolution of ab (N,2,h,w)."""
        if self.upsampling == "nearest":
            return F.interpolate(ab, scale_factor=2, mode="nearest")
        return F.interpolate(ab, scale_factor=2, mode="bilinear", align_corners=False)


def half_resolution(ab: Tensor) -> Tensor:
    """Target at the resolution that the network predicts: 2x2 means of ab (N,2,H,W)."""
    return F.avg_pool2d(ab, 2)


def build_model(head: str, width: int, levels: int, seed: int, upsampling: str = "bilinear") -> Colorizer:
    """A freshly initialised network; the trunk's weights depend on `seed` alone, not on the head.

    So all arms of one seed start from the same trunk, and all arms with the same head from the same network.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        # The trunk is made before the head and draws first, so the head's size cannot disturb it.
        return Colorizer(head, width, levels, upsampling)
