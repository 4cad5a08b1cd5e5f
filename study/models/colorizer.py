"""A colorizer: a trunk that turns lightness into features, and a head that turns features into colour."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from study.models.heads import Head


class Trunk(nn.Module, ABC):
    """The part of a network that all heads share.

    channels: of the features. stride: pixels of the picture per feature pixel, in each direction. multiple: height and
    width of a picture must be multiples of it.

    A pretrained trunk may have a part that no training changes. Then `freezes` is true, `frozen` runs that part, and
    `forward` takes its result. `study prepare` computes it once per picture.
    """

    channels: int
    stride: int
    multiple: int
    freezes: bool = False

    @classmethod
    def weights_sha256(cls, options: dict[str, Any]) -> str | None:
        """SHA-256 of the pretrained weights that a trunk with these options starts from; None where it has none."""
        return None

    def fit(self, lightness: Iterable[Tensor]) -> None:
        """Fit what depends on the training pictures but not on the loss, such as a whitening, to batches of lightness
        (N,1,H,W) scaled to -1..1. Kept in buffers."""

    def frozen(self, lightness: Tensor) -> Tensor:
        """What no training changes, of lightness (N,1,H,W) scaled to -1..1; the lightness itself by default."""
        return lightness

    def unfreeze(self) -> list[nn.Parameter]:
        """Make the pretrained weights trainable and return them; none by default."""
        return []

    @abstractmethod
    def forward(self, frozen: Tensor) -> Tensor:
        """Features (N,channels,H/stride,W/stride) of what `frozen` returns: lightness (N,1,H,W) scaled to -1..1."""


class Colorizer(nn.Module):
    """Lightness in, colour at the trunk's resolution out.

    upsampling: "bilinear" or "nearest", how predicted colours come back to the picture's resolution. recolor: what a
    control makes of predicted colours at the picture's resolution, from lightness (N,1,H,W) and ab (N,2,H,W). tuned:
    pretrained weights that are trained on.
    """

    def __init__(self, trunk: Trunk, head: Head, upsampling: str = "bilinear") -> None:
        super().__init__()
        self.upsampling = upsampling
        self.stride, self.multiple = trunk.stride, trunk.multiple
        self.trunk, self.head = trunk, head
        self.recolor: Callable[[Tensor, Tensor], Tensor] | None = None
        self.tuned: list[nn.Parameter] = []

    def frozen(self, lightness: Tensor) -> Tensor:
        """What no training changes, of lightness (N,1,H,W) in 0..100.

        ValueError for a height or width that the trunk cannot halve often enough.
        """
        if lightness.shape[-1] % self.multiple or lightness.shape[-2] % self.multiple:
            raise ValueError(f"height and width must be multiples of {self.multiple}, got {tuple(lightness.shape)}")
        return self.trunk.frozen(lightness / 50 - 1)

    def forward(self, lightness: Tensor, frozen: Tensor | None = None) -> Tensor:
        """Raw output of the head for lightness (N,1,H,W) in 0..100.

        frozen: what `frozen(lightness)` returns, where it is at hand. Raises like `frozen`.
        """
        return self.head(self.trunk(self.frozen(lightness) if frozen is None else frozen))

    def decode(self, output: Tensor, temperature: float = 0.38) -> Tensor:
        """ab (N,2,h,w) from the head's raw output; `temperature` matters for bins only."""
        return self.head.decode(output, temperature)

    def predict(self, lightness: Tensor, temperature: float = 0.38, frozen: Tensor | None = None) -> Tensor:
        """ab (N,2,H,W) at the picture's resolution."""
        ab = self.upsample(self.decode(self(lightness, frozen), temperature))
        return ab if self.recolor is None else self.recolor(lightness, ab)

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
