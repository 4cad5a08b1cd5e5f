"""Casts: which faint colours count, what is subtracted, and what the truth excuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from study.metrics import purple_cast, sepia_cast

CASTS = {"sepia": (sepia_cast, 40, 90), "purple": (purple_cast, 290, 340)}
GRAY = torch.zeros(1, 2, 4, 6, dtype=torch.float64)


def painted(chroma: float, degrees: float) -> torch.Tensor:
    """A picture of a single colour."""
    color = torch.tensor([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))], dtype=torch.float64)
    return chroma * color.view(1, 2, 1, 1).expand(1, 2, 4, 6)


@pytest.mark.parametrize("name", CASTS)
def test_a_faint_colour_counts_with_its_chroma_when_its_hue_is_in_the_range(name: str) -> None:
    cast, low, high = CASTS[name]
    assert cast(painted(15, (low + high) / 2), GRAY).item() == pytest.approx(15)
    assert cast(painted(15, low + 0.01), GRAY).item() == pytest.approx(15)
    assert cast(painted(15, high - 0.01), GRAY).item() == pytest.approx(15)
    for outside in (low - 0.01, high + 0.01, low + 180):
        assert cast(painted(15, outside), GRAY).item() == 0


@pytest.mark.parametrize("name", CASTS)
@pytest.mark.parametrize(("chroma", "expected"), [(4.99, 0), (5.01, 5.01), (24.99, 24.99), (25.01, 0), (60, 0)])
def test_gray_and_strong_colours_are_no_cast(name: str, chroma: float, expected: float) -> None:
    cast, low, high = CASTS[name]
    assert cast(painted(chroma, (low + high) / 2), GRAY).item() == pytest.approx(expected)


@pytest.mark.parametrize("name", CASTS)
def test_what_the_truth_has_is_no_cast_and_what_is_missing_does_not_count_negative(name: str) -> None:
    cast, low, high = CASTS[name]
    middle = (low + high) / 2
    assert cast(painted(15, middle), painted(12, middle)).item() == pytest.approx(3)
    assert cast(painted(12, middle), painted(15, middle)).item() == 0
    half = GRAY.clone()
    half[..., :3] = painted(20, middle)[..., :3]
    assert cast(half, GRAY).item() == pytest.approx(10)


@given(seed=st.integers(0, 2**32 - 1))
def test_equals_a_count_pixel_by_pixel(seed: int) -> None:
    rng = np.random.default_rng(seed)
    own, true = rng.normal(0, 15, (2, 2, 2, 5, 5))

    def mass(ab: np.ndarray, low: float, high: float) -> np.ndarray:
        total = np.zeros(len(ab))
        for n, y, x in np.ndindex(len(ab), 5, 5):
            a, b = ab[n, :, y, x]
            degrees = math.degrees(math.atan2(b, a)) % 360
            if 5 <= math.hypot(a, b) < 25 and low <= degrees < high:
                total[n] += math.hypot(a, b) / 25
        return total

    for cast, low, high in CASTS.values():
        expected = np.maximum(mass(own, low, high) - mass(true, low, high), 0)
        np.testing.assert_allclose(cast(torch.from_numpy(own), torch.from_numpy(true)).numpy(), expected, atol=1e-9)


@pytest.mark.parametrize("name", CASTS)
@pytest.mark.parametrize("odd", [math.nan, math.inf])
def test_a_colour_that_is_not_finite_is_no_good_score(name: str, odd: float) -> None:
    cast, *_ = CASTS[name]
    picture = GRAY.clone()
    picture[0, 1, 2, 3] = odd
    assert cast(picture, GRAY).isnan() and cast(GRAY, picture).isnan()
    elsewhere = torch.ones(1, 4, 6, dtype=torch.bool)
    elsewhere[0, 2, 3] = False
    assert cast(picture, GRAY, elsewhere) == 0
