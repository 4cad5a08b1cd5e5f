"""Hypercolumns: a frozen ImageNet network's layers, whitened, and a small trained network on them.

After Larsson, Maire and Shakhnarovich (2016), "Learning Representations for Automatic Colorization". The frozen part
sees every picture once (`study prepare` keeps what it says), so that a processor trains on photographs in minutes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from study.color.lab import lab_to_rgb
from study.models.colorizer import Trunk
from study.models.convolutions import NETS, Convolutions, weights_sha256
from study.models.registry import register

COMPONENTS = {"vgg16": (32, 48, 80, 64), "alexnet": (32, 64, 80, 80)}
LEAST_VARIANCE = 1e-4  # of a component, relative to the largest; weaker ones are not blown up to unit variance
SMALLEST = 32  # pixels of a picture's side that leave something of the coarsest layer


@register("hypercolumn")
class Hypercolumn(Trunk):
    """Features at a quarter of the picture's resolution.

    net: "vgg16" or "alexnet". components: how many principal components each tapped layer is reduced to, from the
    finest to the coarsest; they are scaled to unit variance, and fitted on training pictures (`fit`). enlarge: by this
    factor pictures are enlarged before the frozen part sees them, which was trained on larger ones. width, features:
    channels of the two trained layers, a 1x1 and a 3x3 convolution. weights: path of the network's ImageNet weights;
    by default those in STUDY_DATA_DIR or torch's hub cache, or a download.
    """

    stride = 4
    freezes = True

    def __init__(
        self,
        net: str = "vgg16",
        components: Sequence[int] | None = None,
        enlarge: int = 1,
        width: int = 128,
        features: int = 64,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        if net not in NETS:
            raise ValueError(f"net must be one of {', '.join(NETS)}, got {net!r}")
        layers = [layer.channels for layer in NETS[net].layers if layer.number in NETS[net].taps]
        kept = tuple(components or COMPONENTS[net])
        if len(kept) != len(layers) or not all(0 < k <= most for k, most in zip(kept, layers, strict=False)):
            raise ValueError(f"components must be {len(layers)} numbers of at most {layers}, got {list(kept)}")
        if enlarge not in (1, 2, 4):
            raise ValueError(f"enlarge must be 1, 2 or 4, got {enlarge}")
        if min(width, features) < 1:
            raise ValueError(f"width and features must be at least 1, got {width} and {features}")
        self.channels, self.multiple, self.enlarge = features, max(4, SMALLEST // enlarge), enlarge
        self.convolutions = Convolutions(net, weights)
        for number, (channels, count) in enumerate(zip(layers, kept, strict=True)):
            self.register_buffer(f"mean_{number}", torch.zeros(channels))
            self.register_buffer(f"basis_{number}", torch.eye(channels)[:, :count].contiguous())
        self.mix = nn.Conv2d(sum(kept), width, 1)
        self.look_around = nn.Conv2d(width, features, 3, padding=1)

    @classmethod
    def weights_sha256(cls, options: dict[str, Any]) -> str:
        """SHA-256 of the ImageNet weights."""
        return weights_sha256(options.get("net", "vgg16"), options.get("weights"))

    @torch.no_grad()
    def fit(self, lightness: Iterable[Tensor]) -> None:
        """Fit the principal components of every tapped layer, in float64, to batches (N,1,H,W) scaled to -1..1."""
        sums: list[list[Tensor]] = []
        for batch in lightness:
            for number, layer in enumerate(self._layers(batch)):
                pixels = layer.transpose(0, 1).flatten(1).double()
                found = [torch.tensor(float(pixels.shape[1])), pixels.sum(1), pixels @ pixels.T]
                if number < len(sums):
                    found = [x + y for x, y in zip(sums[number], found, strict=True)]
                sums[number : number + 1] = [found]
        for number, (count, total, products) in enumerate(sums):
            mean = total / count
            values, vectors = torch.linalg.eigh(products / count - mean.outer(mean))
            kept = getattr(self, f"basis_{number}").shape[1]
            values, vectors = values.flip(0)[:kept], vectors.flip(1)[:, :kept]
            # An eigenvector's sign is free: its largest entry is positive, on every machine.
            signs = vectors.gather(0, vectors.abs().argmax(0, keepdim=True)).sign()
            getattr(self, f"mean_{number}").copy_(mean)
            scale = values.clamp(min=LEAST_VARIANCE * float(values[0])).rsqrt()
            getattr(self, f"basis_{number}").copy_(vectors * signs * scale)

    def unfreeze(self) -> list[nn.Parameter]:
        """Make the ImageNet weights trainable and return them."""
        self.freezes = False
        return self.convolutions.unfreeze()

    def frozen(self, lightness: Tensor) -> Tensor:
        """Components (N,C,H/4,W/4) of the tapped layers; of a fine-tuned network the lightness itself."""
        if not self.freezes:
            return lightness
        with torch.no_grad():
            return self._hypercolumns(lightness)

    def forward(self, frozen: Tensor) -> Tensor:
        x = frozen if self.freezes else self._hypercolumns(frozen)
        return F.relu(self.look_around(F.relu(self.mix(x))))

    def _layers(self, lightness: Tensor) -> list[Tensor]:
        lab = torch.cat([50 * (lightness + 1), lightness.new_zeros(lightness.shape).expand(-1, 2, -1, -1)], dim=1)
        gray = lab_to_rgb(lab)[:, :1]
        if self.enlarge > 1:
            gray = F.interpolate(gray, scale_factor=self.enlarge, mode="bilinear", align_corners=False)
        return self.convolutions(gray)

    def _hypercolumns(self, lightness: Tensor) -> Tensor:
        size = [side // self.stride for side in lightness.shape[2:]]
        columns = []
        for number, layer in enumerate(self._layers(lightness)):
            mean, basis = getattr(self, f"mean_{number}"), getattr(self, f"basis_{number}")
            reduced = F.conv2d(layer - mean[:, None, None], basis.T[:, :, None, None])
            if reduced.shape[-1] > size[-1]:
                columns.append(F.adaptive_avg_pool2d(reduced, size))
            else:
                columns.append(F.interpolate(reduced, size, mode="bilinear", align_corners=False))
        return torch.cat(columns, dim=1)
