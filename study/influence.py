"""Each picture's influence on a ratio of two means: values with the mean of the ratio and with its spread."""

from __future__ import annotations

import numpy as np


def chroma_ratio_influence(values: np.ndarray, true_chroma: np.ndarray) -> np.ndarray:
    """r + (C - r T) / mean T of every picture of a set, (N,): what intervals of its chroma_ratio r are made from.

    values: 1 + (C - T) / mean T, what `metrics.chroma_ratio` gives of each picture. Their mean is r, the ratio of the
    sums of C and T, but their spread is not the ratio's: that of a gray prediction would be the spread of the truth's
    chroma. The influence (delta method) has the same mean and the right spread. true_chroma: T, (N,), in Lab units.
    """
    return values + (1 - values.mean()) * (true_chroma / true_chroma.mean() - 1)
