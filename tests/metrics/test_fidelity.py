"""Error in a and b against numpy."""

from __future__ import annotations

import numpy as np
import torch

from study.metrics import ab_rmse


def test_ab_rmse_equals_numpy() -> None:
    prediction, target = 40 * torch.randn(
        2, 4, 2, 9, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    expected = np.sqrt(((prediction - target).numpy() ** 2).reshape(4, -1).mean(1))
    np.testing.assert_allclose(ab_rmse(prediction, target), expected, rtol=1e-12)
