"""The known conditional law of colour given the gray picture: what averaging predicts and what it costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ColorLaw:
    """p(ab | kind): every region of kind k has the constant colour modes[k, m] with probability probabilities[k, m].

    kinds: K names; modes: (K,M,2) ab in Lab units, padded with NaN; probabilities: (K,M), padded with 0, rows sum to 1.
    """

    kinds: tuple[str, ...]
    modes: np.ndarray
    probabilities: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """(K,2) E[ab | kind]: what the best prediction in the mean-squared sense paints."""
        return np.einsum("km,kmc->kc", self.probabilities, np.nan_to_num(self.modes)).astype(np.float64)

    @property
    def variance(self) -> np.ndarray:
        """(K,) E||ab - mean||^2 / 2, Lab^2: the smallest reachable MSE over both channels, for pixels of the kind."""
        squared = np.square(np.nan_to_num(self.modes - self.mean[:, None])).sum(-1)
        return (self.probabilities * squared).sum(-1) / 2

    @property
    def mean_chroma(self) -> np.ndarray:
        """(K,) E[C | kind], the mean of the chroma, Lab units; averaging paints the smaller chroma of the mean."""
        return (self.probabilities * np.nan_to_num(np.linalg.norm(self.modes, axis=-1))).sum(-1)

    @property
    def wide(self) -> np.ndarray:
        """(K,) bool: kinds with more than one mode, the ones that averaging harms."""
        return (self.probabilities > 0).sum(-1) > 1

    def reachable_mse(self, kind_map: np.ndarray) -> float:
        """The smallest expected ab-MSE (Lab^2) over pixels whose kinds are `kind_map` (integers, any shape)."""
        counts = np.bincount(kind_map.ravel(), minlength=len(self.kinds))
        return float(counts @ self.variance / counts.sum())
