"""What is measured on the validation pictures, while a cell trains and afterwards; the same for every arm."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from study.color.lab import lab_to_rgb, rgb_to_lab
from study.color.tensors import images_to_tensor
from study.losses import ColorizationAntiAverageLoss, Loss
from study.metrics import ab_rmse, colorfulness, hue_diversity, mean_chroma
from study.models import Colorizer
from study.models.features import Features, features_tensor

PUBLISHED_TERMS = ("lab", "saturation", "diversity", "confidence")


def loss_inputs(loss: Loss, model: Colorizer, output: Tensor, lab: Tensor) -> tuple[Tensor, Tensor]:
    """What `loss` compares: the head's raw output and the true ab at its resolution, or Lab pictures in full."""
    if loss.needs_lightness:
        return torch.cat([lab[:, :1], model.upsample(output)], dim=1), lab
    return output, model.target(lab[:, 1:])


class Pictures(NamedTuple):
    """lab: (N,3,S,S). frozen: what the frozen part of the network makes of them, where it has one."""

    lab: Tensor
    frozen: Tensor | None

    @property
    def lightness(self) -> Tensor:
        """(N,1,S,S) in 0..100."""
        return self.lab[:, :1]


class Validation:
    """Validation pictures, and scores of networks on them.

    images: uint8 (N,S,S,3). features: of a network with a frozen part. truth: one value per picture, (N,) float64, of
    chroma, colorfulness and hue_diversity.
    """

    def __init__(
        self, images: np.ndarray, device: str | torch.device, features: Features | None = None, batch: int = 200
    ) -> None:
        self.count = len(images)
        frozen = features.of("val") if features else None
        self.batches = []
        for start in range(0, len(images), batch):
            part = slice(start, start + batch)
            lab = rgb_to_lab(images_to_tensor(images[part], device))
            self.batches.append(Pictures(lab, None if frozen is None else features_tensor(frozen[part], device)))
        self.published = ColorizationAntiAverageLoss()
        self.truth = _joined(_vividness(lab[:, 1:], lab) for lab, _ in self.batches)

    @torch.no_grad()
    def per_image(self, model: Colorizer, temperature: float = 0.38) -> dict[str, np.ndarray]:
        """One value per picture, (N,) float64: ab_rmse, chroma, colorfulness and hue_diversity.

        temperature: at which logits over the bins are decoded.
        """
        return _joined(_scores(model.predict(x.lightness, temperature, x.frozen), x.lab) for x in self.batches)

    @torch.no_grad()
    def scores(self, model: Colorizer, loss: Loss | None = None) -> dict[str, float]:
        """Means over the validation pictures, bins decoded at the published temperature whatever the arm's own is.

        ab_rmse, chroma, chroma_ratio (mean chroma over the truth's mean chroma), colorfulness and hue_diversity at
        full resolution; the published terms lab, saturation, diversity and confidence at the network's; and `total`,
        the value of `loss`, where one is given.
        """
        per_image, sums = [], dict.fromkeys((*PUBLISHED_TERMS, "total"), 0.0)
        for pictures in self.batches:
            lab, output = pictures.lab, model(pictures.lightness, pictures.frozen)
            ab = model.decode(output)
            per_image.append(_scores(model.upsample(ab), lab))
            terms = self.published(ab, model.target(lab[:, 1:]))
            if loss is not None:
                terms["total"] = loss(*loss_inputs(loss, model, output, lab))["total"]
            for name in sums if loss is not None else PUBLISHED_TERMS:
                sums[name] += float(terms[name]) * len(lab) / self.count
        means = {name: float(values.mean()) for name, values in _joined(iter(per_image)).items()}
        means["chroma_ratio"] = means["chroma"] / max(float(self.truth["chroma"].mean()), 1e-6)
        if loss is None:
            del sums["total"]
        return means | sums

    def gradients(self, model: Colorizer, loss: Loss, pictures: int) -> dict[str, float]:
        """How hard each term of `loss` pulls: the norm of its weighted gradient, 0 for weight 0.

        With respect to the network's output on the first `pictures` validation pictures, so that it is the pull that
        each term has on the colours themselves.
        """
        lab, frozen = (None if x is None else x[:pictures] for x in self.batches[0])
        with torch.no_grad():
            output = model(lab[:, :1], frozen)
        norms = {}
        for name, weight in loss.weights.items():
            norms[f"gradient_{name}"] = 0.0
            if weight > 0:
                asked = output.requires_grad_()
                term = loss.compute(*loss_inputs(loss, model, asked, lab))[name]
                (gradient,) = torch.autograd.grad(weight * term, asked, allow_unused=True)
                norms[f"gradient_{name}"] = 0.0 if gradient is None else float(gradient.norm())
        return norms


def _vividness(ab: Tensor, lab: Tensor) -> dict[str, Tensor]:
    rgb = lab_to_rgb(torch.cat([lab[:, :1], ab], dim=1))
    return {"chroma": mean_chroma(ab), "colorfulness": colorfulness(rgb), "hue_diversity": hue_diversity(ab)}


def _scores(ab: Tensor, lab: Tensor) -> dict[str, Tensor]:
    return {"ab_rmse": ab_rmse(ab, lab[:, 1:])} | _vividness(ab, lab)


def _joined(parts: Iterator[dict[str, Tensor]]) -> dict[str, np.ndarray]:
    tables = list(parts)
    return {name: torch.cat([table[name] for table in tables]).double().cpu().numpy() for name in tables[0]}
