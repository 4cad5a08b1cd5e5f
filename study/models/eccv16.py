"""The network of Zhang, Isola and Efros (2016), "Colorful Image Colorization", for those with a GPU."""

from __future__ import annotations

from torch import Tensor, nn

from study.models.colorizer import Trunk
from study.models.registry import register

# Of every block: output channels of its convolutions, their dilation, and the stride of the last one.
BLOCKS = (
    ((64, 64), 1, 2),
    ((128, 128), 1, 2),
    ((256, 256, 256), 1, 2),
    ((512, 512, 512), 1, 1),
    ((512, 512, 512), 2, 1),
    ((512, 512, 512), 2, 1),
    ((512, 512, 512), 1, 1),
)


@register("eccv16")
class ECCV16(Trunk):
    """Features (N,256,H/4,W/4): eight blocks of convolutions, the fifth and sixth dilated, after each but the last a
    batch normalisation. With the head "bins", a 1x1 convolution to 313 logits, it has the 32,235,385 parameters (129 MB
    in float32) of the published network.

    shrink: divides all channels, for a smaller network of the same kind.
    """

    stride, multiple = 4, 8

    def __init__(self, shrink: int = 1) -> None:
        super().__init__()
        if shrink not in (1, 2, 4, 8, 16):
            raise ValueError(f"shrink must be 1, 2, 4, 8 or 16, got {shrink}")
        layers: list[nn.Module] = []
        inputs = 1
        for channels, dilation, stride in BLOCKS:
            for number, count in enumerate(channels, start=1):
                last = number == len(channels)
                outputs = count // shrink
                layers += [
                    nn.Conv2d(inputs, outputs, 3, stride if last else 1, padding=dilation, dilation=dilation),
                    nn.ReLU(),
                ]
                inputs = outputs
            layers.append(nn.BatchNorm2d(inputs))
        self.channels = 256 // shrink
        layers += [nn.ConvTranspose2d(inputs, self.channels, 4, 2, padding=1), nn.ReLU()]
        for _ in range(2):
            layers += [nn.Conv2d(self.channels, self.channels, 3, padding=1), nn.ReLU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, frozen: Tensor) -> Tensor:
        return self.layers(frozen)
