"""PSNR and SSIM against scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.data import astronaut
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from study.metrics import base, psnr, ssim


def picture_pair(count: int = 3, size: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """uint8 crops (N, H, W, 3) of a photograph, and the same with noise on them."""
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 512 - size, (count, 2))
    crops = np.stack([astronaut()[y : y + size, x : x + size + 5] for y, x in corners])
    noisy = crops + rng.normal(0, [[[[25.0, 10.0, 3.0]]]], crops.shape)
    return crops, noisy.round().clip(0, 255).astype(np.uint8)


def planes(pictures: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2)


def test_psnr_matches_skimage_on_rgb() -> None:
    truth, noisy = picture_pair()
    expected = [peak_signal_noise_ratio(t, p, data_range=255) for t, p in zip(truth, noisy, strict=True)]
    np.testing.assert_allclose(psnr(planes(noisy), planes(truth)), expected, rtol=1e-5)
    np.testing.assert_allclose(psnr(planes(noisy / 255), planes(truth / 255)), expected, rtol=1e-10)


def test_psnr_of_one_level_in_one_pixel_matches_skimage_and_of_identical_images_is_100() -> None:
    truth, _ = picture_pair(count=1)
    changed = truth.copy()
    changed[0, 5, 5, 1] ^= 1
    expected = peak_signal_noise_ratio(truth[0], changed[0], data_range=255)
    assert psnr(planes(changed / 255), planes(truth / 255)).item() == pytest.approx(expected, rel=1e-6)
    assert psnr(planes(truth), planes(truth)).item() == pytest.approx(100)


def skimage_ssim(one: np.ndarray, other: np.ndarray) -> float:
    return structural_similarity(
        one, other, channel_axis=-1, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )


def test_ssim_matches_skimage_on_photographs_that_are_not_square() -> None:
    truth, noisy = picture_pair()
    expected = [skimage_ssim(t / 255, p / 255) for t, p in zip(truth, noisy, strict=True)]
    np.testing.assert_allclose(ssim(planes(noisy), planes(truth)), expected, atol=1e-6)
    np.testing.assert_allclose(ssim(planes(noisy / 255), planes(truth / 255)), expected, atol=1e-10)


@pytest.mark.parametrize("level", [0.0, 0.35, 1.0])
def test_ssim_matches_skimage_on_flat_images_with_the_faintest_noise(level: float) -> None:
    noise = np.random.default_rng(0).integers(0, 2, (2, 11, 30, 3)) / 255
    one, other = (np.abs(level - part) for part in noise)
    got = ssim(planes(one[None]).float(), planes(other[None]).float()).item()
    assert got == pytest.approx(skimage_ssim(one, other), abs=1e-5)


@pytest.mark.parametrize("level", [0.0, 0.35, 1.0])
def test_single_precision_is_enough_for_ssim(level: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "has_float64", lambda device: False)
    truth, noisy = picture_pair()
    for one, other in ((truth, noisy), (np.full_like(truth, round(255 * level)), noisy % 2 + round(250 * level))):
        expected = [skimage_ssim(t / 255, p / 255) for t, p in zip(one, other, strict=True)]
        np.testing.assert_allclose(ssim(planes(other), planes(one)), expected, atol=2e-5)


def test_ssim_of_identical_images_is_one_and_of_small_ones_refused() -> None:
    truth, _ = picture_pair(count=2)
    torch.testing.assert_close(ssim(planes(truth), planes(truth)), torch.ones(2))
    with pytest.raises(ValueError, match=r"11.*\(1, 3, 10, 32\)"):
        ssim(torch.zeros(1, 3, 10, 32), torch.zeros(1, 3, 10, 32))
