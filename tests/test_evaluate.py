"""What the evaluation keeps beside the scores: how pictures use colour, and the pictures themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from study.evaluate import color_use


def painted(a: float, b: float, size: int = 4) -> torch.Tensor:
    return torch.tensor([a, b]).view(1, 2, 1, 1).expand(2, 2, size, size)


def test_one_colour_fills_one_cell_of_each_histogram() -> None:
    use = color_use("", painted(12.0, -7.0))
    assert use["histogram_ab"].sum() == 32
    assert np.argwhere(use["histogram_ab"]).tolist() == [[24, 20]]  # a in 10..15, b in -10..-5
    assert np.flatnonzero(use["histogram_hue"]).tolist() == [14]  # atan2(-7, 12) = -30.3 degrees
    assert np.flatnonzero(use["histogram_chroma"]).tolist() == [5]  # 13.9
    assert use["histogram_hue"].sum() == pytest.approx(1)


def test_gray_has_no_hue() -> None:
    use = color_use("true_", painted(0.0, 0.0))
    assert use["true_histogram_hue"].sum() == 0
    assert use["true_histogram_chroma"][0] == 32


@given(st.lists(st.tuples(st.floats(-200, 200), st.floats(-200, 200)), min_size=1, max_size=30))
def test_no_pixel_is_lost_however_vivid(colors: list[tuple[float, float]]) -> None:
    ab = torch.tensor(colors).T.reshape(1, 2, 1, -1)
    use = color_use("", ab)
    assert use["histogram_ab"].sum() == use["histogram_chroma"].sum() == len(colors)
