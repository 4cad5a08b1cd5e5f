"""What a candidate is judged by: three objectives, measured on the validation pictures only.

    fidelity   = ab_rmse                                                             (Lab units)
    vividness  = (|chroma_ratio - 1| + |colorfulness / true colorfulness - 1|) / 2   (1)
    diversity  = mean over pictures of |hue_diversity - true hue_diversity|          (1)

All are minimised. chroma_ratio (mean chroma / mean true chroma) and the two colorfulness values are taken over all
pictures before they are compared, so that vividness is about a network's level and not about single pictures. All
three are needed: strong chroma terms paint the averaged hue brightly, which is as vivid as the truth and as uniform as
before.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from study.color.lab import lab_to_rgb, rgb_to_lab
from study.color.tensors import images_to_tensor
from study.errors import StudyError
from study.metrics import ab_rmse, chroma_ratio, colorfulness, hue_diversity, mean_chroma
from study.metrics.vividness import MIN_TRUE_CHROMA
from study.models import Colorizer
from study.statistics import chroma_ratio_influence

OBJECTIVES = ("fidelity", "vividness", "diversity")
METRICS = ("ab_rmse", "chroma_ratio", "colorfulness", "hue_diversity")
BATCH = 100


class Judge:
    """The validation pictures of a study and what is known about them."""

    def __init__(self, images: np.ndarray, device: str) -> None:
        """images: uint8 (N,S,S,3)."""
        self.batches: list[Tensor] = []
        colorful, diverse, strength = [], [], []
        for start in range(0, len(images), BATCH):
            lab = rgb_to_lab(images_to_tensor(images[start : start + BATCH], device))
            self.batches.append(lab)
            colorful.append(colorfulness(lab_to_rgb(lab)))
            diverse.append(hue_diversity(lab[:, 1:]))
            strength.append(mean_chroma(lab[:, 1:]))
        self.chroma = torch.cat(strength).double().cpu().numpy()  # of each picture
        self.true_chroma = float(torch.cat(strength).double().mean())
        if self.true_chroma < MIN_TRUE_CHROMA:
            raise StudyError("the validation pictures are all but gray: there is no colour to search weights for")
        self.true_diversity = torch.cat(diverse)
        self.truth = {
            "colorfulness": float(torch.cat(colorful).double().mean()),
            "hue_diversity": float(self.true_diversity.double().mean()),
        }

    @torch.no_grad()
    def per_image(self, model: Colorizer, temperature: float) -> dict[str, np.ndarray]:
        """One value per picture (N,) of every metric of METRICS and of `diversity`; as `study evaluate` takes them."""
        values: dict[str, list[Tensor]] = {name: [] for name in METRICS}
        for lab in self.batches:
            ab = model.predict(lab[:, :1], temperature)
            values["ab_rmse"].append(ab_rmse(ab, lab[:, 1:]))
            values["chroma_ratio"].append(chroma_ratio(ab, lab[:, 1:], self.true_chroma))
            values["colorfulness"].append(colorfulness(lab_to_rgb(torch.cat([lab[:, :1], ab], dim=1))))
            values["hue_diversity"].append(hue_diversity(ab))
        table = {name: torch.cat(parts) for name, parts in values.items()}
        table["diversity"] = (table["hue_diversity"] - self.true_diversity).abs()
        scores = {name: column.double().cpu().numpy() for name, column in table.items()}
        return scores | {"chroma_ratio": chroma_ratio_influence(scores["chroma_ratio"], self.chroma)}

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
        """How far from the truth's vividness, from the means of chroma ratio and colorfulness."""
        truth = max(self.truth["colorfulness"], 1e-6)  # all-gray pictures have none
        return (abs(ratio - 1) + abs(colorful / truth - 1)) / 2
