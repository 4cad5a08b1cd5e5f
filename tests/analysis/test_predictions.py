"""How predictions use colour, and which pictures of them are kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from study.analysis.predictions import color_use, kept_pictures, no_pictures
from study.analysis.scoring import TestSet as Pictures


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


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-200, 200), st.floats(-200, 200)), min_size=1, max_size=30))
def test_no_pixel_is_lost_however_vivid(colors: list[tuple[float, float]]) -> None:
    ab = torch.tensor(colors).T.reshape(1, 2, 1, -1)
    use = color_use("", ab)
    assert use["histogram_ab"].sum() == use["histogram_chroma"].sum() == len(colors)


class Gray(torch.nn.Module):
    def predict(self, lightness: torch.Tensor, temperature: float) -> torch.Tensor:
        return torch.zeros(len(lightness), 2, *lightness.shape[2:])


def test_kept_pictures_are_spread_over_the_set_and_those_of_the_grid_over_them() -> None:
    images = np.random.default_rng(0).integers(0, 256, (21, 16, 16, 3), dtype=np.uint8)
    test = Pictures.of(images, [f"{k}.png" for k in range(21)], np.full(313, 1 / 313))
    ab = torch.zeros(21, 2, 16, 16)
    kept = kept_pictures(Gray(), ab, test, 0.38, torch.device("cpu"), kept=5, shown=3)
    assert kept["names"].tolist() == ["0.png", "5.png", "10.png", "15.png", "20.png"]
    assert kept["grid"].tolist() == [0, 2, 4]
    np.testing.assert_allclose(kept["truth"], images[::5], atol=1)
    np.testing.assert_array_equal(kept["prediction"], kept["gray"])
    assert len(kept["showcase_names"]) == len(kept["showcase_credits"]) == len(kept["showcase_prediction"]) > 0
    assert {name for name in no_pictures(test) if len(no_pictures(test)[name])} == set()
    assert set(no_pictures(test)) <= set(kept)
