"""Scores of predictions on the test pictures: one row per picture and metric, overall and by kind of region."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from study.color.lab import rgb_to_lab
from study.color.tensors import images_to_tensor
from study.data.color_distribution import ColorDistribution
from study.metrics import METRICS, mean_chroma, picture_inputs, scores
from study.metrics.base import pixel_mean
from study.models.features import features_tensor
from study.statistics import chroma_ratio_influence

BATCH = 100

EVERYWHERE = "all"
"""The `region` of scores over all pixels of a picture; other values are kinds of region."""

DESCRIPTIONS: dict[str, Callable[[dict[str, Any], Tensor], Tensor]] = {
    "true_chroma": lambda inputs, mask: mean_chroma(inputs["target_ab"], mask),
    "a_mean": lambda inputs, mask: pixel_mean(inputs["ab"][:, 0], mask),
    "b_mean": lambda inputs, mask: pixel_mean(inputs["ab"][:, 1], mask),
    "spread": lambda inputs, mask: _spread(inputs["ab"], mask),
}
"""What tells how a kind of region looks, beside the metrics that are measured on it. Lab units.

spread: root mean squared distance of the predicted colours to their mean, over a kind's pixels in one picture. The
truth of one region has a single colour. So a large spread is confetti.
"""


def _spread(ab: Tensor, mask: Tensor) -> Tensor:
    a, b = (pixel_mean(ab[:, channel].double().square(), mask) for channel in (0, 1))
    mean_a, mean_b = (pixel_mean(ab[:, channel].double(), mask) for channel in (0, 1))
    return (a + b - mean_a.square() - mean_b.square()).clamp(min=0).sqrt()


@dataclass(frozen=True)
class TestSet:
    """The test pictures and all that is needed to judge a prediction of them."""

    lab: Tensor  # (N,3,H,W)
    names: list[str]
    prior: Tensor  # (313,)
    distribution: ColorDistribution | None
    kinds: Tensor | None  # (N,H,W) int64
    frozen: np.ndarray | None = None  # float16 (N,...), of a network with a frozen part

    @classmethod
    def of(
        cls,
        images: np.ndarray,
        names: list[str],
        prior: np.ndarray,
        distribution: ColorDistribution | None = None,
        kinds: np.ndarray | None = None,
        frozen: np.ndarray | None = None,
    ) -> TestSet:
        """From arrays as `study prepare` writes them: images uint8 (N,H,W,3), kinds (N,H,W), frozen features."""
        lab = rgb_to_lab(images_to_tensor(images))
        indices = None if kinds is None else torch.from_numpy(kinds.astype(np.int64))
        return cls(lab, names, torch.from_numpy(prior), distribution, indices, frozen)

    @cached_property
    def true_chroma(self) -> Tensor:
        """Mean chroma of every picture, (N,) float64."""
        return mean_chroma(self.lab[:, 1:]).double()

    @cached_property
    def about_all(self) -> dict[str, Any]:
        """Inputs of metrics that are the same for every picture."""
        found = {"prior": self.prior, "true_chroma": float(self.true_chroma.mean())}
        if self.distribution is None:
            return found
        return found | {
            "modes": torch.from_numpy(self.distribution.modes),
            "probabilities": torch.from_numpy(self.distribution.probabilities),
            "reachable_mse": self.distribution.reachable_mse(self.kinds.numpy()),
        }

    def inputs(self, part: slice, device: torch.device) -> tuple[Tensor, Tensor | None]:
        """Lightness (P,1,H,W) of some pictures, and what the network's frozen part makes of them, on `device`."""
        frozen = None if self.frozen is None else features_tensor(self.frozen[part], device)
        return self.lab[part, :1].to(device), frozen

    def batches(self, size: int = BATCH) -> Iterator[slice]:
        """Slices that cover all pictures."""
        return (slice(start, min(start + size, len(self.lab))) for start in range(0, len(self.lab), size))


@torch.no_grad()
def score_table(ab: Tensor, test: TestSet, lpips: torch.nn.Module | None = None) -> pd.DataFrame:
    """All scores of one network's predictions ab (N,2,H,W): columns image, region, metric, value.

    lpips: the network of that metric; without it the metric is not measured. NaN where a metric is not defined for a
    picture, as where it has no region of a kind.
    """
    network = {} if lpips is None else {"lpips": lpips}
    parts = []
    for part in test.batches():
        inputs = test.about_all | network | picture_inputs(ab[part], test.lab[part])
        if test.distribution is not None:
            inputs["kind"] = test.kinds[part]
        found = {(EVERYWHERE, name): value for name, value in scores(inputs).items()}
        if test.distribution is not None:
            found |= _region_scores(inputs, test.distribution)
        parts += [_rows(test.names[part], *key, value) for key, value in found.items()]
    return _ratios_as_influences(pd.concat(parts, ignore_index=True), test)


def _region_scores(inputs: dict[str, Any], distribution: ColorDistribution) -> dict[tuple[str, str], Tensor]:
    """One value per picture by (kind of region, metric or description); NaN for a picture without that kind."""
    found = {}
    for index, kind in enumerate(distribution.regions):
        mask = inputs["kind"] == index
        for name, card in METRICS.items():
            if card.regions == "all" or (card.regions == "several colours" and distribution.wide[index]):
                found[kind, name] = card.measure(inputs, mask)
        found |= {(kind, name): describe(inputs, mask) for name, describe in DESCRIPTIONS.items()}
    return found


def _rows(names: list[str], region: str, metric: str, value: Tensor) -> pd.DataFrame:
    return pd.DataFrame({"image": names, "region": region, "metric": metric, "value": value.double().numpy()})


def _ratios_as_influences(table: pd.DataFrame, test: TestSet) -> pd.DataFrame:
    for name in (name for name, card in METRICS.items() if card.ratio_of_sums):
        rows = (table["metric"] == name) & (table["region"] == EVERYWHERE)
        values = table.loc[rows, "value"].to_numpy()
        table.loc[rows, "value"] = chroma_ratio_influence(values, test.true_chroma.numpy())
    return table
