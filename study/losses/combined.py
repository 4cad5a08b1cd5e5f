"""The anti-average loss and LPIPS as one loss that settings can name."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from study.errors import StudyError
from study.losses.anti_average import ColorizationAntiAverageLoss
from study.losses.base import Loss, check_same_shape
from study.losses.perceptual import PerceptualLoss
from study.losses.registry import register


@register("anti_average_lpips")
class AntiAverageLPIPSLoss(Loss):
    """The anti-average loss plus 0.3 LPIPS, a combination proposed together with it:

        lab, saturation, diversity, confidence  as in `ColorizationAntiAverageLoss`, raw units, published weights
        lpips                                   as in `PerceptualLoss` (Zhang et al. 2018), without unit

    The four terms are computed on a and b. They are those of `ColorizationAntiAverageLoss` on the ab of the same
    pictures: networks do not predict lightness, and it would only divide the lab term by 3 instead of 2. LPIPS compares
    pictures, so this loss sees full resolution; losses on ab alone see half.

    net, weights: as in `PerceptualLoss`; weights is the path of the trunk's weights, or "untrained" (for tests).

    prediction, target: (N,3,H,W) Lab, raw Lab units, at least 31 pixels high and wide (vgg 16, squeeze 17). LPIPS is
    computed in float32, the others in float32 at least, also under autocast. Set the weights of all terms on this loss,
    not on its part `anti_average`.

    Raises StudyError, one line, if the weights of LPIPS cannot be had; ValueError if the shapes differ, are not Lab
    pictures or are too small, naming both.
    """

    head = "ab"
    needs_lightness = True
    terms: ClassVar[dict[str, float]] = {**ColorizationAntiAverageLoss.terms, "lpips": 0.3}

    def __init__(self, net: str = "alex", weights: str | None = None) -> None:
        super().__init__()
        self.anti_average = ColorizationAntiAverageLoss()
        try:
            self.perceptual = PerceptualLoss(net, weights=weights)
        except StudyError as error:
            raise StudyError(f"the loss 'anti_average_lpips' needs LPIPS: {error}") from error
        self.perceptual.target_watch = self.target_watch  # one warning for both

    def compute(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The four terms of the anti-average loss on ab, and lpips."""
        check_same_shape(prediction, target, channels=(3,))
        terms = self.anti_average.compute(prediction[:, 1:], target[:, 1:])
        return {**terms, "lpips": self.perceptual(prediction, target)}
