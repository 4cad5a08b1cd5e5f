"""CIEDE2000 against the published test pairs and scikit-image."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from skimage.color import deltaE_ciede2000

from study.metrics import ciede2000, ciede2000_map

# Sharma, Wu and Dalal (2005), table 1: L1 a1 b1, L2 a2 b2, difference
SHARMA = np.array(
    [
        [50.0, 2.6772, -79.7751, 50.0, 0.0, -82.7485, 2.0425],
        [50.0, 3.1571, -77.2803, 50.0, 0.0, -82.7485, 2.8615],
        [50.0, 2.8361, -74.0200, 50.0, 0.0, -82.7485, 3.4412],
        [50.0, -1.3802, -84.2814, 50.0, 0.0, -82.7485, 1.0000],
        [50.0, -1.1848, -84.8006, 50.0, 0.0, -82.7485, 1.0000],
        [50.0, -0.9009, -85.5211, 50.0, 0.0, -82.7485, 1.0000],
        [50.0, 0.0, 0.0, 50.0, -1.0, 2.0, 2.3669],
        [50.0, -1.0, 2.0, 50.0, 0.0, 0.0, 2.3669],
        [50.0, 2.4900, -0.0010, 50.0, -2.4900, 0.0009, 7.1792],
        [50.0, 2.4900, -0.0010, 50.0, -2.4900, 0.0010, 7.1792],
        [50.0, 2.4900, -0.0010, 50.0, -2.4900, 0.0011, 7.2195],
        [50.0, 2.4900, -0.0010, 50.0, -2.4900, 0.0012, 7.2195],
        [50.0, -0.0010, 2.4900, 50.0, 0.0009, -2.4900, 4.8045],
        [50.0, -0.0010, 2.4900, 50.0, 0.0010, -2.4900, 4.8045],
        [50.0, -0.0010, 2.4900, 50.0, 0.0011, -2.4900, 4.7461],
        [50.0, 2.5, 0.0, 50.0, 0.0, -2.5, 4.3065],
        [50.0, 2.5, 0.0, 73.0, 25.0, -18.0, 27.1492],
        [50.0, 2.5, 0.0, 61.0, -5.0, 29.0, 22.8977],
        [50.0, 2.5, 0.0, 56.0, -27.0, -3.0, 31.9030],
        [50.0, 2.5, 0.0, 58.0, 24.0, 15.0, 19.4535],
        [50.0, 2.5, 0.0, 50.0, 3.1736, 0.5854, 1.0000],
        [50.0, 2.5, 0.0, 50.0, 3.2972, 0.0, 1.0000],
        [50.0, 2.5, 0.0, 50.0, 1.8634, 0.5757, 1.0000],
        [50.0, 2.5, 0.0, 50.0, 3.2592, 0.3350, 1.0000],
        [60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644],
        [63.0109, -31.0961, -5.8663, 62.8187, -29.7946, -4.0864, 1.2630],
        [61.2901, 3.7196, -5.3901, 61.4292, 2.2480, -4.9620, 1.8731],
        [35.0831, -44.1164, 3.7933, 35.0232, -40.0716, 1.5901, 1.8645],
        [22.7233, 20.0904, -46.6940, 23.0331, 14.9730, -42.5619, 2.0373],
        [36.4612, 47.8580, 18.3852, 36.2715, 50.5065, 21.2231, 1.4146],
        [90.8027, -2.0831, 1.4410, 91.1528, -1.6435, 0.0447, 1.4441],
        [90.9257, -0.5406, -0.9208, 88.6381, -0.8985, -0.7239, 1.5381],
        [6.7747, -0.2908, -2.4247, 5.8714, -0.0985, -2.2286, 0.6377],
        [2.0776, 0.0795, -1.1350, 0.9033, -0.0636, -0.5514, 0.9082],
    ]
)


def as_images(colors: np.ndarray) -> torch.Tensor:
    """(P, 3) colours as one image (1, 3, 1, P)."""
    return torch.from_numpy(np.ascontiguousarray(colors.T))[None, :, None]


def random_lab(rng: np.random.Generator, count: int) -> np.ndarray:
    return np.column_stack([rng.uniform(0, 100, count), rng.uniform(-128, 128, (count, 2))])


def test_table_of_published_pairs_is_typed_correctly() -> None:
    assert SHARMA.shape == (34, 7)
    np.testing.assert_allclose(deltaE_ciede2000(SHARMA[:, :3], SHARMA[:, 3:6]), SHARMA[:, 6], atol=5.1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_published_pairs_in_both_orders(dtype: torch.dtype) -> None:
    first, second = as_images(SHARMA[:, :3]).to(dtype), as_images(SHARMA[:, 3:6]).to(dtype)
    for one, other in ((first, second), (second, first)):
        np.testing.assert_allclose(ciede2000_map(one, other).flatten(), SHARMA[:, 6], atol=1e-4)


def test_float64_equals_skimage_on_far_near_and_gray_colors() -> None:
    rng = np.random.default_rng(0)
    first, second = random_lab(rng, 30_000), random_lab(rng, 30_000)
    second[10_000:20_000] = first[10_000:20_000] + rng.normal(0, 2, (10_000, 3))
    second[20_000:25_000, 1:] = 0
    first[24_000:26_000, 1:] *= 1e-3
    got = ciede2000_map(as_images(first), as_images(second)).flatten()
    np.testing.assert_allclose(got, deltaE_ciede2000(first, second), atol=1e-10, rtol=0)


@pytest.mark.parametrize("hue", [0.0, 40.0, 137.5, 179.0])
@pytest.mark.parametrize("gap", [-1e-3, -1e-6, 1e-6, 1e-3])
def test_hues_that_are_nearly_opposite_equal_skimage(hue: float, gap: float) -> None:
    angles = np.radians([hue, hue + 180 + gap])
    # the formula stretches a by 1 + G: undo it, so that the stretched hues are the ones wanted
    chroma7 = 30.0**7
    stretch = 1.5 - 0.5 * np.sqrt(chroma7 / (chroma7 + 25.0**7))
    first, second = (np.array([[50.0, 30 * np.cos(angle) / stretch, 30 * np.sin(angle)]]) for angle in angles)
    got = ciede2000_map(as_images(first), as_images(second)).item()
    assert got == pytest.approx(deltaE_ciede2000(first, second)[0], abs=1e-9)


def test_mean_hue_just_below_and_just_above_red_equals_skimage() -> None:
    """The standard's rotation term jumps by 1e-5 where the mean hue passes 0 degrees."""
    tilts = np.array([-1e-3, -1e-9, 0.0, 1e-9, 1e-3])
    first = np.column_stack([np.full(5, 50.0), np.full(5, 80.0), 80 * tilts])
    second = first * [1, 0.5, 0.5]
    second[:, 2] += tilts
    got = ciede2000_map(as_images(first), as_images(second)).flatten()
    np.testing.assert_allclose(got, deltaE_ciede2000(first, second), atol=1e-10, rtol=0)


def test_float32_is_within_a_thousandth_of_double_precision() -> None:
    rng = np.random.default_rng(1)
    first, second = random_lab(rng, 200_000), random_lab(rng, 200_000)
    got = ciede2000_map(as_images(first).float(), as_images(second).float()).flatten()
    np.testing.assert_allclose(got, deltaE_ciede2000(first, second), atol=1e-3, rtol=0)


def test_image_larger_than_a_pass_has_every_pixel_in_its_place() -> None:
    generator = torch.Generator().manual_seed(2)
    first, second = (torch.rand(3, 3, 210, 211, generator=generator) * 100 for _ in range(2))
    whole = ciede2000_map(first, second)
    assert whole.shape == (3, 210, 211)
    torch.testing.assert_close(whole[2, 100:], ciede2000_map(first[2:, :, 100:], second[2:, :, 100:])[0])
    torch.testing.assert_close(ciede2000(first, second), whole.mean((1, 2)))


def turned(lab: torch.Tensor, angle: float) -> torch.Tensor:
    """Lab pictures with all hues turned by an angle in radians."""
    light, a, b = lab.unbind(1)
    cos, sin = math.cos(angle), math.sin(angle)
    return torch.stack([light, a * cos - b * sin, a * sin + b * cos], dim=1)


colors = st.tuples(st.floats(0, 100), st.floats(-128, 128), st.floats(-128, 128))


@example(first=(0.0, 0.0, 5.0), second=(0.0, 0.0, 5e-24))  # squares of the chroma are 0 in float32, products are not
@example(first=(0.0, 5.0, 0.0), second=(0.0, 0.0, 5e-24))
@example(first=(0.0, 7.0, 7.0), second=(0.0, -1.25, -1.25))  # opposite hues
@given(first=colors, second=colors)
def test_difference_is_a_number_not_negative_and_zero_for_equal_colors(first: tuple, second: tuple) -> None:
    one, other = (as_images(np.array([color])) for color in (first, second))
    assert 0 <= ciede2000(one, other).item() < 250
    assert ciede2000(one, one).item() == 0
    assert ciede2000(one.float(), one.float()).item() == 0
    # Where two hues are opposite the formula jumps, and rounding decides on which side: float32 must be on one of them.
    sides = [ciede2000(one, turned(other, angle)).item() for angle in (-1e-6, 0, 1e-6)]
    assert min(abs(ciede2000(one.float(), other.float()).item() - side) for side in sides) <= 0.05
