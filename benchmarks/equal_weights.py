"""At which weight a loss's further term pulls as hard as squared error: where the default weights come from.

    python -m benchmarks.equal_weights        reads data/palette_world, writes benchmarks/equal_weights.csv

Norms of the terms' gradients with respect to the prediction, on batches of 32 validation pictures at half
resolution, for two predictions: the conditional mean colour of every pixel, which is where averaging ends, and the
truth with half its chroma, which has the right hues (where a term has no gradient the weight stays empty).
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from study.color.lab import rgb_to_lab
from study.config.arms import LossSettings
from study.files import atomic_write_text
from study.losses import build_loss
from study.models import half_resolution
from study.project import Project

STUDY, BATCH = "palette_world", 32
TERMS = {
    "anti_average": ("saturation", "diversity", "confidence"),
    "circular_diversity": ("diversity",),
    "hue": ("hue",),
    "pinball": ("pinball",),
    "sliced_wasserstein": ("sliced_wasserstein",),
}
NO_GRADIENT = 1e-6  # of the norm of squared error's


def gradient_norm(loss: torch.nn.Module, term: str, prediction: Tensor, target: Tensor) -> float:
    """Norm of one unweighted term's gradient with respect to the prediction."""
    asked = prediction.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(loss.compute(asked, target)[term], asked)
    return float(gradient.norm())


def equal_weight(loss: torch.nn.Module, term: str, predictions: Tensor, targets: Tensor) -> float | None:
    """Median over batches of norm(lab) / norm(term); None where the term has no gradient."""
    ratios = []
    for prediction, target in zip(predictions.split(BATCH), targets.split(BATCH), strict=True):
        lab, other = (gradient_norm(loss, name, prediction, target) for name in ("lab", term))
        if other < NO_GRADIENT * lab:
            return None
        ratios.append(lab / other)
    return float(torch.tensor(ratios).median())


def rows(project: Project) -> list[dict[str, object]]:
    """One row for each loss, term and prediction."""
    prepared = project.prepared(STUDY)
    law, kinds = prepared.color_distribution, torch.from_numpy(prepared.regions("val")).long()
    lab = rgb_to_lab(torch.from_numpy(prepared.images("val").transpose(0, 3, 1, 2).copy()))
    target = half_resolution(lab[:, 1:])
    means = torch.from_numpy(law.mean).float()[kinds].permute(0, 3, 1, 2)
    predictions = {"conditional mean": half_resolution(means), "half the chroma": target / 2}
    found = []
    for name, terms in TERMS.items():
        loss = build_loss(LossSettings(name=name), prepared.prior, project.root)
        for term in terms:
            for which, prediction in predictions.items():
                weight = equal_weight(loss, term, prediction, target)
                found.append({"loss": name, "term": term, "prediction": which, "equal_weight": weight})
    return found


if __name__ == "__main__":
    table = pd.DataFrame(rows(Project.open(Path.cwd())))
    atomic_write_text(Path("benchmarks/equal_weights.csv"), table.to_csv(index=False, float_format="%.3g"))
    print(table.to_string(index=False))
