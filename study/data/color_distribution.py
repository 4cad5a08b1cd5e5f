"""The known distribution of colour given the gray picture: what averaging predicts, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ColorDistribution:
    """p(ab | region): all pixels of a region have one colour, `modes[k, m]` with probability `probabilities[k, m]`.

    regions: names of the K kinds of regions. modes: (K,M,2) ab in Lab units, padded with NaN. probabilities: (K,M),
    padded with 0; rows sum to 1.
    """

    regions: tuple[str, ...]
    modes: np.ndarray
    probabilities: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """(K,2) E[ab | region]: the prediction with the least squared error."""
        weighted = self.probabilities[..., None].astype(np.float64) * np.nan_to_num(self.modes)
        return weighted.sum(1)

    @property
    def variance(self) -> np.ndarray:
        """(K,) E||ab - mean||^2 / 2, Lab^2: the smallest reachable MSE over both channels, for pixels of the region."""
        squared = np.square(np.nan_to_num(self.modes - self.mean[:, None])).sum(-1)
        return (self.probabilities * squared).sum(-1) / 2

    @property
    def mean_chroma(self) -> np.ndarray:
        """(K,) E[C | region], the mean of the chroma, Lab units; averaging paints the smaller chroma of the mean."""
        return (self.probabilities * np.nan_to_num(np.linalg.norm(self.modes.astype(np.float64), axis=-1))).sum(-1)

    @property
    def wide(self) -> np.ndarray:
        """(K,) bool: regions with more than one mode, the ones that averaging harms."""
        return (self.probabilities > 0).sum(-1) > 1

    def reachable_mse(self, region_map: np.ndarray) -> float:
        """The smallest expected ab-MSE (Lab^2) over pixels whose regions are `region_map` (integers, any shape)."""
        counts = np.bincount(region_map.ravel(), minlength=len(self.regions))
        return float(counts @ self.variance / counts.sum())
