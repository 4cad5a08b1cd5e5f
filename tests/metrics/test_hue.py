"""Hue diversity and entropy against scipy, closed forms, and what must not change them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from study.metrics import hue_diversity, hue_diversity_gap, hue_entropy


def of_hues(degrees: list[float], chroma: float = 20.0) -> torch.Tensor:
    """One image (1, 2, 1, P), a pixel of the same chroma per hue."""
    angles = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    return chroma * torch.stack([angles.cos(), angles.sin()])[None, :, None]


def random_ab(seed: int, *shape: int) -> torch.Tensor:
    center = torch.tensor([8.0, -5.0], dtype=torch.float64).reshape(1, 2, 1, 1)
    return center + 20 * torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def turned(ab: torch.Tensor, angle: float) -> torch.Tensor:
    matrix = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    return torch.einsum("ij,njhw->nihw", torch.tensor(matrix, dtype=ab.dtype), ab)


def test_equal_chroma_gives_the_circular_variance_of_scipy() -> None:
    degrees = np.random.default_rng(0).normal(170, 50, 200)
    assert hue_diversity(of_hues(degrees.tolist())).item() == pytest.approx(stats.circvar(np.radians(degrees)))


def test_chroma_weights_equal_repeating_pixels() -> None:
    """A pixel of chroma 60 counts as three of chroma 20 (in scipy: the angle three times)."""
    weighted = torch.cat([of_hues([10.0], 60), of_hues([200.0, 95.0], 20)], dim=3)
    assert hue_diversity(weighted).item() == pytest.approx(stats.circvar(np.radians([10, 10, 10, 200, 95])))


@pytest.mark.parametrize(
    ("degrees", "expected"),
    [([33.0] * 4, 0.0), ([0.0, 180.0], 1.0), ([0.0, 90.0], 1 - math.sqrt(0.5)), ([0, 120, 240], 1.0)],
)
def test_diversity_closed_forms(degrees: list[float], expected: float) -> None:
    assert hue_diversity(of_hues(degrees)).item() == pytest.approx(expected, abs=1e-12)


def test_diversity_gap_does_not_depend_on_the_hues_themselves() -> None:
    one_hue, opposite = of_hues([10.0, 10.0]), of_hues([100.0, 280.0])
    assert hue_diversity_gap(one_hue, of_hues([200.0, 200.0])).item() == pytest.approx(0, abs=1e-12)
    assert hue_diversity_gap(one_hue, opposite).item() == pytest.approx(1)
    assert hue_diversity_gap(opposite, one_hue).item() == pytest.approx(1)


@given(angle=st.floats(-7, 7), gain=st.floats(0.01, 5), seed=st.integers(0, 1000))
def test_diversity_ignores_a_common_turn_of_hue_and_a_gain_of_chroma(angle: float, gain: float, seed: int) -> None:
    ab = random_ab(seed, 2, 2, 7, 6)
    torch.testing.assert_close(hue_diversity(gain * turned(ab, angle)), hue_diversity(ab))


@given(seed=st.integers(0, 1000), gray=st.integers(0, 12))
def test_diversity_and_entropy_are_blind_to_gray_pixels(seed: int, gray: int) -> None:
    ab = random_ab(seed, 1, 2, 1, 9)
    padded = torch.cat([ab, ab.new_zeros(1, 2, 1, gray)], dim=3)
    torch.testing.assert_close(hue_diversity(padded), hue_diversity(ab))
    torch.testing.assert_close(hue_entropy(padded), hue_entropy(ab))


def test_faint_noise_on_gray_around_a_colored_object_hardly_counts() -> None:
    """A variance of angles would rise from 0 to beyond 3 here."""
    ab = of_hues([40.0] * 50, 60)
    noise = torch.randn(1, 2, 1, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert hue_diversity(torch.cat([ab, noise], dim=3)).item() < 0.03


@pytest.mark.parametrize("metric", [hue_diversity, hue_entropy])
def test_gray_image_has_no_diversity(metric) -> None:
    batch = torch.stack([torch.zeros(2, 4, 4), torch.randn(2, 4, 4, generator=torch.Generator().manual_seed(0))])
    values = metric(batch)
    assert values[0] == 0
    assert 0 < values[1] <= 1


def test_diversity_stays_in_range_for_a_million_equal_pixels() -> None:
    ab = torch.tensor([31.4, -15.9]).reshape(1, 2, 1, 1).expand(1, 2, 1000, 1000)
    assert 0 <= hue_diversity(ab).item() < 1e-4


@pytest.mark.parametrize("bins", [4, 36])
def test_entropy_of_equally_filled_bins(bins: int) -> None:
    for used in (1, 2, bins):
        centers = [(k + 0.5) * 360 / bins for k in range(used)]
        expected = math.log(used) / math.log(bins)
        assert hue_entropy(of_hues(centers * 3), bins=bins).item() == pytest.approx(expected, abs=1e-12)


def test_entropy_equals_scipy_on_a_numpy_histogram() -> None:
    ab = random_ab(5, 3, 2, 12, 11)
    a, b = ab.numpy()[:, 0], ab.numpy()[:, 1]
    for image in range(3):
        hues = np.degrees(np.arctan2(b[image], a[image])) % 360
        counts, _ = np.histogram(hues, bins=36, range=(0, 360), weights=np.hypot(a[image], b[image]))
        assert hue_entropy(ab)[image].item() == pytest.approx(stats.entropy(counts) / math.log(36))


@given(steps=st.integers(-40, 40), seed=st.integers(0, 1000))
def test_entropy_ignores_a_turn_by_whole_bins(steps: int, seed: int) -> None:
    ab = random_ab(seed, 2, 2, 6, 6)
    torch.testing.assert_close(hue_entropy(turned(ab, steps * math.tau / 36)), hue_entropy(ab))


def test_images_without_pixels_have_no_diversity_and_gray_ones_no_signed_zero() -> None:
    for metric in (hue_diversity, hue_entropy):
        assert metric(torch.zeros(2, 2, 0, 3)).isnan().all()
        assert metric(torch.zeros(0, 2, 3, 3)).shape == (0,)
        assert not metric(torch.zeros(1, 2, 3, 3)).signbit()


@pytest.mark.parametrize("bins", [1, 0, 2.0, True])
def test_hues_need_two_bins_or_more(bins: object) -> None:
    with pytest.raises(ValueError, match=r"bins.*2"):
        hue_entropy(torch.zeros(1, 2, 3, 3), bins)
