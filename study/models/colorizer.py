"""A colorizer: a trunk that turns lightness into features, and one of two heads that turn features into colour."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn
from torch.nn import functional as F

from study.color.bins import AB_BINS, annealed_mean

# The regression head's outputs are multiplied by this many Lab units. So weights of order one give colours of ordinary
# chroma, and both heads start at the same scale.
AB_SCALE = 50.0


class Trunk(nn.Module, ABC):
    """The part of a network that all heads share.

    channels: of the features. stride: pixels of the picture per feature pixel, in each direction. multiple: height and
    width of a picture must be multiples of it.
    """

    channels: int
    stride: int
    multiple: int

    @abstractmethod
    def forward(self, lightness: Tensor) -> Tensor:
        """Features (N,channels,H/stride,W/stride) of lightness (N,1,H,W) scaled to -1..1."""


class Colorizer(nn.Module):
    """Lightness in, colour at the trunk's resolution out.

    head="ab": (N,2,h,w) in raw Lab units; head="bins": (N,313,h,w) logits over `study.color.bins.AB_BINS`.
    upsampling: "bilinear" or "nearest", how predicted colours come back to the picture's resolution.
    """

    def __init__(self, trunk: Trunk, head: str, upsampling: str = "bilinear") -> None:
        super().__init__()
        self.head_kind, self.upsampling = head, upsampling
        self.stride, self.multiple = trunk.stride, trunk.multiple
        self.trunk = trunk
        self.head = nn.Conv2d(trunk.channels, 2 if head == "ab" else len(AB_BINS), 1)

    def forward(self, lightness: Tensor) -> Tensor:
        """Raw output of the head for lightness (N,1,H,W) in 0..100. ValueError for a height or width that the trunk
        cannot halve often enough."""
        if lightness.shape[-1] % self.multiple or lightness.shape[-2] % self.multiple:
            raise ValueError(f"height and width must be multiples of {self.multiple}, got {tuple(lightness.shape)}")
        output = self.head(self.trunk(lightness / 50 - 1))
        return output * AB_SCALE if self.head_kind == "ab" else output

    def decode(self, output: Tensor, temperature: float = 0.38) -> Tensor:
        """ab (N,2,h,w) from the head's raw output; `temperature` matters for the bins head only."""
        return output if self.head_kind == "ab" else annealed_mean(output, temperature)

    def predict(self, lightness: Tensor, temperature: float = 0.38) -> Tensor:
        """ab (N,2,H,W) at the picture's resolution."""
        return self.upsample(self.decode(self(lightness), temperature))

    def upsample(self, ab: Tensor) -> Tensor:
        """ab (N,2,h,w) brought to the picture's resolution."""
        if self.upsampling == "nearest":
            return F.interpolate(ab, scale_factor=self.stride, mode="nearest")
        return F.interpolate(ab, scale_factor=self.stride, mode="bilinear", align_corners=False)

    def target(self, ab: Tensor) -> Tensor:
        """The truth at the resolution of the prediction: means of ab (N,2,H,W) over stride x stride pixels."""
        return F.avg_pool2d(ab, self.stride)


def half_resolution(ab: Tensor) -> Tensor:
    """2x2 means of ab (N,2,H,W): the resolution at which the colour prior of a data set is taken."""
    return F.avg_pool2d(ab, 2)
