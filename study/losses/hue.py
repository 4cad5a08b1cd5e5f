"""A hue loss without angles: half of the squared CIE hue difference."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.nn.functional import mse_loss

from study.losses.anti_average import polar
from study.losses.base import Loss, check_same_shape, common_precision
from study.losses.registry import register


@register("hue")
class HueLoss(Loss):
    """Squared error plus a term that is 0 where the hues agree, at any chroma:

        lab  mean of (pred - target)^2 over pixels and the channels given
        hue  mean of C_target C_pred - <target, pred> = C_target C_pred (1 - cos(h_pred - h_target)), over a and b

    The term is half of the squared CIE 1976 hue difference dH^2 = dE^2 - dL^2 - dC^2. So on ab alone
    lab = saturation / 2 + hue, with the saturation term of the anti-average loss. The weight says how much more an
    error of hue counts than one of chroma.

    Where colour is uncertain, this loss asks for *less* chroma than averaging. A prediction of chroma r in the hue of
    the mean colour m costs r (E[C] - |m|) on average. So the optimum of the whole is
    r = |m| - weight / lab weight * (E[C] - |m|), or gray if that is negative. The more the hues differ, the grayer.

    With the default weight, both terms have gradients of about the same norm if the prediction is the conditional mean
    colours of palette_world (benchmarks/equal_weights.csv). At a gray pixel of the prediction the chroma has no
    gradient; there the term pulls towards the target.

    prediction, target: (N,2,H,W) ab or (N,3,H,W) Lab, raw Lab units. Computed in float32 at least, also under autocast.
    Raises ValueError if the shapes differ or hold no pixel, naming both.
    """

    head = "ab"
    terms: ClassVar[dict[str, float]] = {"lab": 1.0, "hue": 1.0}

    def compute(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Both terms in squared Lab units."""
        check_same_shape(prediction, target, channels=(2, 3))
        prediction, target = common_precision(prediction, target)
        product = (prediction[:, -2:] * target[:, -2:]).sum(1)
        return {
            "lab": mse_loss(prediction, target),
            "hue": (polar(target)[0] * polar(prediction)[0] - product).mean(),
        }
