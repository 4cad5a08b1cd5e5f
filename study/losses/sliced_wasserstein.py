"""The sliced Wasserstein distance between the colours of two images, whatever their places in the image."""

from __future__ import annotations

import math
from numbers import Integral
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from study.losses.base import Loss, check_same_shape, common_precision
from study.losses.registry import register


@register("sliced_wasserstein")
class SlicedWassersteinLoss(Loss):
    """Squared error plus the distance between an image's two *sets* of colours:

        lab                 mean of (pred - target)^2 over pixels and the channels given
        sliced_wasserstein  mean over images, directions and pixels of (sort(<d, pred>) - sort(<d, target>))^2

    The term is the squared sliced 2-Wasserstein distance of the ab colours (Rabin, Peyre, Delon and Bernot 2011,
    Wasserstein Barycenter and its Application to Texture Mixing). Its `directions` (2 or more) are evenly spaced unit
    vectors of the ab plane, d_k = (cos(pi k / directions), sin(pi k / directions)). They are fixed, so equal inputs
    give equal bits.

    The term is 0 if both images hold the same colours, in any order. It is at most the lab term on ab, and equal to it
    for images of one pixel: both are in squared Lab units. It asks for as many vivid pixels as the target has, but not
    in the right places. So it hardly conflicts with the lab term where hues are uncertain.

    With the default weight, both terms have gradients of about the same norm on palette_world
    (benchmarks/equal_weights.csv).

    prediction, target: (N,2,H,W) ab or (N,3,H,W) Lab, raw Lab units. Computed in float32 at least, also under autocast.
    It takes the memory of some copies of the image per direction. Raises ValueError if the shapes differ or hold no
    pixel, naming both, and for fewer than two directions.
    """

    head = "ab"
    terms: ClassVar[dict[str, float]] = {"lab": 1.0, "sliced_wasserstein": 1.0}

    def __init__(self, directions: int = 16) -> None:
        super().__init__()
        if isinstance(directions, bool) or not isinstance(directions, Integral) or directions < 2:
            raise ValueError(f"directions must be a whole number of at least 2, got {directions!r}")
        angles = [k * (math.pi / directions) for k in range(int(directions))]
        self.directions = [(math.cos(angle), math.sin(angle)) for angle in angles]

    def compute(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Both terms in squared Lab units."""
        check_same_shape(prediction, target, channels=(2, 3))
        prediction, target = common_precision(prediction, target)
        moved = self._projections(prediction) - self._projections(target)
        return {"lab": mse_loss(prediction, target), "sliced_wasserstein": moved.square().mean()}

    def _projections(self, picture: Tensor) -> Tensor:
        """Sorted projections of the colours, (N,D,H*W)."""
        a, b = picture[:, -2:].flatten(2).unsqueeze(2).unbind(1)
        cos, sin = torch.tensor(self.directions, dtype=picture.dtype, device=picture.device).T[:, :, None]
        # Sums, because autocast would compute a matrix product in half precision.
        return (a * cos + b * sin).sort(dim=-1, stable=True).values
