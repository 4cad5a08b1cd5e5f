"""rgb_to_lab, lab_to_rgb and the round trip beside kornia and scikit-image."""

from __future__ import annotations

from collections.abc import Iterator

import kornia
import numpy as np
import torch
from skimage import color as skimage_color
from torch import Tensor

from benchmarks.measure import Comparison
from study.color.lab import lab_to_rgb, rgb_to_lab

# kornia's own error against scikit-image in float64 is 7e-5 Lab units; ours must be below 1e-4 at any rate.
LAB_TOLERANCE = 2e-4
EXACT_TOLERANCE = 1e-4
RGB_TOLERANCE = 1e-3
HALF_A_LEVEL = 1 / 510


def comparisons(device: torch.device, quick: bool) -> Iterator[Comparison]:
    """The rows of this subject, one after the other; small inputs if `quick`."""
    n, side = (2, 32) if quick else (32, 256)
    generator = torch.Generator().manual_seed(0)
    levels = torch.randint(0, 256, (n, 3, side, side), dtype=torch.uint8, generator=generator).to(device)
    lab = rgb_to_lab(levels)
    size = f"{n}x3x{side}x{side}"

    def kornia_lab() -> Tensor:
        return kornia.color.rgb_to_lab(levels.float() / 255)

    def kornia_trip() -> Tensor:
        return kornia.color.lab_to_rgb(kornia.color.rgb_to_lab(levels.float() / 255))

    def round_trip() -> Tensor:
        return lab_to_rgb(rgb_to_lab(levels))

    yield Comparison(
        what=f"rgb_to_lab, {size} uint8",
        against="kornia",
        goal=3,
        ours=lambda: rgb_to_lab(levels),
        theirs=kornia_lab,
        difference=lambda: _largest(rgb_to_lab(levels), kornia_lab()),
        tolerance=LAB_TOLERANCE,
        bounds=[("turning the bytes into float32 and nothing else", levels.float)],
    )
    yield Comparison(
        what=f"lab_to_rgb, {size} float32",
        against="kornia",
        goal=2,
        ours=lambda: lab_to_rgb(lab),
        theirs=lambda: kornia.color.lab_to_rgb(lab),
        difference=lambda: _largest(lab_to_rgb(lab), kornia.color.lab_to_rgb(lab)),
        tolerance=RGB_TOLERANCE,
        bounds=[("copying the planes and nothing else", lab.clone)],
    )
    yield Comparison(
        what=f"round trip sRGB -> Lab -> sRGB, {size} uint8",
        against="kornia",
        goal=2,
        ours=round_trip,
        theirs=kornia_trip,
        difference=lambda: max(_largest(trip(), levels.float() / 255) for trip in (round_trip, kornia_trip)),
        tolerance=HALF_A_LEVEL,  # every byte comes back as it was
        bounds=[("turning the bytes into float32 and nothing else", levels.float)],
    )
    if device.type != "cpu":
        return
    # scikit-image is ten times slower: an eighth of the pictures is enough.
    levels = levels[: max(1, n // 8)].contiguous()
    lab = rgb_to_lab(levels)
    pictures = np.ascontiguousarray(levels.permute(0, 2, 3, 1).numpy())
    pictures_lab = skimage_color.rgb2lab(pictures)
    size = f"{len(levels)}x3x{side}x{side}"
    yield Comparison(
        what=f"rgb_to_lab, {size} uint8",
        against="scikit-image",
        goal=3,
        ours=lambda: rgb_to_lab(levels),
        theirs=lambda: skimage_color.rgb2lab(pictures),
        difference=lambda: _largest(rgb_to_lab(levels), _planes(pictures_lab)),
        tolerance=EXACT_TOLERANCE,
    )
    yield Comparison(
        what=f"round trip sRGB -> Lab -> sRGB, {size} uint8",
        against="scikit-image",
        goal=2,
        ours=round_trip,
        theirs=lambda: skimage_color.lab2rgb(skimage_color.rgb2lab(pictures)),
        difference=lambda: _largest(round_trip(), _planes(skimage_color.lab2rgb(pictures_lab))),
        tolerance=HALF_A_LEVEL,
    )


def _largest(one: Tensor, other: Tensor) -> float:
    return (one.double() - other.double()).abs().max().item()


def _planes(pictures: np.ndarray) -> Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2)
