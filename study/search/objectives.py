"""What a candidate is judged by: three objectives on the validation pictures, all of them minimised.

They are about a network's level and not about single pictures: chroma_ratio (mean chroma over mean true chroma) and
the two colorfulness values are means over all pictures before they are compared. All three are needed: strong chroma
terms paint the averaged hue brightly, which is as vivid as the truth and as uniform as before.
"""

from __future__ import annotations

import numpy as np

from study.errors import StudyError
from study.metrics.vividness import MIN_TRUE_CHROMA
from study.models import Colorizer
from study.models.features import Features
from study.statistics import chroma_ratio_influence
from study.training.validation import Validation

FORMULAS = {
    "fidelity": "ab_rmse",
    "vividness": "(|chroma_ratio - 1| + |colorfulness / true colorfulness - 1|) / 2",
    "diversity": "mean over pictures of |hue_diversity - true hue_diversity|",
}
OBJECTIVES = tuple(FORMULAS)
METRICS = ("ab_rmse", "chroma_ratio", "colorfulness", "hue_diversity")


class Judge:
    """The validation pictures of a study as candidates are judged by them.

    truth: colorfulness and hue_diversity of the true colours, means over the pictures.
    """

    def __init__(self, images: np.ndarray, device: str, features: Features | None = None) -> None:
        """images: uint8 (N,S,S,3). features: of a network with a frozen part. StudyError for gray pictures."""
        self.validation = Validation(images, device, features)
        self.chroma = self.validation.truth["chroma"]
        if self.chroma.mean() < MIN_TRUE_CHROMA:
            raise StudyError(
                "the validation pictures are gray, so that no weights can be searched: choose a data set with colours"
            )
        self.truth = {name: float(self.validation.truth[name].mean()) for name in ("colorfulness", "hue_diversity")}

    def per_image(self, model: Colorizer, temperature: float) -> dict[str, np.ndarray]:
        """Every metric of METRICS and `diversity`, a value per picture (N,), as `study evaluate` measures them."""
        scores = self.validation.per_image(model, temperature)
        ratio = chroma_ratio_influence(1 + (scores.pop("chroma") - self.chroma) / self.chroma.mean(), self.chroma)
        gap = np.abs(scores["hue_diversity"] - self.validation.truth["hue_diversity"])
        return scores | {"chroma_ratio": ratio, "diversity": gap}

    def scores(self, model: Colorizer, temperature: float) -> dict[str, float]:
        """The four metrics and the three objectives of one network."""
        return self.summary(self.per_image(model, temperature))

    def summary(self, per_image: dict[str, np.ndarray]) -> dict[str, float]:
        """The four metrics and the three objectives of values as `per_image` gives them."""
        means = {name: float(np.mean(column)) for name, column in per_image.items()}
        means["fidelity"] = means["ab_rmse"]
        means["vividness"] = self.vividness(means["chroma_ratio"], means["colorfulness"])
        return {name: means[name] for name in (*METRICS, *OBJECTIVES)}

    def vividness(self, ratio: float, colorful: float) -> float:
        """How far vividness is from the truth's, from the means of chroma ratio and colorfulness."""
        truth = max(self.truth["colorfulness"], 1e-6)  # gray pictures have none
        return (abs(ratio - 1) + abs(colorful / truth - 1)) / 2
