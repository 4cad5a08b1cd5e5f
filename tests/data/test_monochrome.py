"""Near-gray scans, sepia prints and noisy grays are told from pictures in colour."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from skimage.color import lab2rgb

from study.data.images import decode
from study.data.monochrome import is_monochrome
from study.data.palette_world import draw_scenes
from study.data.showcase import photographs

PHOTOGRAPHS = photographs(256)[0]
# As image editors define it.
SEPIA = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])


def gray(pixels: np.ndarray) -> np.ndarray:
    return pixels @ [0.299, 0.587, 0.114]


def as_uint8(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def scanned(pixels: np.ndarray, quality: int = 90) -> np.ndarray:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return decode(file.getvalue(), 64).pixels


def noisy(pixels: np.ndarray, sd: float) -> np.ndarray:
    return as_uint8(pixels + np.random.default_rng(0).normal(0, sd, pixels.shape))


def cyanotype(pixels: np.ndarray) -> np.ndarray:
    lightness = gray(pixels) / 2.55
    deep = np.sin(lightness * np.pi / 100)
    return as_uint8(lab2rgb(np.stack([lightness, -4 * deep, -25 * deep], axis=-1)) * 255)


MONOCHROME = {
    "paper's tint": lambda pixels: as_uint8(gray(pixels)[..., None] * [1, 0.95, 0.86]),
    "gray with noise": lambda pixels: noisy(gray(pixels)[..., None].repeat(3, -1), 20),
    "sepia": lambda pixels: as_uint8(pixels @ SEPIA.T),
    "sepia with noise": lambda pixels: noisy(pixels @ SEPIA.T, 12),
    "cyanotype": cyanotype,
}


@pytest.mark.parametrize("kind", MONOCHROME)
@pytest.mark.parametrize("pixels", PHOTOGRAPHS, ids=range(len(PHOTOGRAPHS)))
def test_prints_and_scans_are_monochrome(kind, pixels):
    assert is_monochrome(scanned(MONOCHROME[kind](pixels)))


@pytest.mark.parametrize("size", [16, 64, 256])
def test_photographs_in_color_are_not(size):
    assert not any(is_monochrome(scanned(pixels)) for pixels in PHOTOGRAPHS)
    assert not any(is_monochrome(pixels) for pixels in photographs(size)[0])


def test_a_small_thing_in_color_is_enough():
    pixels = as_uint8(gray(PHOTOGRAPHS[0])[..., None].repeat(3, -1))
    pixels[100:140, 60:100] = as_uint8(pixels[100:140, 60:100] * [1, 0.5, 0.4])
    assert not is_monochrome(scanned(pixels))


def test_scenes_of_palette_world_are_in_color():
    assert not any(is_monochrome(image) for image in draw_scenes(50, 32, seed=0, split="train").images)


def test_colorful_noise_is_no_gray():
    assert not is_monochrome(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))


@pytest.mark.parametrize("color", [(128, 128, 128), (0, 0, 0), (255, 250, 240)])
def test_one_weak_color_all_over_is_monochrome(color):
    assert is_monochrome(np.full((16, 16, 3), color, np.uint8))
